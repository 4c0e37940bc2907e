// Stands between an engine and a real ring and makes happen what a kernel may do and seldom does: operations that fail and were
// not begun, sends that are short, multishot operations that end after one result, completions that come late and in another
// order, cancellations that come too late or find nothing, wake-ups for nothing, entries that are not taken yet.
//
//   engine ── its queues, begin near 2^32 ──▶ faults ── Ring ──▶ kernel
//     ◀──────── held back, reordered ───────────┘◀──────────────────┘
//
// Everything that it says is true of the sockets: an operation that "failed" was never handed over, a send that was short has
// sent what it says, and completions of one operation keep their order.

import type { KernelRing } from "../../src/engine/uring/kernel-ring.ts";
import * as Op from "../../src/engine/uring/operations.ts";
import { Ring, type RingKernel, type RingLayout } from "../../src/engine/uring/ring.ts";
import type { SendKernel } from "../../src/engine/uring/sending.ts";
import * as E from "../../src/ffi/errno.ts";
import {
  CQE_FLAGS,
  CQE_RES,
  CQE_WORDS,
  IORING_ACCEPT_MULTISHOT,
  IORING_ASYNC_CANCEL_ALL,
  IORING_OP_SENDMSG,
  IORING_POLL_ADD_MULTI,
  IORING_RECV_MULTISHOT,
  SQE,
  SQE_IOPRIO_SHIFT,
  SQE_WORDS,
} from "../../src/ffi/io-uring.ts";
import { type Pointer, viewOf } from "../../src/ffi/memory.ts";

const EALREADY = 114;

/** What the test writes and the worker reads: words of a SharedArrayBuffer. */
const HARSH = 0;
const LENGTH = 1;
const CURSOR = 2;
const DONE = 3;
const DECISIONS = 4;
const DECISIONS_MAX = 4_096;
/** How often a schedule is gone through: an operation that never succeeds would be a hang of the test's making. */
const ROUNDS = 20;

/** The test's end of a schedule of faults. */
export class Faults {
  readonly buffer = new SharedArrayBuffer((DECISIONS + DECISIONS_MAX) * 4);
  readonly #words = new Int32Array(this.buffer);

