// A listener of this worker: its sockets, its limits, and the way of a client from accept to a connected target. Clients
// stay paused until then, so that no byte is read before there is a place for it. Created by engine.ts.

import { sharedMs } from "../../ffi/clock.ts";
import { hasBytes, sendWaitingSyn } from "../../ffi/fastopen.ts";
import {
  applySocketOptions,
  compileSocketOptions,
  cutBuffers,
  type OptionCall,
  setSocketOptions,
} from "../../ffi/socket-options.ts";
import { type Arrival, Entrance, type Refused } from "../../l4/entrance.ts";
import type { Pace, Pacer } from "../../l4/pacer.ts";
import type { Endpoints, Peer } from "../../l4/peer.ts";
import { encodeProxyHeader } from "../../l4/proxy/encode.ts";
import { type Attempt, Targets } from "../../l4/targets.ts";
import type { SocketAddress } from "../../shared/address.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { CounterWriter } from "../../shared/counters.ts";
import { messageOf } from "../../shared/errors.ts";
import { IP_BYTES, parseIp, parseIPv6 } from "../../shared/ip.ts";
import { FIRST_BYTES } from "../../shared/limits.ts";
import { FAMILY_IPV4, FAMILY_IPV6, FAMILY_UNIX, type LiveTable } from "../../shared/live-table.ts";
import type { Refusal, RelayRequest, TargetSlot, WorkerEvent } from "../../shared/messages.ts";
import { hasIpTarget, type RelayPlan, type SocketPlan } from "../../shared/plan.ts";
import { RefusalReports } from "../../shared/refusal-reports.ts";
import { Warnings } from "../../shared/warnings.ts";
import type { EngineHost } from "../engine.ts";
import * as listening from "../listening.ts";
import { Arriving } from "./arriving.ts";
import { Connection, type ConnectionOwner, type RelaySocket } from "./connection.ts";
import { keepUrgentInline, type TargetAddress, toTargetAddress } from "./dial.ts";
import { Dialing } from "./dialing.ts";
import { type Mirrors, type MirrorTarget, startMirror } from "./mirror.ts";
import { BunSockets } from "./sockets.ts";

/** What a listener needs of its engine. */
export interface ListenerEngine {
  readonly host: EngineHost;
  readonly live: LiveTable;
  readonly pacer: Pacer;
  readonly mirrors: Mirrors;
  /** Why the process takes no further connection; null: it does. `fd` is the descriptor just accepted. */
  refuses(fd: number): Omit<Refused, "type"> | null;
  addConnection(owner: ConnectionOwner, slot: number): Connection;
  /** The last connection of the listener is over. */
  unused(slot: number): void;
  removeConnection(connection: Connection): void;
  /** Calls `expire` at `deadlineMs` as long as it is not settled. `timeoutMs` is how long that may be. */
  watch(timed: Timed, timeoutMs: number): void;
}

/** A connection that waits for something: its first bytes, or its target. */
export interface Timed {
  readonly deadlineMs: number;
  readonly settled: boolean;
  expire(): void;
  /** It is settled, and not looked at any more. */
  settle?(): void;
}

/** What the runtime may read at once, and so the least that a direction can hold. */
const RUNTIME_READ_BYTES = 512 * 1024;

export class BunListener implements ConnectionOwner {
  readonly plan: RelayPlan;
  readonly counters: CounterWriter;
  readonly live: LiveTable;
  readonly idleMs: number;
  readonly lifetimeMs: number;
  readonly pace: Pace | null;
  readonly fastopen: boolean;
  readonly #engine: ListenerEngine;
  readonly #slot: number;
  #connections = 0;
  readonly #active: Int32Array;
  readonly #refusals: RefusalReports;
  readonly #warnings: Warnings;
  readonly #isUnix: boolean;
  /** Set on each TCP socket towards the target before it is connected; Linux only. */
  #targetOptions: readonly OptionCall[] = [];
  readonly #sockets: BunSockets;
  readonly #targets: Targets<TargetAddress>;
  /** Which target is chosen depends on the client. */
  readonly #byClient: boolean;
  readonly #ip = new Uint8Array(IP_BYTES);
  readonly #entrance: Entrance | null;
  readonly #mirror: MirrorTarget | null;

