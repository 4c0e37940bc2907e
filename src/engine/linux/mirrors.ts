// Copies of what clients send, for listeners with a mirror. A copy has a socket of its own and, while that takes no bytes, a
// pipe as its queue; the relay hands it what it has read, and never waits for it.
//
//   begin ─▶ connecting ─▶ open ── the client's FIN: end ─▶ flushing ─▶ FIN sent ── the mirror's FIN ─▶ closed
//                │           │                                 │            └ linger is over ─▶ reset
//                └───────────┴── error, or the queue is full ──┴─▶ reset: what follows is dropped and counted
//
// Invariants:
//   queued > 0 exactly when a pipe with that many bytes is held, and then the socket is not connected or has said EAGAIN
//   a copy that lacks a byte ends there: what comes after would be garbage
//   mirrored + dropped is what the client has sent, once the copy is over
//
// What a mirror answers is read and thrown away. A copy outlives its row by RELAY.mirrorLingerMs at most. Called by the relay
// (bytes, FIN), the connections (end of a row), and the engine (events, sweeps).

import { EAGAIN, EINPROGRESS, EINTR, errnoName, ETIMEDOUT } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import {
  AF_UNIX,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SHUT_WR,
  SPLICE_F_MOVE,
  SPLICE_F_NONBLOCK,
} from "../../ffi/linux.ts";
import { addressOf, pinnedBytes } from "../../ffi/memory.ts";
import type { Sockaddr } from "../../ffi/sockaddr.ts";
import { applySocketOptions, type OptionCall } from "../../ffi/socket-options.ts";
import { RELAY } from "../../shared/limits.ts";
import type { EngineHost } from "../engine.ts";
import { describeSockaddr, resetSocket } from "./connections.ts";
import type { Profile } from "./profile.ts";
import { socketError, streamSocket } from "./sockets.ts";

const SEND_FLAGS = MSG_NOSIGNAL | MSG_DONTWAIT;
const SPLICE_FLAGS = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
const READ_EVENTS = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
/** Answers are read this much at once, and so often before others are served. */
const ANSWER_BYTES = 64 * 1024;
const ANSWER_READS = 16;

/** Where the copies of a profile's rows go. */
export interface MirrorTarget {
  readonly options: readonly OptionCall[];
  readonly connectMs: number;
  /** Empty while the name has not resolved. */
  addresses: readonly Sockaddr[];
  /** Which of them is used: the next one after a failure. */
  at: number;
}

/** What a copy needs of the engine around it. */
export interface MirrorWatch {
  /** Tells the events of a copy's socket. @returns 0, or the error number if it cannot be watched. */
  watchMirror(slot: number, generation: number, fd: number): number;
  /**
   * Ends every operation of the kernel on it, so that it can be closed.
   * @returns whether none is left now; if not, the engine calls `finishClose` when that is so.
   */
  quiesceMirror(slot: number, fd: number): boolean;
}

interface Copy {
  readonly slot: number;
  /** Another one for each copy, so that late events of an earlier one are recognised. */
  readonly generation: number;
  readonly fd: number;
  readonly profile: Profile;
  readonly address: Sockaddr;
  /** -1: its client's bytes have all come. */
  row: number;
  pipe: number;
  queued: number;
  connected: boolean;
  /** The socket took no more: it tells when it does. */
  full: boolean;
  finSent: boolean;
  /** The mirror's own FIN has come. */
  answered: boolean;
  /** When it is given up: not connected, or not over. */
  deadline: number;
  closing: boolean;
  reset: boolean;
}

/** Of a row: has no copy (any more). Otherwise the copy's slot and 1. */
const NONE = 0;

export class Mirrors {
  readonly #watch: MirrorWatch;
  readonly #host: EngineHost;
  /** Descriptors from here on are left to connections. */
  readonly #ceiling: number;
  /** A copy is over, and its descriptors are closed. */
  readonly #closed: () => void;
  readonly #copies: (Copy | undefined)[] = [];
  readonly #vacant: number[] = [];
  readonly #warned = new Set<string>();
  readonly #answer = pinnedBytes(ANSWER_BYTES);
  /** By row. */
  readonly #slotOf: Int32Array;
  #talkative: Copy[] = [];
  #generation = 0;
  #open = 0;

  constructor(
    watch: MirrorWatch,
    host: EngineHost,
    rows: number,
    ceiling: number,
    closed: () => void,
  ) {
    this.#watch = watch;
    this.#host = host;
    this.#slotOf = new Int32Array(rows);
    this.#ceiling = ceiling;
    this.#closed = closed;
  }

  /** Copies that are not over. */
  get open(): number {
    return this.#open;
  }

  /** The loop must not block: answers are to be read on. */
  get hasQueued(): boolean {
    return this.#talkative.length > 0;
  }

