// The sockets of mirrors (engine/linux/mirrors.ts) under the ring: each has one poll, and is closed only when the kernel has no
// operation of it. A slot is not taken again before that, so a completion is always of the copy that has the slot.

import { ECANCELED, EINTR } from "../../ffi/errno.ts";
import {
  IORING_ASYNC_CANCEL_ALL,
  IORING_ASYNC_CANCEL_FD,
  IORING_CQE_F_MORE,
  IORING_OP_ASYNC_CANCEL,
  IORING_OP_POLL_ADD,
  IORING_POLL_ADD_MULTI,
} from "../../ffi/io-uring.ts";
import { EPOLLIN, EPOLLOUT, EPOLLRDHUP } from "../../ffi/linux.ts";
import { OP_CANCEL_MIRROR, OP_MIRROR, userLow } from "./operations.ts";
import type { Ring } from "./ring.ts";

const POLL_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
const CANCEL_FLAGS = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;

/** What a poll that was not cancelled by us may say though its socket is well. */
const AGAIN = new Set([0, ECANCELED, EINTR]);

interface Watched {
  readonly generation: number;
  readonly fd: number;
  inFlight: number;
  state: "open" | "closing" | "closed";
}

export interface MirrorEvents {
  event(slot: number, generation: number, events: number): void;
  lost(slot: number, error: number): void;
  finishClose(slot: number): void;
}

export class MirrorPolls {
  readonly #ring: Ring;
  readonly #mirrors: MirrorEvents;
  readonly #watched: Watched[] = [];

  constructor(ring: Ring, mirrors: MirrorEvents) {
    this.#ring = ring;
    this.#mirrors = mirrors;
  }

  watch(slot: number, generation: number, fd: number): void {
    this.#watched[slot] = { generation, fd, inFlight: 0, state: "open" };
    this.#poll(slot);
  }

  #poll(slot: number): void {
    const watched = this.#watched[slot]!;
    watched.inFlight++;
    const low = userLow(OP_MIRROR, slot);
    const head = IORING_OP_POLL_ADD;
    this.#ring.push(head, watched.fd, 0, IORING_POLL_ADD_MULTI, POLL_EVENTS, low, 0);
  }

  /** A poll told something. */
  polled(slot: number, result: number, flags: number): void {
    const watched = this.#watched[slot]!;
    const over = (flags & IORING_CQE_F_MORE) === 0;
    if (over) watched.inFlight--;
    if (watched.state === "closing") return this.#settle(slot, watched);
    if (result > 0) this.#mirrors.event(slot, watched.generation, result);
    else if (!AGAIN.has(-result)) this.#mirrors.lost(slot, -result);
    // What it was told may have closed it.
    if (watched.state === "open" && over) this.#poll(slot);
  }

  cancelled(slot: number): void {
    const watched = this.#watched[slot]!;
    watched.inFlight--;
    this.#settle(slot, watched);
  }

  /** See MirrorWatch.quiesceMirror. */
  quiesce(slot: number, fd: number): boolean {
    const watched = this.#watched[slot]!;
    watched.state = watched.inFlight === 0 ? "closed" : "closing";
    if (watched.inFlight === 0) return true;
    watched.inFlight++;
    const low = userLow(OP_CANCEL_MIRROR, slot);
    this.#ring.push(IORING_OP_ASYNC_CANCEL, fd, 0, 0, CANCEL_FLAGS, low, 0);
    return false;
  }

  #settle(slot: number, watched: Watched): void {
    if (watched.inFlight > 0) return;
    watched.state = "closed";
    this.#mirrors.finishClose(slot);
  }
}