  /**
   * @param decisions one for each entry, completion and call of `enter`, ROUNDS times over; 0: nothing happens.
   * @param harsh also what ends a connection: no memory, a target that cannot be reached.
   */
  set(decisions: readonly number[], harsh: boolean): void {
    Atomics.store(this.#words, LENGTH, 0);
    for (const [i, decision] of decisions.entries()) this.#words[DECISIONS + i] = decision;
    Atomics.store(this.#words, CURSOR, 0);
    Atomics.store(this.#words, HARSH, harsh ? 1 : 0);
    Atomics.store(this.#words, LENGTH, decisions.length);
  }

  /** How many faults there were so far. */
  get done(): number {
    return Atomics.load(this.#words, DONE);
  }
}

/** A negative error number: the operation fails and is not begun. */
type Fault = number | "single" | "short" | "late";

/** After these, bytes arrive all the same. */
const GENTLE: Readonly<Record<number, readonly Fault[]>> = {
  [Op.OP_WAKE]: ["single", -E.ECANCELED],
  [Op.OP_ACCEPT]: ["single", -E.EAGAIN, -E.EINTR, -E.ECONNABORTED, -E.ECANCELED],
  [Op.OP_RECV]: ["single", "single", -E.EAGAIN, -E.EINTR, -E.ECANCELED, -E.ENOBUFS],
  [Op.OP_SEND]: ["short", "short", -E.EAGAIN, -E.EINTR, -E.ECANCELED],
  [Op.OP_POLL]: ["single", -E.ECANCELED, -E.EINTR],
  [Op.OP_ARRIVAL]: [-E.ECANCELED, -E.EINTR],
  [Op.OP_CANCEL]: ["late", -E.ENOENT, -EALREADY],
  [Op.OP_CANCEL_ACCEPT]: [-E.ENOENT, -EALREADY],
};
/** These end a connection, or a pause of accepting. */
const HARSH_TOO: Readonly<Record<number, readonly Fault[]>> = {
  [Op.OP_ACCEPT]: [-E.ENOBUFS],
  [Op.OP_CONNECT]: [-E.EAGAIN, -E.EINTR, -E.ECANCELED, -E.ENOBUFS],
  [Op.OP_RECV]: [-E.ENOMEM, -E.ETIMEDOUT],
  [Op.OP_SEND]: [-E.ENOBUFS, -E.ENOMEM],
};
const CANCELS = new Set([Op.OP_CANCEL, Op.OP_CANCEL_ACCEPT]);

/** Turns that a completion is late at most, and a cancellation. */
const LATE_MAX = 4;
const START = 2 ** 32 - 40;
/** Low word of user_data that the engine never uses: of cancellations that it believes to be over. */
const OURS = -1;

interface Held {
  readonly low: number;
  readonly high: number;
  readonly result: number;
  readonly flags: number;
  /** The turn in which it is delivered; its fraction is the order within one. */
  readonly due: number;
}

interface Entry {
  readonly words: Int32Array;
  readonly due: number;
}

export class FaultKernel implements RingKernel, SendKernel {
  readonly layout: RingLayout;
  readonly #kernel: KernelRing;
  readonly #ring: Ring;
  readonly #faults: Int32Array;
  #turn = 0;
  #held: Held[] = [];
  #late: Entry[] = [];
  /** By user_data, of what is held: when the last one is due. */
  readonly #lastDue = new Map<string, number>();

  constructor(kernel: KernelRing, faults: SharedArrayBuffer) {
    this.#kernel = kernel;
    this.#ring = new Ring(kernel.layout, kernel);
    this.#faults = new Int32Array(faults);
    const { sqEntries, cqEntries } = kernel.layout;
    this.layout = {
      words: new Uint32Array(4).fill(START),
      sqes: new Int32Array(sqEntries * SQE_WORDS),
      cqes: new Int32Array(cqEntries * CQE_WORDS),
      sqEntries,
      cqEntries,
      sqHead: 0,
      sqTail: 1,
      cqHead: 2,
      cqTail: 3,
    };
  }

  enter(toSubmit: number, wait: boolean, timeoutMs: number): number {
    this.#turn++;
    const taken = this.#roll() % 8 === 7 ? toSubmit >>> 1 : toSubmit;
    for (let i = 0; i < taken; i++) this.#take();
    this.#submitLate();
    // Like the kernel's, an entry that leaves something does not wait.
    const idle = this.#held.length === 0 && this.#late.length === 0 && taken === toSubmit;
    if (wait && idle && this.#roll() % 8 !== 7) this.#ring.submitAndWait(timeoutMs);
    else this.#ring.submit();
    for (let left = this.#ring.ready; left > 0; left--) {
      this.#ring.next();
      const { userLow, userHigh, result, flags } = this.#ring;
      if (userLow !== OURS) this.#hold(userLow, userHigh, result, flags);
    }
    this.#deliver();
    return taken;
  }

  /** As the operation's faults, without those that begin nothing twice. */
  sendNow(fd: number, address: number, bytes: number): number {
    const decision = this.#roll();
    const fault = decision === 0 ? undefined : this.#choose(Op.OP_SEND, decision);
    if (fault === undefined) return this.#kernel.sendNow(fd, address, bytes);
    this.#faults[DONE]!++;
    if (typeof fault === "number") return fault === -E.ECANCELED ? -E.EAGAIN : fault;
    return this.#kernel.sendNow(fd, address, 1 + ((decision >>> 8) % bytes));
  }

  /** The next decision. */
  #roll(): number {
    const words = this.#faults;
    const length = words[LENGTH]!;
    const cursor = words[CURSOR]!;
    if (length === 0 || cursor > length * ROUNDS) return 0;
    words[CURSOR] = cursor + 1;
    return words[DECISIONS + (cursor % length)]!;
  }

  /** One entry of the engine goes to the kernel, or to its fault. */
  #take(): void {
    const { words, sqes, sqHead, sqEntries } = this.layout;
    const head = words[sqHead]!;
    const at = (head & (sqEntries - 1)) * SQE_WORDS;
    const entry = sqes.slice(at, at + SQE_WORDS);
    sqes.fill(-1, at, at + SQE_WORDS);
    words[sqHead] = head + 1;
    const kind = Op.kindOf(entry[SQE.userData]!);
    const decision = this.#roll();
    const fault = decision === 0 ? undefined : this.#choose(kind, decision);
    if (fault === undefined) return this.#push(entry);
    this.#faults[DONE]!++;
    if (fault === "single") this.#push(single(entry, kind));
    else if (fault === "short") this.#push(short(entry, decision >>> 8));
    else if (fault === "late") this.#postpone(entry, decision);
    else {
      const [low, high] = [entry[SQE.userData]!, entry[SQE.userData + 1]!];
      this.#hold(low, high, fault, 0);
      if (CANCELS.has(kind)) this.#push(ours(entry)); // it is done, and says something else
    }
  }

  #choose(kind: number, decision: number): Fault | undefined {
    const harsh = this.#faults[HARSH] === 1 ? (HARSH_TOO[kind] ?? []) : [];
    const faults = [...(GENTLE[kind] ?? []), ...harsh];
    return faults[decision % (faults.length * 2)]; // every second time nothing
  }

  /** A cancellation that finds its operations busy: they end somewhat later. By then their descriptor may be another's. */
  #postpone(entry: Int32Array, decision: number): void {
    const [low, high] = [entry[SQE.userData]!, entry[SQE.userData + 1]!];
    this.#hold(low, high, -EALREADY, 0);
    const d = Op.indexOf(low);
    const due = this.#turn + (decision % LATE_MAX);
    for (const kind of [Op.OP_RECV, Op.OP_POLL, Op.OP_CONNECT, Op.OP_ARRIVAL, Op.OP_SEND]) {
      const words = ours(entry);
      words[SQE.fd] = -1;
      words[SQE.addr] = Op.userLow(kind, kind === Op.OP_SEND ? d ^ 1 : d);
      words[SQE.addr + 1] = high - (~high & 1); // the operations' own: a row's generation grows when it closes
      words[SQE.opFlags] = IORING_ASYNC_CANCEL_ALL;
      this.#late.push({ words, due });
    }
  }

  #submitLate(): void {
    const due = this.#late.filter((entry) => entry.due <= this.#turn);
    this.#late = this.#late.filter((entry) => entry.due > this.#turn);
    for (const { words } of due) this.#push(words);
  }

  #push(e: Int32Array): void {
    const address = (e[SQE.addr + 1]! >>> 0) * 2 ** 32 + (e[SQE.addr]! >>> 0);
    const [low, high] = [e[SQE.userData]!, e[SQE.userData + 1]!];
    const { head, fd, len, opFlags, off, group } = SQE;
    this.#ring.push(e[head]!, e[fd]!, address, e[len]!, e[opFlags]!, low, high, e[off], e[group]);
  }

