// Buffers that the kernel receives into: it takes one from the ring for each receive and tells which; we give it back when its
// bytes are sent. One pool for all connections of a worker, so an idle connection holds none.
//
//   ring (shared with the kernel): places of free buffers ── kernel takes ──▶ completion with a buffer's number
//        ▲ recycle, then publish once for each batch                                │
//        ├──────────────── bytes sent ◀── queues of directions (traffic.ts) ◀───────┘
//        └── grow ── spare ◀── recycle, while more circulate than are wanted
//
// The kernel uses the ring's places in turn, so every buffer in it is touched sooner or later. So few circulate at first; more
// join when they run short, and leave again, with their memory, when they were not needed for a while.
//
// Invariant: every buffer is in the ring, with a direction (taken), or spare. Circulating are the first two.

import {
  BUF_TAIL_U16,
  BUF_WORDS,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  mapMemory,
  pageBytes,
  releasePages,
  unmapMemory,
} from "../../ffi/io-uring.ts";
import { type Pointer, viewOf } from "../../ffi/memory.ts";
import { ProxyError } from "../../shared/errors.ts";

/** Circulating at the start and at least: a batch of some tens of messages needs no more. */
const CIRCULATING_MIN = 64;
/** More join when less than this part of those that circulate is left in the ring. */
const SHORT_PART = 4;
/** Whose memory one `relax` gives back at most, at a microsecond each. */
const RELEASED_MAX = 256;

export class Buffers {
  readonly count: number;
  readonly bytes: number;
  readonly ringAddress: Pointer;
  readonly #ring: Int32Array;
  readonly #tails: Uint16Array;
  readonly #data: Uint8Array;
  readonly #dataAddress: number;
  readonly #mapBytes: number;
  /** A buffer's memory can be given back without its neighbours'. */
  readonly #wholePages: boolean;
  #tail = 0;
  /** Buffers that are with a direction, not with the kernel. */
  #taken = 0;
  /** A stack. Those below #clean have given their memory back. */
  readonly #spare: Int32Array;
  #spares: number;
  #clean: number;
  /** How many are to circulate. */
  #wanted: number;
  /** The fewest in the ring since the last `relax`. */
  #fewest: number;

  /** @param count a power of two, at most 32768. @throws ProxyError ERR_ENGINE if there is no memory. */
  constructor(count: number, bytes: number) {
    this.count = count;
    this.bytes = bytes;
    const page = pageBytes();
    const ringBytes = Math.ceil((count * BUF_WORDS * 4) / page) * page;
    this.#mapBytes = ringBytes + count * bytes;
    // mmap gives whole pages, as the kernel wants the ring; untouched buffers take no memory.
    const address = mapMemory(this.#mapBytes, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address === null) throw new ProxyError("ERR_ENGINE", "no memory for receive buffers");
    this.ringAddress = address;
    const memory = viewOf(address, this.#mapBytes);
    this.#ring = new Int32Array(memory, 0, count * BUF_WORDS);
    this.#tails = new Uint16Array(memory, 0, BUF_TAIL_U16 + 1);
    this.#data = new Uint8Array(memory, ringBytes);
    this.#dataAddress = Number(address) + ringBytes;
    this.#wholePages = bytes % page === 0;
    this.#spare = Int32Array.from({ length: count }, (_, i) => count - 1 - i);
    this.#spares = count;
    this.#clean = count;
    this.#wanted = Math.min(count, CIRCULATING_MIN);
    this.#fewest = this.#wanted;
    this.#fill();
    this.publish();
  }

  /** How many the kernel has to receive into. */
  get free(): number {
    return this.count - this.#spares - this.#taken;
  }

  /** How many are with the kernel or with a direction. */
  get circulating(): number {
    return this.count - this.#spares;
  }

  addressOf(buffer: number): number {
    return this.#dataAddress + buffer * this.bytes;
  }

  slice(buffer: number, from: number, to: number): Uint8Array {
    const at = buffer * this.bytes;
    return this.#data.subarray(at + from, at + to);
  }

  /** The kernel has filled this buffer. */
  take(): void {
    this.#taken++;
    if (this.free < this.#fewest) this.#fewest = this.free;
  }

  /** Gives a buffer back, once `publish` is called. */
  recycle(buffer: number): void {
    this.#taken--;
    if (this.circulating <= this.#wanted) this.#offer(buffer);
    else this.#spare[this.#spares++] = buffer;
  }

  #offer(buffer: number): void {
    const at = (this.#tail & (this.count - 1)) * BUF_WORDS;
    const address = this.addressOf(buffer);
    this.#ring[at] = address | 0;
    this.#ring[at + 1] = (address / 2 ** 32) | 0;
    this.#ring[at + 2] = this.bytes;
    // The upper half of this word is the ring's tail in the first entry: only the buffer's number is written.
    const word = at + 3;
    this.#ring[word] = (this.#ring[word]! & ~0xffff) | buffer;
    this.#tail = (this.#tail + 1) & 0xffff;
  }

  /** Shows the kernel what was recycled since; more join if few are left. */
  publish(): void {
    if (this.free * SHORT_PART < this.#wanted) this.grow();
    this.#tails[BUF_TAIL_U16] = this.#tail;
  }

  /** The kernel had none left, or soon will: twice as many circulate from the next `publish` on, if there are spare ones. */
  grow(): void {
    this.#fewest = 0;
    this.#wanted = Math.min(this.count, this.#wanted * 2);
    this.#fill();
  }

  #fill(): void {
    while (this.#spares > 0 && this.circulating < this.#wanted) {
      const buffer = this.#spare[--this.#spares]!;
      this.#offer(buffer);
    }
    if (this.#clean > this.#spares) this.#clean = this.#spares;
  }

  /** To be called now and then: half as many circulate if more than half were never used, and spare memory is given back. */
  relax(): void {
    if (this.#fewest * 2 > this.#wanted) {
      this.#wanted = Math.max(Math.min(this.count, CIRCULATING_MIN), this.#wanted >>> 1);
    }
    this.#fewest = this.free;
    if (!this.#wholePages) return;
    const until = Math.min(this.#spares, this.#clean + RELEASED_MAX);
    while (this.#clean < until) {
      releasePages(this.addressOf(this.#spare[this.#clean++]!), this.bytes);
    }
  }

  close(): void {
    unmapMemory(this.ringAddress, this.#mapBytes);
  }
}
