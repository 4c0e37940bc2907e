// Buffers that the kernel receives into: it takes one from the ring for each receive and tells which; we give it back when its
// bytes are sent. One pool for all connections of a worker, so an idle connection holds none.
//
//   ring (shared with the kernel): places of free buffers ── kernel takes ──▶ completion with a buffer's number
//        ▲ recycle, then publish once for each batch                                │
//        └──────────────── bytes sent ◀── queues of directions (traffic.ts) ◀───────┘

import {
  BUF_TAIL_U16,
  BUF_WORDS,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  mapMemory,
  unmapMemory,
} from "../../ffi/io-uring.ts";
import { type Pointer, viewOf } from "../../ffi/memory.ts";
import { ProxyError } from "../../shared/errors.ts";

export class Buffers {
  readonly count: number;
  readonly bytes: number;
  readonly ringAddress: Pointer;
  readonly #ring: Int32Array;
  readonly #tails: Uint16Array;
  readonly #data: Uint8Array;
  readonly #dataAddress: number;
  readonly #mapBytes: number;
  #tail = 0;
  /** Buffers that are with a direction, not with the kernel. */
  #taken = 0;

  /** @param count a power of two, at most 32768. @throws ProxyError ERR_ENGINE if there is no memory. */
  constructor(count: number, bytes: number) {
    this.count = count;
    this.bytes = bytes;
    const ringBytes = count * BUF_WORDS * 4;
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
    this.#taken = count;
    for (let buffer = 0; buffer < count; buffer++) this.recycle(buffer);
    this.publish();
  }

  get free(): number {
    return this.count - this.#taken;
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
  }

  /** Gives a buffer back, once `publish` is called. */
  recycle(buffer: number): void {
    this.#taken--;
    const at = (this.#tail & (this.count - 1)) * BUF_WORDS;
    const address = this.addressOf(buffer);
    this.#ring[at] = address | 0;
    this.#ring[at + 1] = (address / 2 ** 32) | 0;
    this.#ring[at + 2] = this.bytes;
    // The upper half of this word is the ring's tail in the first entry: only the buffer's number is written.
    this.#setNumber(at, buffer);
    this.#tail = (this.#tail + 1) & 0xffff;
  }

  #setNumber(at: number, buffer: number): void {
    const word = at + 3;
    this.#ring[word] = (this.#ring[word]! & ~0xffff) | buffer;
  }

  publish(): void {
    this.#tails[BUF_TAIL_U16] = this.#tail;
  }

  close(): void {
    unmapMemory(this.ringAddress, this.#mapBytes);
  }
}