  /** A row became OPEN, before any of its bytes is read. */
  begin(row: number, profile: Profile, target: MirrorTarget, now: number): void {
    this.#slotOf[row] = NONE;
    const address = target.addresses[target.at % target.addresses.length];
    if (address === undefined) return;
    const fd = streamSocket(address.family);
    if (fd < 0) return this.#warn(profile, address, errnoName(-fd));
    if (fd >= this.#ceiling) {
      libc.close(fd);
      return this.#warn(profile, address, "the descriptors are for connections");
    }
    if (address.family !== AF_UNIX) applySocketOptions(fd, target.options);
    const slot = this.#vacant.pop() ?? this.#copies.length;
    const generation = (this.#generation = (this.#generation + 1) & 0x7fff_ffff);
    const error = connectTo(fd, address) || this.#watch.watchMirror(slot, generation, fd);
    if (error !== 0) {
      libc.close(fd);
      this.#vacant.push(slot);
      return this.#unreachable(profile, address, error);
    }
    const deadline = now + target.connectMs;
    const sink = { pipe: -1, queued: 0, connected: false, full: false };
    const end = { finSent: false, answered: false, deadline, closing: false, reset: false };
    this.#copies[slot] = { slot, generation, fd, profile, address, row, ...sink, ...end };
    this.#slotOf[row] = slot + 1;
    this.#open++;
  }

  #of(row: number): Copy | undefined {
    return this.#copies[this.#slotOf[row]! - 1];
  }

  /** The relay has read these bytes of the client. @param length of `bytes`. */
  copied(row: number, profile: Profile, bytes: Uint8Array, length: number): void {
    const copy = this.#of(row);
    if (copy === undefined) return profile.counters?.mirrorDropped(length);
    let sent = 0;
    if (copy.connected && copy.queued === 0) {
      sent = libc.send(copy.fd, addressOf(bytes), length, SEND_FLAGS);
      if (sent < 0) {
        const error = errno();
        if (!isFull(error)) return this.#lose(copy, errnoName(error), length);
        sent = 0;
      }
      profile.counters?.mirrored(sent);
    }
    if (sent === length) return;
    if (!this.#takePipe(copy)) return this.#lose(copy, "no pipe", length - sent);
    const pipe = profile.pipes.writeEnd(copy.pipe);
    const written = libc.write(pipe, addressOf(bytes, sent), length - sent);
    this.#queuedMore(copy, written, length - sent);
  }

  /** The relay has read so many bytes of the client into a pipe of the profile, which holds nothing else. */
  teed(row: number, profile: Profile, pipe: number, length: number): void {
    const copy = this.#of(row);
    if (copy === undefined) return profile.counters?.mirrorDropped(length);
    if (!this.#takePipe(copy)) return this.#lose(copy, "no pipe", length);
    const { pipes } = profile;
    const [from, to] = [pipes.readEnd(pipe), pipes.writeEnd(copy.pipe)];
    this.#queuedMore(copy, libc.tee(from, to, length, SPLICE_F_NONBLOCK), length);
  }

  /** @param taken by the pipe, or -1 with errno: EAGAIN, as a pipe of ours has no other error. */
  #queuedMore(copy: Copy, taken: number, length: number): void {
    copy.queued += Math.max(0, taken);
    if (taken < length) this.#lose(copy, "does not keep up", length - Math.max(0, taken));
    else if (copy.connected && !copy.full) this.#flush(copy);
  }

  #takePipe(copy: Copy): boolean {
    if (copy.pipe < 0) copy.pipe = copy.profile.pipes.take();
    return copy.pipe >= 0;
  }

  /** The client has sent its FIN, and all of its bytes were handed over. */
  end(row: number, now: number): void {
    const copy = this.#of(row);
    if (copy === undefined) return;
    this.#detach(copy);
    copy.deadline = now + RELAY.mirrorLingerMs;
    if (copy.connected && copy.queued === 0) this.#sendFin(copy);
  }

  /** A row is about to be closed. A client that did not end in order is not made to look as if it had. */
  rowClosed(row: number): void {
    const copy = this.#of(row);
    if (copy === undefined) return;
    this.#detach(copy);
    this.#close(copy, true);
  }

