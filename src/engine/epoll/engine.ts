// The epoll engine: one thread whose whole life is this loop. It blocks in epoll_wait, hands each event to whoever owns that
// descriptor (the mailbox, a listener, a row that is connecting, a row that is open), serves directions whose turn was used
// up, and looks at timeouts at most every sweep interval. Nothing here is called from anywhere but its own thread.

import { errno, libc } from "../../ffi/libc.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK, EPOLLIN } from "../../ffi/linux.ts";
import { addressOf } from "../../ffi/memory.ts";
import { encodeSockaddr } from "../../ffi/sockaddr.ts";
import type { SocketAddress } from "../../shared/address.ts";
import { CounterWriter } from "../../shared/counters.ts";
import { ProxyError } from "../../shared/errors.ts";
import { RELAY } from "../../shared/limits.ts";
import type { LiveTable } from "../../shared/live-table.ts";
import type { AdoptRequest, OpenRequest } from "../../shared/messages.ts";
import type { Engine, EngineHost } from "../engine.ts";
import { Acceptor, type OpenListener } from "./acceptor.ts";
import { Connections } from "./connections.ts";
import { Connector } from "./connector.ts";
import { impossible } from "./errnos.ts";
import { BufferPool, PipePool } from "./holders.ts";
import { Poller } from "./poller.ts";
import type { Profile } from "./profile.ts";
import { Relay } from "./relay.ts";
import { Reports } from "./reports.ts";
import { CONNECTING, OPEN, Rows, UNTIL_EAGAIN } from "./rows.ts";
import { duplicate, isUnixSocket, raiseDescriptorLimit } from "./sockets.ts";

/** epoll tags: directions are 0 and up; listeners are negative, -2 minus their profile; the mailbox is -1. */
const TAG_WAKE = -1;
const tagOfListener = (profile: number): number => -2 - profile;
const profileOfTag = (tag: number): number => -2 - tag;

export class EpollEngine implements Engine {
  readonly name = "epoll";
  readonly wakeFd: number;
  readonly #host: EngineHost;
  readonly #poller = new Poller();
  readonly #rows: Rows;
  readonly #connections: Connections;
  readonly #relay: Relay;
  readonly #reports: Reports;
  readonly #acceptor: Acceptor;
  readonly #connector: Connector;
  readonly #pipes = new Map<number, PipePool>();
  readonly #buffers = new Map<number, BufferPool>();
  readonly #adoptProfiles = new Map<string, number>();
  readonly #wakeCount = new BigUint64Array(1);
  #sweepMs = Infinity;
  #nextSweepMs = Infinity;
  #draining = false;
  #ended = false;

