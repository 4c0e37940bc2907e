// An HTTP listener of this worker: its sockets, its clients' connections, and what their requests share. Invariant: every client
// that was let in is in `#clients` until it is gone, and the listener is over when it was closed and none is left. Created by
// src/gateway.ts.
//
//   wires, QUIC ──▶ Admission ──▶ GatewayClient ── codec ──▶ Exchanges ──▶ Backends ── Pool ── codec ──▶ wires, QUIC

import { AddressSet } from "../../l4/address-set.ts";
import type { ListenerCertificates } from "../../shared/certificates.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { ProxyError } from "../../shared/errors.ts";
import type { HttpPlan } from "../../shared/http-plan.ts";
import { HTTP_RELAY } from "../../shared/limits.ts";
import type { LiveTable } from "../../shared/live-table.ts";
import type { OpenRequest, Refusal, TargetSlot } from "../../shared/messages.ts";
import { Admission, type Visit } from "../admission.ts";
import type { GatewayHost, GatewayListener } from "../host.ts";
import type { Peer } from "../live-rows.ts";
import type { QuicSockets } from "../quic/sockets.ts";
import { type QuicDriver, QuicError } from "../quic/transport.ts";
import { setAndWarn } from "../set-options.ts";
import { StreamSockets } from "../stream-sockets.ts";
import { type WantedNames, wantedNamesFor } from "../wanted-names.ts";
import { ServerTls } from "../wire/tls-context.ts";
import { TlsError } from "../wire/tls-error.ts";
import type { BatchedAccessLog } from "./access/access-log.ts";
import { Backends } from "./backend/backends.ts";
import type { ClientOwner, GatewayClient } from "./client.ts";
import type { Codecs } from "./codecs.ts";
import type { ClientStream, RefusedRequest, ServerConnection, ServerSetup } from "./exchange.ts";
import { Exchanges } from "./exchanges.ts";
import type { Http3ServerSetup } from "./h3/server.ts";
import { Http3Sockets, type HttpSockets, quicSocketsOf } from "./h3/sockets.ts";
import type { Client } from "./host.ts";
import type { RequestHead } from "./message/heads.ts";
import type { ErrorAnswer, Guide, Router } from "./passage.ts";
import { QuicClient } from "./quic-client.ts";
import { keyAuthorizationFor } from "./route/http-01.ts";
import { StreamClient } from "./stream-client.ts";

/** Clients over QUIC share their endpoint's. */
const NO_DESCRIPTOR = -1;

/** What a listener is put together from. */
export interface HttpParts {
  readonly codecs: Codecs;
  /** See BackendsOptions. */
  readonly quicDriver: () => QuicDriver;
  readonly router: Router;
  readonly errorAnswer: ErrorAnswer;
  readonly accessLog: BatchedAccessLog | null;
}

export class HttpListener implements GatewayListener, ClientOwner {
  readonly key: string;
  readonly sockets: HttpSockets;
  readonly #host: GatewayHost;
  readonly #plan: HttpPlan;
  readonly #parts: HttpParts;
  readonly #table: LiveTable;
  readonly #admission: Admission;
  readonly #trusted: AddressSet;
  readonly #exchanges: Exchanges;
  readonly #backends: Backends;
  readonly #clients = new Set<GatewayClient>();
  readonly #tls: ServerTls | null;
  readonly #wanted: WantedNames | null;
  readonly #quic: QuicSockets<Visit> | null;
  /** The shortest of what this listener times. */
  readonly #timeoutMs: number;
  #closing = false;