  constructor(engine: ListenerEngine, request: RelayRequest) {
    this.plan = request.listener;
    this.counters = new CounterWriter(request.counters);
    this.live = engine.live;
    this.idleMs = this.plan.timeouts.idleMs;
    this.lifetimeMs = this.plan.timeouts.lifetimeMs;
    this.pace = engine.pacer.add(this.plan.limits, request.bandwidth);
    this.fastopen = this.plan.socket.fastopen && process.platform === "linux";
    this.#engine = engine;
    this.#slot = request.slot;
    this.#active = new Int32Array(request.active);
    this.#byClient = this.plan.groups.some(({ balance }) => balance === "source_hash");
    this.#targets = this.#makeTargets(request);
    this.#entrance = Entrance.of(request);
    this.#isUnix = this.plan.listen.kind === "unix";
    this.#mirror = this.#makeMirror(request);
    const emit = (event: WorkerEvent): void => engine.host.emit(event);
    this.#refusals = new RefusalReports(this.plan.key, emit);
    this.#warnings = new Warnings(this.plan.key, emit);
    this.#sockets = new BunSockets({
      accepted: (socket) => this.#accept(socket),
      listens: (fd) => {
        if (this.#isUnix) return;
        this.#setOptions(fd, "listener");
        keepUrgentInline(fd); // accepted sockets inherit it
      },
    });
  }

  #makeTargets(request: RelayRequest): Targets<TargetAddress> {
    const { emit, index: skip } = this.#engine.host;
    const options = { prepare: toTargetAddress, emit, random: Math.random, skip };
    return new Targets<TargetAddress>(request, options, monotonicMs());
  }

  #makeMirror({ listener, mirror: addresses }: RelayRequest): MirrorTarget | null {
    if (listener.mirror === null) return null;
    const { timeouts, buffers, socket } = listener;
    // Its bytes are there when it connects or later: Fast Open would only put the handshake off.
    const { calls } = compileSocketOptions({ ...socket, fastopen: false }, "target");
    return {
      counters: this.counters,
      connectMs: timeouts.connectMs,
      queueBytes: Math.max(buffers.highWatermarkBytes, RUNTIME_READ_BYTES),
      prepare: (fd) => void applySocketOptions(fd, calls),
      addresses: addresses.map(toTargetAddress),
      at: 0,
      warn: (message) => this.#warnings.add([message]),
    };
  }

  setMirror(addresses: readonly SocketAddress[]): void {
    if (this.#mirror !== null) this.#mirror.addresses = addresses.map(toTargetAddress);
  }

  /** Whom a target is chosen for; null where it makes no difference. */
  clientIp({ row }: Connection): Uint8Array | null {
    return this.#byClient && this.live.copyClientIp(row, this.#ip) ? this.#ip : null;
  }

  /** @throws ProxyError ERR_LISTEN; nothing stays bound. */
  open(request: RelayRequest): { bound: SocketAddress[]; fds: number[] } {
    try {
      const bound = this.#sockets.open(request);
      const fds = listening.isKept(request) ? this.#sockets.duplicates() : [];
      this.#compileOptions();
      this.#warnOfWatermark();
      return { bound, fds };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Takes clients, if it was opened quietly. */
  accept(): void {
    try {
      this.#sockets.accept();
    } catch (error) {
      this.#warnings.add([messageOf(error)]);
    }
  }

  duplicates(): number[] {
    return this.#sockets.duplicates();
  }

  #compileOptions(): void {
    const { socket } = this.plan;
    const ofTarget = hasIpTarget(this.plan) ? socket : {};
    const { calls, lacking } = compileSocketOptions(ofTarget, "target");
    this.#targetOptions = calls;
    const cut = cutBuffers(this.#isUnix ? ofTarget : socket);
    this.#warnings.add([...lacking, ...cut]);
  }

  #warnOfWatermark(): void {
    const { highWatermarkBytes } = this.plan.buffers;
    if (highWatermarkBytes >= RUNTIME_READ_BYTES) return;
    const reads = `the bun engine reads up to ${RUNTIME_READ_BYTES} bytes at once`;
    this.#warnings.add([`high_watermark ${highWatermarkBytes} is exceeded: ${reads}`]);
  }

  setTargets(targets: readonly TargetSlot[]): void {
    this.#targets.update(targets, monotonicMs());
  }

  close(): void {
    this.#sockets.close();
    this.#refusals.close();
  }

  /** Sets the plan's socket options; what cannot be had is a warning, once for each option. */
  #setOptions(
    fd: number,
    role: "listener" | "accepted" | "target",
    only?: Partial<SocketPlan>,
  ): void {
    this.#warnings.add(setSocketOptions(fd, only ?? this.plan.socket, role));
  }

  /** On a TCP socket that is about to be connected to the target; Linux only. */
  prepareTarget(fd: number): void {
    this.#warnings.add(applySocketOptions(fd, this.#targetOptions));
    keepUrgentInline(fd);
  }

  #accept(socket: RelaySocket): void {
    const entrance = this.#entrance;
    const ip = entrance === null ? null : this.#peerOf(socket);
    const refusal = entrance?.admit(ip, sharedMs()) ?? null;
    if (refusal !== null) return this.#turnAway(socket, refusal.reason, refusal.detail);
    const full = this.#engine.refuses(fdOf(socket));
    if (full !== null) return this.#turnAway(socket, full.reason, full.detail);
    if (!this.#count(socket, ip)) return;
    const reads = entrance?.reads === true;
    if (!reads) socket.pause();
    this.#setAcceptedOptions(socket);
    this.counters.accepted();
    const connection = this.#engine.addConnection(this, this.#slot);
    this.#connections++;
    connection.client.socket = socket;
    socket.data = connection.client;
    this.#noteClient(connection, socket);
    if (entrance?.countsPeers === true) this.live.setCounted(connection.row, true);
    if (reads) this.#read(connection, entrance.arrive(ip, monotonicMs()));
    else this.choose(connection, 0);
  }

  /** @returns false if there is no room for the client, which is turned away. */
  #count(socket: RelaySocket, ip: Uint8Array | null): boolean {
    const { maxConnections } = this.plan.limits;
    const active = Atomics.add(this.#active, 0, 1) + 1;
    const isOver = maxConnections > 0 && active > maxConnections;
    const counts = this.#entrance?.countsPeers === true && ip !== null && !isOver;
    const refusal = counts ? this.#entrance.enter(ip) : null;
    if (!isOver && refusal === null) return true;
    Atomics.sub(this.#active, 0, 1);
    this.#turnAway(socket, refusal?.reason ?? "max_connections", refusal?.detail);
    return false;
  }

  /** 16 bytes; null for a unix socket's client. */
  #peerOf(socket: RelaySocket): Uint8Array | null {
    return this.#isUnix ? null : parseIp(socket.remoteAddress);
  }

  /** The client's first bytes are read before its target is chosen. */
  #read(connection: Connection, arrival: Arrival): void {
    const arriving = new Arriving(this, connection, arrival);
    const { proxyHeaderMs, clientHelloMs } = this.plan.timeouts;
    const { accept } = this.plan.proxyProtocol;
    const own = this.plan.routes.length > 0 ? clientHelloMs : Infinity;
    this.#engine.watch(arriving, accept === "off" ? own : Math.min(proxyHeaderMs, own));
  }

  /** See ArrivingListener. */
  introduced({ row }: Connection, arrival: Arrival): void {
    const source = arrival.endpoints?.source;
    if (source?.kind === "ip") this.live.setClientIp(row, source.ip, source.port);
    this.live.setCounted(row, arrival.counted);
  }

  /** A target of this group is sought for a client that is paused. */
  choose(connection: Connection, group: number): void {
    const tries = this.#targets.begin(group);
    const { left } = tries;
    if (left === 0) this.lacks(connection, tries);
    else {
      const { connectMs } = this.plan.timeouts;
      this.#engine.watch(new Dialing(this, connection, tries), connectMs / left);
    }
  }

  /** There is no target to try. */
  lacks(connection: Connection, tries: Attempt<TargetAddress>): void {
    const { reason, detail } = tries.lackAt(monotonicMs());
    this.refuse(connection, reason, detail, reason);
  }

  #turnAway(socket: RelaySocket, reason: Refusal, detail = ""): void {
    this.counters.refused(reason); // first, so that a client that was told finds it counted
    this.#refusals.add(reason, detail);
    socket.terminate();
  }

  /** Resets a client that was accepted but whose target cannot be had. */
  refuse(connection: Connection, reason: Refusal, detail: string, cause: string): void {
    if (connection.over) return;
    this.counters.refused(reason);
    this.#refusals.add(reason, detail);
    connection.abort(cause);
  }

  /** Linux's sockets inherit their listener's options, but the runtime turns TCP_NODELAY on, and quickack is not kept. */
  #setAcceptedOptions(socket: RelaySocket): void {
    if (this.#isUnix) return;
    const { plan } = this;
    if (process.platform !== "linux") this.#setRuntimeOptions(socket, "accepted");
    else if (plan.socket.quickack) {
      this.#setOptions(fdOf(socket), "accepted", { quickack: true });
    }
    if (!plan.socket.nodelay) socket.setNoDelay(false);
  }

  /** On Linux everything was set before connect(2), but the runtime turned TCP_NODELAY on since. */
  #setTargetOptions(socket: RelaySocket, target: TargetAddress): void {
    if (target.address.kind === "unix") return;
    if (process.platform !== "linux") this.#setRuntimeOptions(socket, "target");
    if (!this.plan.socket.nodelay) socket.setNoDelay(false);
  }

  /** Options on a socket that the runtime made, through descriptors where it shows them and its own calls elsewhere. */
  #setRuntimeOptions(socket: RelaySocket, role: "accepted" | "target"): void {
    this.#setOptions(fdOf(socket), role);
    const { nodelay, keepaliveSeconds } = this.plan.socket;
    if (nodelay) socket.setNoDelay(true);
    if (keepaliveSeconds > 0 && process.platform === "win32") {
      socket.setKeepAlive(true, keepaliveSeconds * 1000);
    }
  }

  #noteClient(connection: Connection, socket: RelaySocket): void {
    const { live } = this;
    const text = socket.remoteAddress as string | undefined;
    if (text === undefined || this.#isUnix) {
      live.setAddress(live.clients, connection.row, FAMILY_UNIX, 0, NO_BYTES);
      return;
    }
    const host = text.replace(V4_MAPPED, "$1");
    const v6 = host.includes(":");
    const bytes = v6 ? parseIPv6(host) : Uint8Array.from(host.split("."), Number);
    const family = v6 ? FAMILY_IPV6 : FAMILY_IPV4;
    live.setAddress(live.clients, connection.row, family, socket.remotePort, bytes);
  }

  /** The target is reached: bytes may flow. */
  forward(connection: Connection, target: TargetAddress): void {
    const { live } = this;
    connection.connected = true;
    connection.target.attempt = null;
    this.pace?.begin(connection.row);
    if (this.#mirror !== null) {
      connection.mirror = startMirror(this.#mirror, this.#engine.mirrors, connection);
    }
    this.#setTargetOptions(connection.target.socket!, target);
    live.setAddress(live.targets, connection.row, target.family, target.port, target.bytes);
    live.activeMs[connection.row] = monotonicMs();
    this.counters.connected(connection.slot);
    if (this.#engine.host.traceConnections) this.#trace(connection, "open", "");
    if (this.plan.proxyProtocol.send !== "off") connection.target.greet(this.#header(connection));
    connection.arrival = null;
    connection.target.start();
    if (this.plan.socket.fastopen && target.address.kind === "ip") this.#startFastOpen(connection);
  }

  /** What the target is sent first. */
  #header({ row, client, arrival }: Connection): Uint8Array {
    const into = new Uint8Array(FIRST_BYTES.proxyHeaderMaxBytes);
    const version = this.plan.proxyProtocol.send === "v1" ? 1 : 2;
    const endpoints = arrival?.endpoints ?? this.#endpoints(row, client.socket);
    const length = encodeProxyHeader(into, version, endpoints, arrival?.extras);
    return into.subarray(0, length);
  }

  /** What the client's socket itself says. */
  #endpoints(row: number, socket: RelaySocket | null): Endpoints {
    const { live } = this;
    const local = this.#isUnix ? null : parseIp(socket?.localAddress ?? "");
    if (local === null || !live.copyClientIp(row, this.#ip)) {
      return { source: UNIX, destination: UNIX };
    }
    return {
      source: { kind: "ip", ip: this.#ip, port: live.clientPort(row) },
      destination: { kind: "ip", ip: local, port: socket?.localPort ?? 0 },
    };
  }

  /** The client's first bytes go with the SYN if they are there; otherwise it must not wait for them. */
  #startFastOpen({ client, target }: Connection): void {
    if (process.platform !== "linux" || client.socket === null || target.socket === null) return;
    if (!hasBytes(fdOf(client.socket))) sendWaitingSyn(fdOf(target.socket));
  }

  ended(connection: Connection, reason: string): void {
    connection.mirror?.connectionEnded();
    if (reason.startsWith("E")) this.counters.error(reason);
    if (connection.connected) {
      this.counters.closed(connection.slot);
      connection.dialing?.end(this.live.bytesDown[connection.row]! > 0);
      this.#targets.leave(connection.slot);
    } else {
      connection.dialing?.abandon();
      this.counters.closedUnconnected();
    }
    Atomics.sub(this.#active, 0, 1);
    this.#countOut(connection.row);
    if (this.#engine.host.traceConnections) this.#trace(connection, "close", reason);
    this.#engine.removeConnection(connection);
    if (--this.#connections === 0) this.#engine.unused(this.#slot);
  }

  /** limits.max_per_ip: the client has one connection less. */
  #countOut(row: number): void {
    const { live } = this;
    if (!live.isCounted(row)) return;
    live.setCounted(row, false);
    if (live.copyClientIp(row, this.#ip)) this.#entrance?.leave(this.#ip);
  }

  #trace(connection: Connection, phase: "open" | "close", reason: string): void {
    const row = this.live.at(connection.row);
    if (row === null) return;
    const { id, client, target, startedMs, bytesUp, bytesDown } = row;
    const unix = target === "unix:"; // a connected socket tells no path
    this.#engine.host.emit({
      type: "connection",
      key: this.plan.key,
      id,
      phase,
      client,
      target: unix ? (this.#targets.nameOf(connection.slot) ?? target) : target,
      durationMs: Math.round(monotonicMs() - startedMs),
      bytesUp,
      bytesDown,
      reason,
    });
  }
}

/** The runtime's typings leave it out. */
function fdOf(socket: RelaySocket): number {
  return (socket as { fd?: number }).fd ?? -1;
}

const UNIX: Peer = { kind: "unix", path: "" };
const NO_BYTES = new Uint8Array();
/** How an IPv4 client shows on a listener of both families (RFC 4291 section 2.5.5.2). */
const V4_MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;
