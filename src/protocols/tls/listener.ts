// A listener of streams in this worker: carries what clients send, over TLS or in clear, to a target, in clear, over TLS of its
// own, or as a stream of QUIC.
// Invariant: every client that was let in is in its handshake or has a Tunnel, until it leaves; the listener is over when it was
// closed and none is left. Created by src/gateway.ts.
//
//   wires ──▶ Admission ──▶ RouteTable ──▶ Dialer ──▶ Tunnel

import { encodeProxyHeader, type ProxyExtras } from "../../l4/proxy/encode.ts";
import { RouteTable } from "../../l4/tls/routes.ts";
import type { ListenerCertificates } from "../../shared/certificates.ts";
import type { LinkPlan, TlsPlan, TlsServerPlan } from "../../shared/http-plan.ts";
import { formatIp } from "../../shared/ip.ts";
import { FIRST_BYTES, RELAY } from "../../shared/limits.ts";
import type { LiveTable } from "../../shared/live-table.ts";
import type { OpenRequest, TargetSlot } from "../../shared/messages.ts";
import { Admission, type Visit } from "../admission.ts";
import { Dialer, type DialFailure } from "../dial.ts";
import type { GatewayHost, GatewayListener } from "../host.ts";
import type { Peer } from "../live-rows.ts";
import { setAndWarn } from "../set-options.ts";
import { StreamSockets } from "../stream-sockets.ts";
import { sweepTunnels, Tunnel, type TunnelOwner } from "../tunnel.ts";
import { type WantedNames, wantedNamesFor } from "../wanted-names.ts";
import { ServerTls } from "../wire/tls-context.ts";
import { TlsError } from "../wire/tls-error.ts";
import type { Wire, WireTls } from "../wire/wire.ts";

export class TlsListener implements GatewayListener, TunnelOwner {
  readonly key: string;
  readonly sockets: StreamSockets<Visit>;
  readonly admission: Admission;
  readonly dialer: Dialer;
  readonly table: LiveTable;
  readonly #host: GatewayHost;
  readonly #plan: TlsPlan | LinkPlan;
  /** null: in clear. */
  readonly #tls: ServerTls | null;
  readonly #wanted: WantedNames | null;
  /** null: the first group is for all. */
  readonly #routes: RouteTable | null;
  readonly #tunnels = new Set<Tunnel>();
  #closing = false;

