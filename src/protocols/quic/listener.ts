// A listener over QUIC: every bidirectional stream of a client becomes a connection to a target. Unidirectional streams and
// datagrams are not agreed to, but for the one stream that a token comes by (token.ts).
//
//   QuicSockets ── a connection ──▶ Admission, Visit ──▶ QuicClient ── a stream ──▶ a visit of its own ──▶ Dialer ──▶ Tunnel
//
// Limits on connections are on those of QUIC, of which each may have `limits.max_streams` streams. In the table of live
// connections a client has a row, without a target, and each of its streams one with its target; what is counted as
// connections are clients, and of targets, streams. Created by src/gateway.ts, in all workers; clients arrive in the one that
// has the endpoint.

import type { ListenerCertificates } from "../../shared/certificates.ts";
import { formatIp } from "../../shared/ip.ts";
import { QUIC, RELAY } from "../../shared/limits.ts";
import type { LiveTable } from "../../shared/live-table.ts";
import type { OpenRequest, TargetSlot } from "../../shared/messages.ts";
import type { QuicPlan } from "../../shared/quic-plan.ts";
import { Admission, type Visit } from "../admission.ts";
import { Dialer, type DialFailure } from "../dial.ts";
import type { GatewayHost, GatewayListener } from "../host.ts";
import { setAndWarn } from "../set-options.ts";
import { sweepTunnels, Tunnel, type TunnelOwner } from "../tunnel.ts";
import { type WantedNames, wantedNamesFor } from "../wanted-names.ts";
import { ByName } from "../wire/by-name.ts";
import type { Watermarks } from "../wire/wire.ts";
import { QuicClient, type QuicClientOwner } from "./client.ts";
import { pickDriver } from "./pick.ts";
import { QuicSockets } from "./sockets.ts";
import type {
  QuicConnection,
  QuicDriver,
  QuicError,
  QuicStream,
  QuicTransport,
} from "./transport.ts";

export class QuicListener implements GatewayListener, QuicClientOwner, TunnelOwner {
  readonly key: string;
  readonly sockets: QuicSockets<Visit>;
  readonly admission: Admission;
  readonly dialer: Dialer;
  readonly table: LiveTable;
  token: ArrayBuffer | null;
  readonly #host: GatewayHost;
  readonly #plan: QuicPlan;
  readonly #marks: Watermarks;
  readonly #wanted: WantedNames | null;
  readonly #clients = new Set<QuicClient>();
  readonly #tunnels = new Map<Tunnel, QuicClient>();
  /** The shortest time that `sweep` keeps. */
  readonly #sweepMs: number;
  #closing = false;

