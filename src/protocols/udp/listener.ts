// A UDP listener of this worker: its sockets and its sessions, one for each client's address, and who gets one. Invariant: the
// shared count of active sessions is right, and a client without a session costs no memory. Created by src/gateway.ts.

import { closeSync } from "node:fs";

import type { Entrance } from "../../l4/entrance.ts";
import type { Targets } from "../../l4/targets.ts";
import type { SocketAddress } from "../../shared/address.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { CounterWriter } from "../../shared/counters.ts";
import { errnoOf, messageOf, ProxyError } from "../../shared/errors.ts";
import { parseIp } from "../../shared/ip.ts";
import { UDP } from "../../shared/limits.ts";
import type { LiveTable } from "../../shared/live-table.ts";
import type { OpenRequest, Refusal, TargetSlot } from "../../shared/messages.ts";
import type { UdpPlan } from "../../shared/plan.ts";
import { RefusalReports } from "../../shared/refusal-reports.ts";
import { entranceOf } from "../admission.ts";
import type { GatewayHost, GatewayListener } from "../host.ts";
import {
  type Adopt,
  bindAll,
  bindBeside,
  bindEach,
  type Handlers,
  type LocalSocket,
  machineAddresses,
  sharesPort,
  takeOver,
} from "./bind.ts";
import { type Backlog, Flusher, Outbox } from "./outbox.ts";
import { errorIn, Session, type SessionOwner } from "./session.ts";
import { type Destination, makeTargets } from "./targets.ts";

/** Of the plan's groups: routes are for streams. */
const FIRST_GROUP = 0;

export class UdpListener implements GatewayListener, SessionOwner {
  readonly counters: CounterWriter;
  readonly live: LiveTable;
  readonly flusher = new Flusher();
  readonly backlog: Backlog;
  readonly #host: GatewayHost;
  readonly #request: OpenRequest<UdpPlan>;
  readonly #targets: Targets<Destination>;
  readonly #active: Int32Array;
  readonly #entrance: Entrance | null;
  readonly #refusals: RefusalReports;
  readonly #adopt: Adopt = (host, make) => this.#adoptSocket(host, make);
  readonly #warned = new Set<string>();
  #locals: LocalSocket[] = [];
  /** Sockets that are another process's to read until `accept`, and the addresses that they and others beside them serve. */
  #waiting: { bound: readonly SocketAddress[]; fds: readonly number[] } | undefined;
  #sessions = 0;
  #closing = false;
  #ended = false;
  #rescan: ReturnType<typeof setInterval> | undefined;

  constructor(host: GatewayHost, request: OpenRequest<UdpPlan>, backlog: Backlog) {
    const { listener: plan } = request;
    this.counters = new CounterWriter(request.counters);
    this.live = host.rows.table;
    this.backlog = backlog;
    this.#host = host;
    this.#request = request;
    this.#targets = makeTargets(host, request);
    this.#active = new Int32Array(request.active);
    this.#entrance = entranceOf(request);
    this.#refusals = new RefusalReports(plan.key, (event) => host.emit(event));
  }

  get over(): boolean {
    return this.#closing && this.#sessions === 0;
  }