  #hold(low: number, high: number, result: number, flags: number): void {
    const decision = this.#roll();
    const turns = decision % 4 === 3 ? decision % (LATE_MAX + 1) : 0;
    const wanted = this.#turn + turns + (decision % 997) / 1_000;
    const key = `${low} ${high}`;
    const due = Math.max(wanted, this.#lastDue.get(key) ?? 0);
    this.#lastDue.set(key, due);
    this.#held.push({ low, high, result, flags, due });
    if (turns > 0) this.#faults[DONE]!++;
  }

  #deliver(): void {
    const { words, cqes, cqHead, cqTail, cqEntries } = this.layout;
    const due = this.#held.filter((held) => held.due < this.#turn + 1);
    due.sort((a, b) => a.due - b.due);
    const room = cqEntries - ((words[cqTail]! - words[cqHead]!) >>> 0);
    const delivered = new Set(due.slice(0, room));
    for (const { low, high, result, flags } of delivered) {
      const at = (words[cqTail]! & (cqEntries - 1)) * CQE_WORDS;
      cqes[at] = low;
      cqes[at + 1] = high;
      cqes[at + CQE_RES] = result;
      cqes[at + CQE_FLAGS] = flags;
      words[cqTail] = words[cqTail]! + 1;
    }
    this.#held = this.#held.filter((held) => !delivered.has(held));
    if (this.#held.length === 0) this.#lastDue.clear();
  }

  close(): void {
    this.#kernel.close();
  }
}

/** A multishot operation that ends after its first result. */
function single(entry: Int32Array, kind: number): Int32Array {
  if (kind === Op.OP_POLL || kind === Op.OP_WAKE) entry[SQE.len]! &= ~IORING_POLL_ADD_MULTI;
  const multishot = kind === Op.OP_RECV ? IORING_RECV_MULTISHOT : IORING_ACCEPT_MULTISHOT;
  if (kind === Op.OP_RECV || kind === Op.OP_ACCEPT) {
    entry[SQE.head]! &= ~(multishot << SQE_IOPRIO_SHIFT);
  }
  return entry;
}

/** A send of a part: fewer bytes, or fewer buffers (msg_iovlen, word 6 of struct msghdr). */
function short(entry: Int32Array, decision: number): Int32Array {
  if ((entry[SQE.head]! & 0xff) !== IORING_OP_SENDMSG) {
    entry[SQE.len] = 1 + (decision % entry[SQE.len]!);
    return entry;
  }
  const address = (entry[SQE.addr + 1]! >>> 0) * 2 ** 32 + (entry[SQE.addr]! >>> 0);
  const header = new Int32Array(viewOf(address as Pointer, 56));
  header[6] = 1 + (decision % header[6]!);
  return entry;
}

function ours(entry: Int32Array): Int32Array {
  const copy = entry.slice();
  copy[SQE.userData] = OURS;
  copy[SQE.userData + 1] = 0;
  return copy;
}
