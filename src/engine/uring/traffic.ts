// Bytes of open rows through the ring. A row is in one of two modes:
//
//   RING    one receive operation for each direction that delivers until it is cancelled (multishot), into pooled buffers;
//           what a batch of completions brought is sent in one operation, one in flight for each direction
//   RELAY   the row's sockets are polled and engine/linux/relay.ts moves the bytes, by splice: for bulk, and for readers that
//           stall, since a stalled direction must not keep buffers that all connections share
//
//   RING ── many full buffers, or a long queue ──▶ cancel all ── kernel has none ──▶ RELAY
//     ◀── kernel has none ── cancel all ◀── both directions calm ──────────────────────┘
//
// Invariants: a row's sockets are closed, and its mode changes, only when the kernel has no operation of it (inFlight is 0);
// in RING mode, `sending` covers the front of the queue; bytes leave a direction in the order in which they came.

import { EAGAIN, ECANCELED, ECONNRESET, EINTR, ENOBUFS, ENOTCONN, EPIPE } from "../../ffi/errno.ts";
import {
  IORING_CQE_BUFFER_SHIFT,
  IORING_CQE_F_BUFFER,
  IORING_CQE_F_MORE,
  IORING_CQE_F_SOCK_NONEMPTY,
} from "../../ffi/io-uring.ts";
import { libc } from "../../ffi/libc.ts";
import { EPOLLPRI, MSG_DONTWAIT, MSG_NOSIGNAL } from "../../ffi/linux.ts";
import { RELAY as RELAY_LIMITS } from "../../shared/limits.ts";
import type { Connections } from "../linux/connections.ts";
import type { Profile } from "../linux/profile.ts";
import type { Relay } from "../linux/relay.ts";
import {
  BULK,
  COPY_ONLY,
  EOF,
  OPEN,
  QUEUED,
  READABLE,
  type Rows,
  SHUT,
  UNTIL_EAGAIN,
} from "../linux/rows.ts";
import { hasHungUp, hasUrgent, setBlocking, socketError } from "../linux/sockets.ts";
import type { Buffers } from "./buffers.ts";
import type { Gather } from "./gather.ts";
import { CLOSE, type Lanes, NOTHING, RELAY, RING, TO_RELAY, TO_RING } from "./lanes.ts";
import { pushCancel, pushPoll, pushReceive } from "./push.ts";
import type { Ring } from "./ring.ts";
import { Sending, type SendKernel } from "./sending.ts";

/** Bytes in full buffers in a row that show bulk, as far as two buffers hold less. */
const BULK_AFTER_BYTES = 64 * 1024;
/** Buffers that one direction may keep waiting before its row goes to the relay, and the part of all that it may at most. */
const QUEUED_MAX = 16;
const QUEUED_PART = 4;

/**
 * What an operation that was not cancelled by us may say though its socket is well: it is done again. After EAGAIN by the
 * relay, since it means that somebody made the socket non-blocking, for which the kernel does not wait.
 */
const AGAIN = new Set([EAGAIN, ECANCELED, EINTR]);
/** What a send or shutdown says of a sink that is gone. */
const LEFT = new Set([ECONNRESET, ENOTCONN, EPIPE]);

/** For how long after its last bytes an end that the kernel did not tell is looked for: a few sweeps. */
const LOOKED_AT_MS = 3 * RELAY_LIMITS.sweepMaxMs;

/** A receive operation cannot be paused, and its buffers cannot be copied by tee(2). */
export function needsRelay({ pace, mirror }: Profile): boolean {
  return pace !== null || mirror !== null;
}

export class Traffic {
  readonly #ring: Ring;
  readonly #buffers: Buffers;
  readonly #lanes: Lanes;
  readonly #rows: Rows;
  readonly #connections: Connections;
  readonly #relay: Relay;
  readonly #sending: Sending;
  readonly #bulkAfter: number;
  readonly #queuedMax: number;
  /** Directions whose receive ended for want of buffers. */
  #starved: number[] = [];

  constructor(
    kernel: SendKernel,
    ring: Ring,
    buffers: Buffers,
    lanes: Lanes,
    connections: Connections,
    relay: Relay,
    gather: Gather,
  ) {
    this.#ring = ring;
    this.#buffers = buffers;
    this.#lanes = lanes;
    this.#rows = connections.rows;
    this.#connections = connections;
    this.#relay = relay;
    const told = this.#sendEnded.bind(this);
    this.#sending = new Sending(kernel, ring, buffers, lanes, connections.rows, gather, told);
    this.#bulkAfter = Math.max(2, Math.ceil(BULK_AFTER_BYTES / buffers.bytes));
    this.#queuedMax = Math.min(QUEUED_MAX, buffers.count / QUEUED_PART);
  }

