// One client's QUIC connection: its streams become tunnels to targets once it has shown the token, if one is asked for.
// Created by listener.ts.
//
// Invariant: `#tunnels` are the streams that are not over; while draining, the last of them closes the connection.

import { monotonicMs } from "../../shared/clock.ts";
import { QUIC, QUIC_DEFAULTS } from "../../shared/limits.ts";
import type { Visit } from "../admission.ts";
import type { Resident } from "../live-rows.ts";
import type { Tunnel } from "../tunnel.ts";
import { SILENT } from "../wire/handler.ts";
import { LEAVING, QUIC_CODES } from "./codes.ts";
import { GRANTED, ShownToken } from "./token.ts";
import type {
  QuicConnection,
  QuicConnectionHandler,
  QuicError,
  QuicStream,
  QuicStreamHandler,
} from "./transport.ts";

/** What it needs of its listener. */
export interface QuicClientOwner {
  /** What clients must show now; null: nothing. */
  readonly token: ArrayBuffer | null;
  /** @returns null: there is no room for it. */
  tunnel(client: QuicClient, stream: QuicStream): Tunnel | null;
  /** Told before `gone`. */
  unauthorized(client: QuicClient, message: string): void;
  /** @param reason as Admission.leave has it. */
  gone(client: QuicClient, reason: string): void;
}

export class QuicClient implements QuicConnectionHandler, Resident {
  /** Its streams have targets, each with a row of its own. */
  readonly targetSlot = -1;
  readonly visit: Visit;
  readonly tunnels = new Set<Tunnel>();
  readonly #owner: QuicClientOwner;
  readonly #connection: QuicConnection;
  readonly #beganMs = monotonicMs();
  #authorized: boolean;
  #shown: ShownToken | null = null;
  /** It was told that it should open no more streams. */
  #told = false;
  /** And had time to hear of it. */
  #draining = false;
  /** Since when it has no stream; before its first one, for ever. */
  #restsMs = -Infinity;
  #closing: ReturnType<typeof setTimeout> | undefined;
  #over = false;

  constructor(owner: QuicClientOwner, connection: QuicConnection, visit: Visit) {
    this.#owner = owner;
    this.#connection = connection;
    this.visit = visit;
    this.#authorized = owner.token === null;
    visit.resident = this;
    connection.handler = this;
  }

  onStream(stream: QuicStream): void {
    if (stream.direction === "in") return this.#readToken(stream);
    if (!this.#authorized) return this.#refuse("it showed no token, which this listener asks for");
    if (this.#draining) return stream.abort(QUIC_CODES.draining);
    const tunnel = this.#owner.tunnel(this, stream);
    if (tunnel === null) stream.abort(QUIC_CODES.unavailable);
    else this.tunnels.add(tunnel);
  }

  /** None are agreed to. */
  onDatagram(): void {}

  onStreamsAvailable(): void {}

  onClose(error: QuicError | null): void {
    this.#leave(error === null ? "end" : errnoOf(error));
  }

  #readToken(stream: QuicStream): void {
    if (this.#authorized || this.#shown !== null) return stream.abort(QUIC_CODES.unavailable);
    this.#shown = new ShownToken();
    stream.handler = new TokenReader(this.#shown, (whole) => this.#check(whole));
  }

  #check(whole: boolean): void {
    if (this.#over) return;
    const { token } = this.#owner;
    if (!whole || (token !== null && !this.#shown!.matches(token))) {
      return this.#refuse("it showed another token than the one that is asked for");
    }
    const answer = this.#connection.openUnidirectional();
    if (answer === null) return this.#refuse("it does not take the answer to its token");
    this.#authorized = true;
    answer.handler = SILENT;
    answer.write(GRANTED);
    answer.end();
  }

  #refuse(message: string): void {
    if (this.#over) return;
    this.#owner.unauthorized(this, message);
    this.#connection.close(QUIC_CODES.unauthorized, "the token is missing or wrong");
    this.#leave("unauthorized");
  }

  /** A tunnel of it is over. */
  ended(tunnel: Tunnel): void {
    this.tunnels.delete(tunnel);
    this.#restsMs = monotonicMs();
    if (this.#draining) this.#closeIfUnused();
  }

  /** No new streams, but for those that are on their way by now. */
  drain(): void {
    if (this.#over || this.#told) return;
    this.#told = true;
    this.#tell();
    this.#closing = setTimeout(() => {
      this.#draining = true;
      this.#closeIfUnused();
    }, QUIC.lingerMs);
  }

  /** Only who speaks this program's own protocol expects to be told. */
  #tell(): void {
    const isOurs = QUIC_DEFAULTS.alpn.some((name) => name === this.#connection.tls.alpn);
    if (!this.#authorized || !isOurs) return;
    const stream = this.#connection.openUnidirectional();
    if (stream === null) return; // an older one, which finds out when its streams are aborted
    stream.handler = SILENT;
    stream.end(LEAVING);
  }

  #closeIfUnused(): void {
    if (this.tunnels.size > 0 || this.#over) return;
    // CONNECTION_CLOSE ends also what is still on its way.
    const leftMs = this.#restsMs + QUIC.lingerMs - monotonicMs();
    if (leftMs > 0) {
      clearTimeout(this.#closing);
      this.#closing = setTimeout(() => this.#closeIfUnused(), leftMs);
      return;
    }
    this.#connection.close(QUIC_CODES.none, "shutting down");
    this.#leave("end");
  }

  /** Whoever does not show the token in time. */
  expire(nowMs: number, limitMs: number): void {
    if (!this.#authorized && nowMs - this.#beganMs >= limitMs) {
      this.#refuse("it showed no token in time");
    }
  }

  reset(): void {
    if (this.#over) return;
    this.#connection.close(QUIC_CODES.none, "");
    this.#leave("reset");
  }

  #leave(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#closing);
    for (const tunnel of this.tunnels) tunnel.end(reason);
    this.#owner.gone(this, reason);
  }
}

/** As counters have it. */
export function errnoOf({ code }: QuicError): string {
  if (code === "ERR_QUIC_TIMEOUT") return "ETIMEDOUT";
  return code === "ERR_QUIC_RESET" || code === "ERR_QUIC_CLOSED" ? "ECONNRESET" : code;
}

class TokenReader implements QuicStreamHandler {
  readonly #shown: ShownToken;
  readonly #done: (whole: boolean) => void;

  constructor(shown: ShownToken, done: (whole: boolean) => void) {
    this.#shown = shown;
    this.#done = done;
  }

  onData(bytes: Uint8Array): void {
    if (!this.#shown.take(bytes)) this.#done(false);
  }

  onDrain(): void {}

  onEnd(): void {
    this.#done(true);
  }

  onClose(error: Error | null): void {
    if (error !== null) this.#done(false);
  }
}
