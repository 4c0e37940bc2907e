// A connection to a backend that speaks HTTP/3: what the pool keeps (BackendConnection). Requests go out as streams, as many at
// once as the backend allows; the pool is told when that changes.
//
// Invariant: a request that the backend cannot have processed, by GOAWAY or H3_REQUEST_REJECTED, fails as `unprocessed`, so that
// it may be sent again elsewhere; no other does.

import { ProxyError } from "../../../shared/errors.ts";
import type { HttpLimitsPlan } from "../../../shared/http-plan.ts";
import { H3 } from "../../../shared/limits.ts";
import type { QuicConnection } from "../../quic/transport.ts";
import type {
  BackendConnection,
  BackendEvents,
  BackendStream,
  Failure,
  ResponseEvents,
} from "../exchange.ts";
import type { RequestHead } from "../message/heads.ts";
import { ClientStream } from "./client-stream.ts";
import { Connection } from "./connection.ts";
import * as C from "./constants.ts";

export interface Http3BackendSetup {
  readonly quic: QuicConnection;
  readonly events: BackendEvents;
  readonly limits: HttpLimitsPlan;
}

export class Http3Backend extends Connection implements BackendConnection {
  readonly #events: BackendEvents;
  #connectProtocol = false;
  #ready = false;
  #closing = false;
  /** For requests that came while the backend allowed no more streams, in their order. */
  readonly #unopened: ClientStream[] = [];

  constructor({ quic, events, limits }: Http3BackendSetup) {
    super(quic, {
      server: false,
      headBytes: limits.headBytes,
      headFields: limits.headFields,
      connectProtocol: false,
    });
    this.#events = events;
  }

  get free(): number {
    if (!this.#ready || this.closing || this.#unopened.length > 0) return 0;
    return Math.max(0, H3.backendStreams - this.streams.size);
  }

  get active(): number {
    return this.streams.size;
  }

  get closing(): boolean {
    return this.#closing || !this.isOpen;
  }

  request(head: RequestHead, events: ResponseEvents): BackendStream {
    if (this.closing)
      throw new ProxyError("ERR_STATE", "a connection that is closing takes no request");
    const stream = new ClientStream(this, events, head);
    if (head.upgrade !== "" && !this.#connectProtocol) {
      queueMicrotask(() => stream.refuseUpgrade());
      return stream;
    }
    const quic = this.#unopened.length > 0 ? null : this.quic.openStream();
    this.streams.add(stream);
    if (quic === null) this.#unopened.push(stream);
    stream.send(head, quic);
    return stream;
  }

  onStreamsAvailable(): void {
    while (this.#unopened.length > 0) {
      const stream = this.#unopened[0]!;
      const quic = stream.over ? null : this.quic.openStream();
      if (quic === null && !stream.over) return;
      this.#unopened.shift();
      if (quic !== null) stream.open(quic);
    }
    if (this.isOpen) this.#events.onChange(this);
  }

  protected onRequestStream(): void {
    this.fail(C.H3_STREAM_CREATION_ERROR, "a request of a backend");
  }

  onSettings(settings: ReadonlyMap<number, number>): void {
    if (!this.isOpen) return; // what came before them broke the rules
    this.#connectProtocol = settings.get(C.SETTINGS_ENABLE_CONNECT_PROTOCOL) === 1;
    this.#ready = true;
    this.#events.onReady(this);
  }

  protected onDraining(id: number): void {
    this.#closing = true;
    const message = "the backend sent GOAWAY";
    for (const stream of this.streams) {
      const isProcessed = stream.id >= 0 && stream.id < id;
      if (isProcessed) continue;
      stream.abort(C.H3_REQUEST_CANCELLED);
      stream.tellFailure({ code: "closed", message, unprocessed: true });
    }
    if (!this.isOpen) return;
    this.#events.onChange(this);
    if (this.streams.size === 0) this.finish(C.H3_NO_ERROR, "");
  }

  protected onStreamOver(): void {
    if (this.#closing && this.streams.size === 0) this.finish(C.H3_NO_ERROR, "");
    else this.#events.onChange(this);
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.streams.size === 0) this.finish(C.H3_NO_ERROR, "");
  }

  protected onGone(failure: Failure | null): void {
    this.#closing = true;
    this.#events.onGone(this, failure);
  }
}