  /** A row became OPEN: both of its sources are received from. */
  start(row: number): void {
    this.#lanes.mode[row] = RING;
    this.#noteKind(row);
    this.#receive(row * 2);
    this.#receive(row * 2 + 1);
  }

  /** The relay has this row from the start, and begins with what the polls tell. */
  startRelay(row: number): void {
    this.#noteKind(row);
    this.#watchByPoll(row);
    if (!needsRelay(this.#profile(row * 2))) return;
    // It stays there, and has shown no bulk yet.
    for (let d = row * 2; d <= row * 2 + 1; d++) this.#rows.flags[d]! &= ~BULK;
  }

  /** At the start of a row, UNTIL_EAGAIN says of a source that it is a unix socket. */
  #noteKind(row: number): void {
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      this.#lanes.once[d] = (this.#rows.flags[d]! & UNTIL_EAGAIN) === 0 ? 0 : 1;
    }
  }

  /**
   * On a unix socket for one result only: a receive that goes on loses the end that comes right behind bytes, once in some
   * thousand times (seen in Linux 6.18: no completion follows, though poll(2) tells of it). See `look` for TCP.
   */
  #receive(d: number): void {
    const { receiving, inFlight, once } = this.#lanes;
    receiving[d] = 1;
    inFlight[d >>> 1]!++;
    pushReceive(this.#ring, this.#rows.fd[d]!, d, this.#guard(d), once[d] === 1);
  }

