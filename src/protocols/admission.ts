// Who may enter a listener of streams, and what is kept of a client while it is in: its row in the table of live connections, its
// part of the limits, its line in the log. Decisions are l4/entrance.ts's, as in the engines. Called by the listeners of tls and
// http, within onAccept of their wires: nothing of the client has been read then.
//
//   enter ─▶ deny, allow, accept_rate ─▶ overload ─▶ room in the table, descriptors ─▶ max_connections ─▶ max_per_ip ─▶ Visit
//
// Behind proxies that send a PROXY header, `enter` is about the proxy, and `introduction` about the client that it names.
//
// Invariant: whoever `enter` returned a visit for is counted once, until `leave`.

import { type Arrival, Entrance } from "../l4/entrance.ts";
import type { Pace } from "../l4/pacer.ts";
import type { Endpoints } from "../l4/peer.ts";
import { monotonicMs } from "../shared/clock.ts";
import { CounterWriter } from "../shared/counters.ts";
import type { AcceptProxyPlan } from "../shared/http-plan.ts";
import { FAMILY_UNIX } from "../shared/live-table.ts";
import type { OpenRequest, Refusal } from "../shared/messages.ts";
import {
  type AccessPlan,
  ENTRANCE_DEFAULTS,
  type LimitsPlan,
  type ListenerPlan,
} from "../shared/plan.ts";
import { RefusalReports } from "../shared/refusal-reports.ts";
import type { GatewayHost } from "./host.ts";
import { HeaderIntroduction } from "./introduction.ts";
import type { Peer, Resident } from "./live-rows.ts";
import type { Introduction } from "./wire/introductions.ts";
import type { Introduce } from "./wire/open.ts";
import type { Watermarks, Wire, WireTls } from "./wire/wire.ts";

/** What it needs of a listener's request. */
export type AdmissionRequest = Pick<
  OpenRequest,
  "slot" | "counters" | "active" | "clients" | "accepts" | "bandwidth"
> & {
  readonly listener: Pick<ListenerPlan, "key" | "listen"> & {
    readonly access: AccessPlan;
    readonly limits: Pick<LimitsPlan, "maxConnections" | "maxPerIp" | "acceptRate"> &
      Partial<LimitsPlan>;
    readonly proxyProtocol?: AcceptProxyPlan;
    readonly timeouts: { readonly idleMs: number; readonly proxyHeaderMs?: number };
  };
};

type EntranceSource = Pick<OpenRequest, "clients" | "accepts"> & {
  readonly listener: Pick<ListenerPlan, "listen"> & {
    readonly access: AccessPlan;
    readonly limits: Pick<LimitsPlan, "maxPerIp" | "acceptRate">;
    readonly proxyProtocol?: AcceptProxyPlan;
    readonly timeouts: { readonly idleMs: number; readonly proxyHeaderMs?: number };
  };
};

/** One client that was let in. */
export class Visit implements Resident {
  /** Who connected; once it was introduced, whom the header names. */
  client: Peer;
  /** Of `client`; null if it has none, on a unix socket. */
  ip: Uint8Array | null;
  /** As the header says; null if it does not, or there is none. */
  endpoints: Endpoints | null = null;
  /** While its header is being read. */
  arrival: Arrival | null = null;
  readonly row: number;
  /** Whom `disconnect` resets: set once there is a wire. */
  resident: Resident | null = null;

  /** @param openRow gives it its row. */
  constructor(client: Peer, ip: Uint8Array | null, openRow: (visit: Visit) => number) {
    this.client = client;
    this.ip = ip;
    this.row = openRow(this);
  }

  get targetSlot(): number {
    return this.resident?.targetSlot ?? -1;
  }

  reset(): void {
    this.resident?.reset();
  }
}

/** No target yet, or none for the whole connection. */
const NOBODY: Peer = { ip: new Uint8Array(0), port: 0 };
const OFF = "off" as const;

