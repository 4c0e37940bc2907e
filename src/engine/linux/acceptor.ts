// Listening sockets and what comes out of them. Level triggered: as long as clients wait, each round of the loop reports the
// listener, so an accept that was left out is not lost. Out of descriptors, a listener rests for a moment instead of spinning.

import { sharedMs } from "../../ffi/clock.ts";
import { EMFILE, errnoName } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK } from "../../ffi/linux.ts";
import { addressOf, pinnedBytes, pinnedInt32 } from "../../ffi/memory.ts";
import { copyIp, type Sockaddr, SOCKADDR_MAX_BYTES } from "../../ffi/sockaddr.ts";
import {
  applySocketOptions,
  compileSocketOptions,
  cutBuffers,
  type OptionCall,
  setSocketOptions,
} from "../../ffi/socket-options.ts";
import type { Entrance, Refused } from "../../l4/entrance.ts";
import type { Strain } from "../../l4/strain.ts";
import type { Targets } from "../../l4/targets.ts";
import type { SocketAddress } from "../../shared/address.ts";
import { CounterWriter } from "../../shared/counters.ts";
import { IP_BYTES } from "../../shared/ip.ts";
import { RELAY } from "../../shared/limits.ts";
import type { ListeningSocket, Refusal, RelayRequest } from "../../shared/messages.ts";
import { hasIpTarget, type RelayPlan } from "../../shared/plan.ts";
import type { EngineHost } from "../engine.ts";
import { bindAll, isKept } from "./binding.ts";
import { type Connections, resetSocket } from "./connections.ts";
import { acceptOutcome } from "./errnos.ts";
import type { Reports } from "./reports.ts";
import { acceptBriefly, duplicate, keepUrgentInline, setBlocking } from "./sockets.ts";
import type { Watch } from "./watch.ts";

/** Accepted in one round at most, reached by doubling while clients keep waiting. */
const ACCEPT_MAX = 64;

/** An open listener of one worker. */
export interface OpenListener {
  readonly plan: RelayPlan;
  /** OpenRequest.slot. */
  readonly slot: number;
  /** Index of its profile, which its rows name. */
  readonly profile: number;
  readonly counters: CounterWriter;
  readonly active: Int32Array;
  /** Empty once closed. */
  fds: number[];
  readonly targets: Targets<Sockaddr>;
  /** null: nothing is asked of clients. */
  readonly entrance: Entrance | null;
  /** Targets are sent something first: a PROXY header, or what was read of the client to choose them. */
  readonly greets: boolean;
  /** Which target is chosen depends on the client. */
  readonly byClient: boolean;
  /** Set on each accepted socket: what it does not inherit from the listening one. */
  readonly clientOptions: readonly OptionCall[];
  /** Set on each TCP socket towards the target. */
  readonly targetOptions: readonly OptionCall[];
  /** How many to accept in one round, and the round that last had something. */
  batch: number;
  round: number;
  /** 0, or when accepting goes on. */
  pausedUntil: number;
  /** The engine tells of its clients. */
  watched: boolean;
  /** Operations of the kernel that name it. */
  accepting: number;
  /** Nobody names it any more. */
  forgotten: boolean;
}

export class Acceptor {
  readonly #watch: Watch;
  readonly #connections: Connections;
  readonly #host: EngineHost;
  readonly #reports: Reports;
  readonly #strain: Strain;
  /** Called with a new row, whose client is connected. */
  readonly #begin: (row: number, listener: OpenListener) => void;
  /** By profile index, as rows name them; adopted pairs' profiles have none. */
  readonly listeners: (OpenListener | undefined)[] = [];
  readonly #client = pinnedBytes(SOCKADDR_MAX_BYTES);
  readonly #clientAddress = addressOf(this.#client);
  readonly #clientLength = pinnedInt32(1);
  readonly #clientLengthAddress = addressOf(this.#clientLength);
  readonly #ip = new Uint8Array(IP_BYTES);
  #round = 0;
  /** How many listeners have pausedUntil set. */
  #paused = 0;

