// What the engines of system calls have in common: listeners, rows, timeouts, drain, and the commands of engine.ts. How the
// kernel is asked and how it answers is the subclass's: readiness in engine/epoll, completion in engine/uring.

import { sharedMs } from "../../ffi/clock.ts";
import { errnoName } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../../ffi/linux.ts";
import { encodeSockaddr, type Sockaddr } from "../../ffi/sockaddr.ts";
import { compileSocketOptions } from "../../ffi/socket-options.ts";
import { Entrance } from "../../l4/entrance.ts";
import { Pacer } from "../../l4/pacer.ts";
import { Strain } from "../../l4/strain.ts";
import { Targets } from "../../l4/targets.ts";
import type { SocketAddress } from "../../shared/address.ts";
import { CounterWriter } from "../../shared/counters.ts";
import { ProxyError } from "../../shared/errors.ts";
import { RELAY } from "../../shared/limits.ts";
import type { LiveTable } from "../../shared/live-table.ts";
import type {
  AdoptRequest,
  ListeningSocket,
  RelayRequest,
  TargetSlot,
} from "../../shared/messages.ts";
import type { EngineName } from "../../shared/plan.ts";
import { connectionsWithin, descriptorReserve, warnIfTooFew } from "../descriptors.ts";
import type { Engine, EngineHost } from "../engine.ts";
import { Acceptor, type OpenListener } from "./acceptor.ts";
import { Connections, resetSocket } from "./connections.ts";
import { Connector } from "./connector.ts";
import { impossible } from "./errnos.ts";
import { FirstBytes } from "./first-bytes.ts";
import { Mirrors, type MirrorTarget, type MirrorWatch } from "./mirrors.ts";
import { Pools, type Sizes } from "./pools.ts";
import type { Profile } from "./profile.ts";
import { Relay } from "./relay.ts";
import { Reports } from "./reports.ts";
import { ARRIVING, CONNECTING, FREE, OPEN, Rows, UNTIL_EAGAIN } from "./rows.ts";
import { duplicatePair, isUnixSocket, keepUrgentInline, raiseDescriptorLimit } from "./sockets.ts";
import type { Watch } from "./watch.ts";

export abstract class LinuxEngine implements Engine, Watch, MirrorWatch {
  abstract readonly name: EngineName;
  readonly wakeFd: number;
  protected readonly host: EngineHost;
  protected readonly rows: Rows;
  protected readonly connections: Connections;
  protected readonly mirrors: Mirrors;
  protected readonly relay: Relay;
  protected readonly acceptor: Acceptor;
  protected readonly connector: Connector;
  protected readonly firstBytes: FirstBytes;
  protected readonly strain: Strain;
  protected ended = false;
  readonly #reports: Reports;
  readonly #pacer: Pacer;
  readonly #descriptorLimit: number;
  readonly #pools = new Pools();
  readonly #adoptProfiles = new Map<string, number>();
  /** Indexes of profiles that listeners had which are forgotten. */
  readonly #freeProfiles: number[] = [];
  #sweepMs = Infinity;
  #nextSweepMs = Infinity;
  #draining = false;
  #drainAsked = false;
  /** Rounds of the loop until `drained` may be told: what the kernel has accepted by itself may still be on its way. */
  #drainRounds = 0;