  async open(): Promise<SocketAddress[]> {
    const { inherited, quiet, exclusive } = this.#request;
    try {
      // Sockets beside those of the process that is being replaced would take a part of its clients.
      const waits = inherited.flat().length > 0 || (quiet && !exclusive);
      const bound = waits ? this.#inherit() : await bindAll(this.#request, this.#adopt);
      if (!waits) this.#watchAddresses(bound);
      else if (!quiet) await this.#take();
      return bound;
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** Notes what there is to take, and where it is bound. */
  #inherit(): SocketAddress[] {
    const { binds, inherited } = this.#request;
    const bound = binds.map((bind, i): SocketAddress => {
      const [first] = inherited[i] ?? [];
      const port = first === undefined ? 0 : portOf(this.#host.addressOf(first));
      return bind.kind === "ip" && port > 0 ? { ...bind, port } : bind;
    });
    const fds = inherited.flat().map((fd) => this.#host.duplicate(fd));
    this.#waiting = { bound, fds };
    return bound;
  }

  async accept(): Promise<readonly string[]> {
    try {
      await this.#take();
      return [];
    } catch (error) {
      return [messageOf(error)];
    }
  }

  /** Reads from what was inherited, and binds what is missing beside it. @throws ProxyError ERR_LISTEN */
  async #take(): Promise<void> {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    const { bound, fds } = waiting;
    for (const fd of fds) {
      const address = this.#host.addressOf(fd);
      const host = address.kind === "ip" ? address.host : "";
      // Where there is no IPv6, the wildcard is of IPv4, and stands for all the same.
      const wildcard = host === "0.0.0.0" && bound.some((each) => hostOf(each) === "");
      await this.#adoptSocket(wildcard ? "" : host, (handlers) => takeOver(fd, handlers));
    }
    for (const address of bound) {
      const ofPort = this.#locals.filter(({ socket }) => socket?.port === portOf(address));
      const hosts = ofPort.map((local) => local.host);
      await bindBeside(address, hosts, this.#adopt);
    }
    this.#watchAddresses(bound);
  }

  sockets(): readonly number[] {
    const open = this.#locals.flatMap(({ socket }) => (socket === null ? [] : [fdOf(socket)]));
    return open.map((fd) => this.#host.duplicate(fd));
  }

  /** What waits in the sockets is the successor's; the sessions' answers still leave through them. */
  handOn(): void {
    for (const local of this.#locals) {
      if (local.socket === null) continue;
      const sender = this.#host.senderOf(this.#host.duplicate(fdOf(local.socket)));
      local.outbox.flush();
      local.socket.close();
      local.socket = null;
      local.sender = sender;
      local.outbox.attach(sender);
    }
  }

  setTargets(targets: readonly TargetSlot[]): void {
    this.#targets.update(targets, monotonicMs());
  }

  /** The sockets stay as long as there are sessions: these get their answers through them. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    clearInterval(this.#rescan);
    this.#refusals.close();
    if (this.#sessions === 0) this.#release();
    else this.#host.needSweep(Math.min(UDP.drainQuietMs, this.#request.listener.timeouts.idleMs));
  }

  /** A listener that closes does not wait for the idle timeout: UDP never says that it is done, but rest says it well enough. */
  sweep(nowMs: number): boolean {
    const { idleMs } = this.#request.listener.timeouts;
    const restMs = this.#closing ? Math.min(UDP.drainQuietMs, idleMs) : idleMs;
    for (const { sessions } of this.#locals) {
      for (const session of sessions.values()) {
        if (nowMs - this.live.activeMs[session.row]! >= restMs) session.end("idle");
      }
    }
    return this.#sessions > 0;
  }

  end(): void {
    this.#ended = true;
    this.close();
    for (const { sessions } of this.#locals) {
      for (const session of sessions.values()) session.reset();
    }
    this.#release();
  }

  #release(): void {
    for (const { socket, sender, outbox } of this.#locals) {
      outbox.flush();
      outbox.close();
      socket?.close();
      sender?.close();
    }
    this.#locals = [];
    this.#waiting?.fds.forEach((fd) => closeSync(fd));
    this.#waiting = undefined;
  }

  async #adoptSocket(
    host: string,
    make: (handlers: Handlers) => Promise<NonNullable<LocalSocket["socket"]>>,
  ): Promise<void> {
    const outbox = new Outbox(false, this.flusher, this.backlog, {
      dropped: (reason, errno) => {
        this.counters.dropped(reason);
        if (errno !== "") this.counters.error(errno);
      },
    });
    const local: LocalSocket = { host, outbox, sessions: new Map(), socket: null, sender: null };
    const socket = await make({
      data: (_socket, data, port, address) => this.#receive(local, data, port, address),
      drain: () => outbox.resume(),
      // A client that is gone before its answer comes; another's next datagram is not the worse for it.
      error: (...args: unknown[]) => this.counters.error(errnoOf(errorIn(args))),
    });
    if (this.#ended) {
      socket.close();
      throw new ProxyError("ERR_CLOSED", "the worker ended");
    }
    local.socket = socket;
    this.#locals.push(local);
    this.#setBuffers(fdOf(socket));
    outbox.attach(socket);
  }

  #receive(local: LocalSocket, data: Uint8Array, port: number, address: string): void {
    const session = local.sessions.get(`${address} ${port}`) ?? this.#begin(local, port, address);
    session?.forward(data);
  }

  #begin(local: LocalSocket, port: number, address: string): Session | null {
    // RFC 768: port 0 means that the sender wants no answer, and none could be sent.
    if (this.#closing || port === 0) return null;
    // What turns a flood away comes first, and costs next to nothing.
    if (this.#host.rows.full) return this.#turnAway("table_full");
    const ip = parseIp(address);
    const { limits, timeouts } = this.#request.listener;
    const refusal = this.#entrance?.admit(ip, this.#host.sharedMs()) ?? null;
    if (refusal !== null) return this.#turnAway(refusal.reason, refusal.detail);
    const active = Atomics.add(this.#active, 0, 1) + 1;
    if (limits.maxConnections > 0 && active > limits.maxConnections) {
      Atomics.sub(this.#active, 0, 1);
      return this.#turnAway("max_connections");
    }
    const tooMany = ip === null ? null : (this.#entrance?.enter(ip) ?? null);
    if (tooMany !== null) {
      Atomics.sub(this.#active, 0, 1);
      return this.#turnAway(tooMany.reason, tooMany.detail);
    }
    const attempt = this.#targets.begin(FIRST_GROUP);
    const target = attempt.next(ip, monotonicMs());
    if (ip === null || target === undefined) {
      Atomics.sub(this.#active, 0, 1);
      if (ip !== null) this.#entrance?.leave(ip);
      return this.#turnAway("no_address");
    }
    this.counters.accepted();
    const client = { ip, port, address, local };
    const session = new Session(this, client, attempt, target, (resident) =>
      this.#host.rows.open(resident, this.#request.slot, client, target.socket),
    );
    this.live.setCounted(session.row, this.#entrance?.countsPeers === true);
    local.sessions.set(`${address} ${port}`, session);
    this.#sessions++;
    this.#host.needSweep(timeouts.idleMs);
    void session.start();
    return session;
  }

  #turnAway(reason: Refusal, detail = ""): null {
    this.counters.refused(reason);
    this.#refusals.add(reason, detail);
    return null;
  }

  admit(session: Session, fd: number): boolean {
    if (!this.#host.hasRoom(fd)) {
      session.end("EMFILE");
      return false;
    }
    this.#setBuffers(fd);
    this.counters.connected(session.target.slot);
    if (this.#host.traceConnections) this.#trace(session, "open", "");
    return true;
  }

  ended(session: Session, reason: string, detail: string): void {
    const { local, address, port } = session.client;
    const { slot } = session.target;
    if (reason === "EMFILE" || reason === "ENFILE") this.#turnAway("descriptors");
    else if (reason.startsWith("E")) this.#turnAway("target_down", detail);
    if (session.decided) this.#targets.leave(slot);
    if (session.connected) this.counters.closed(slot);
    else this.counters.closedUnconnected();
    if (this.#host.traceConnections) this.#trace(session, "close", reason);
    Atomics.sub(this.#active, 0, 1);
    if (this.live.isCounted(session.row)) {
      this.live.setCounted(session.row, false);
      this.#entrance?.leave(session.client.ip);
    }
    local.sessions.delete(`${address} ${port}`);
    this.#host.rows.close(session.row);
    this.#sessions--;
    if (this.#closing && this.#sessions === 0) this.#release();
  }

  /** What cannot be had is a warning, once for each text. */
  #setBuffers(fd: number): void {
    const { key, socket } = this.#request.listener;
    if (socket.sendBufferBytes === null && socket.receiveBufferBytes === null) return;
    for (const message of this.#host.setBuffers(fd, socket)) {
      if (this.#warned.has(message)) continue;
      this.#warned.add(message);
      this.#host.emit({ type: "warning", key, message });
    }
  }

  /** The machine's addresses come and go. */
  #watchAddresses(bound: readonly SocketAddress[]): void {
    const wildcards = bound.filter((address) => address.kind === "ip" && sharesPort(address.host));
    if (wildcards.length === 0) return;
    this.#rescan = setInterval(() => {
      for (const wildcard of wildcards) {
        if (wildcard.kind === "ip") void this.#followAddresses(wildcard.host, wildcard.port);
      }
    }, UDP.rescanMs);
    this.#rescan.unref();
  }

  async #followAddresses(wildcard: string, port: number): Promise<void> {
    const held = this.#locals.map((local) => local.host);
    const fresh = machineAddresses(wildcard).filter((host) => !held.includes(host));
    try {
      await bindEach(fresh, port, this.#adopt);
    } catch (error) {
      if (!this.#ended) throw error;
    }
  }

  #trace(session: Session, phase: "open" | "close", reason: string): void {
    const row = this.live.at(session.row);
    if (row === null) return;
    const { id, client, target, startedMs, bytesUp, bytesDown } = row;
    const durationMs = Math.round(monotonicMs() - startedMs);
    const { key } = this.#request.listener;
    const ends = { client, target, durationMs, bytesUp, bytesDown, reason };
    this.#host.emit({ type: "connection", key, id, phase, ...ends });
  }
}

/** The typings leave it out. */
function fdOf(socket: object): number {
  return (socket as { fd?: number }).fd ?? -1;
}

function portOf(address: SocketAddress): number {
  return address.kind === "ip" ? address.port : 0;
}

function hostOf(address: SocketAddress): string {
  return address.kind === "ip" ? address.host : "";
}
