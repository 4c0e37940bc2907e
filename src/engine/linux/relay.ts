// The relay: moves bytes of one direction from its source to its sink until the source is drained, the sink is full, or the
// direction has had its turn. Everything that can happen to an open connection happens here.
//
//   source edge ──▶ READABLE ─┐                        ┌─ EAGAIN ▶ not READABLE: wait for the source's next edge
//                             ▼                        │
//            ┌──────────── pump(d) ── read ────────────┼─ bytes ─▶ send ─ all ─▶ read again
//            │                ▲                        │             └ short ▶ hold the rest, BLOCKED
//   turn used up: QUEUED      │ sink edge clears       └─ 0 ────▶ EOF ─ nothing pending ▶ SHUT (shutdown(sink))
//                             └─ BLOCKED
//
// Invariants:
//   pending[d] > 0 exactly when held[d] names a pipe or buffer with that many bytes (a pipe may be held empty during a pump)
//   0 <= pending[d] <= highBytes; in copy mode nothing is read while anything is pending
//   BLOCKED: the last write to the sink ended with EAGAIN, so the kernel owes us an EPOLLOUT edge
//   not READABLE: the last read ended with EAGAIN, or came back short on a TCP stream without FIN or urgent data, which is the
//     same (epoll(7), question 9), so the kernel owes us an EPOLLIN edge
//   SHUT implies EOF and pending 0; a row is closed when both directions are SHUT
//
// Under a limit of bandwidth (l4/pacer.ts) a direction that is granted no bytes is not read, READABLE or not, until the pacer
// resumes it: a pump. What its sink owes is delivered all the same.
//
// Copy mode (recv, send through one shared buffer) costs two calls for a message. Bulk mode (splice through a pipe) costs
// four for a burst and copies nothing. A direction starts with copying, turns to bulk after BULK_AFTER full reads in a row and
// back after CALM_AFTER small bursts.

import { EAGAIN, EINTR, errnoName } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SHUT_WR,
  SPLICE_F_MOVE,
  SPLICE_F_NONBLOCK,
} from "../../ffi/linux.ts";
import { addressOf, type Pointer } from "../../ffi/memory.ts";
import type { Pace } from "../../l4/pacer.ts";
import type { Connections } from "./connections.ts";
import { assertTransferReset, isSinkFull } from "./errnos.ts";
import type { Mirrors } from "./mirrors.ts";
import { isMirrored, type Profile } from "./profile.ts";
import {
  BLOCKED,
  BULK,
  COPY_ONLY,
  EOF,
  IN_PIPE,
  OPEN,
  QUEUED,
  READABLE,
  type Rows,
  SHUT,
  UNTIL_EAGAIN,
} from "./rows.ts";
import { isHandshaking, socketError } from "./sockets.ts";

/** Full reads in a row that show bulk. One may be a large message; two are a stream. */
const BULK_AFTER = 2;
/** Bursts in a row below this show the end of bulk: there two calls that copy are as cheap as four that do not. */
const CALM_BELOW_BYTES = 16 * 1024;
const CALM_AFTER = 8;
/** A direction's turn: after this many bytes others are served first. Some 0.5 ms at 4 GB/s. */
const TURN_BYTES = 2 * 1024 * 1024;
const SEND_FLAGS = MSG_NOSIGNAL | MSG_DONTWAIT;
const SPLICE_FLAGS = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
const READ_EVENTS = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
/** No further step in this pump. */
const STOP = -1;
/** Bytes of a read that nothing but the watermarks limits. */
const UNLIMITED = 0x7fff_ffff;

export class Relay {
  readonly #rows: Rows;
  readonly #connections: Connections;
  readonly #mirrors: Mirrors;
  /** Directions that used up their turn, served again before the next wait blocks. */
  #queue: number[] = [];
  #scratch = new Uint8Array(0);
  #scratchAddress: Pointer = 0 as Pointer;
  /** What the last read brought. */
  #got = 0;
  /** Monotonic milliseconds, set by the loop once for each batch of events. */
  now = 0;

