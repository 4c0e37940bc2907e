// A UDP listener of this worker: its sessions, one for each client's address at one of its sockets, and who gets one. Those of a
// listener that this one replaces go on as they began: they move to its sockets, and stay that listener's in all that is counted.
// Invariant: the shared count of active sessions is right, and a client without a session costs no memory. Created by
// src/gateway.ts.

import type { Entrance } from "../../l4/entrance.ts";
import type { Targets } from "../../l4/targets.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { CounterWriter } from "../../shared/counters.ts";
import { parseIp } from "../../shared/ip.ts";
import { UDP } from "../../shared/limits.ts";
import type { LiveTable } from "../../shared/live-table.ts";
import type { OpenRequest, Refusal, TargetSlot } from "../../shared/messages.ts";
import type { UdpPlan } from "../../shared/plan.ts";
import { RefusalReports } from "../../shared/refusal-reports.ts";
import { entranceOf } from "../admission.ts";
import type { Backlog } from "../datagrams/outbox.ts";
import { DatagramSockets } from "../datagrams/sockets.ts";
import type { GatewayHost, GatewayListener } from "../host.ts";
import { Session, type SessionOwner, type SessionReader, type UdpSocket } from "./session.ts";
import { type Destination, makeTargets } from "./targets.ts";

/** Of the plan's groups: routes are for streams. */
const FIRST_GROUP = 0;

export class UdpListener implements GatewayListener, SessionOwner {
  readonly counters: CounterWriter;
  readonly live: LiveTable;
  readonly key: string;
  readonly sockets: DatagramSockets<UdpSocket["clients"]>;
  readonly #host: GatewayHost;
  readonly #request: OpenRequest<UdpPlan>;
  readonly #targets: Targets<Destination>;
  readonly #active: Int32Array;
  readonly #entrance: Entrance | null;
  readonly #refusals: RefusalReports;
  /** That began here, wherever they are now. */
  #sessions = 0;
  #closing = false;

  constructor(host: GatewayHost, request: OpenRequest<UdpPlan>, backlog: Backlog) {
    const { listener: plan } = request;
    this.counters = new CounterWriter(request.counters);
    this.live = host.rows.table;
    this.#host = host;
    this.key = plan.key;
    this.#request = request;
    this.#targets = makeTargets(host, request);
    this.#active = new Int32Array(request.active);
    this.#entrance = entranceOf(request);
    this.#refusals = new RefusalReports(plan.key, (event) => host.emit(event));
    this.sockets = new DatagramSockets(host, request, backlog, this.counters, {
      noClients: () => new Map(),
      received: (local, data, port, address) => this.#receive(local, data, port, address),
      succeeded: (local, before) => this.#succeed(local, before),
    });
  }

  get over(): boolean {
    return this.#closing && this.#sessions === 0 && this.#isEmpty;
  }

  get idleMs(): number {
    return this.#request.listener.timeouts.idleMs;
  }

  /** Nobody's session is at its sockets. */
  get #isEmpty(): boolean {
    return this.sockets.locals.every(({ clients }) => clients.size === 0);
  }

  #succeed(local: UdpSocket, before: UdpSocket): void {
    const readers = new Set<SessionReader>();
    for (const [client, session] of before.clients) {
      // One may have begun already: both were read for a moment.
      if (local.clients.has(client)) continue;
      before.clients.delete(client);
      local.clients.set(client, session);
      session.client.local = local;
      readers.add(session.reader);
      session.reader = this;
      this.#host.needSweep(session.idleMs);
    }
    // One that was removed before has waited for them.
    for (const reader of readers) reader.left();
  }

  setTargets(targets: readonly TargetSlot[]): void {
    this.#targets.update(targets, monotonicMs());
  }

  /** The sockets stay as long as there are sessions: these get their answers through them. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.sockets.drain();
    this.#refusals.close();
    if (this.#isEmpty) this.sockets.close();
    else this.#host.needSweep(Math.min(UDP.drainQuietMs, this.idleMs));
  }

  /** A listener that closes does not wait for the idle timeout: UDP never says that it is done, but rest says it well enough. */
  sweep(nowMs: number): boolean {
    this.sockets.countLost();
    for (const { clients } of this.sockets.locals) {
      for (const session of clients.values()) {
        const { idleMs } = session;
        const restMs = this.#closing ? Math.min(UDP.drainQuietMs, idleMs) : idleMs;
        if (nowMs - this.live.activeMs[session.row]! >= restMs) session.end("idle");
      }
    }
    return this.#sessions > 0 || !this.#isEmpty;
  }

  end(): void {
    this.close();
    for (const { clients } of this.sockets.locals) {
      for (const session of clients.values()) session.reset();
    }
    this.sockets.close();
  }

  #receive(local: UdpSocket, data: Uint8Array, port: number, address: string): void {
    const session = local.clients.get(`${address} ${port}`) ?? this.#begin(local, port, address);
    session?.forward(data);
  }

  #begin(local: UdpSocket, port: number, address: string): Session | null {
    // RFC 768: port 0 means that the sender wants no answer, and none could be sent.
    if (this.#closing || port === 0) return null;
    // What turns a flood away comes first, and costs next to nothing.
    if (this.#host.rows.full) return this.#turnAway("table_full");
    const ip = parseIp(address);
    if (ip === null) return this.#turnAway("no_address", `${address} is no address`);
    const { limits, timeouts } = this.#request.listener;
    const refusal = this.#entrance?.admit(ip, this.#host.sharedMs()) ?? null;
    if (refusal !== null) return this.#turnAway(refusal.reason, refusal.detail);
    const { strain } = this.#host;
    if (strain.sheds()) return this.#turnAway("overload", strain.reason);
    const active = Atomics.add(this.#active, 0, 1) + 1;
    if (limits.maxConnections > 0 && active > limits.maxConnections) {
      Atomics.sub(this.#active, 0, 1);
      return this.#turnAway("max_connections");
    }
    const tooMany = this.#entrance?.enter(ip) ?? null;
    if (tooMany !== null) {
      Atomics.sub(this.#active, 0, 1);
      return this.#turnAway(tooMany.reason, tooMany.detail);
    }
    const attempt = this.#targets.begin(FIRST_GROUP);
    const now = monotonicMs();
    const target = attempt.next(ip, now);
    if (target === undefined) {
      Atomics.sub(this.#active, 0, 1);
      this.#entrance?.leave(ip);
      const { reason, detail } = attempt.lackAt(now);
      return this.#turnAway(reason, detail);
    }
    this.counters.accepted();
    const client = { ip, port, address, local };
    const session = new Session(this, client, attempt, target, (resident) =>
      this.#host.rows.open(resident, this.#request.slot, client, target.socket),
    );
    this.live.setCounted(session.row, this.#entrance?.countsPeers === true);
    local.clients.set(`${address} ${port}`, session);
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
    this.sockets.setBuffers(fd);
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
    local.clients.delete(`${address} ${port}`);
    this.#host.rows.close(session.row);
    this.#sessions--;
  }

  left(): void {
    if (this.#closing && this.#isEmpty) this.sockets.close();
  }

  countLost(fd: number): void {
    const lost = this.#host.lostDatagrams(fd);
    if (lost > 0) this.counters.dropped("receive_full", lost);
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