  constructor(host: GatewayHost, request: OpenRequest<QuicPlan>) {
    const plan = request.listener;
    const { quic, tls, timeouts, buffers } = plan;
    const certificates = request.certificates!.server!;
    this.#host = host;
    this.key = plan.key;
    this.#plan = plan;
    this.table = host.rows.table;
    this.token = certificates.token ?? null;
    this.admission = new Admission(host, request);
    const { highWatermarkBytes: highBytes, lowWatermarkBytes: lowBytes } = buffers;
    const watermarks = { highBytes, lowBytes };
    this.#marks = watermarks;
    this.#wanted = wantedNamesFor(host, plan.key, tls);
    const agreement = {
      alpn: tls.alpn,
      clientAuth: tls.clientAuth,
      transport: transportOf(plan),
      watermarks,
      earlyData: quic.earlyData,
      retryFrom: QUIC.retryFrom,
      keyLog: null,
      wanted: this.#wanted,
    };
    this.sockets = new QuicSockets(
      (): QuicDriver => pickDriver(quic.driver, host),
      request,
      agreement,
      certificates,
      {
        onAccept: (peer) => (this.#closing ? null : this.admission.enter(peer, 0)),
        onConnection: (connection, visit) => this.#begin(connection, visit),
        onRefused: (visit, error) => this.#refuse(visit, error),
        onWarning: (message) => host.emit({ type: "warning", key: plan.key, message }),
      },
    );
    this.dialer = new Dialer(host, request, {
      counters: this.admission.counters,
      watermarks,
      setOptions: setAndWarn(host, plan.key),
      alpn: () => [],
      brokeOff: (message) => this.admission.refuse("quic_target", message),
    });
    const { idleMs, lifetimeMs, handshakeMs } = timeouts;
    this.#sweepMs = Math.min(...[idleMs, lifetimeMs, handshakeMs].filter((ms) => ms > 0));
  }

  get over(): boolean {
    return this.#closing && this.admission.visits === 0 && this.dialer.closed;
  }

  setTargets(targets: readonly TargetSlot[]): void {
    this.dialer.setTargets(targets);
  }

  setCertificates(certificates: ListenerCertificates): void {
    const { server } = certificates;
    if (server !== null) {
      this.token = server.token ?? null;
      this.sockets.setCertificates(server);
      const shown = new ByName(server.certificates.map(({ names }) => ({ names, context: true })));
      this.#wanted?.arrived((name) => shown.covers(name));
    }
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
    for (const client of this.#clients) client.drain();
    this.dialer.close();
    if (!this.over) this.#host.needSweep(RELAY.sweepMaxMs);
  }

  sweep(nowMs: number): boolean {
    sweepTunnels(this.#tunnels.keys(), this.table, this.#plan.timeouts, nowMs);
    const { handshakeMs } = this.#plan.timeouts;
    for (const client of this.#clients) client.expire(nowMs, handshakeMs);
    return this.#clients.size > 0 || (this.#closing && !this.over);
  }

  end(): void {
    this.close();
    for (const client of this.#clients) client.reset();
    this.sockets.abort();
    this.dialer.end();
  }

  #begin(connection: QuicConnection, visit: Visit): void {
    this.#host.needSweep(this.#sweepMs);
    const client = new QuicClient(this, connection, visit);
    this.#clients.add(client);
    this.admission.agreed(connection.tls);
    this.admission.trace(visit, "open", "");
    if (this.#closing) client.drain();
  }

  #refuse(visit: Visit, error: QuicError): void {
    const isTls = error.code === "ERR_QUIC_HANDSHAKE";
    if (isTls) this.admission.refuse("tls_handshake", aboutClient(visit, error.message));
    this.admission.leave(visit, -1, isTls ? "end" : error.code);
  }

  // What clients' connections need.

  tunnel(client: QuicClient, stream: QuicStream): Tunnel | null {
    const visit = this.admission.enterStream(client.visit);
    if (visit === null) return null;
    const wire = this.admission.paced(stream, visit, this.#marks);
    const tunnel = new Tunnel(this, visit, wire, 0);
    this.#tunnels.set(tunnel, client);
    return tunnel;
  }

  unauthorized({ visit }: QuicClient, message: string): void {
    this.admission.refuse("quic_token", aboutClient(visit, message));
  }

  gone(client: QuicClient, reason: string): void {
    this.#clients.delete(client);
    this.admission.leave(client.visit, -1, reason);
  }

  // What tunnels need.

  greeting(): null {
    return null;
  }

  unreachable({ visit }: Tunnel, { reason, message }: DialFailure): void {
    this.admission.refuse(reason, aboutClient(visit, message));
  }

  ended(tunnel: Tunnel, slot: number, reason: string): void {
    const client = this.#tunnels.get(tunnel);
    this.#tunnels.delete(tunnel);
    if (slot >= 0) this.dialer.leave(slot);
    this.admission.leaveStream(tunnel.visit, slot, reason);
    client?.ended(tunnel);
  }
}

function transportOf({ quic, timeouts, buffers }: QuicPlan): QuicTransport {
  return {
    idleMs: quic.idleMs,
    keepAliveMs: quic.keepAliveMs,
    handshakeMs: timeouts.handshakeMs,
    bidirectionalStreams: quic.streams,
    unidirectionalStreams: quic.tokenFile === null ? 0 : 1,
    streamWindow: buffers.highWatermarkBytes,
    connectionWindow: buffers.highWatermarkBytes * QUIC.windowStreams,
    datagrams: false,
  };
}

function aboutClient({ client }: Visit, text: string): string {
  return `${formatIp(client.ip)}: ${text}`;
}
