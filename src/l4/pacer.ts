// Who may move bytes now under limits.bandwidth and limits.connection_bandwidth, and who waits for it and in which order. An
// engine asks before it reads; a direction that is granted nothing is not read any more, and resumed when its turn comes.
//
//   grant ─┬─ its connection's bucket is empty ──▶ sleeps until a part of it is full again ──┐
//          ├─ the listener's is, or others wait ─▶ stands in line, and has a part at a time ─┼─▶ resume ─▶ grant
//          └─ bytes                                                                          ┘
//
// A listener's bucket belongs to all workers, under a lock: a worker takes what it may need in the next moment and gives back,
// before it waits, what it did not (settle). Invariants: a direction waits at most once; whoever waits is resumed, or its
// connection is over; what is used was granted before.

import { BURSTS } from "../shared/limits.ts";
import { bandwidthRate, bucketMemory, type BucketRate, TokenBuckets } from "./token-buckets.ts";

/** Marks of a direction. */
const WAITS = 1;
/** It was granted something since it waited last: who was not comes first. */
const FED = 2;

/** Not worth a read, unless no more is wanted: less would make more packets and no more smoothness. */
const LEAST_BYTES = BURSTS.bandwidthMinBytes;

export interface PacerOptions {
  /** A direction's turn has come: the engine moves its bytes, and asks for more. A direction is twice its row, plus its side. */
  readonly resume: (direction: number) => void;
  /** LiveTable.generation: odd while a row is in use, and another one for each connection. */
  readonly generation: Int32Array;
  /** Milliseconds of one monotonic clock of all workers. */
  readonly clock: () => number;
  /** A direction waits: `waitMs` may be shorter than it was. For engines that do not ask before each wait. */
  readonly waiting?: () => void;
}

/** All that waits in one worker. Costs nothing until a listener with a limit is there. */
export class Pacer {
  readonly options: PacerOptions;
  readonly sleepers = new Sleepers();
  #paces: Pace[] = [];
  /** By direction. */
  marks = new Uint8Array(0);

  constructor(options: PacerOptions) {
    this.options = options;
  }

  /**
   * A listener's limits; null if it has none.
   * @param shared one bucket, of all workers: for `bytesPerSecond`.
   */
  add(limits: PaceLimits, shared: SharedArrayBuffer | null): Pace | null {
    const { bytesPerSecond, connectionBytesPerSecond } = limits;
    if (bytesPerSecond === 0 && connectionBytesPerSecond === 0) return null;
    const rows = this.options.generation.length;
    if (this.marks.length === 0) this.marks = new Uint8Array(rows * 2);
    const pace = new Pace(this, limits, shared, rows);
    this.#paces.push(pace);
    return pace;
  }

  /** Of a listener without connections. */
  remove(pace: Pace | null): void {
    if (pace !== null) this.#paces = this.#paces.filter((each) => each !== pace);
  }

