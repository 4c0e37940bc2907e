// The way to a quic:// target: its connections, and streams on them, each of which is a wire to whoever dialled. One
// connection serves all, another is made when its streams are used up, and a new one when it is gone.
//
//   open ── a connection has a stream ──▶ a wire
//        └─ none has: waits for the connection that is being made ──▶ wires for all who wait, or the error for all of them
//
// Invariant: whoever called `open` is told once, not from within the call, unless he cancelled. Created by links.ts.

import type { SocketAddress } from "../../shared/address.ts";
import type { TargetCertificates } from "../../shared/certificates.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { QUIC } from "../../shared/limits.ts";
import type { QuicClientPlan } from "../../shared/quic-plan.ts";
import { SILENT } from "../wire/handler.ts";
import type { Connected, Connecting } from "../wire/open.ts";
import { TlsError } from "../wire/tls-error.ts";
import type { Watermarks } from "../wire/wire.ts";
import { LEAVING, QUIC_CODES } from "./codes.ts";
import { GRANTED } from "./token.ts";
import type {
  QuicConnecting,
  QuicConnection,
  QuicConnectionHandler,
  QuicDriver,
  QuicError,
  QuicStream,
} from "./transport.ts";

export interface LinkOptions {
  readonly driver: QuicDriver;
  readonly address: SocketAddress;
  /** For SNI and verification. */
  readonly serverName: string;
  readonly insecure: boolean;
  readonly plan: QuicClientPlan;
  readonly watermarks: Watermarks;
  readonly connectMs: number;
  /** As they are now: asked for each connection. */
  certificates(): TargetCertificates | null;
  /** A connection with streams on it broke off. */
  brokeOff(message: string): void;
}

/** Whoever waits for a stream. */
class Waiting implements Connecting {
  done: Connected | null;

  constructor(done: Connected) {
    this.done = done;
  }

  cancel(): void {
    this.done = null;
  }
}

export class QuicLink {
  readonly options: LinkOptions;
  readonly #connections = new Set<LinkConnection>();
  #waiting: Waiting[] = [];
  #making: LinkConnection | null = null;
  #closing = false;
  #look: ReturnType<typeof setTimeout> | undefined;

  constructor(options: LinkOptions) {
    this.options = options;
  }