/** What a listener asks of its clients before it reads anything; null: nothing. */
export function entranceOf({ listener, clients, accepts }: EntranceSource): Entrance | null {
  const { listen, access, limits, timeouts } = listener;
  const { proxyHeaderMs = 0 } = timeouts;
  const asked = {
    ...ENTRANCE_DEFAULTS,
    listen,
    access,
    limits,
    ...(listener.proxyProtocol && { proxyProtocol: { ...listener.proxyProtocol, send: OFF } }),
    timeouts: { proxyHeaderMs, clientHelloMs: 0 },
  };
  return Entrance.of({ listener: asked, clients, accepts });
}

export class Admission {
  readonly counters: CounterWriter;
  readonly #host: GatewayHost;
  readonly #request: AdmissionRequest;
  readonly #isUnix: boolean;
  readonly #active: Int32Array;
  readonly #entrance: Entrance | null;
  readonly #refusals: RefusalReports;
  /** null: no limit of bandwidth. */
  readonly #pace: Pace | null;
  #visits = 0;
  #closed = false;

  constructor(host: GatewayHost, request: AdmissionRequest) {
    const { key, listen } = request.listener;
    this.counters = new CounterWriter(request.counters);
    this.#host = host;
    this.#request = request;
    this.#isUnix = listen.kind === "unix";
    this.#active = new Int32Array(request.active);
    this.#entrance = entranceOf(request);
    this.#pace = host.bandwidth.of(request.listener.limits, request.bandwidth);
    this.#refusals = new RefusalReports(key, (event) => host.emit(event));
  }

  /** Clients that are in. */
  get visits(): number {
    return this.#visits;
  }

