// A level-triggered epoll set whose events are read without making an object. Called by the load generators and
// the echo backend, which block in it.

import { ptr } from "bun:ffi";

import { EINTR, errno, fail, libc, openPrecise } from "./libc.ts";

export const EPOLLIN = 1;
export const EPOLLOUT = 4;

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EVENTS_MAX = 512;
const PR_SET_TIMERSLACK = 29;
const NS_PER_MS = 1e6;

// struct epoll_event { uint32_t events; epoll_data_t data; } is packed on x86-64 only (epoll_ctl(2)).
const WORDS = process.arch === "x64" ? 3 : 4;
const DATA_WORD = process.arch === "x64" ? 1 : 2;

export class Poller {
  protected readonly fd = libc.epoll_create1(EPOLL_CLOEXEC);
  readonly #one = new Uint32Array(WORDS);
  readonly #events = new Uint32Array(new ArrayBuffer(WORDS * EVENTS_MAX * 4));
  protected readonly events = ptr(this.#events);

  add(fd: number, events: number): void {
    this.#control(EPOLL_CTL_ADD, fd, events);
  }

  change(fd: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events);
  }

  remove(fd: number): void {
    this.#control(EPOLL_CTL_DEL, fd, 0);
  }

  /** @returns how many events can be read by `fdAt` and `eventsAt`; 0 after `timeoutMs` (-1: waits for ever). */
  wait(timeoutMs: number): number {
    return this.counted(libc.epoll_wait(this.fd, this.events, EVENTS_MAX, timeoutMs));
  }

  protected counted(count: number): number {
    if (count >= 0) return count;
    if (errno() === EINTR) return 0;
    return fail("epoll_wait");
  }

  fdAt(index: number): number {
    return this.#events[index * WORDS + DATA_WORD]!;
  }

  eventsAt(index: number): number {
    return this.#events[index * WORDS]!;
  }

  close(): void {
    libc.close(this.fd);
  }

  #control(operation: number, fd: number, events: number): void {
    this.#one[0] = events;
    this.#one[DATA_WORD] = fd;
    if (libc.epoll_ctl(this.fd, operation, fd, this.#one) < 0) fail("epoll_ctl");
  }
}

/** Waits to the microsecond instead of the millisecond. */
export class PrecisePoller extends Poller {
  readonly #precise = openPrecise();
  /** struct timespec, of 64-bit words whose upper halves stay 0. */
  readonly #timeout = new Uint32Array(new ArrayBuffer(16));
  readonly #timeoutPointer = ptr(this.#timeout);

  constructor() {
    super();
    // The kernel may add 50 µs to a timeout, so that it need not wake as often (prctl(2)).
    if (this.#precise.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0) < 0) fail("prctl");
  }

  /** `wait` for less than a second, and for parts of a millisecond. */
  waitPrecisely(timeoutMs: number): number {
    this.#timeout[2] = Math.round(timeoutMs * NS_PER_MS);
    const { fd, events } = this;
    return this.counted(
      this.#precise.epoll_pwait2(fd, events, EVENTS_MAX, this.#timeoutPointer, null),
    );
  }
}
