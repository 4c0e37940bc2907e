// Sends what a batch of completions brought: each direction's in one operation, one in flight for each direction. The only
// direction of a batch is sent at once, by a system call: an operation that ends during its submission ends the wait for others
// too, so it would cost a second entry into the kernel, which a batch of many shares and a lone message pays by itself.
//
// Invariant: `sending` covers the front of a direction's queue until the operation has told. Called by traffic.ts.

import { EAGAIN, EINTR } from "../../ffi/errno.ts";
import { IORING_OP_SEND } from "../../ffi/io-uring.ts";
import { MSG_NOSIGNAL, MSG_WAITALL } from "../../ffi/linux.ts";
import { OPEN, type Rows } from "../linux/rows.ts";
import type { Buffers } from "./buffers.ts";
import type { Gather } from "./gather.ts";
import { type Lanes, NOTHING, RING } from "./lanes.ts";
import { OP_SEND, userLow } from "./operations.ts";
import type { Ring } from "./ring.ts";

// With WAITALL the kernel itself goes on after a short send, as soon as the sink takes bytes again.
const SEND_FLAGS = MSG_NOSIGNAL | MSG_WAITALL;

/** The kernel beside the ring. */
export interface SendKernel {
  /** send(2) without waiting. @returns bytes, or a negative error number. */
  sendNow(fd: number, address: number, bytes: number): number;
}

/** What became of a send: bytes, or a negative error number. */
export type Told = (d: number, result: number) => void;

export class Sending {
  readonly #kernel: SendKernel;
  readonly #ring: Ring;
  readonly #buffers: Buffers;
  readonly #lanes: Lanes;
  readonly #rows: Rows;
  readonly #gather: Gather;
  readonly #told: Told;
  /** Directions with something to send, since the last `flush`. */
  readonly #dirty: number[] = [];

  /** @param told of a send that ended at once; the engine hears of the others. */
  constructor(
    kernel: SendKernel,
    ring: Ring,
    buffers: Buffers,
    lanes: Lanes,
    rows: Rows,
    gather: Gather,
    told: Told,
  ) {
    this.#kernel = kernel;
    this.#ring = ring;
    this.#buffers = buffers;
    this.#lanes = lanes;
    this.#rows = rows;
    this.#gather = gather;
    this.#told = told;
  }

  /** This direction has something to send. */
  need(d: number): void {
    this.#dirty.push(d);
  }

  flush(): void {
    const dirty = this.#dirty;
    if (dirty.length === 1) this.#sendNow(dirty[0]!);
    else for (let i = 0; i < dirty.length; i++) this.#send(dirty[i]!);
    dirty.length = 0;
  }

  #isFree(d: number): boolean {
    const lanes = this.#lanes;
    const row = d >>> 1;
    if (this.#rows.state[row] !== OPEN || lanes.after[row] !== NOTHING) return false;
    return lanes.mode[row] === RING && lanes.sending[d] === 0 && lanes.queued[d]! > 0;
  }

  /** One buffer; what the sink does not take at once is left to the ring. */
  #sendNow(d: number): void {
    if (!this.#isFree(d)) return;
    if (this.#lanes.queued[d] === 1) {
      const buffer = this.#lanes.first[d]!;
      const from = this.#lanes.offset[d]!;
      const address = this.#buffers.addressOf(buffer) + from;
      const length = this.#lanes.length[buffer]! - from;
      const result = this.#kernel.sendNow(this.#rows.fd[d ^ 1]!, address, length);
      if (result !== -EAGAIN && result !== -EINTR) this.#told(d, result);
      if (result === length || !this.#isFree(d)) return;
    }
    this.#send(d);
  }

  #send(d: number): void {
    if (!this.#isFree(d)) return;
    const lanes = this.#lanes;
    const row = d >>> 1;
    lanes.sending[d] = 1;
    lanes.inFlight[row]!++;
    const sink = this.#rows.fd[d ^ 1]!;
    const low = userLow(OP_SEND, d);
    const guard = this.#rows.live.generation[row]!;
    if (lanes.queued[d]! > 1) return this.#gather.send(sink, d, SEND_FLAGS, low, guard);
    const buffer = lanes.first[d]!;
    const from = lanes.offset[d]!;
    const address = this.#buffers.addressOf(buffer) + from;
    const length = lanes.length[buffer]! - from;
    this.#ring.push(IORING_OP_SEND, sink, address, length, SEND_FLAGS, low, guard);
  }
}
