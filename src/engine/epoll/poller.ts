// One epoll instance (epoll(7)), edge triggered: an event says that something changed, and whoever handles it goes on until
// EAGAIN or notes that it stopped earlier. Sockets are added once, for both directions, and never modified, so that a
// connection costs two epoll_ctl calls in its life; closing a descriptor removes it.
//
// The 64 bits of epoll_data are two words: `tag` says what the descriptor is, `guard` is the generation of its row, so that
// an event of a connection that ended earlier in the same batch is recognised and dropped.

import { EINTR } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_DATA_WORD,
  EPOLL_EVENT_WORDS,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
} from "../../ffi/linux.ts";
import { addressOf, pinnedInt32 } from "../../ffi/memory.ts";
import { impossible } from "../linux/errnos.ts";

const SOCKET_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;

/** Events taken at once. More makes the batch's last event wait longer, fewer costs calls when thousands are busy. */
const BATCH = 512;

export class Poller {
  readonly #fd: number;
  readonly #words = pinnedInt32(BATCH * EPOLL_EVENT_WORDS);
  readonly #address = addressOf(this.#words);
  readonly #one = pinnedInt32(4);
  readonly #oneAddress = addressOf(this.#one);

  constructor() {
    this.#fd = libc.epoll_create1(EPOLL_CLOEXEC);
    if (this.#fd < 0) throw impossible("epoll_create1", errno());
  }

  /**
   * Watches a connected or connecting socket, edge triggered, both directions.
   * @returns 0, or the error number: ENOSPC when the user's max_user_watches (epoll(7)) is reached, ENOMEM.
   */
  addSocket(fd: number, tag: number, guard: number): number {
    return this.#add(fd, SOCKET_EVENTS, tag, guard);
  }

  /** Watches a listening socket or an eventfd, level triggered. */
  addLevel(fd: number, events: number, tag: number): void {
    const error = this.#add(fd, events, tag, 0);
    if (error !== 0) throw impossible("epoll_ctl", error);
  }

  #add(fd: number, events: number, tag: number, guard: number): number {
    const one = this.#one;
    one[0] = events;
    one[EPOLL_DATA_WORD] = tag;
    one[EPOLL_DATA_WORD + 1] = guard;
    return libc.epoll_ctl(this.#fd, EPOLL_CTL_ADD, fd, this.#oneAddress) < 0 ? errno() : 0;
  }

  remove(fd: number): void {
    if (libc.epoll_ctl(this.#fd, EPOLL_CTL_DEL, fd, this.#oneAddress) < 0) {
      throw impossible("epoll_ctl", errno());
    }
  }

  /**
   * Waits for events.
   * @param timeoutMs -1: for ever; otherwise at most this long, rounded up so that a deadline has passed when it returns.
   * @returns how many events `events`, `tag` and `guard` can be asked for.
   */
  wait(timeoutMs: number): number {
    const count = libc.epoll_wait(this.#fd, this.#address, BATCH, Math.ceil(timeoutMs));
    if (count >= 0) return count;
    const error = errno();
    if (error === EINTR) return 0;
    throw impossible("epoll_wait", error);
  }

  events(index: number): number {
    return this.#words[index * EPOLL_EVENT_WORDS]!;
  }

  tag(index: number): number {
    return this.#words[index * EPOLL_EVENT_WORDS + EPOLL_DATA_WORD]!;
  }

  guard(index: number): number {
    return this.#words[index * EPOLL_EVENT_WORDS + EPOLL_DATA_WORD + 1]!;
  }

  close(): void {
    libc.close(this.#fd);
  }
}