  constructor(
    watch: Watch,
    connections: Connections,
    host: EngineHost,
    reports: Reports,
    strain: Strain,
    begin: (row: number, listener: OpenListener) => void,
  ) {
    this.#watch = watch;
    this.#connections = connections;
    this.#host = host;
    this.#reports = reports;
    this.#strain = strain;
    this.#begin = begin;
  }

  /** @throws ProxyError ERR_LISTEN; nothing stays open. */
  listen(
    request: RelayRequest,
    profile: number,
    targets: Targets<Sockaddr>,
    entrance: Entrance | null,
  ): { bound: SocketAddress[]; kept: number[] } {
    const { listener: plan } = request;
    const warnings = new Set<string>();
    const { fds, bound } = bindAll(request, (fd, family) => {
      keepUrgentInline(fd);
      acceptBriefly(fd);
      if (family === AF_UNIX) return;
      for (const warning of setSocketOptions(fd, plan.socket, "listener")) warnings.add(warning);
    });
    const ofTarget = hasIpTarget(plan) ? plan.socket : {};
    const toTarget = compileSocketOptions(ofTarget, "target");
    const cut = cutBuffers(plan.listen.kind === "unix" ? ofTarget : plan.socket);
    for (const message of [...toTarget.lacking, ...cut]) warnings.add(message);
    for (const message of warnings) this.#host.emit({ type: "warning", key: plan.key, message });
    const listener: OpenListener = {
      plan,
      slot: request.slot,
      profile,
      counters: new CounterWriter(request.counters),
      active: new Int32Array(request.active),
      fds,
      targets,
      entrance,
      greets: entrance?.reads === true || plan.proxyProtocol.send !== "off",
      byClient: plan.groups.some(({ balance }) => balance === "source_hash"),
      clientOptions: clientOptions(plan),
      targetOptions: toTarget.calls,
      batch: 1,
      round: 0,
      pausedUntil: 0,
      watched: false,
      accepting: 0,
      forgotten: false,
    };
    this.listeners[profile] = listener;
    const kept = isKept(request) ? this.#duplicate(listener) : [];
    if (!request.quiet) this.#watchAll(listener);
    return { bound, kept };
  }

  /** Listeners that were opened quietly accept from here on. */
  begin(): void {
    for (const listener of this.open()) {
      if (!listener.watched && listener.pausedUntil === 0) this.#watchAll(listener);
    }
  }

