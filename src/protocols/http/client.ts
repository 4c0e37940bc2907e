// One client's connection, whatever it came over: who it is, and what its listener is told of it. Those over wires are in
// stream-client.ts, those over QUIC in quic-client.ts. Invariant: the listener is told once that it is gone, whoever ended it.

import { formatIp } from "../../shared/ip.ts";
import type { Refusal } from "../../shared/messages.ts";
import type { Visit } from "../admission.ts";
import type { Peer, Resident } from "../live-rows.ts";
import type { WireTls } from "../wire/wire.ts";
import type {
  ClientStream,
  Failure,
  RefusedRequest,
  ServerConnection,
  ServerEvents,
  ServerSetup,
} from "./exchange.ts";
import type { Http3ServerSetup } from "./h3/server.ts";
import type { Client } from "./host.ts";
import type { RequestHead } from "./message/heads.ts";
import type { Guide } from "./passage.ts";

/** What the listener adds to a codec's setup. */
type OfListener = "limits" | "timeouts" | "nowMs";

/** What a client's connection needs of its listener. */
export interface ClientOwner {
  /** @param ip null: it has none, on a unix socket. */
  trusts(ip: Uint8Array | null): boolean;
  guide(client: Client): Guide;
  take(client: GatewayClient, stream: ClientStream, head: RequestHead): void;
  /** The codec of HTTP/1.1 or HTTP/2. */
  serve(isH2: boolean, setup: Omit<ServerSetup, OfListener>): ServerConnection;
  /** The codec of HTTP/3. */
  serveHttp3(setup: Omit<Http3ServerSetup, OfListener>): ServerConnection;
  /** Bytes of its exchanges, for the table of live connections. */
  moved(visit: Visit, bytesUp: number, bytesDown: number): void;
  refused(reason: Refusal, detail: string): void;
  /** A request that its codec refused, for counters and the access log. */
  noteRefused(client: Client, request: RefusedRequest, failure: string): void;
  /** @param reason `end`, `reset`, `idle`, or an errno's name. */
  gone(client: GatewayClient, reason: string): void;
}

export abstract class GatewayClient implements Client, ServerEvents, Resident {
  /** Its requests have targets, and it has none. */
  readonly targetSlot = -1;
  readonly address: string;
  readonly port: number;
  readonly ip: Uint8Array | null;
  readonly tls: WireTls | null;
  readonly trusted: boolean;
  readonly guide: Guide;
  readonly visit: Visit;
  readonly startedMs: number;
  protected readonly owner: ClientOwner;
  #gone = false;

  constructor(owner: ClientOwner, peer: Peer, tls: WireTls | null, visit: Visit, now: number) {
    this.owner = owner;
    this.visit = visit;
    this.startedMs = now;
    this.ip = visit.ip;
    this.address = this.ip === null ? "" : formatIp(this.ip);
    this.port = peer.port;
    this.tls = tls;
    this.trusted = owner.trusts(visit.ip);
    this.guide = owner.guide(this);
    visit.resident = this;
  }

  moved(bytesUp: number, bytesDown: number): void {
    this.owner.moved(this.visit, bytesUp, bytesDown);
  }

  // The codec.

  onGone(failure: Failure | null): void {
    this.leave(failure === null ? "end" : failure.code);
  }

  onRefused(reason: Refusal, detail: string, request?: RefusedRequest): void {
    this.owner.refused(reason, `${this.address}: ${detail}`);
    if (request !== undefined) this.owner.noteRefused(this, request, `${reason}: ${detail}`);
  }

  // The listener.

  /**
   * A request is about to be answered that its listener has no room for: whoever speaks HTTP/1.1 is to come back on another
   * connection, which may be another worker's, or another machine's.
   * @param all nothing else that it asks will be served either.
   */
  abstract turnAway(all: boolean): void;

  abstract drain(now: number): void;

  /** @param headMs until when it must have said which version it speaks. */
  abstract sweep(now: number, headMs: number): void;

  /** At once. */
  reset(): void {
    this.end("reset");
  }

  protected end(reason: string): void {
    this.cut();
    this.leave(reason);
  }

  /** The connection, without a word to its owner. */
  protected abstract cut(): void;

  protected leave(reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.visit.resident = null;
    this.owner.gone(this, reason);
  }
}