  private constructor(host: EngineHost) {
    this.#host = host;
    this.wakeFd = libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (this.wakeFd < 0) throw impossible("eventfd", errno());
    this.#poller.addLevel(this.wakeFd, EPOLLIN, TAG_WAKE);
    const connectionsMax = (raiseDescriptorLimit() - RELAY.descriptorReserve) / 2;
    this.#rows = new Rows(Math.max(1, Math.min(RELAY.rowsMax, Math.floor(connectionsMax))));
    this.#connections = new Connections(this.#rows, host, () => this.#checkDrained());
    this.#relay = new Relay(this.#connections);
    this.#reports = new Reports(host.emit);
    const listenerOf = (row: number): OpenListener =>
      this.#acceptor.listeners[this.#rows.listener[row]!]!;
    this.#connector = new Connector(
      this.#poller,
      this.#connections,
      this.#relay,
      this.#reports,
      host,
      listenerOf,
    );
    this.#acceptor = new Acceptor(
      this.#poller,
      this.#connections,
      host,
      this.#reports,
      (row, listener) => {
        this.#armSweep();
        this.#connector.begin(row, listener);
      },
    );
  }

  /** @throws ProxyError ERR_ENGINE where there is no epoll. */
  static create(host: EngineHost): EpollEngine {
    if (process.platform !== "linux") {
      throw new ProxyError(
        "ERR_ENGINE",
        `engine "epoll" needs Linux, this is ${process.platform}`,
        {
          cure: "Use auto or bun",
        },
      );
    }
    return new EpollEngine(host);
  }

  get live(): LiveTable {
    return this.#rows.live;
  }

  open(request: OpenRequest): { bound: SocketAddress[]; fds: number[] } {
    const { plan, index } = this.#profileOf(request);
    const { bound, kept } = this.#acceptor.listen(request, index, tagOfListener(index));
    this.#connections.profiles[index] = plan;
    this.#needSweep(request.listener.timeouts.connectMs);
    this.#needSweep(plan.idleMs);
    return { bound, fds: kept };
  }

  #profileOf(request: OpenRequest): { plan: Profile; index: number } {
    const { listener, slot } = request;
    const counters = new CounterWriter(request.counters);
    const active = new Int32Array(request.active);
    const { idleMs } = listener.timeouts;
    const sizes = this.#sizes(listener.buffers);
    const plan = { key: listener.key, slot, idleMs, counters, active, ...sizes };
    return { plan, index: this.#connections.profiles.length };
  }

  #sizes(
    buffers: Omit<AdoptRequest, "fds" | "idleMs">,
  ): Pick<Profile, "copyBytes" | "highBytes" | "lowBytes" | "pipes" | "buffers"> {
    const { copyBytes, highWatermarkBytes: highBytes, lowWatermarkBytes: lowBytes } = buffers;
    this.#relay.reserve(copyBytes);
    let pipes = this.#pipes.get(highBytes);
    if (pipes === undefined) this.#pipes.set(highBytes, (pipes = new PipePool(highBytes)));
    let pool = this.#buffers.get(copyBytes);
    if (pool === undefined) this.#buffers.set(copyBytes, (pool = new BufferPool(copyBytes)));
    return { copyBytes, highBytes, lowBytes, pipes, buffers: pool };
  }

  setTargets(key: string, targets: readonly SocketAddress[]): void {
    const listener = this.#acceptor.find(key);
    if (listener !== undefined) listener.targets = targets.map(encodeSockaddr);
  }

  close(key: string): void {
    const listener = this.#acceptor.find(key);
    if (listener !== undefined) this.#acceptor.close(listener, this.#relay.now);
  }

  adopt(id: number, request: AdoptRequest): void {
    if (this.#rows.full) {
      throw new ProxyError("ERR_CONNECTION_LIMIT", "the table of connections is full");
    }
    const name = JSON.stringify({ ...request, fds: null });
    let profile = this.#adoptProfiles.get(name);
    if (profile === undefined) {
      const plan = { key: "", slot: -1, idleMs: request.idleMs, counters: null, active: null };
      profile = this.#connections.profiles.push({ ...plan, ...this.#sizes(request) }) - 1;
      this.#adoptProfiles.set(name, profile);
    }
    this.#needSweep(request.idleMs);
    const first = duplicate(request.fds[0]);
    let second: number;
    try {
      second = duplicate(request.fds[1]);
    } catch (error) {
      libc.close(first);
      throw error;
    }
    const row = this.#connections.pair(profile, id, [first, second], this.#relay.now);
    this.#armSweep();
    for (const [side, fd] of [first, second].entries()) {
      if (isUnixSocket(fd)) this.#rows.flags[row * 2 + side]! |= UNTIL_EAGAIN;
      this.#poller.addSocket(fd, row * 2 + side, this.live.generation[row]!);
    }
  }

  disconnect(id: number): void {
    const row = this.live.rowOf(id);
    if (row >= 0) this.#connections.close(row, "disconnect");
  }

  drain(): void {
    for (const listener of this.#acceptor.open()) this.#acceptor.close(listener, this.#relay.now);
    this.#draining = true;
    this.#checkDrained();
  }

  #checkDrained(): void {
    if (!this.#draining || this.#rows.open > 0) return;
    this.#draining = false;
    this.#host.emit({ type: "drained" });
  }

  end(): number {
    if (this.#ended) return 0;
    this.#ended = true;
    this.#draining = false;
    for (const listener of this.#acceptor.open()) this.#acceptor.drop(listener);
    const connections = this.#connections.closeAll("shutdown");
    for (const pool of this.#pipes.values()) pool.close();
    this.#reports.flush(Infinity);
    this.#poller.close();
    return connections;
  }

  run(): void {
    const relay = this.#relay;
    relay.now = monotonicMs();
    while (!this.#ended) {
      const count = this.#poller.wait(relay.hasQueued ? 0 : this.#waitMs());
      relay.now = monotonicMs();
      this.#acceptor.nextRound();
      for (let i = 0; i < count && !this.#ended; i++) this.#dispatch(i);
      if (relay.hasQueued) relay.serveQueued();
      if (!this.#ended) this.#timers(relay.now);
    }
  }

  #dispatch(index: number): void {
    const tag = this.#poller.tag(index);
    if (tag >= 0) {
      const row = tag >>> 1;
      if (this.live.generation[row] !== this.#poller.guard(index)) return; // ended earlier in this batch
      const events = this.#poller.events(index);
      if (this.#rows.state[row] === OPEN) this.#relay.event(tag, events);
      else this.#connector.event(tag, events);
    } else if (tag === TAG_WAKE) {
      libc.read(this.wakeFd, addressOf(this.#wakeCount), 8);
      this.#host.readMailbox();
    } else {
      const listener = this.#acceptor.listeners[profileOfTag(tag)];
      if (listener !== undefined && listener.fds.length > 0 && listener.pausedUntil === 0) {
        this.#acceptor.accept(listener, this.#relay.now);
      }
    }
  }

  #waitMs(): number {
    const next = Math.min(
      this.#nextSweepMs,
      this.#reports.nextDueMs,
      this.#acceptor.nextResumeMs(),
    );
    return next === Infinity ? -1 : Math.max(0, next - this.#relay.now);
  }

  #timers(now: number): void {
    if (now >= this.#reports.nextDueMs) this.#reports.flush(now);
    if (now >= this.#acceptor.nextResumeMs()) this.#acceptor.resume(now, tagOfListener);
    if (now < this.#nextSweepMs) return;
    this.#sweep(now);
    this.#nextSweepMs = this.#rows.open > 0 ? now + this.#sweepMs : Infinity;
  }

  /** Makes sure that a timeout of this length is kept to an eighth; 0 needs none. */
  #needSweep(timeoutMs: number): void {
    if (timeoutMs <= 0) return;
    const period = Math.min(Math.max(timeoutMs / 8, RELAY.sweepMinMs), RELAY.sweepMaxMs);
    this.#sweepMs = Math.min(this.#sweepMs, period);
  }

  /** A connection came: sweeping begins if it had stopped for want of any. */
  #armSweep(): void {
    if (this.#nextSweepMs === Infinity) this.#nextSweepMs = this.#relay.now + this.#sweepMs;
  }

  #sweep(now: number): void {
    const { state, listener, attemptDeadline } = this.#rows;
    const { activeMs } = this.live;
    for (let row = 0; row < this.#rows.used; row++) {
      if (state[row] === CONNECTING) {
        if (now >= attemptDeadline[row]!) this.#connector.expired(row);
      } else if (state[row] === OPEN) {
        const { idleMs } = this.#connections.profiles[listener[row]!]!;
        if (idleMs > 0 && now - activeMs[row]! >= idleMs) this.#connections.close(row, "idle");
      }
    }
  }
}

/** Unix time that never jumps: timeouts are measured with it, and the control plane reads it as the time of day. */
function monotonicMs(): number {
  return performance.timeOrigin + performance.now();
}