  #guard(d: number): number {
    return this.#rows.live.generation[d >>> 1]!;
  }

  /** A receive operation told something. */
  received(d: number, result: number, flags: number): void {
    const lanes = this.#lanes;
    const row = d >>> 1;
    if ((flags & IORING_CQE_F_MORE) === 0) {
      lanes.receiving[d] = 0;
      lanes.inFlight[row]!--;
    }
    if ((flags & IORING_CQE_F_BUFFER) !== 0) {
      this.#buffers.take();
      const buffer = flags >>> IORING_CQE_BUFFER_SHIFT;
      if (result > 0 && this.#rows.state[row] === OPEN) this.#arrived(d, buffer, result, flags);
      else this.#buffers.recycle(buffer);
    }
    if (result <= 0 && this.#rows.state[row] === OPEN) this.#receiveEnded(d, result);
    if (lanes.after[row] !== NOTHING) return this.#settle(row);
    // The row may be the relay's already, if this was its last operation.
    const goesOn = lanes.mode[row] === RING && this.#rows.state[row] === OPEN;
    if (goesOn && lanes.receiving[d] === 0 && result > 0) this.#receive(d);
  }

  #arrived(d: number, buffer: number, bytes: number, flags: number): void {
    const lanes = this.#lanes;
    const row = d >>> 1;
    if (lanes.failed[d]! > 0) return this.#buffers.recycle(buffer);
    lanes.append(d, buffer, bytes, (flags & IORING_CQE_F_SOCK_NONEMPTY) !== 0);
    if (lanes.sending[d] === 0 && lanes.queued[d] === 1) this.#sending.need(d);
    const bulk = lanes.full[d]! >= this.#bulkAfter;
    if (bulk || lanes.queued[d]! >= this.#queuedMax) this.#turn(row, TO_RELAY);
  }

  /** A receive operation ended without bytes: FIN, no buffers, to be done again, or an error of the source. */
  #receiveEnded(d: number, result: number): void {
    const lanes = this.#lanes;
    const lost = lanes.failed[d ^ 1]!;
    if (lost > 0) return this.#sourceFailed(d, lost);
    if (result === 0) {
      this.#rows.flags[d]! |= EOF;
      // With a sink that failed, the end of its own direction ends the row: a FIN would say that all bytes had arrived.
      if (lanes.queued[d] === 0 && lanes.failed[d] === 0) this.#finish(d);
    } else if (result !== -ENOBUFS && !AGAIN.has(-result)) this.#sourceFailed(d, -result);
    else if (lanes.after[d >>> 1] !== NOTHING)
      return; // it was cancelled
    else if (result === -ENOBUFS) this.#starved.push(d);
    else if (result === -EAGAIN) this.#turn(d >>> 1, TO_RELAY);
    else this.#receive(d);
  }

  /** What had come before the error is delivered as far as that goes without waiting; then the row is reset. */
  #sourceFailed(d: number, error: number): void {
    const lanes = this.#lanes;
    if (lanes.sending[d] === 0 && lanes.queued[d]! > 0) {
      const bytes = new Uint8Array(lanes.waiting(d));
      lanes.drainTo(d, bytes);
      const sink = this.#rows.fd[d ^ 1]!;
      const sent = libc.send(sink, bytes, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) this.#relay.delivered(d, sent, this.#profile(d));
    }
    this.#relay.peerLost(d, "recv", error);
  }

  /**
   * The sink takes no bytes any more. If it left, what it had sent before is received still, and then the end that its own
   * receive tells. A sink that has said its last word already ends the row now; so does a failure that is not the sink's,
   * as want of memory, since nothing else would ever end it.
   */
  #sinkFailed(d: number, error: number): void {
    const lanes = this.#lanes;
    if (!LEFT.has(error) || lanes.receiving[d ^ 1] === 0) return this.#sourceFailed(d ^ 1, error);
    lanes.failed[d] = error;
    lanes.consume(d, lanes.waiting(d));
  }

  /** Passes the FIN on. A sink that does not take it may still have sent bytes, which are on their way through the ring. */
  #finish(d: number): void {
    const error = this.#relay.passFin(d);
    if (error !== 0) this.#sinkFailed(d, error);
  }

  #profile(d: number): Connections["profiles"][number] {
    return this.#connections.profiles[this.#rows.listener[d >>> 1]!]!;
  }

  /** Sends what arrived since the last call, each direction's in one operation, and receives again where buffers were short. */
  flush(): void {
    this.#sending.flush();
    if (this.#starved.length > 0) this.#buffers.grow();
    this.#buffers.publish();
    if (this.#starved.length > 0) this.#feed();
  }

  /**
   * With no buffer left, those that starve go to the relay, which needs none: who holds the buffers may have stalled, and a
   * few hundred connections that hold some each must not stop all others.
   */
  #feed(): void {
    const none = this.#buffers.free <= 0;
    const starved = this.#starved;
    this.#starved = [];
    for (const d of starved) {
      const row = d >>> 1;
      const wanted = this.#rows.state[row] === OPEN && this.#lanes.after[row] === NOTHING;
      const idle = this.#lanes.mode[row] === RING && this.#lanes.receiving[d] === 0;
      if (!wanted || !idle || (this.#rows.flags[d]! & EOF) !== 0) continue;
      if (none) this.#turn(row, TO_RELAY);
      else this.#receive(d);
    }
  }

  /** A send operation ended. */
  sent(d: number, result: number): void {
    this.#lanes.sending[d] = 0;
    this.#lanes.inFlight[d >>> 1]!--;
    this.#sendEnded(d, result);
  }

  #sendEnded(d: number, result: number): void {
    const lanes = this.#lanes;
    const row = d >>> 1;
    if (result > 0) {
      lanes.consume(d, result);
      if (this.#rows.state[row] === OPEN) this.#relay.delivered(d, result, this.#profile(d));
    }
    if (this.#rows.state[row] === OPEN) {
      if (result < 0 && !AGAIN.has(-result)) this.#sinkFailed(d, -result);
      else if (result === -EAGAIN) this.#turn(row, TO_RELAY);
      else if (lanes.queued[d]! > 0) this.#sending.need(d);
      else if ((this.#rows.flags[d]! & (EOF | SHUT)) === EOF) this.#finish(d);
    }
    if (lanes.after[row] !== NOTHING) this.#settle(row);
  }

  /** A poll of the socket that is the source of direction `d` told something. */
  polled(d: number, result: number, flags: number): void {
    const lanes = this.#lanes;
    const row = d >>> 1;
    const over = (flags & IORING_CQE_F_MORE) === 0;
    if (over) lanes.inFlight[row]!--;
    if (result > 0 && this.#rows.state[row] === OPEN)
      this.#relay.event(d, this.#polledEvents(d, result));
    if (lanes.after[row] !== NOTHING) return this.#settle(row);
    if (this.#rows.state[row] !== OPEN) return;
    if (result < 0 && !AGAIN.has(-result)) return void this.#relay.peerLost(d, "recv", -result);
    if (over) this.#poll(d);
    this.calm(row);
  }

  /**
   * What a poll told without EPOLLPRI unless there is urgent data: a wake-up for any bytes has that bit set (the key of
   * sock_def_readable in the kernel), and a poll operation hands on the bits of the wake-up as they are.
   */
  #polledEvents(d: number, events: number): number {
    const known = (events & EPOLLPRI) === 0 || (this.#rows.flags[d]! & COPY_ONLY) !== 0;
    return known || hasUrgent(this.#rows.fd[d]!) ? events : events & ~EPOLLPRI;
  }

  #poll(d: number): void {
    this.#lanes.inFlight[d >>> 1]!++;
    pushPoll(this.#ring, this.#rows.fd[d]!, d, this.#guard(d));
  }

  /** Goes back to the ring once neither direction moves bulk, waits for its sink, or has urgent data. */
  calm(row: number): void {
    if (this.#lanes.mode[row] !== RELAY || this.#rows.state[row] !== OPEN) return;
    if (!needsRelay(this.#profile(row * 2)) && this.#isCalm(row)) this.#turn(row, TO_RING);
  }

  /** The relay has nothing of the row, and nothing to do for it. */
  #isCalm(row: number): boolean {
    const { flags, pending } = this.#rows;
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      const f = flags[d]!;
      if (pending[d]! > 0 || (f & (BULK | QUEUED | COPY_ONLY)) !== 0) return false;
      if ((f & (READABLE | EOF)) === READABLE) return false;
    }
    return true;
  }

  #turn(row: number, then: number): void {
    if (this.#lanes.after[row] !== NOTHING) return;
    this.#lanes.after[row] = then;
    this.#cancelAll(row);
  }

  #cancelAll(row: number): void {
    const { inFlight } = this.#lanes;
    if (inFlight[row] === 0) return this.#settle(row);
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      const fd = this.#rows.fd[d]!;
      if (fd < 0) continue;
      inFlight[row]!++;
      pushCancel(this.#ring, fd, d, this.#guard(d));
    }
  }

  /** A cancel operation of this row ended. */
  cancelled(d: number): void {
    this.#lanes.inFlight[d >>> 1]!--;
    this.#settle(d >>> 1);
  }

  /** Ends one operation of a row that `received`, `sent` and `polled` are not about. */
  operationEnded(row: number): void {
    this.#lanes.inFlight[row]!--;
    if (this.#lanes.after[row] !== NOTHING) this.#settle(row);
  }

  /**
   * Finds out what the kernel does not tell: that a peer has reset the connection after its FIN, when nothing is received from
   * it; and a reset that came right behind bytes, which a multishot receive loses now and then (seen in Linux 6.18). Then it
   * is received from anew.
   */
  look(row: number): void {
    if (this.#lanes.mode[row] !== RING || this.#lanes.after[row] !== NOTHING) return;
    const { live, flags, fd } = this.#rows;
    const recent = this.#relay.now - live.activeMs[row]! < LOOKED_AT_MS;
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      if ((flags[d]! & EOF) === 0) {
        if (recent && hasHungUp(fd[d]!)) return this.#turn(row, TO_RING);
        continue;
      }
      const error = socketError(fd[d]!);
      if (error !== 0) return void this.#relay.peerLost(d, "recv", error);
    }
  }

  /** See Watch.quiesce. */
  quiesce(row: number): boolean {
    const lanes = this.#lanes;
    if (lanes.inFlight[row] === 0) {
      this.#forget(row);
      return true;
    }
    const cancelling = lanes.after[row] !== NOTHING;
    lanes.after[row] = CLOSE;
    if (!cancelling) this.#cancelAll(row);
    return false;
  }

  #forget(row: number): void {
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      this.#lanes.consume(d, this.#lanes.waiting(d));
    }
    this.#lanes.after[row] = NOTHING;
  }

  /** Goes on with what was waiting for the kernel to have no operation of the row. */
  #settle(row: number): void {
    const lanes = this.#lanes;
    if (lanes.inFlight[row]! > 0) return;
    const then = lanes.after[row]!;
    lanes.after[row] = NOTHING;
    if (then === CLOSE) {
      this.#forget(row);
      this.#connections.finishClose(row);
    } else if (then === TO_RELAY) this.#enterRelay(row);
    else if (then === TO_RING) this.#enterRing(row);
  }

  /** What the polls told until they were cancelled may have given the relay work again: then the row stays with it. */
  #staysRelay(row: number): boolean {
    if (this.#lanes.mode[row] !== RELAY || this.#isCalm(row)) return false;
    for (let d = row * 2; d <= row * 2 + 1; d++) this.#poll(d);
    return true;
  }

  #enterRelay(row: number): void {
    const { state } = this.#rows;
    this.#watchByPoll(row);
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      if (state[row] === OPEN && this.#lanes.after[row] === NOTHING) this.#relay.pump(d);
    }
  }

  #watchByPoll(row: number): void {
    const { flags, fd } = this.#rows;
    this.#lanes.mode[row] = RELAY;
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      setBlocking(fd[d]!, false);
      const waiting = this.#lanes.waiting(d);
      if (waiting > 0) {
        const bytes = new Uint8Array(waiting);
        this.#lanes.drainTo(d, bytes);
        this.#relay.inherit(d, bytes);
      }
      flags[d]! |= READABLE | UNTIL_EAGAIN;
      if ((flags[d]! & COPY_ONLY) === 0) flags[d]! |= BULK;
      this.#poll(d);
    }
  }

  #enterRing(row: number): void {
    if (this.#staysRelay(row)) return;
    const { fd, flags } = this.#rows;
    this.#lanes.mode[row] = RING;
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      setBlocking(fd[d]!, true);
      this.#lanes.full[d] = 0;
      if (this.#lanes.queued[d]! > 0) this.#sending.need(d);
      if ((flags[d]! & EOF) === 0) this.#receive(d);
    }
  }
}