  constructor(connections: Connections, mirrors: Mirrors) {
    this.#connections = connections;
    this.#mirrors = mirrors;
    this.#rows = connections.rows;
    this.reserve(64 * 1024);
  }

  /** Makes the shared buffer at least this long. */
  reserve(bytes: number): void {
    if (bytes <= this.#scratch.length) return;
    this.#scratch = new Uint8Array(bytes);
    this.#scratchAddress = addressOf(this.#scratch);
  }

  /** Directions are waiting for their next turn: the loop must not block. */
  get hasQueued(): boolean {
    return this.#queue.length > 0;
  }

  /** Serves each direction that was queued before this call once. */
  serveQueued(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const d of queue) {
      // The row may have been closed, and even taken again, since: only a direction that still is QUEUED is meant.
      if ((this.#rows.flags[d]! & QUEUED) === 0 || this.#rows.state[d >>> 1] !== OPEN) continue;
      this.#rows.flags[d]! &= ~QUEUED;
      this.pump(d);
    }
  }

  /** Events of the socket that is the source of direction `d`, of an OPEN row. */
  event(d: number, events: number): void {
    const { flags, state } = this.#rows;
    const row = d >>> 1;
    this.note(d, events);
    if ((events & READ_EVENTS) !== 0) this.pump(d);
    if ((events & EPOLLOUT) !== 0 && (flags[d ^ 1]! & BLOCKED) !== 0 && state[row] === OPEN) {
      flags[d ^ 1]! &= ~BLOCKED;
      this.pump(d ^ 1);
    }
    if ((events & EPOLLERR) !== 0 && state[row] === OPEN) this.#checkError(d);
  }

  /** Notes what an event says of a source, without acting on it: a row that is still connecting is pumped later. */
  note(d: number, events: number): void {
    const { flags } = this.#rows;
    if ((events & EPOLLPRI) !== 0) this.#urgent(d);
    if ((events & READ_EVENTS) === 0) return;
    const fin = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0 ? UNTIL_EAGAIN : 0;
    flags[d]! |= READABLE | fin;
  }

  /** Starts both directions of a row that has just become OPEN. */
  start(row: number): void {
    if ((this.#rows.flags[row * 2]! & READABLE) !== 0) this.pump(row * 2);
  }

  pump(d: number): void {
    const { flags, pending, listener } = this.#rows;
    const profile = this.#connections.profiles[listener[d >>> 1]!]!;
    for (let turn = TURN_BYTES; turn > 0;) {
      if (pending[d]! > 0 && (flags[d]! & BLOCKED) === 0 && !this.#flush(d, profile)) return;
      const f = flags[d]!;
      if ((f & EOF) !== 0) {
        if (pending[d] === 0 && (f & SHUT) === 0) this.finish(d);
        return;
      }
      if ((f & READABLE) === 0) return this.#rest(d, profile);
      const moved =
        profile.pace === null
          ? this.#read(d, profile, UNLIMITED)
          : this.#readPaced(d, profile, profile.pace);
      if (moved === STOP) return;
      turn -= moved;
    }
    if ((flags[d]! & QUEUED) === 0) {
      flags[d]! |= QUEUED;
      this.#queue.push(d);
    }
  }

  /** @param most how many bytes at most. @returns how much of its turn that took, or STOP. */
  #read(d: number, profile: Profile, most: number): number {
    return (this.#rows.flags[d]! & BULK) !== 0
      ? this.#splice(d, profile, most)
      : this.#copy(d, profile, most);
  }

  #readPaced(d: number, profile: Profile, pace: Pace): number {
    if (pace.waits(d)) return STOP;
    const bulk = (this.#rows.flags[d]! & BULK) !== 0;
    const granted = pace.grant(d, bulk ? profile.highBytes : profile.copyBytes);
    if (granted === 0) {
      this.#rest(d, profile);
      return STOP;
    }
    this.#got = 0;
    const moved = this.#read(d, profile, granted);
    pace.giveBack(d, granted - this.#got);
    return moved;
  }

  /** Reads once into the shared buffer and sends it on. */
  #copy(d: number, profile: Profile, most: number): number {
    const rows = this.#rows;
    if (rows.held[d]! >= 0) {
      if (rows.pending[d]! > 0) return STOP;
      this.#release(d, profile); // an empty pipe from bulk mode
    }
    const limit = Math.min(profile.copyBytes, most);
    const got = libc.recv(rows.fd[d]!, this.#scratchAddress, limit, MSG_DONTWAIT);
    if (got < 0) return this.#readFailed(d, errno());
    if (got === 0) {
      rows.flags[d]! |= EOF;
      return 0;
    }
    this.#got = got;
    if (isMirrored(d, profile)) this.#mirrors.copied(d >>> 1, profile, this.#scratch, got);
    if (got < limit) {
      rows.streak[d] = 0;
      if ((rows.flags[d]! & UNTIL_EAGAIN) === 0) rows.flags[d]! &= ~READABLE;
    } else if (limit === profile.copyBytes) this.#countFullRead(d);
    const sent = libc.send(rows.fd[d ^ 1]!, this.#scratchAddress, got, SEND_FLAGS);
    if (sent === got) {
      this.delivered(d, got, profile);
      // The common case of a message: nothing more to read, nothing pending, no second look.
      return (rows.flags[d]! & READABLE) === 0 ? STOP : got;
    }
    if (sent < 0) {
      const error = errno();
      if (!isSinkFull(error) && error !== EINTR) return this.peerLost(d ^ 1, "send", error);
      this.#hold(d, 0, got, profile);
    } else {
      this.delivered(d, sent, profile);
      this.#hold(d, sent, got, profile);
    }
    return got;
  }

  #countFullRead(d: number): void {
    const rows = this.#rows;
    rows.streak[d]!++;
    if (rows.streak[d]! < BULK_AFTER || (rows.flags[d]! & COPY_ONLY) !== 0) return;
    rows.flags[d]! |= BULK;
    rows.streak[d] = 0;
  }

  /** Takes over bytes of direction `d` that were received elsewhere; nothing is pending. The caller pumps. */
  inherit(d: number, bytes: Uint8Array): void {
    const rows = this.#rows;
    const profile = this.#connections.profiles[rows.listener[d >>> 1]!]!;
    if (rows.held[d]! >= 0) this.#release(d, profile);
    rows.held[d] = profile.buffers.put(bytes);
    rows.offset[d] = 0;
    rows.pending[d] = bytes.length;
    rows.flags[d]! &= ~IN_PIPE;
  }

  /** Keeps what a short send left over. */
  #hold(d: number, from: number, to: number, profile: Profile): void {
    const rows = this.#rows;
    const index = profile.buffers.take();
    profile.buffers.at(index).set(this.#scratch.subarray(from, to));
    rows.held[d] = index;
    rows.offset[d] = 0;
    rows.pending[d] = to - from;
    rows.flags[d]! &= ~IN_PIPE;
  }

  /** Moves one burst from the source into a pipe; the pump's next round flushes it. */
  #splice(d: number, profile: Profile, most: number): number {
    const rows = this.#rows;
    const waiting = rows.pending[d]!;
    const mirrored = isMirrored(d, profile);
    // tee(2) copies from a pipe's beginning: what is new must be all that is in it.
    if (waiting > (mirrored ? 0 : profile.lowBytes)) return STOP;
    if (waiting > 0 && (rows.flags[d]! & IN_PIPE) === 0) return STOP;
    if (rows.held[d]! < 0) {
      const index = profile.pipes.take();
      if (index < 0) {
        rows.flags[d]! &= ~BULK;
        return 0;
      }
      rows.held[d] = index;
      rows.flags[d]! |= IN_PIPE;
    }
    const pipe = profile.pipes.writeEnd(rows.held[d]!);
    const room = Math.min(profile.highBytes - waiting, most);
    if (room <= 0) return STOP;
    const got = libc.splice(rows.fd[d]!, null, pipe, null, room, SPLICE_FLAGS);
    if (got > 0) {
      this.#got = got;
      rows.pending[d] = waiting + got;
      if (mirrored) this.#mirrors.teed(d >>> 1, profile, rows.held[d]!, got);
      if (got < most) this.#countBurst(d, got);
      return got;
    }
    if (got === 0) {
      // A FIN, or the mark of urgent data with a FIN behind it, which splice cannot tell apart: recv can.
      rows.flags[d]! |= UNTIL_EAGAIN;
      rows.flags[d]! &= ~BULK;
      return 0;
    }
    const error = errno();
    // A pipe that holds bytes may be the one that is full: the source stays READABLE and is tried again when it is flushed.
    if (error === EAGAIN && waiting > 0) return STOP;
    return this.#readFailed(d, error);
  }

  #countBurst(d: number, bytes: number): void {
    const rows = this.#rows;
    if (bytes >= CALM_BELOW_BYTES) rows.streak[d] = 0;
    else if (++rows.streak[d]! >= CALM_AFTER) {
      rows.flags[d]! &= ~BULK;
      rows.streak[d] = 0;
    }
  }

  /** The source gave EAGAIN or an error. */
  #readFailed(d: number, error: number): number {
    if (error === EINTR) return 0;
    if (error !== EAGAIN) return this.peerLost(d, "recv", error);
    this.#rows.flags[d]! &= ~READABLE;
    return 0;
  }

  /** Sends what is pending until it is gone or the sink is full. @returns false if the row was closed. */
  #flush(d: number, profile: Profile): boolean {
    const rows = this.#rows;
    const piped = (rows.flags[d]! & IN_PIPE) !== 0;
    while (rows.pending[d]! > 0) {
      const sent = piped ? this.#sendPipe(d, profile) : this.#sendBuffer(d, profile);
      if (sent >= 0) {
        rows.pending[d]! -= sent;
        rows.offset[d]! += sent;
        this.delivered(d, sent, profile);
        continue;
      }
      const error = errno();
      if (error === EINTR) continue;
      if (!isSinkFull(error)) {
        this.peerLost(d ^ 1, piped ? "splice" : "send", error);
        return false;
      }
      rows.flags[d]! |= BLOCKED;
      return true;
    }
    if (!piped) this.#release(d, profile);
    return true;
  }

  #sendPipe(d: number, profile: Profile): number {
    const rows = this.#rows;
    const pipe = profile.pipes.readEnd(rows.held[d]!);
    return libc.splice(pipe, null, rows.fd[d ^ 1]!, null, rows.pending[d]!, SPLICE_FLAGS);
  }

  #sendBuffer(d: number, profile: Profile): number {
    const rows = this.#rows;
    const address = addressOf(profile.buffers.at(rows.held[d]!), rows.offset[d]!);
    return libc.send(rows.fd[d ^ 1]!, address, rows.pending[d]!, SEND_FLAGS);
  }