  /** How long nothing is to be resumed; Infinity if nobody waits. */
  waitMs(): number {
    if (this.#paces.length === 0) return Infinity;
    let due = this.sleepers.dueMs;
    for (const pace of this.#paces) due = Math.min(due, pace.dueMs);
    return due === Infinity ? Infinity : Math.max(0, due - this.options.clock());
  }

  /** Resumes whose time has come, and gives back what was not used. To be called before each wait. */
  turn(): void {
    if (this.#paces.length === 0) return;
    const { clock } = this.options;
    const now = clock();
    while (this.sleepers.dueMs <= now) {
      const { direction, generation } = this.sleepers.pop();
      if (this.stillWaits(direction, generation)) this.resume(direction);
    }
    for (const pace of this.#paces) {
      if (pace.dueMs <= clock()) pace.serve();
      pace.settle();
    }
  }

  stillWaits(direction: number, generation: number): boolean {
    const same = this.options.generation[direction >>> 1] === generation;
    return same && (this.marks[direction]! & WAITS) !== 0;
  }

  resume(direction: number): void {
    this.marks[direction]! &= ~WAITS;
    this.options.resume(direction);
  }
}

export interface PaceLimits {
  /** Over all connections and workers; 0: no limit. */
  readonly bytesPerSecond: number;
  /** Of each connection; 0: no limit. */
  readonly connectionBytesPerSecond: number;
}

interface Bucket {
  readonly tokens: TokenBuckets;
  /** What is waited for, and what one of several may use in a row. */
  readonly quantum: number;
}

/** One listener in one worker. Both directions of a connection count together. */
export class Pace {
  readonly #pacer: Pacer;
  readonly #listener: Bucket | null;
  /** By row. */
  readonly #own: Bucket | null;
  /** Claimed from the listener's bucket at once, at least. */
  readonly #chunk: number;
  /** Claimed and not used. */
  #allowance = 0;
  readonly #line = new Line();
  #dueMs = Infinity;
  /** The direction that has its turn, and how much of it is left. */
  #serving = -1;
  #left = 0;

  constructor(pacer: Pacer, limits: PaceLimits, shared: SharedArrayBuffer | null, rows: number) {
    const { bytesPerSecond, connectionBytesPerSecond } = limits;
    this.#pacer = pacer;
    this.#listener = bucket(bytesPerSecond, shared, BURSTS.bandwidthTurnMs);
    this.#chunk = (bytesPerSecond * BURSTS.bandwidthChunkMs) / 1_000;
    // Memory of rows that are never used is never touched.
    const own = connectionBytesPerSecond > 0 ? new ArrayBuffer(bucketMemory(rows)) : null;
    this.#own = bucket(connectionBytesPerSecond, own, BURSTS.bandwidthNapMs);
  }

  /** When the line goes on; Infinity if nobody stands in it. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** A connection begins in this row. */
  begin(row: number): void {
    this.#pacer.marks[row * 2] = 0;
    this.#pacer.marks[row * 2 + 1] = 0;
    this.#own?.tokens.reset(row);
  }

  /** Whether it is this limit that a direction waits for: nothing is to be read of it. */
  waits(direction: number): boolean {
    return (this.#pacer.marks[direction]! & WAITS) !== 0;
  }

  /**
   * Asks for bytes of a direction that does not wait. What is not used is given back.
   * @returns at most `wanted`; 0: it waits from now on, and is resumed.
   */
  grant(direction: number, wanted: number): number {
    const now = this.#pacer.options.clock();
    const own = this.#own === null ? wanted : this.#grantOwn(this.#own, direction, wanted, now);
    if (own === 0 || this.#listener === null) return own;
    const granted = this.#grantShared(this.#listener, direction, own, now);
    this.#own?.tokens.giveBack(direction >>> 1, own - granted);
    if (granted === 0) this.#wait(direction, now);
    return granted;
  }

  /** What may go now, without waiting for more: the last words of a connection. @returns at most `wanted`, 0 for nothing. */
  take(direction: number, wanted: number): number {
    const { clock } = this.#pacer.options;
    const own = this.#own?.tokens.claim(direction >>> 1, wanted, clock()) ?? wanted;
    const taken = this.#listener?.tokens.claim(0, own, clock()) ?? own;
    this.#own?.tokens.giveBack(direction >>> 1, own - taken);
    return taken;
  }

  /** Bytes of a direction that went before it could be asked for. */
  spend(direction: number, bytes: number): void {
    const now = this.#pacer.options.clock();
    this.#own?.tokens.spend(direction >>> 1, bytes, now);
    this.#listener?.tokens.spend(0, bytes, now);
  }

  #grantOwn({ tokens, quantum }: Bucket, direction: number, wanted: number, now: number): number {
    const { marks, sleepers, options } = this.#pacer;
    const row = direction >>> 1;
    const granted = tokens.claim(row, wanted, now);
    if (granted >= Math.min(wanted, LEAST_BYTES)) {
      marks[direction]! |= FED;
      return granted;
    }
    tokens.giveBack(row, granted);
    const fed = marks[direction]! & FED;
    marks[direction] = WAITS;
    const dueMs = now + Math.max(BURSTS.bandwidthWaitMinMs, tokens.waitMs(row, quantum, now));
    const generation = options.generation[row]!;
    sleepers.push({ dueMs, last: fed !== 0, direction, generation });
    options.waiting?.();
    return 0;
  }

  #grantShared({ tokens }: Bucket, direction: number, wanted: number, now: number): number {
    const turn = direction === this.#serving;
    if (!turn && this.#line.length > 0) return 0;
    const most = turn ? Math.min(wanted, this.#left) : wanted;
    if (this.#allowance < most) {
      const claim = Math.max(most, Math.ceil(this.#chunk)) - this.#allowance;
      this.#allowance += tokens.claim(0, claim, now);
    }
    if (this.#allowance < Math.min(most, LEAST_BYTES)) return 0;
    const granted = Math.min(most, this.#allowance);
    this.#allowance -= granted;
    if (turn) this.#left -= granted;
    return granted;
  }

  #wait(direction: number, now: number): void {
    this.#pacer.marks[direction]! |= WAITS;
    this.#line.push(direction, this.#pacer.options.generation[direction >>> 1]!);
    if (this.#dueMs < Infinity) return;
    this.#dueMs = now + this.#waitMs(now, this.#listener!.quantum);
    this.#pacer.options.waiting?.();
  }

  /** 0 if there is enough for the next one: others were to be served first. */
  #waitMs(now: number, bytes: number): number {
    const wait = this.#listener!.tokens.waitMs(0, bytes - this.#allowance, now);
    return wait === 0 ? 0 : Math.max(BURSTS.bandwidthWaitMinMs, wait);
  }

  /** Gives everybody in line a turn, as far as the bytes go. */
  serve(): void {
    const { tokens, quantum } = this.#listener!;
    const { clock } = this.#pacer.options;
    const now = clock();
    let served = false;
    for (let turns = this.#line.length; turns > 0 && this.#line.length > 0; turns--) {
      if (this.#allowance < LEAST_BYTES) {
        this.#allowance += tokens.claim(0, Math.max(quantum, this.#chunk), now);
        if (this.#allowance < LEAST_BYTES) break;
      }
      const { direction, generation } = this.#line.shift();
      served = true;
      if (!this.#pacer.stillWaits(direction, generation)) continue;
      this.#serving = direction;
      this.#left = this.#line.length > 0 ? quantum : Infinity;
      this.#pacer.resume(direction);
      this.#serving = -1;
    }
    // Other workers were faster: who comes away with nothing comes again before they do.
    const next = served ? quantum : Math.max(LEAST_BYTES, quantum / 2);
    this.#dueMs = this.#line.length > 0 ? now + this.#waitMs(now, next) : Infinity;
  }

  /** What was granted and not used. */
  giveBack(direction: number, bytes: number): void {
    if (bytes === 0) return;
    this.#own?.tokens.giveBack(direction >>> 1, bytes);
    if (this.#listener !== null) this.#allowance += bytes;
    if (direction === this.#serving) this.#left += bytes;
  }

  /** Other workers may use what this one did not. */
  settle(): void {
    if (this.#allowance === 0) return;
    this.#listener!.tokens.giveBack(0, this.#allowance);
    this.#allowance = 0;
  }
}

function bucket(
  bytesPerSecond: number,
  memory: ArrayBuffer | SharedArrayBuffer | null,
  quantumMs: number,
): Bucket | null {
  if (bytesPerSecond === 0 || memory === null) return null;
  const rate: BucketRate = bandwidthRate(bytesPerSecond);
  const quantum = Math.max(LEAST_BYTES, Math.floor((bytesPerSecond * quantumMs) / 1_000));
  return { tokens: new TokenBuckets(rate, memory), quantum };
}

interface Waiting {
  readonly direction: number;
  readonly generation: number;
}

/** First in, first out. */
class Line {
  #items: Waiting[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(direction: number, generation: number): void {
    this.#items.push({ direction, generation });
  }

  shift(): Waiting {
    const item = this.#items[this.#head++]!;
    if (this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

interface Sleeper extends Waiting {
  readonly dueMs: number;
  /** Of those that wake at the same time. */
  readonly last: boolean;
}

/** A binary heap: the earliest is at its top. */
class Sleepers {
  readonly #heap: Sleeper[] = [];

  get dueMs(): number {
    return this.#heap[0]?.dueMs ?? Infinity;
  }

  push(sleeper: Sleeper): void {
    const heap = this.#heap;
    let at = heap.length;
    for (; at > 0; at = (at - 1) >>> 1) {
      const parent = heap[(at - 1) >>> 1]!;
      if (!isBefore(sleeper, parent)) break;
      heap[at] = parent;
    }
    heap[at] = sleeper;
  }

  /** Not to be called when nobody sleeps. */
  pop(): Sleeper {
    const heap = this.#heap;
    const top = heap[0]!;
    const moved = heap.pop()!;
    if (heap.length === 0) return top;
    let at = 0;
    for (let child = 1; child < heap.length; child = at * 2 + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, moved)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
    return top;
  }
}

function isBefore(a: Sleeper, b: Sleeper): boolean {
  return a.dueMs === b.dueMs ? b.last && !a.last : a.dueMs < b.dueMs;
}
