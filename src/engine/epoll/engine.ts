// The epoll engine: one thread whose whole life is this loop. It blocks in epoll_wait, hands each event to whoever owns that
// descriptor (the mailbox, a listener, a row that is connecting, a row that is open), serves directions whose turn was used
// up, and looks at timeouts at most every sweep interval. Nothing here is called from anywhere but its own thread.

import { EINPROGRESS, EINTR, ETIMEDOUT } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import {
  EPOLLERR,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  SOCK_NONBLOCK,
} from "../../ffi/linux.ts";
import { addressOf } from "../../ffi/memory.ts";
import type { Sockaddr } from "../../ffi/sockaddr.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { ProxyError } from "../../shared/errors.ts";
import type { EngineHost } from "../engine.ts";
import type { OpenListener } from "../linux/acceptor.ts";
import { LinuxEngine } from "../linux/engine.ts";
import { ARRIVING, OPEN } from "../linux/rows.ts";
import { socketError } from "../linux/sockets.ts";
import { Poller } from "./poller.ts";

/**
 * epoll tags: directions are 0 and up; the mailbox is -1; listeners are -2 minus their profile, and mirrors' sockets, far below,
 * TAG_MIRROR minus their slot.
 */
const TAG_WAKE = -1;
const TAG_MIRROR = -(2 ** 30);
const tagOfListener = (profile: number): number => -2 - profile;
const profileOfTag = (tag: number): number => -2 - tag;

export class EpollEngine extends LinuxEngine {
  readonly name = "epoll";
  readonly socketFlags = SOCK_NONBLOCK;
  readonly #poller = new Poller();
  readonly #wakeCount = new BigUint64Array(new ArrayBuffer(8));

  private constructor(host: EngineHost) {
    super(host);
    this.#poller.addLevel(this.wakeFd, EPOLLIN, TAG_WAKE);
  }

  /** @throws ProxyError ERR_ENGINE where there is no epoll. */
  static create(host: EngineHost): EpollEngine {
    if (process.platform !== "linux") {
      const problem = `engine "epoll" needs Linux, this is ${process.platform}`;
      throw new ProxyError("ERR_ENGINE", problem, { cure: "Use auto or bun" });
    }
    return new EpollEngine(host);
  }

  watchListener(fd: number, { profile }: OpenListener): void {
    // Workers may share a socket, and only one of them is to wake for a client.
    this.#poller.addLevel(fd, EPOLLIN | EPOLLEXCLUSIVE, tagOfListener(profile));
  }

  unwatchListener(fd: number): void {
    this.#poller.remove(fd);
  }

  watchClient(row: number): number {
    return this.#watchSide(row * 2);
  }

  /** The client is watched already. */
  watchArrival(): void {}

  startConnect(row: number, fd: number, target: Sockaddr): number {
    if (libc.connect(fd, addressOf(target.bytes), target.bytes.length) < 0) {
      const error = errno();
      if (error !== EINPROGRESS && error !== EINTR) return error;
    }
    return this.#watchSide(row * 2 + 1);
  }

  abandonConnect(row: number): void {
    this.connector.failed(row, ETIMEDOUT);
  }

  startRelay(row: number): void {
    this.relay.start(row);
  }

  /** Its events come with the next wait. */
  protected startPair(row: number): number {
    return this.#watchSide(row * 2) || this.#watchSide(row * 2 + 1);
  }

  /** Readiness leaves nothing under way. */
  quiesce(): boolean {
    return true;
  }

  watchMirror(slot: number, generation: number, fd: number): number {
    return this.#poller.addSocket(fd, TAG_MIRROR - slot, generation);
  }

  quiesceMirror(): boolean {
    return true;
  }

  /** Every socket is watched all the time. */
  protected look(): void {}

  protected swept(): void {}

  protected release(): void {
    this.#poller.close();
  }

  #watchSide(d: number): number {
    return this.#poller.addSocket(this.rows.fd[d]!, d, this.live.generation[d >>> 1]!);
  }

  run(): void {
    const { relay } = this;
    relay.now = monotonicMs();
    while (!this.ended) {
      const count = this.#poller.wait(relay.hasQueued ? 0 : this.waitMs());
      relay.now = monotonicMs();
      if (count > 0) this.strain.busy(relay.now);
      this.acceptor.nextRound();
      for (let i = 0; i < count && !this.ended; i++) this.#dispatch(i);
      if (relay.hasQueued) relay.serveQueued();
      if (!this.ended) this.timers(relay.now);
    }
  }

  #dispatch(index: number): void {
    const tag = this.#poller.tag(index);
    if (tag >= 0) {
      const row = tag >>> 1;
      if (this.live.generation[row] !== this.#poller.guard(index)) return; // ended earlier in this batch
      const events = this.#poller.events(index);
      if (this.rows.state[row] === OPEN) this.relay.event(tag, events);
      else this.#connecting(tag, events);
    } else if (tag === TAG_WAKE) {
      libc.read(this.wakeFd, addressOf(this.#wakeCount), 8);
      this.host.readMailbox();
    } else if (tag <= TAG_MIRROR) {
      const generation = this.#poller.guard(index);
      this.mirrors.event(TAG_MIRROR - tag, generation, this.#poller.events(index));
    } else {
      const listener = this.acceptor.listeners[profileOfTag(tag)];
      if (listener?.watched === true) {
        this.acceptor.accept(listener, this.relay.now);
      }
    }
  }

  /** Events of either side of a row that is CONNECTING, or of the client of one that is ARRIVING. */
  #connecting(d: number, events: number): void {
    const row = d >>> 1;
    if ((d & 1) === 0) {
      this.relay.note(d, events);
      if (this.rows.state[row] === ARRIVING) return this.firstBytes.readable(row);
      // A reset: nobody waits for the target any more. EPOLLHUP alone is a unix client that has sent all and closed.
      if ((events & EPOLLERR) !== 0) this.connections.close(row, "reset");
      return;
    }
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0) {
      const error = socketError(this.rows.fd[d]!);
      if (error !== 0) return this.connector.failed(row, error);
    }
    if ((events & EPOLLOUT) === 0) return;
    this.connector.connected(row);
    if (this.rows.state[row] === OPEN) this.relay.event(d, events);
  }
}