  /** The source is drained: an empty pipe goes back to the pool. */
  #rest(d: number, profile: Profile): void {
    if (this.#rows.held[d]! >= 0 && this.#rows.pending[d] === 0) this.#release(d, profile);
  }

  #release(d: number, profile: Profile): void {
    const rows = this.#rows;
    if ((rows.flags[d]! & IN_PIPE) !== 0) profile.pipes.release(rows.held[d]!);
    else profile.buffers.release(rows.held[d]!);
    rows.held[d] = -1;
  }

  delivered(d: number, bytes: number, profile: Profile): void {
    const { live, target } = this.#rows;
    const row = d >>> 1;
    live.activeMs[row] = this.now;
    if ((d & 1) === 0) {
      live.bytesUp[row]! += bytes;
      profile.counters?.bytesUp(target[row]!, bytes);
    } else {
      live.bytesDown[row]! += bytes;
      profile.counters?.bytesDown(target[row]!, bytes);
    }
  }

  /** The source has ended and everything is delivered: passes the FIN on, or closes if it was the second one. */
  finish(d: number): void {
    const error = this.passFin(d);
    if (error !== 0) this.peerLost(d ^ 1, "shutdown", error);
  }

  /** As `finish`, where bytes of the sink may be on their way elsewhere. @returns the error number if the sink refuses. */
  passFin(d: number): number {
    const { flags, fd } = this.#rows;
    const profile = this.#connections.profiles[this.#rows.listener[d >>> 1]!]!;
    if (this.#rows.held[d]! >= 0) this.#release(d, profile);
    if (isMirrored(d, profile)) this.#mirrors.end(d >>> 1, this.now);
    if (profile.fastopen && (d & 1) === 0 && isHandshaking(fd[d ^ 1]!)) {
      // shutdown(2) would end a connection whose SYN, with bytes, is still under way. The handshake's edge comes back here.
      flags[d]! |= BLOCKED;
      return 0;
    }
    flags[d]! |= SHUT;
    // close(2) sends the second FIN: one call less.
    if ((flags[d ^ 1]! & SHUT) !== 0) this.#connections.close(d >>> 1, "end");
    else if (libc.shutdown(fd[d ^ 1]!, SHUT_WR) < 0) return errno();
    return 0;
  }

  /**
   * The socket of this side failed. What it had sent before is delivered as far as that goes without waiting, as it would
   * have been without a relay; then both sides are reset.
   */
  peerLost(side: number, operation: string, error: number): number {
    assertTransferReset(operation, error);
    const row = side >>> 1;
    const profile = this.#connections.profiles[this.#rows.listener[row]!]!;
    profile.counters?.error(errnoName(error));
    if (operation !== "recv") this.#lastWords(side, profile);
    this.#connections.close(row, errnoName(error));
    return STOP;
  }

  /** A peer that refuses more bytes may have answered before it left: that answer is still to be read. */
  #lastWords(side: number, profile: Profile): void {
    const rows = this.#rows;
    if (rows.pending[side]! > 0 || (rows.flags[side]! & (EOF | BLOCKED)) !== 0) return;
    for (;;) {
      const { copyBytes, pace } = profile;
      const most = pace === null ? copyBytes : pace.take(side, copyBytes);
      const got = libc.recv(rows.fd[side]!, this.#scratchAddress, most, MSG_DONTWAIT);
      pace?.giveBack(side, most - Math.max(0, got));
      if (got <= 0) return;
      if (isMirrored(side, profile)) this.#mirrors.copied(side >>> 1, profile, this.#scratch, got);
      const sent = libc.send(rows.fd[side ^ 1]!, this.#scratchAddress, got, SEND_FLAGS);
      if (sent > 0) this.delivered(side, sent, profile);
      if (sent < got) return;
    }
  }

  /** EPOLLERR on a side that the pump did not read: it is blocked, or its FIN had come before. */
  #checkError(side: number): void {
    const error = socketError(this.#rows.fd[side]!);
    if (error !== 0) this.peerLost(side, "recv", error);
  }

  /**
   * Urgent data (tcp(7)) is in line, since every socket has SO_OOBINLINE; its mark is not passed on. A read stops short at the
   * mark, and splice cannot pass it at all.
   */
  #urgent(d: number): void {
    const rows = this.#rows;
    rows.flags[d]! |= READABLE | UNTIL_EAGAIN | COPY_ONLY;
    rows.flags[d]! &= ~BULK;
  }
}