  /** @throws ProxyError ERR_ENGINE where there are no such system calls. */
  protected constructor(host: EngineHost) {
    this.host = host;
    this.wakeFd = libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (this.wakeFd < 0) throw impossible("eventfd", errno());
    this.#descriptorLimit = raiseDescriptorLimit();
    this.rows = new Rows(connectionsWithin(this.#descriptorLimit));
    host.load.set(host.index, 0);
    this.strain = new Strain(host.strain, host.index);
    this.connections = new Connections(
      this.rows,
      this.#descriptorLimit,
      host,
      (row) => this.quiesce(row),
      () => this.#checkDrained(),
    );
    const limit = this.#descriptorLimit;
    const ceiling = limit - descriptorReserve(limit);
    const { capacity } = this.rows;
    this.mirrors = new Mirrors(this, host, capacity, ceiling, () => this.#checkDrained());
    this.relay = new Relay(this.connections, this.mirrors);
    this.#reports = new Reports(host.emit);
    this.#pacer = new Pacer({
      resume: (d) => this.relay.pump(d),
      generation: this.rows.live.generation,
      clock: sharedMs,
    });
    const { connections, relay } = this;
    const listenerOf = (row: number): OpenListener => this.#listenerOf(row);
    const reports = this.#reports;
    this.firstBytes = new FirstBytes(
      this,
      connections,
      relay,
      reports,
      listenerOf,
      (row, listener, group) => this.connector.choose(row, listener, group),
    );
    const { firstBytes } = this;
    this.connector = new Connector(this, connections, relay, reports, host, listenerOf, firstBytes);
    connections.onUnused = (profile) => this.unused(profile);
    connections.onOpened = (row) => this.#opened(row);
    connections.onFirstBytes = (row, bytes) => this.#firstBytesRead(row, bytes);
    connections.onClosing = (row) => {
      firstBytes.closing(row);
      this.connector.closing(row);
      const { mirror } = connections.profiles[this.rows.listener[row]!]!;
      if (mirror !== null && this.rows.state[row] === OPEN) this.mirrors.rowClosed(row);
    };
    const begin = (row: number, listener: OpenListener): void => this.#begin(row, listener);
    this.acceptor = new Acceptor(this, connections, host, reports, this.strain, begin);
  }

  abstract readonly socketFlags: number;
  abstract watchListener(fd: number, listener: OpenListener): void;
  abstract unwatchListener(fd: number, listener: OpenListener): void;
  abstract watchClient(row: number): number;
  abstract watchArrival(row: number): void;
  abstract startConnect(row: number, fd: number, target: Sockaddr): number;
  abstract abandonConnect(row: number): void;
  abstract startRelay(row: number): void;
  abstract quiesce(row: number): boolean;
  abstract watchMirror(slot: number, generation: number, fd: number): number;
  abstract quiesceMirror(slot: number, fd: number): boolean;
  abstract run(): void;
  /**
   * Both sockets of an adopted pair are the row's: bytes may flow. Nothing is known of what they have already.
   * @returns 0, or the error number if they cannot be watched.
   */
  protected abstract startPair(row: number): number;
  /** Called for each row at each sweep, for what the kernel does not tell by itself. */
  protected abstract look(row: number): void;
  /** Called after each sweep, for what is to be done now and then. */
  protected abstract swept(): void;
  /** Waits until no row and no copy is closing, and gives back what the subclass holds. */
  protected abstract release(): void;

  get live(): LiveTable {
    return this.rows.live;
  }

  #listenerOf(row: number): OpenListener {
    return this.acceptor.listeners[this.rows.listener[row]!]!;
  }

