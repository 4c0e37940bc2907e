// Sends of several buffers in one operation: struct msghdr and its struct iovec array (sendmsg(2)) for each. The kernel copies
// both when it takes the entry (SUBMIT_STABLE), so their places are free again after the next submission.
//
//   place: msghdr (56 bytes) · pad (8) · iovec × IOVECS (16 bytes each: base, length)

import { IORING_OP_SENDMSG } from "../../ffi/io-uring.ts";
import { addressOf, pinnedInt32 } from "../../ffi/memory.ts";
import type { Buffers } from "./buffers.ts";
import type { Lanes } from "./lanes.ts";
import type { Ring } from "./ring.ts";

/** Buffers in one operation; what is left goes with the next. */
const IOVECS = 16;
const HEADER_WORDS = 16;
const PLACE_WORDS = HEADER_WORDS + IOVECS * 4;
/** Words of struct msghdr: msg_iov, and msg_iovlen. */
const MSG_IOV = 4;
const MSG_IOVLEN = 6;
/** Used between two submissions; one more submits early. */
const PLACES = 256;

export class Gather {
  readonly #ring: Ring;
  readonly #buffers: Buffers;
  readonly #lanes: Lanes;
  readonly #words = pinnedInt32(PLACES * PLACE_WORDS);
  readonly #address = Number(addressOf(this.#words));
  #used = 0;

  constructor(ring: Ring, buffers: Buffers, lanes: Lanes) {
    this.#ring = ring;
    this.#buffers = buffers;
    this.#lanes = lanes;
  }

  /** Sends the front of a direction's queue. */
  send(sink: number, d: number, flags: number, low: number, high: number): void {
    if (this.#used === PLACES) {
      this.#ring.submit();
      this.reset();
    }
    const place = this.#used++ * PLACE_WORDS;
    const words = this.#words;
    let at = place + HEADER_WORDS;
    let count = 0;
    let from = this.#lanes.offset[d]!;
    let buffer = this.#lanes.first[d]!;
    for (; buffer >= 0 && count < IOVECS; buffer = this.#lanes.next[buffer]!, count++) {
      const base = this.#buffers.addressOf(buffer) + from;
      words[at] = base | 0;
      words[at + 1] = (base / 2 ** 32) | 0;
      words[at + 2] = this.#lanes.length[buffer]! - from;
      words[at + 3] = 0;
      at += 4;
      from = 0;
    }
    const iovecs = this.#address + (place + HEADER_WORDS) * 4;
    words.fill(0, place, place + HEADER_WORDS);
    words[place + MSG_IOV] = iovecs | 0;
    words[place + MSG_IOV + 1] = (iovecs / 2 ** 32) | 0;
    words[place + MSG_IOVLEN] = count;
    const header = this.#address + place * 4;
    this.#ring.push(IORING_OP_SENDMSG, sink, header, 1, flags, low, high);
  }

  /** To be called after a submission. The kernel may have left some entries, whose places are in use as long as it has. */
  reset(): void {
    if (this.#ring.unsubmitted === 0) this.#used = 0;
  }
}