  constructor(host: GatewayHost, request: OpenRequest<TlsPlan | LinkPlan>) {
    const plan = request.listener;
    this.#host = host;
    this.key = plan.key;
    this.#plan = plan;
    this.table = host.rows.table;
    this.admission = new Admission(host, request);
    this.#tls =
      plan.tls === null ? null : new ServerTls(serverPlan(plan), request.certificates!.server!);
    this.#routes = routesOf(plan);
    const { highWatermarkBytes: highBytes, lowWatermarkBytes: lowBytes } = plan.buffers;
    const marks = { highBytes, lowBytes };
    // The target is to know whether what it got is all that was sent.
    const setOptions = setAndWarn(host, plan.key);
    this.#wanted = wantedNamesFor(host, plan.key, plan.tls);
    const encryption = this.#tls && {
      tls: this.#tls,
      tellTruncation: true,
      wanted: this.#wanted,
    };
    this.sockets = new StreamSockets(host, request, encryption, {
      setOptions,
      introduce: this.admission.introduce,
      onAccept: (peer, fd) => this.#accept(peer, fd),
      onWire: (wire, visit) => this.#begin(this.admission.paced(wire, visit, marks), visit),
      onRefused: (visit, error) => this.#refuse(visit, error),
    });
    this.dialer = new Dialer(host, request, {
      counters: this.admission.counters,
      watermarks: marks,
      setOptions,
      alpn: () => [],
      brokeOff: (message) => this.admission.refuse("quic_target", message),
    });
  }

  get over(): boolean {
    return this.#closing && this.admission.visits === 0 && this.dialer.closed;
  }

  setTargets(targets: readonly TargetSlot[]): void {
    this.dialer.setTargets(targets);
  }

  setCertificates(certificates: ListenerCertificates): void {
    if (certificates.server !== null) this.#tls?.update(certificates.server);
    this.#wanted?.arrived((name) => this.#tls!.covers(name));
    this.dialer.setCertificates(certificates);
  }

  denyCertificate(name: string): void {
    this.#wanted?.deny(name);
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.sockets.close();
    this.#wanted?.close();
    this.admission.close();
    this.dialer.close();
    // The worker looks whether a listener is over when it has swept.
    if (!this.over) this.#host.needSweep(RELAY.sweepMaxMs);
  }

  sweep(nowMs: number): boolean {
    const { idleMs, lifetimeMs } = this.#plan.timeouts;
    if (idleMs === 0 && lifetimeMs === 0) return this.#closing && !this.over;
    sweepTunnels(this.#tunnels, this.table, this.#plan.timeouts, nowMs);
    return this.#tunnels.size > 0 || (this.#closing && !this.over);
  }

  end(): void {
    this.close();
    this.sockets.abort();
    for (const tunnel of this.#tunnels) tunnel.reset();
    this.dialer.end();
  }

  #accept(peer: Peer, fd: number): Visit | null {
    return this.#closing ? null : this.admission.enter(peer, fd);
  }

  #refuse(visit: Visit, error: Error & { code?: string }): void {
    const isTls = error instanceof TlsError;
    if (isTls) this.admission.refuse("tls_handshake", aboutClient(visit, error.message));
    this.admission.leave(visit, -1, isTls ? "end" : (error.code ?? "reset"));
  }

  #begin(wire: Wire, visit: Visit): void {
    const { idleMs, lifetimeMs } = this.#plan.timeouts;
    for (const timeoutMs of [idleMs, lifetimeMs])
      if (timeoutMs > 0) this.#host.needSweep(timeoutMs);
    const { tls } = wire;
    this.admission.agreed(tls);
    const group = tls === null ? 0 : this.#groupFor(tls);
    if (group >= 0) {
      this.#tunnels.add(new Tunnel(this, visit, wire, group));
      return;
    }
    this.admission.refuse("no_route", aboutClient(visit, `no route for ${nameOf(tls!)}`));
    this.admission.leave(visit, -1, "no_route");
    wire.reset();
  }

  #groupFor({ serverName, alpn }: WireTls): number {
    if (this.#routes === null) return 0;
    const sni = serverName === "" ? null : serverName;
    const rule = this.#routes.find({ sni, alpn: alpn === "" ? [] : [alpn] });
    return rule < 0 ? -1 : this.#plan.routes[rule]!.group;
  }

  // What tunnels need.

  /** What the target is sent before the client's first byte; null: nothing. */
  greeting({ peer, local, tls }: Wire, { endpoints: told }: Visit): Uint8Array | null {
    const { sendProxy } = this.#plan;
    if (sendProxy === "off") return null;
    const into = new Uint8Array(FIRST_BYTES.proxyHeaderMaxBytes);
    const isUnix = this.#plan.listen.kind === "unix";
    const endOf = (end: Peer | null | undefined) =>
      isUnix || end == null ? UNKNOWN : ({ kind: "ip", ip: end.ip, port: end.port } as const);
    const endpoints = told ?? { source: endOf(peer), destination: endOf(local) };
    const extras = tls === null ? {} : extrasOf(tls);
    const length = encodeProxyHeader(into, sendProxy === "v1" ? 1 : 2, endpoints, extras);
    return into.subarray(0, length);
  }

  unreachable({ visit }: Tunnel, { reason, message }: DialFailure): void {
    this.admission.refuse(reason, aboutClient(visit, message));
  }

  ended(tunnel: Tunnel, slot: number, reason: string): void {
    this.#tunnels.delete(tunnel);
    if (slot >= 0) this.dialer.leave(slot);
    this.admission.leave(tunnel.visit, slot, reason);
  }
}

/** What a PROXY header of version 2 says of TLS. */
function extrasOf({ serverName, alpn }: WireTls): ProxyExtras {
  return {
    authority: serverName || null,
    alpn: alpn === "" ? null : Buffer.from(alpn, "latin1"),
  };
}

/** A peer without an address. */
const UNKNOWN = { kind: "unix", path: "" } as const;

/** What routes look for is agreed upon with clients, where the listener itself names no protocols. */
function serverPlan({ tls, routes }: TlsPlan): TlsServerPlan {
  if (tls.alpn.length > 0) return tls;
  return { ...tls, alpn: [...new Set(routes.flatMap(({ alpn }) => alpn ?? []))] };
}

function routesOf({ routes }: TlsPlan | LinkPlan): RouteTable | null {
  if (routes.length === 0) return null;
  const rules = routes.map(({ sni, alpn }) => ({ sni: sni ?? undefined, alpn: alpn ?? undefined }));
  return new RouteTable(rules);
}

function aboutClient({ client }: Visit, text: string): string {
  return `${formatIp(client.ip)}: ${text}`;
}

/** Protocols may hold any byte: quoted, none of them reaches a terminal as it is. */
function nameOf({ serverName, alpn }: WireTls): string {
  const name = serverName === "" ? "a client that names no server" : JSON.stringify(serverName);
  return alpn === "" ? name : `${name} with ${JSON.stringify(alpn)}`;
}