  constructor(host: GatewayHost, request: OpenRequest<HttpPlan>, parts: HttpParts) {
    const plan = request.listener;
    this.#host = host;
    this.key = plan.key;
    this.#plan = plan;
    this.#parts = parts;
    this.#table = host.rows.table;
    this.#trusted = new AddressSet(plan.trusted);
    this.#admission = new Admission(host, request);
    this.#timeoutMs = shortestOf(plan);
    const { counters } = this.#admission;
    const setOptions = setAndWarn(host, plan.key);
    this.#backends = new Backends(host, request, {
      counters,
      codecs: parts.codecs,
      quicDriver: parts.quicDriver,
      setOptions,
      coarseMs: () => this.#exchanges.coarseMs,
    });
    this.#exchanges = new Exchanges({
      plan,
      counters,
      targets: this.#backends,
      errorAnswer: parts.errorAnswer,
      accessLog: parts.accessLog,
      clock: monotonicMs,
      refused: (reason, detail) => this.refused(reason, detail),
    });
    this.#tls = serverTls(request);
    // Every message of HTTP has an end of its own, so that a cut needs no telling.
    this.#wanted = wantedNamesFor(host, plan.key, plan.tls);
    const encryption = this.#tls && {
      tls: this.#tls,
      tellTruncation: false,
      wanted: this.#wanted,
    };
    const { highWatermarkBytes: highBytes, lowWatermarkBytes: lowBytes } = plan.buffers;
    const marks = { highBytes, lowBytes };
    const streams =
      plan.h3?.tcp === false
        ? null
        : new StreamSockets<Visit>(host, request, encryption, {
            setOptions,
            introduce: this.#admission.introduce,
            onAccept: (peer, fd) => this.#accept(peer, fd),
            onWire: (wire, visit) => {
              const paced = this.#admission.paced(wire, visit, marks);
              this.#begin(new StreamClient(this, paced, visit, monotonicMs()));
            },
            onRefused: (visit, error) => this.#refuse(visit, error),
          });
    this.#quic = plan.h3 === null ? null : this.#quicSockets(request);
    this.sockets = this.#quic === null ? streams! : new Http3Sockets(streams, this.#quic);
  }

  #quicSockets(request: OpenRequest<HttpPlan>): QuicSockets<Visit> {
    const { key } = this.#plan;
    return quicSocketsOf<Visit>(this.#parts.quicDriver, request, this.#wanted, {
      onAccept: (peer) => this.#accept(peer, NO_DESCRIPTOR),
      onConnection: (quic, visit) => this.#begin(new QuicClient(this, quic, visit, monotonicMs())),
      onRefused: (visit, error) => this.#refuse(visit, error),
      onWarning: (message) => this.#host.emit({ type: "warning", key, message }),
    });
  }

  get over(): boolean {
    return this.#closing && this.#clients.size === 0 && this.#admission.visits === 0;
  }

  setTargets(targets: readonly TargetSlot[]): void {
    this.#backends.setTargets(targets);
  }

  setCertificates(certificates: ListenerCertificates): void {
    if (certificates.server !== null) {
      this.#tls?.update(certificates.server);
      this.#quic?.setCertificates(certificates.server);
      this.#wanted?.arrived((name) => this.#tls!.covers(name));
    }
    this.#backends.setCertificates(certificates);
  }

  denyCertificate(name: string): void {
    this.#wanted?.deny(name);
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.sockets.close();
    this.#wanted?.close();
    this.#admission.close();
    this.#host.needSweep(HTTP_RELAY.drainRestMs);
    for (const client of this.#clients) client.drain(monotonicMs());
    this.#release();
  }

  sweep(nowMs: number): boolean {
    const { headMs } = this.#plan.timeouts;
    const exchanges = this.#exchanges.sweep(nowMs);
    for (const client of this.#clients) client.sweep(nowMs, headMs);
    const backends = this.#backends.sweep(nowMs);
    return exchanges || backends || this.#clients.size > 0;
  }

  end(): void {
    this.close();
    this.sockets.abort();
    for (const client of this.#clients) client.reset();
    this.#backends.destroy();
    this.#parts.accessLog?.close();
  }

  /** Connections to backends are kept as long as there are clients. */
  #release(): void {
    if (!this.over) return;
    this.#backends.close();
    this.#parts.accessLog?.close();
  }

  #accept(peer: Peer, fd: number): Visit | null {
    // In clear a request can be answered; a handshake would cost more than what it is for.
    const asksLater = this.#tls === null && fd !== NO_DESCRIPTOR;
    return this.#closing ? null : this.#admission.enter(peer, fd, asksLater);
  }

  #begin(client: GatewayClient): void {
    this.#host.needSweep(this.#timeoutMs);
    this.#clients.add(client);
    this.#admission.agreed(client.tls);
    this.#admission.trace(client.visit, "open", "");
    if (this.#closing) client.drain(monotonicMs());
  }

  /** The handshake failed. A client that only left, as probes of a port do, is not worth a line. */
  #refuse(visit: Visit, error: Error & { code?: string }): void {
    const { code = "reset" } = error;
    const overQuic = error instanceof QuicError;
    const failed = overQuic ? code === "ERR_QUIC_HANDSHAKE" : error instanceof TlsError;
    if (failed) this.refused("tls_handshake", error.message);
    this.#admission.leave(visit, -1, overQuic || failed ? "end" : code);
    this.#release();
  }

  // What clients' connections need.

  trusts(ip: Uint8Array | null): boolean {
    return ip === null ? !this.#trusted.empty : this.#trusted.has(ip);
  }

  guide(client: Client): Guide {
    return this.#parts.router.guide(client);
  }

  take(client: GatewayClient, stream: ClientStream, head: RequestHead): void {
    const { strain, challenges } = this.#host;
    if (!strain.sheds() || keyAuthorizationFor(head, challenges) !== null) {
      return this.#exchanges.take(client, stream, head);
    }
    client.turnAway(strain.isFull);
    this.#exchanges.turnAway(client, stream, head, strain.reason);
  }

  serve(
    isH2: boolean,
    setup: Omit<ServerSetup, "limits" | "timeouts" | "nowMs">,
  ): ServerConnection {
    const { limits, timeouts } = this.#plan;
    const nowMs = monotonicMs();
    return this.#parts.codecs.server(isH2, { ...setup, limits, timeouts, nowMs });
  }

  serveHttp3(setup: Omit<Http3ServerSetup, "limits" | "timeouts" | "nowMs">): ServerConnection {
    const { limits, timeouts } = this.#plan;
    const nowMs = monotonicMs();
    return this.#parts.codecs.serverHttp3({ ...setup, limits, timeouts, nowMs });
  }

  moved({ row }: Visit, bytesUp: number, bytesDown: number): void {
    const table = this.#table;
    table.bytesUp[row] = table.bytesUp[row]! + bytesUp;
    table.bytesDown[row] = table.bytesDown[row]! + bytesDown;
    table.activeMs[row] = this.#exchanges.coarseMs;
  }

  refused(reason: Refusal, detail: string): void {
    this.#admission.refuse(reason, detail);
  }

  noteRefused(client: Client, request: RefusedRequest, failure: string): void {
    this.#exchanges.noteRefused(client, request, failure);
  }

  gone(client: GatewayClient, reason: string): void {
    this.#clients.delete(client);
    this.#admission.leave(client.visit, -1, reason);
    this.#release();
  }
}

/** What must be encrypted is never spoken in clear for lack of certificates. */
function serverTls({ listener, certificates }: OpenRequest<HttpPlan>): ServerTls | null {
  if (listener.tls === null) return null;
  const shown = certificates?.server ?? null;
  if (shown === null) throw new ProxyError("ERR_STATE", `${listener.key} has no certificates`);
  return new ServerTls(listener.tls, shown);
}

function shortestOf({ timeouts, routes }: HttpPlan): number {
  const all = [timeouts, ...routes.map((route) => route.timeouts)].flatMap(Object.values<number>);
  return Math.min(...all.filter((ms) => ms > 0));
}