  /** A client was accepted into this row. */
  #begin(row: number, listener: OpenListener): void {
    this.#armSweep();
    if (listener.plan.listen.kind === "unix") this.rows.flags[row * 2]! |= UNTIL_EAGAIN;
    if (listener.entrance?.reads === true) this.firstBytes.begin(row, listener);
    else this.connector.begin(row, listener);
  }

  open(request: RelayRequest): { bound: SocketAddress[]; fds: number[] } {
    const targets = this.#targetsOf(request);
    const entrance = Entrance.of(request);
    const profile = this.#profileOf(request, targets, entrance);
    const index = this.#freeProfiles.pop() ?? this.connections.profiles.length;
    const { bound, kept } = this.#listen(request, index, profile, entrance);
    warnIfTooFew(this.host, request, this.#descriptorLimit);
    const { timeouts } = request.listener;
    this.#needSweep(timeouts.connectMs);
    this.#needSweep(timeouts.idleMs);
    if (entrance !== null && entrance.mode !== null) this.#needSweep(timeouts.proxyHeaderMs);
    if (entrance !== null && entrance.routes !== null) this.#needSweep(timeouts.clientHelloMs);
    this.#needSweep(timeouts.lifetimeMs);
    if (request.listener.mirror !== null) this.#needSweep(RELAY.mirrorLingerMs);
    return { bound, fds: kept };
  }

  #listen(
    request: RelayRequest,
    index: number,
    profile: Profile,
    entrance: Entrance | null,
  ): { bound: SocketAddress[]; kept: number[] } {
    this.connections.profiles[index] = profile;
    try {
      return this.acceptor.listen(request, index, profile.targets!, entrance);
    } catch (error) {
      this.#release(index);
      throw error;
    }
  }

  /** Nothing of the kernel and no row has this profile now. */
  protected unused(index: number): void {
    const listener = this.acceptor.listeners[index];
    if (listener === undefined || listener.fds.length > 0) return;
    if (listener.accepting > 0 || this.connections.profiles[index]!.rows > 0) return;
    if (listener.forgotten) this.#release(index);
    else this.host.emit({ type: "over", slot: listener.slot });
  }

  forget(slot: number): void {
    const listener = this.acceptor.find(slot);
    if (listener === undefined) return;
    listener.forgotten = true;
    this.unused(listener.profile);
  }

  /** The index is free for another listener. */
  #release(index: number): void {
    const { profiles } = this.connections;
    this.acceptor.listeners[index] = undefined;
    this.#pacer.remove(profiles[index]!.pace);
    this.#freeProfiles.push(index);
    if (this.mirrors.open > 0) return; // copies have pipes of their own, and names for the pools only
    this.#pools.keepOnly(profiles.filter((_profile, i) => !this.#freeProfiles.includes(i)));
  }

  #opened(row: number): void {
    const profile = this.connections.profiles[this.rows.listener[row]!]!;
    profile.pace?.begin(row);
    if (profile.mirror !== null) this.mirrors.begin(row, profile, profile.mirror, this.relay.now);
  }

  #firstBytesRead(row: number, bytes: Uint8Array): void {
    const profile = this.connections.profiles[this.rows.listener[row]!]!;
    profile.pace?.spend(row * 2, bytes.length);
    if (profile.mirror !== null) this.mirrors.copied(row, profile, bytes, bytes.length);
  }

  #targetsOf(request: RelayRequest): Targets<Sockaddr> {
    const { emit, index: skip } = this.host;
    const options = { prepare: encodeSockaddr, emit, random: Math.random, skip };
    return new Targets<Sockaddr>(request, options, this.relay.now);
  }

  #profileOf(
    request: RelayRequest,
    targets: Targets<Sockaddr>,
    entrance: Entrance | null,
  ): Profile {
    const { listener, slot } = request;
    const counters = new CounterWriter(request.counters);
    const active = new Int32Array(request.active);
    const { idleMs, lifetimeMs } = listener.timeouts;
    const pace = this.#pacer.add(listener.limits, request.bandwidth);
    const mirror = mirrorOf(request);
    const sizes = this.#sizes(listener.buffers);
    const { key } = listener;
    const { fastopen } = listener.socket;
    const kept = { counters, active, targets, entrance, pace, mirror, rows: 0 };
    return { key, slot, idleMs, lifetimeMs, fastopen, ...kept, ...sizes };
  }

  #sizes(buffers: Omit<AdoptRequest, "fds" | "idleMs">): Sizes {
    const { copyBytes, highWatermarkBytes, lowWatermarkBytes } = buffers;
    this.relay.reserve(copyBytes);
    return this.#pools.sizes(copyBytes, highWatermarkBytes, lowWatermarkBytes);
  }

  setTargets(slot: number, targets: readonly TargetSlot[]): void {
    const { profiles } = this.connections;
    // One that was closed has connections, and those of them that are connecting may try others.
    const profile = profiles.findIndex((each) => each.slot === slot);
    if (profile < 0) return;
    profiles[profile]!.targets?.update(targets, this.relay.now);
    for (const { mode, slot: target } of targets) {
      if (mode === "disabled") this.connections.closeTarget(profile, target);
    }
  }

  setMirror(slot: number, addresses: readonly SocketAddress[]): void {
    const listener = this.acceptor.find(slot);
    const mirror = listener && this.connections.profiles[listener.profile]!.mirror;
    if (mirror) mirror.addresses = addresses.map(encodeSockaddr);
  }

  close(slot: number): void {
    const listener = this.acceptor.find(slot);
    if (listener !== undefined) this.acceptor.close(listener, this.relay.now);
  }

  accept(): void {
    this.acceptor.begin();
  }

  listening(): ListeningSocket[] {
    return this.acceptor.duplicates();
  }

  adopt(id: number, request: AdoptRequest): number {
    if (this.connections.full) {
      throw new ProxyError("ERR_CONNECTION_LIMIT", "the table of connections is full");
    }
    const name = JSON.stringify({ ...request, fds: null });
    let profile = this.#adoptProfiles.get(name);
    if (profile === undefined) {
      const plan = {
        key: "",
        slot: -1,
        idleMs: request.idleMs,
        lifetimeMs: 0,
        pace: null,
        mirror: null,
        counters: null,
        active: null,
        targets: null,
        entrance: null,
        fastopen: false,
        rows: 0,
      };
      profile = this.connections.profiles.push({ ...plan, ...this.#sizes(request) }) - 1;
      this.#adoptProfiles.set(name, profile);
    }
    this.#needSweep(request.idleMs);
    const fds = duplicatePair(request.fds);
    const row = this.connections.pair(profile, id, fds, this.relay.now);
    const connection = this.live.idOf(row);
    this.#armSweep();
    for (const [side, fd] of fds.entries()) {
      keepUrgentInline(fd);
      if (isUnixSocket(fd)) this.rows.flags[row * 2 + side]! |= UNTIL_EAGAIN;
    }
    const error = this.startPair(row);
    if (error !== 0) this.connections.close(row, errnoName(error));
    return connection;
  }

  take(slot: number, fd: number): void {
    if (this.#drainAsked) {
      // `drained` may have been told already: once more, then, whatever becomes of this client.
      this.#draining = true;
      this.#drainRounds = Math.max(this.#drainRounds, 1);
    }
    const listener = this.acceptor.find(slot);
    if (listener === undefined) return resetSocket(fd); // it could not be opened here
    this.acceptor.take(listener, fd, this.relay.now);
  }

  disconnect(id: number): void {
    const row = this.live.rowOf(id);
    if (row >= 0) this.connections.close(row, "disconnect");
  }

  drain(): void {
    for (const listener of this.acceptor.open()) this.acceptor.close(listener, this.relay.now);
    this.#draining = true;
    this.#drainAsked = true;
    this.#drainRounds = 2;
  }

  /** What is not over: connections, and copies that outlive theirs. */
  get #held(): number {
    return this.rows.open + this.mirrors.open;
  }

  #checkDrained(): void {
    if (!this.#draining || this.#drainRounds > 0 || this.#held > 0) return;
    this.#draining = false;
    this.host.emit({ type: "drained" });
  }

  end(): number {
    if (this.ended) return 0;
    this.ended = true;
    this.#draining = false;
    for (const listener of this.acceptor.open()) this.acceptor.drop(listener);
    const connections = this.connections.closeAll("shutdown");
    this.mirrors.closeAll();
    this.release();
    this.#pools.close();
    this.#reports.flush(Infinity);
    return connections;
  }

  /** How long the loop may wait: -1 for ever. */
  protected waitMs(): number {
    if (this.#drainRounds > 0 || this.mirrors.hasQueued) return 0;
    const { nextDueMs } = this.#reports;
    const resumeMs = this.acceptor.nextResumeMs();
    const next = Math.min(this.#nextSweepMs, nextDueMs, resumeMs, this.strain.dueMs);
    const wait = Math.min(next - this.relay.now, this.#pacer.waitMs());
    return wait === Infinity ? -1 : Math.max(0, wait);
  }

  /** What is due by now: directions that wait for bandwidth, reports, listeners that rested, timeouts. */
  protected timers(now: number): void {
    if (now >= this.strain.dueMs) this.strain.beat(now, sharedMs());
    this.#pacer.turn();
    if (this.mirrors.hasQueued) this.mirrors.serveQueued();
    if (this.#drainRounds > 0 && --this.#drainRounds === 0) this.#checkDrained();
    if (now >= this.#reports.nextDueMs) this.#reports.flush(now);
    if (now >= this.acceptor.nextResumeMs()) this.acceptor.resume(now);
    if (now < this.#nextSweepMs) return;
    this.#sweep(now);
    this.#nextSweepMs = this.#held > 0 ? now + this.#sweepMs : Infinity;
  }

  /** Makes sure that a timeout of this length is kept to an eighth; 0 needs none. */
  #needSweep(timeoutMs: number): void {
    if (timeoutMs <= 0) return;
    const period = Math.min(Math.max(timeoutMs / 8, RELAY.sweepMinMs), RELAY.sweepMaxMs);
    this.#sweepMs = Math.min(this.#sweepMs, period);
  }

  /** A connection came: sweeping begins if it had stopped for want of any. */
  #armSweep(): void {
    if (this.#nextSweepMs === Infinity) this.#nextSweepMs = this.relay.now + this.#sweepMs;
  }

  #sweep(now: number): void {
    const { state, listener, attemptDeadline, deadline } = this.rows;
    const { activeMs, startedMs } = this.live;
    for (let row = 0; row < this.rows.used; row++) {
      if (state[row] !== FREE) this.look(row);
      if (state[row] === CONNECTING) {
        if (now >= attemptDeadline[row]!) this.connector.expired(row);
      } else if (state[row] === ARRIVING) {
        if (now >= attemptDeadline[row]!) this.firstBytes.expired(row);
      } else if (state[row] === OPEN) {
        const profile = this.connections.profiles[listener[row]!]!;
        const { idleMs, lifetimeMs, fastopen } = profile;
        if (fastopen && now >= deadline[row]!) this.connector.checkHandshake(row);
        else if (lifetimeMs > 0 && now - startedMs[row]! >= lifetimeMs) {
          this.connections.close(row, "lifetime");
        } else if (idleMs > 0 && now - activeMs[row]! >= idleMs && !held(row, profile)) {
          this.connections.close(row, "idle");
        }
      }
    }
    this.mirrors.sweep(now);
    this.swept();
  }
}

function mirrorOf({ listener, mirror: addresses }: RelayRequest): MirrorTarget | null {
  if (listener.mirror === null) return null;
  // Its bytes are there when it connects or later: Fast Open would only put the handshake off.
  const options = compileSocketOptions({ ...listener.socket, fastopen: false }, "target").calls;
  const { connectMs } = listener.timeouts;
  return { options, connectMs, addresses: addresses.map(encodeSockaddr), at: 0 };
}

/** It does not move because it may not. */
function held(row: number, { pace }: Profile): boolean {
  return pace !== null && (pace.waits(row * 2) || pace.waits(row * 2 + 1));
}