  open(done: Connected): Connecting {
    const waiting = new Waiting(done);
    this.#waiting.push(waiting);
    // The owner is not called from within its call.
    if (this.#making === null) queueMicrotask(() => this.#serve());
    return waiting;
  }

  /** Gives streams to those who wait, as far as there are any. */
  #serve(): void {
    this.#waiting = this.#waiting.filter(({ done }) => done !== null);
    for (const connection of this.#connections) {
      while (this.#waiting.length > 0) {
        const stream = connection.open();
        if (stream === null) break;
        const { done } = this.#waiting.shift()!;
        if (done === null) stream.reset();
        else done(stream, null);
      }
    }
    if (this.#waiting.length > 0 && this.#making === null) this.#make();
    if (this.#closing) this.#closeUnused();
  }

  #make(): void {
    // Otherwise they wait for one of their streams, as long as those who dial do.
    const giving = [...this.#connections].filter(({ isLeft }) => !isLeft);
    if (giving.length < QUIC.linkConnectionsMax) this.#making = new LinkConnection(this);
  }

  /** Called by a connection that has its first stream to give. */
  ready(connection: LinkConnection): void {
    this.#making = null;
    this.#connections.add(connection);
    this.#serve();
  }

  /** Called by a connection that has streams again. */
  more(): void {
    if (this.#waiting.length > 0) this.#serve();
  }

  /** Called by a connection that did not come about. */
  failed(error: Error & { code?: string }): void {
    this.#making = null;
    this.#fail(error);
  }

  #fail(error: Error & { code?: string }): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { done } of waiting) done?.(null, error);
  }

  /** Called by a connection that takes no more streams, or is gone. */
  left(connection: LinkConnection): void {
    this.#connections.delete(connection);
  }

  /** Nobody needs the target any more, but for those who have streams or wait. */
  close(): void {
    this.#closing = true;
    this.#closeUnused();
  }

  /** It is needed again, after `close`. */
  reopen(): void {
    this.#closing = false;
    clearTimeout(this.#look);
  }

  #closeUnused(): void {
    this.#waiting = this.#waiting.filter(({ done }) => done !== null);
    if (this.#waiting.length > 0) return;
    this.#making?.destroy();
    this.#making = null;
    const now = monotonicMs();
    for (const connection of this.#connections) connection.closeIfUnused(now);
    clearTimeout(this.#look);
    if (this.#connections.size === 0) return;
    // Whoever has a stream does not say when it is over.
    this.#look = setTimeout(() => this.#closeUnused(), QUIC.linkLookMs);
  }

  /** Nothing is left of it. */
  get closed(): boolean {
    return this.#connections.size === 0 && this.#making === null && this.#waiting.length === 0;
  }

  /** At once, and nobody is told. */
  destroy(): void {
    this.#closing = true;
    clearTimeout(this.#look);
    this.#waiting = [];
    this.#making?.destroy();
    this.#making = null;
    for (const connection of this.#connections) connection.destroy();
    this.#connections.clear();
  }
}

class LinkConnection implements QuicConnectionHandler {
  readonly #link: QuicLink;
  readonly #connecting: QuicConnecting;
  #connection: QuicConnection | null = null;
  #ready = false;
  /** Its streams go on, and new ones go elsewhere: the target said that it leaves. */
  isLeft = false;
  /** For the answer to a token. */
  #grant: ReturnType<typeof setTimeout> | undefined;
  /** When it was last seen with a stream. */
  #usedMs = -Infinity;
  #over = false;

  constructor(link: QuicLink) {
    this.#link = link;
    const { driver, address, serverName, insecure, plan, watermarks, connectMs } = link.options;
    const certificates = link.options.certificates();
    const asksToken = plan.tokenFile !== null;
    const options = {
      address,
      serverName,
      alpn: plan.alpn,
      certificates,
      insecure,
      watermarks,
      earlyData: false,
      keyLog: null,
      transport: {
        idleMs: plan.idleMs,
        keepAliveMs: plan.keepAliveMs,
        handshakeMs: connectMs,
        bidirectionalStreams: 0,
        unidirectionalStreams: asksToken ? 2 : 1, // GRANTED, and LEAVING
        streamWindow: watermarks.highBytes,
        connectionWindow: watermarks.highBytes * QUIC.windowStreams,
        datagrams: false,
      },
    };
    this.#connecting = driver.connect(options, (connection, error) => {
      if (connection === null) return this.#fail(asWireError(error!));
      this.#connection = connection;
      connection.handler = this;
      const token = certificates?.token ?? null;
      if (token === null) this.#become();
      else this.#show(connection, token);
    });
  }

  /** See token.ts. */
  #show(connection: QuicConnection, token: ArrayBuffer): void {
    const stream = connection.openUnidirectional();
    if (stream === null) {
      connection.close(QUIC_CODES.none, "no token is asked for");
      const text = "it asks for no token: leave token_file out, or give one to it";
      return this.#fail(new TlsError("ERR_QUIC_TOKEN", text));
    }
    stream.handler = SILENT;
    stream.write(new Uint8Array(token));
    stream.end();
    this.#grant = setTimeout(() => {
      connection.close(QUIC_CODES.none, "no answer to the token");
      this.#fail(new TlsError("ERR_QUIC_TOKEN", "it did not answer the token in time"));
    }, this.#link.options.connectMs);
  }

  #become(): void {
    if (this.#over || this.#ready) return;
    clearTimeout(this.#grant);
    this.#ready = true;
    this.#link.ready(this);
  }

  #fail(error: Error & { code?: string }): void {
    if (this.#over) return;
    clearTimeout(this.#grant);
    this.#over = true;
    this.#link.failed(error);
  }

  /** @returns null: it has none left. */
  open(): QuicStream | null {
    if (this.#over || this.isLeft) return null;
    this.#usedMs = monotonicMs();
    return this.#connection!.openStream();
  }

  /** The answer to a token, or the news that the target leaves; targets open no other streams. */
  onStream(stream: QuicStream): void {
    if (stream.direction !== "in") return stream.abort(QUIC_CODES.unavailable);
    stream.handler = {
      ...SILENT,
      onData: (bytes) => {
        if (bytes[0] === GRANTED[0]) this.#become();
        else if (bytes[0] === LEAVING[0]) this.isLeft = true;
      },
    };
  }

  onDatagram(): void {}

  onStreamsAvailable(): void {
    this.#link.more();
  }

  onClose(error: QuicError | null): void {
    if (this.#over) return;
    if (!this.#ready) return this.#fail(asWireError(error));
    this.#over = true;
    this.#link.left(this);
    if (error !== null) this.#link.options.brokeOff(error.message);
  }

  /** Some time after its last stream: CONNECTION_CLOSE ends also what is still on its way. */
  closeIfUnused(nowMs: number): void {
    if (this.#over) return;
    if (this.#connection!.streams > 0) this.#usedMs = nowMs;
    if (nowMs - this.#usedMs < QUIC.lingerMs) return;
    this.destroy();
    this.#link.left(this);
  }

  destroy(): void {
    if (this.#over) return;
    clearTimeout(this.#grant);
    this.#over = true;
    if (this.#connection === null) this.#connecting.cancel();
    else this.#connection.close(QUIC_CODES.none, "");
  }
}

/** As a dial tells of it: an errno's name, or an error of TLS with its words. */
function asWireError(error: QuicError | null): Error & { code?: string } {
  if (error === null) return Object.assign(new Error("it closed"), { code: "ECONNRESET" });
  if (error.code === "ERR_QUIC_TIMEOUT") {
    return Object.assign(new Error(error.message), { code: "ETIMEDOUT" });
  }
  const errno = /\bE[A-Z]{3,}$/.exec(error.message)?.[0];
  if (errno !== undefined) return Object.assign(new Error(error.message), { code: errno });
  const isRefusal = error.code === "ERR_QUIC_CLOSED" || error.code === "ERR_QUIC_HANDSHAKE";
  return isRefusal ? new TlsError(error.code, error.message) : error;
}