  /**
   * @param client all zero on a unix socket.
   * @param fd just accepted.
   * @param asksLater what it asks is judged by itself, and can be answered: overload alone does not turn it away yet.
   * @returns null for a client that is turned away, which is counted and reported.
   */
  enter(client: Peer, fd: number, asksLater = false): Visit | null {
    const ip = this.#isUnix ? null : client.ip;
    const { rows, strain } = this.#host;
    const refusal = this.#entrance?.admit(ip, this.#host.sharedMs()) ?? null;
    if (refusal !== null) return this.#turnAway(refusal.reason, refusal.detail);
    const sheds = asksLater ? strain.shedsClient() : strain.sheds();
    if (sheds) return this.#turnAway("overload", strain.reason);
    if (rows.full || !this.#host.hasRoom(fd)) return this.#turnAway("table_full", "");
    if (!this.#count(ip)) return null;
    this.counters.accepted();
    this.#visits++;
    const { slot } = this.#request;
    const visit = new Visit(client, ip, (resident) => rows.open(resident, slot, client, NOBODY));
    const { table } = rows;
    if (ip === null) table.setAddress(table.clients, visit.row, FAMILY_UNIX, 0, NOBODY.ip);
    table.setCounted(visit.row, this.#countsPeers && ip !== null);
    if (this.#entrance?.reads) visit.arrival = this.#entrance.arrive(ip, monotonicMs());
    return visit;
  }

  /** The client's wire as its owner is to see it. */
  paced(wire: Wire, { row }: Visit, marks: Watermarks): Wire {
    const pace = this.#pace;
    return pace === null ? wire : this.#host.bandwidth.paced(wire, row, pace, marks);
  }

  /** null: clients begin with no PROXY header. */
  get introduce(): Introduce<Visit> | null {
    if (this.#entrance?.reads !== true) return null;
    const { proxyHeaderMs: waitMs = 0 } = this.#request.listener.timeouts;
    return { waitMs, of: (visit) => this.#introduction(visit) };
  }

  #introduction(visit: Visit): Introduction {
    return new HeaderIntroduction(visit.arrival!, {
      introduced: (arrival) => this.#introduced(visit, arrival),
      refused: ({ reason, detail }) => this.refuse(reason, detail),
    });
  }

  #introduced(visit: Visit, { endpoints, counted }: Arrival): Peer {
    const { rows } = this.#host;
    const source = endpoints?.source;
    if (source?.kind === "ip") {
      visit.client = { ip: source.ip, port: source.port };
      visit.ip = source.ip;
      rows.setClient(visit.row, visit.client);
    }
    visit.endpoints = endpoints;
    visit.arrival = null;
    rows.table.setCounted(visit.row, counted && visit.ip !== null);
    return visit.client;
  }

  get #countsPeers(): boolean {
    return this.#entrance?.countsPeers === true;
  }

  /** @returns false if there is no room for the client, which is turned away. */
  #count(ip: Uint8Array | null): boolean {
    const { maxConnections } = this.#request.listener.limits;
    const active = Atomics.add(this.#active, 0, 1) + 1;
    const isOver = maxConnections > 0 && active > maxConnections;
    const counts = this.#countsPeers && ip !== null && !isOver;
    const refusal = counts ? this.#entrance!.enter(ip) : null;
    if (!isOver && refusal === null) return true;
    Atomics.sub(this.#active, 0, 1);
    this.#turnAway(refusal?.reason ?? "max_connections", refusal?.detail ?? "");
    return false;
  }

  #turnAway(reason: Refusal, detail: string): null {
    this.refuse(reason, detail);
    return null;
  }

  /** Counts and reports a refusal, also of a client that is in, and does not end its visit. */
  refuse(reason: Refusal, detail: string): void {
    this.counters.refused(reason);
    this.#refusals.add(reason, detail);
  }

  /** The client's connection leads to this target alone, and is connected. @param target null: a unix socket. */
  connected(visit: Visit, slot: number, target: Peer | null): void {
    const { rows } = this.#host;
    rows.setTarget(visit.row, target);
    rows.table.activeMs[visit.row] = monotonicMs();
    this.counters.connected(slot);
    this.trace(visit, "open", "");
  }

  /** @param tls what the client's handshake agreed upon; null in clear. */
  agreed(tls: WireTls | null): void {
    if (tls !== null) this.counters.agreed(tls.version, tls.resumed);
  }

  /**
   * A further stream of a client that is in, with a row of its own.
   * @returns null: there is no room, which is counted and reported.
   */
  enterStream({ client, ip }: Visit): Visit | null {
    const { rows, strain } = this.#host;
    if (strain.sheds()) return this.#turnAway("overload", strain.reason);
    if (rows.full) return this.#turnAway("table_full", "");
    const { slot } = this.#request;
    return new Visit(client, ip, (resident) => rows.open(resident, slot, client, NOBODY));
  }

  /** As `leave`, of a visit that `enterStream` returned. */
  leaveStream(visit: Visit, slot: number, reason: string): void {
    if (reason.startsWith("E")) this.counters.error(reason);
    if (slot >= 0) this.counters.disconnected(slot);
    this.trace(visit, "close", reason);
    this.#host.rows.close(visit.row);
  }

  /**
   * The client is gone, or was refused after it had been let in. Called once.
   * @param slot of the target that `connected` named; -1: none.
   * @param reason `end`, `reset`, `idle`, `lifetime`, or an errno's name, which is counted.
   */
  leave(visit: Visit, slot: number, reason: string): void {
    const { rows } = this.#host;
    const { table } = rows;
    if (reason.startsWith("E")) this.counters.error(reason);
    if (slot >= 0) this.counters.closed(slot);
    else this.counters.closedUnconnected();
    Atomics.sub(this.#active, 0, 1);
    if (table.isCounted(visit.row)) {
      table.setCounted(visit.row, false);
      this.#entrance?.leave(visit.ip!);
    }
    this.trace(visit, "close", reason);
    rows.close(visit.row);
    this.#visits--;
    this.#forget();
  }

  /** Its share of the bandwidth is nobody's any more. */
  #forget(): void {
    if (this.#closed && this.#visits === 0) this.#host.bandwidth.forget(this.#pace);
  }

  /** For the log of level debug. */
  trace(visit: Visit, phase: "open" | "close", reason: string): void {
    if (!this.#host.traceConnections) return;
    const row = this.#host.rows.table.at(visit.row);
    if (row === null) return;
    const { id, client, target, startedMs, bytesUp, bytesDown } = row;
    const durationMs = Math.round(monotonicMs() - startedMs);
    const { key } = this.#request.listener;
    const ends = { client, target, durationMs, bytesUp, bytesDown, reason };
    this.#host.emit({ type: "connection", key, id, phase, ...ends });
  }

  /** Nobody enters any more: reports what is left to report. */
  close(): void {
    this.#closed = true;
    this.#forget();
    this.#refusals.close();
  }
}
