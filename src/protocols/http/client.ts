// One client's connection: who it is, and the codec of the version that it speaks, which ALPN says or, in clear, its first bytes.
// Invariant: the listener is told once that it is gone, whoever ended it. Created by listener.ts.

import { formatIp } from "../../shared/ip.ts";
import { HTTP_RELAY } from "../../shared/limits.ts";
import type { Refusal } from "../../shared/messages.ts";
import type { Visit } from "../admission.ts";
import type { Resident } from "../live-rows.ts";
import type { Wire, WireHandler, WireTls } from "../wire/wire.ts";
import type {
  ClientStream,
  Failure,
  RefusedRequest,
  RequestTaker,
  ServerConnection,
  ServerEvents,
  ServerSetup,
} from "./exchange.ts";
import { beginsAsHttp2 } from "./h1/preface.ts";
import type { Client } from "./host.ts";
import type { RequestHead } from "./message/heads.ts";
import type { Guide } from "./passage.ts";

/** What a client's connection needs of its listener. */
export interface ClientOwner {
  readonly isUnix: boolean;
  trusts(ip: Uint8Array): boolean;
  guide(client: Client): Guide;
  take(client: Client, stream: ClientStream, head: RequestHead): void;
  /** The codec of HTTP/1.1 or HTTP/2. */
  serve(isH2: boolean, setup: Omit<ServerSetup, "limits" | "timeouts" | "nowMs">): ServerConnection;
  /** Bytes of its exchanges, for the table of live connections. */
  moved(visit: Visit, bytesUp: number, bytesDown: number): void;
  refused(reason: Refusal, detail: string): void;
  /** A request that its codec refused, for counters and the access log. */
  noteRefused(client: Client, request: RefusedRequest, failure: string): void;
  /** @param reason `end`, `reset`, `idle`, or an errno's name. */
  gone(client: GatewayClient, reason: string): void;
}

export class GatewayClient implements Client, ServerEvents, WireHandler, Resident {
  readonly address: string;
  readonly port: number;
  readonly ip: Uint8Array | null;
  readonly tls: WireTls | null;
  readonly trusted: boolean;
  readonly guide: Guide;
  readonly visit: Visit;
  readonly startedMs: number;
  readonly #owner: ClientOwner;
  readonly #wire: Wire;
  /** null: it has sent too little to know which version it speaks. */
  #server: ServerConnection | null = null;
  #firstBytes: Uint8Array | null = null;
  #gone = false;
  #draining = false;

  constructor(owner: ClientOwner, wire: Wire, visit: Visit, now: number) {
    const { peer, tls } = wire;
    this.#owner = owner;
    this.#wire = wire;
    this.visit = visit;
    this.startedMs = now;
    this.ip = owner.isUnix ? null : peer.ip;
    this.address = this.ip === null ? "" : formatIp(peer.ip);
    this.port = peer.port;
    this.tls = tls;
    this.trusted = owner.trusts(peer.ip);
    this.guide = owner.guide(this);
    wire.handler = this;
    visit.resident = this;
    if (tls !== null) this.#serve(tls.alpn === "h2", null);
  }

  #serve(isH2: boolean, bytes: Uint8Array | null): void {
    const take: RequestTaker = (stream, head) => this.#owner.take(this, stream, head);
    this.#firstBytes = null;
    this.#server = this.#owner.serve(isH2, {
      wire: this.#wire,
      connection: this,
      take,
      events: this,
    });
    if (bytes !== null) this.#wire.handler.onData(bytes);
    if (this.#draining) this.#server?.drain();
  }

  moved(bytesUp: number, bytesDown: number): void {
    this.#owner.moved(this.visit, bytesUp, bytesDown);
  }

  // The wire, as long as there is no codec.

  onData(bytes: Uint8Array): void {
    const first = this.#firstBytes === null ? bytes : join(this.#firstBytes, bytes);
    const verdict = beginsAsHttp2(first);
    if (verdict === "more") this.#firstBytes = first;
    else this.#serve(verdict === "yes", first);
  }

  onDrain(): void {}

  onEnd(): void {
    this.#wire.end();
  }

  onClose(error: (Error & { code?: string }) | null): void {
    this.#leave(error === null ? "end" : (error.code ?? "reset"));
  }

  // The codec.

  onGone(failure: Failure | null): void {
    this.#leave(failure === null ? "end" : failure.code);
  }

  onRefused(reason: Refusal, detail: string, request?: RefusedRequest): void {
    this.#owner.refused(reason, `${this.address}: ${detail}`);
    if (request !== undefined) this.#owner.noteRefused(this, request, `${reason}: ${detail}`);
  }

  // The listener.

  /** Who has connected and said nothing yet has a request on its way, most likely: it is answered, within a moment. */
  drain(): void {
    this.#draining = true;
    this.#server?.drain();
  }

  /** @param headMs until when it must have said which version it speaks. */
  sweep(now: number, headMs: number): void {
    if (this.#server !== null) return this.#server.sweep(now);
    const restedMs = now - this.startedMs;
    if (this.#draining && restedMs >= HTTP_RELAY.drainFirstMs) this.#wire.end();
    if (restedMs < headMs) return;
    if (this.#firstBytes !== null) this.onRefused("http_head_timeout", "half of a preface");
    this.#end("idle");
  }

  /** At once. */
  reset(): void {
    this.#end("reset");
  }

  #end(reason: string): void {
    if (this.#server !== null) this.#server.destroy();
    else this.#wire.reset();
    this.#leave(reason);
  }

  #leave(reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.visit.resident = null;
    this.#owner.gone(this, reason);
  }
}

function join(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  const joined = new Uint8Array(before.length + bytes.length);
  joined.set(before);
  joined.set(bytes, before.length);
  return joined;
}