  #detach(copy: Copy): void {
    this.#slotOf[copy.row] = NONE;
    copy.row = -1;
  }

  /** Events of a copy's socket. */
  event(slot: number, generation: number, events: number): void {
    const copy = this.#copies[slot];
    if (copy === undefined || copy.generation !== generation || copy.closing) return;
    if (!copy.connected) {
      if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) === 0) return;
      const error = socketError(copy.fd);
      if (error !== 0) return this.#notConnected(copy, error);
      copy.connected = true;
      if (copy.row >= 0) copy.deadline = Infinity;
    }
    if ((events & EPOLLOUT) !== 0) this.#flush(copy);
    if ((events & READ_EVENTS) !== 0 && !copy.closing) this.#readAnswer(copy);
  }

  /** A copy's socket cannot be watched any more. */
  lost(slot: number, error: number): void {
    this.#lose(this.#copies[slot]!, errnoName(error), 0);
  }

  #flush(copy: Copy): void {
    const { profile } = copy;
    copy.full = false;
    while (copy.queued > 0) {
      const pipe = profile.pipes.readEnd(copy.pipe);
      const sent = libc.splice(pipe, null, copy.fd, null, copy.queued, SPLICE_FLAGS);
      if (sent < 0) {
        const error = errno();
        if (error === EINTR) continue;
        if (error !== EAGAIN) return this.#lose(copy, errnoName(error), 0);
        copy.full = true;
        return;
      }
      copy.queued -= sent;
      profile.counters?.mirrored(sent);
    }
    this.#dropPipe(copy);
    if (copy.row < 0 && !copy.finSent) this.#sendFin(copy);
  }

  #sendFin(copy: Copy): void {
    copy.finSent = true;
    const failed = libc.shutdown(copy.fd, SHUT_WR) < 0;
    if (failed || copy.answered) this.#close(copy, failed);
  }

  #readAnswer(copy: Copy): void {
    for (let i = 0; i < ANSWER_READS; i++) {
      const got = libc.recv(copy.fd, addressOf(this.#answer), ANSWER_BYTES, MSG_DONTWAIT);
      if (got > 0) continue;
      if (got === 0) {
        copy.answered = true;
        if (copy.finSent) this.#close(copy, false);
        return;
      }
      const error = errno();
      if (error === EINTR) continue;
      if (error !== EAGAIN) this.#lose(copy, errnoName(error), 0);
      return;
    }
    this.#talkative.push(copy);
  }

  /** Reads on where an answer was longer than a turn. */
  serveQueued(): void {
    const talkative = this.#talkative;
    this.#talkative = [];
    for (const copy of talkative) if (!copy.closing) this.#readAnswer(copy);
  }

  #notConnected(copy: Copy, error: number): void {
    this.#unreachable(copy.profile, copy.address, error);
    this.#close(copy, true);
  }

  /** The next connection tries another address. */
  #unreachable(profile: Profile, address: Sockaddr, error: number): void {
    const target = profile.mirror!;
    const { length } = target.addresses;
    if (target.addresses[target.at % length] === address) target.at = (target.at + 1) % length;
    this.#warn(profile, address, errnoName(error));
  }

  /** @param dropped besides what is queued. */
  #lose(copy: Copy, reason: string, dropped: number): void {
    copy.profile.counters?.mirrorDropped(dropped);
    if (!copy.finSent) this.#warn(copy.profile, copy.address, reason);
    this.#close(copy, true);
  }

  /** Once for each text. */
  #warn({ key }: Profile, address: Sockaddr, reason: string): void {
    const message = `mirror ${describeSockaddr(address.bytes)}: ${reason}; what is not copied is counted as dropped`;
    const name = `${key} ${message}`;
    if (this.#warned.has(name)) return;
    this.#warned.add(name);
    this.#host.emit({ type: "warning", key, message });
  }

  /** What is queued is dropped. */
  #close(copy: Copy, reset: boolean): void {
    copy.closing = true;
    copy.reset = reset;
    if (copy.row >= 0) this.#detach(copy);
    copy.profile.counters?.mirrorDropped(copy.queued);
    this.#dropPipe(copy);
    if (this.#watch.quiesceMirror(copy.slot, copy.fd)) this.finishClose(copy.slot);
  }

  #dropPipe(copy: Copy): void {
    if (copy.pipe < 0) return;
    const { pipes } = copy.profile;
    if (copy.queued > 0) pipes.discard(copy.pipe);
    else pipes.release(copy.pipe);
    copy.pipe = -1;
    copy.queued = 0;
  }

  /** No operation is left on the socket of a copy that is closing. */
  finishClose(slot: number): void {
    const copy = this.#copies[slot]!;
    if (copy.reset) resetSocket(copy.fd);
    else libc.close(copy.fd);
    this.#copies[slot] = undefined;
    this.#vacant.push(slot);
    this.#open--;
    this.#closed();
  }

  /** Ends what takes too long. */
  sweep(now: number): void {
    if (this.#open === 0) return;
    for (const copy of this.#copies) {
      if (copy === undefined || copy.closing || now < copy.deadline) continue;
      if (copy.connected) this.#close(copy, true);
      else this.#notConnected(copy, ETIMEDOUT);
    }
  }

  /** Resets what is left. */
  closeAll(): void {
    for (const copy of this.#copies) {
      if (copy !== undefined && !copy.closing) this.#close(copy, true);
    }
  }
}

/** @returns 0 if the connection is made or under way, otherwise the error number. */
function connectTo(fd: number, { bytes }: Sockaddr): number {
  if (libc.connect(fd, addressOf(bytes), bytes.length) === 0) return 0;
  const error = errno();
  return error === EINPROGRESS || error === EINTR ? 0 : error;
}

function isFull(error: number): boolean {
  return error === EAGAIN || error === EINTR;
}
