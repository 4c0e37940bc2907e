// The two queues of an io_uring and their arithmetic, over memory that the kernel shares. Indices are unsigned 32-bit numbers
// that grow for ever and wrap; a queue's fill is the difference of two of them, and a place is an index under the mask.
//
//   submission: we write entries and move the tail; the kernel takes them in `enter` and moves the head
//   completion: the kernel writes entries and moves the tail; we take them and move the head
//
// With DEFER_TASKRUN the kernel touches both only inside `enter`, called by this thread, so no memory barrier is needed. The
// kernel itself is behind an interface, so that a test can be it.

import { CQE_FLAGS, CQE_RES, CQE_WORDS, SQE, SQE_WORDS } from "../../ffi/io-uring.ts";
import { ProxyError } from "../../shared/errors.ts";

/** Where the shared indices are: words of `words`. */
export interface RingLayout {
  readonly words: Uint32Array;
  readonly sqes: Int32Array;
  readonly cqes: Int32Array;
  readonly sqEntries: number;
  readonly cqEntries: number;
  readonly sqHead: number;
  readonly sqTail: number;
  readonly cqHead: number;
  readonly cqTail: number;
}

export interface RingKernel {
  /**
   * io_uring_enter(2): takes `toSubmit` entries and, if `wait`, returns when one completion is there or time is over.
   * @param timeoutMs -1: for ever; ignored unless `wait`.
   * @returns how many entries were taken.
   */
  enter(toSubmit: number, wait: boolean, timeoutMs: number): number;
}

const WORD = 2 ** 32;
/** Without memory the kernel takes no entry for a while. For ever would be a loop that nothing ends: the worker is replaced. */
const TRIES_MAX = 1_000;

export class Ring {
  readonly #layout: RingLayout;
  readonly #kernel: RingKernel;
  readonly #sqMask: number;
  readonly #cqMask: number;
  /** Our end of the submission queue, ahead of what the kernel was told. */
  #tail: number;
  #head: number;

  constructor(layout: RingLayout, kernel: RingKernel) {
    this.#layout = layout;
    this.#kernel = kernel;
    this.#sqMask = layout.sqEntries - 1;
    this.#cqMask = layout.cqEntries - 1;
    this.#tail = layout.words[layout.sqTail]!;
    this.#head = layout.words[layout.cqHead]!;
  }

  /** Entries that the kernel has not taken yet. */
  get unsubmitted(): number {
    return (this.#tail - this.#layout.words[this.#layout.sqHead]!) >>> 0;
  }

  /** Completions that wait. */
  get ready(): number {
    return (this.#layout.words[this.#layout.cqTail]! - this.#head) >>> 0;
  }

  /**
   * Appends an entry; a full queue is handed to the kernel first.
   * @param head opcode, flags and ioprio, as SQE.head.
   * @param address in user memory, which must stay in place until the entry is taken.
   * @param low, high user_data.
   */
  push(
    head: number,
    fd: number,
    address: number,
    length: number,
    opFlags: number,
    low: number,
    high: number,
    offset = 0,
    group = 0,
  ): void {
    if (this.unsubmitted >= this.#layout.sqEntries) this.submit();
    const { sqes } = this.#layout;
    const at = (this.#tail & this.#sqMask) * SQE_WORDS;
    sqes[at + SQE.head] = head;
    sqes[at + SQE.fd] = fd;
    sqes[at + SQE.off] = offset;
    sqes[at + SQE.off + 1] = 0;
    sqes[at + SQE.addr] = address | 0; // modulo 2^32
    sqes[at + SQE.addr + 1] = (address / WORD) | 0;
    sqes[at + SQE.len] = length;
    sqes[at + SQE.opFlags] = opFlags;
    sqes[at + SQE.userData] = low;
    sqes[at + SQE.userData + 1] = high;
    sqes[at + SQE.group] = group;
    for (let word = SQE.group + 1; word < SQE_WORDS; word++) sqes[at + word] = 0;
    this.#tail = (this.#tail + 1) >>> 0;
  }

  /**
   * Hands over all that was appended: what an entry points to may be used again, and a descriptor that it names be closed.
   * @throws ProxyError ERR_SYSTEM if the kernel goes on taking none.
   */
  submit(): void {
    this.#publish();
    for (let tries = 0; ; tries++) {
      if (this.#kernel.enter(this.unsubmitted, false, 0) > 0) tries = 0;
      if (this.unsubmitted === 0) return;
      if (tries === TRIES_MAX) throw new ProxyError("ERR_SYSTEM", "io_uring takes no entry");
    }
  }

  /** Hands over what was appended and waits for a completion, unless some wait already. The kernel may leave some entries. */
  submitAndWait(timeoutMs: number): void {
    this.#publish();
    this.#kernel.enter(this.unsubmitted, this.ready === 0, timeoutMs);
  }

  #publish(): void {
    this.#layout.words[this.#layout.sqTail] = this.#tail;
  }

  /** Goes to the next completion, whose parts can be read until the next call. Only as long as `ready` says. */
  next(): void {
    const { cqes, words, cqHead } = this.#layout;
    const at = (this.#head & this.#cqMask) * CQE_WORDS;
    this.userLow = cqes[at]!;
    this.userHigh = cqes[at + 1]!;
    this.result = cqes[at + CQE_RES]!;
    this.flags = cqes[at + CQE_FLAGS]!;
    this.#head = (this.#head + 1) >>> 0;
    words[cqHead] = this.#head;
  }

  userLow = 0;
  userHigh = 0;
  /** As the system call's result; failures are negative error numbers. */
  result = 0;
  flags = 0;
}