  /** @throws ProxyError ERR_LISTEN out of descriptors; the listener is closed then. */
  #duplicate(listener: OpenListener): number[] {
    const copies: number[] = [];
    try {
      for (const fd of listener.fds) copies.push(duplicate(fd));
      return copies;
    } catch (error) {
      for (const fd of copies) libc.close(fd);
      this.drop(listener);
      throw error;
    }
  }

  /** Of all that are open. */
  duplicates(): ListeningSocket[] {
    return this.open().flatMap(({ plan: { key }, fds }) =>
      fds.map((fd) => ({ key, fd: duplicate(fd) })),
    );
  }

  find(slot: number): OpenListener | undefined {
    return this.listeners.find((listener) => listener?.slot === slot);
  }

  /**
   * Takes the clients that the kernel has connected already, who would be reset otherwise, and closes the sockets. The order
   * matters where another process accepts on them too: for each client the kernel wakes one of those that watch. One that was
   * opened quietly and never accepted leaves them to whoever does.
   */
  close(listener: OpenListener, now: number): void {
    const accepts = listener.watched || listener.pausedUntil > 0;
    this.#unwatch(listener);
    for (const fd of accepts ? listener.fds : []) {
      for (let i = 0; i < RELAY.listenBacklog; i++) if (!this.#acceptOne(listener, fd, now)) break;
    }
    this.drop(listener);
  }

  #unwatch(listener: OpenListener): void {
    if (!listener.watched) return;
    listener.watched = false;
    for (const fd of listener.fds) this.#watch.unwatchListener(fd, listener);
  }

  #watchAll(listener: OpenListener): void {
    listener.watched = true;
    for (const fd of listener.fds) this.#watch.watchListener(fd, listener);
  }

  /** Closes the sockets with whoever waits. */
  drop(listener: OpenListener): void {
    this.#unwatch(listener);
    for (const fd of listener.fds) libc.close(fd);
    listener.fds = [];
    if (listener.pausedUntil > 0) this.#paused--;
    listener.pausedUntil = 0;
  }

  /** The listeners that are open. */
  open(): OpenListener[] {
    return this.listeners.filter((listener) => listener !== undefined).filter(isOpen);
  }

  /** The loop begins a round of events. */
  nextRound(): void {
    this.#round++;
  }

  /** Clients wait on one of this listener's sockets. */
  accept(listener: OpenListener, now: number): void {
    // Twice as many as last time while every round finds clients; one at a time when they are rare, which spares the EAGAIN.
    const goesOn = listener.round === this.#round - 1;
    listener.batch = goesOn ? Math.min(listener.batch * 2, ACCEPT_MAX) : 1;
    listener.round = this.#round;
    for (const fd of listener.fds) {
      for (let i = 0; i < listener.batch; i++) if (!this.#acceptOne(listener, fd, now)) break;
      if (listener.pausedUntil > 0) return;
    }
  }

  /** @returns false when there is nothing more to accept now. */
  #acceptOne(listener: OpenListener, fd: number, now: number): boolean {
    if (this.#connections.full && !this.#strain.isFull) {
      // As many connections of all workers as descriptors allow: clients wait in the kernel's queue until one is over, as with
      // EMFILE. Where all new work is turned away they are told so.
      this.#pause(listener, EMFILE, now);
      return false;
    }
    this.#clientLength[0] = SOCKADDR_MAX_BYTES;
    const client = libc.accept4(
      fd,
      this.#clientAddress,
      this.#clientLengthAddress,
      this.#watch.socketFlags | SOCK_CLOEXEC,
    );
    if (client < 0) return this.acceptFailed(listener, errno(), now);
    this.#admit(listener, client, now);
    return true;
  }

  /** @returns whether accepting may go on at once. */
  acceptFailed(listener: OpenListener, error: number, now: number): boolean {
    const outcome = acceptOutcome(error);
    if (outcome === "pause") this.#pause(listener, error, now);
    return outcome === "skip";
  }

  /** The kernel has accepted a client by itself. Its listener may have been closed since. */
  accepted(listener: OpenListener, client: number, now: number): void {
    this.#readName(client);
    const hasRoom = !this.#connections.full || this.#strain.isFull;
    if (hasRoom) return this.#admit(listener, client, now);
    this.#turnAway(listener, client, "table_full", now);
    this.#pause(listener, EMFILE, now);
  }

  #readName(client: number): void {
    this.#client.fill(0, 0, 2); // AF_UNSPEC, if the client is gone already and has no name any more
    this.#clientLength[0] = SOCKADDR_MAX_BYTES;
    libc.getpeername(client, this.#clientAddress, this.#clientLengthAddress);
  }

  #admit(listener: OpenListener, client: number, now: number): void {
    if (listener.entrance !== null && !this.#passes(listener.entrance, listener, client, now))
      return;
    if (this.#strain.sheds()) {
      return this.#turnAway(listener, client, "overload", now, this.#strain.reason);
    }
    if (!this.#count(listener, client, now)) return;
    if (listener.watched && this.#host.load.crowded(this.#connections.rows.open)) {
      return this.#handOver(listener, client);
    }
    this.#begun(listener, client, now);
  }

  /** @returns false if who connects may not go on, and is turned away. */
  #passes(entrance: Entrance, listener: OpenListener, client: number, now: number): boolean {
    const known = copyIp(this.#client, this.#ip);
    const refusal = entrance.admit(known ? this.#ip : null, sharedMs());
    if (refusal !== null) this.#turnAway(listener, client, refusal.reason, now, refusal.detail);
    return refusal === null;
  }

  /** @returns false if there is no room for the client, which is turned away. */
  #count(listener: OpenListener, client: number, now: number): boolean {
    const { maxConnections } = listener.plan.limits;
    const open = Atomics.add(listener.active, 0, 1) + 1;
    const isOver = maxConnections > 0 && open > maxConnections;
    if (!isOver && listener.entrance?.countsPeers !== true) return true;
    const refusal = isOver ? null : this.#countPeer(listener.entrance!);
    if (!isOver && refusal === null) return true;
    Atomics.sub(listener.active, 0, 1);
    this.#turnAway(listener, client, refusal?.reason ?? "max_connections", now, refusal?.detail);
    return false;
  }

  #countPeer(entrance: Entrance): Refused | null {
    return copyIp(this.#client, this.#ip) ? entrance.enter(this.#ip) : null;
  }

  /** What `count` did is undone. */
  #uncount({ active, entrance }: OpenListener): void {
    Atomics.sub(active, 0, 1);
    if (entrance?.countsPeers === true && copyIp(this.#client, this.#ip)) entrance.leave(this.#ip);
  }

  /** Another worker has few connections, and serves this client sooner than this one. */
  #handOver(listener: OpenListener, client: number): void {
    this.#uncount(listener);
    this.#host.emit({ type: "hand_over", slot: listener.slot, fd: client });
  }

  /**
   * Another worker has admitted this client and handed it over. Until now it counted nowhere: its place may be taken.
   */
  take(listener: OpenListener, client: number, now: number): void {
    setBlocking(client, (this.#watch.socketFlags & SOCK_NONBLOCK) === 0); // the other engine may be another one
    this.#readName(client);
    if (!this.#count(listener, client, now)) return;
    if (this.#connections.full) {
      this.#uncount(listener);
      return this.#turnAway(listener, client, "table_full", now);
    }
    this.#begun(listener, client, now);
  }

  #begun(listener: OpenListener, client: number, now: number): void {
    const row = this.#connections.accept(listener.profile, client, this.#client, now);
    if (listener.entrance?.countsPeers === true) this.#connections.rows.live.setCounted(row, true);
    if (listener.clientOptions.length > 0) applySocketOptions(client, listener.clientOptions);
    this.#begin(row, listener);
  }

  #turnAway(
    listener: OpenListener,
    client: number,
    reason: Refusal,
    now: number,
    detail = "",
  ): void {
    listener.counters.refused(reason); // first, so that a client that was told finds it counted
    resetSocket(client);
    this.#reports.refused(listener.plan.key, reason, detail, now);
  }

  #pause(listener: OpenListener, error: number, now: number): void {
    if (listener.pausedUntil > 0) return;
    this.#paused++;
    listener.counters.error(errnoName(error));
    listener.pausedUntil = now + RELAY.acceptPauseMs;
    this.#unwatch(listener);
    const { key } = listener.plan;
    this.#reports.acceptPaused(key, errnoName(error), RELAY.acceptPauseMs, now);
  }

  /** When the first paused listener goes on; Infinity if none is paused. */
  nextResumeMs(): number {
    if (this.#paused === 0) return Infinity;
    let next = Infinity;
    for (const listener of this.listeners) {
      if (listener !== undefined && listener.pausedUntil > 0)
        next = Math.min(next, listener.pausedUntil);
    }
    return next;
  }

  resume(now: number): void {
    for (const listener of this.listeners) {
      if (listener === undefined || listener.pausedUntil === 0 || now < listener.pausedUntil)
        continue;
      listener.pausedUntil = 0;
      this.#paused--;
      this.#watchAll(listener);
    }
  }
}

/** TCP_QUICKACK belongs to a connection and is not inherited; the rest is. */
function clientOptions(plan: RelayPlan): OptionCall[] {
  if (plan.listen.kind === "unix") return [];
  return compileSocketOptions({ quickack: plan.socket.quickack }, "accepted").calls;
}

function isOpen(listener: OpenListener): boolean {
  return listener.fds.length > 0;
}
