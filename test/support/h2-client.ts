// A connection of src/protocols/http/h2 to a server, and what came of its requests: for servers that no one here wrote.

import type {
  BackendConnection,
  BackendEvents,
  BackendStream,
  Failure,
  ResponseEvents,
} from "../../src/protocols/http/exchange.ts";
import { Http2Backend } from "../../src/protocols/http/h2/client.ts";
import { type Fields, fieldsOf } from "../../src/protocols/http/message/fields.ts";
import {
  RequestHead,
  type ResponseHead,
  UNKNOWN_LENGTH,
} from "../../src/protocols/http/message/heads.ts";
import { connectPlain } from "../../src/protocols/wire/plain.ts";
import type { Wire } from "../../src/protocols/wire/wire.ts";
import { HTTP_DEFAULTS } from "../../src/shared/limits.ts";
import { LIMITS, SOCKET } from "./h2-server.ts";
import { within } from "./until.ts";

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly upgrade?: string;
  readonly fields?: readonly (readonly [name: string, value: string])[];
  /** Sent at once, as far as the windows go; null: the test sends it. */
  readonly body?: Uint8Array | null;
  readonly trailers?: readonly (readonly [name: string, value: string])[];
  /** The answer's body is not taken until the test says so. */
  readonly stalled?: boolean;
}

/** One request and what was told of it. */
export class Asked implements ResponseEvents {
  stream!: BackendStream;
  status = 0;
  bodyless = false;
  informational: number[] = [];
  entries: [string, string][] = [];
  contentLength = UNKNOWN_LENGTH;
  received = 0;
  body: Uint8Array[] = [];
  trailers: [string, string][] | null = null;
  failure: Failure | null = null;
  drains = 0;
  isOver = false;
  readonly #over = Promise.withResolvers<Asked>();

  /** The answer is whole, or has failed. */
  get over(): Promise<Asked> {
    return within("the answer is over", this.#over.promise, 30_000);
  }

  get text(): string {
    return Buffer.concat(this.body).toString("latin1");
  }

  onInformational(head: ResponseHead): void {
    this.informational.push(head.status);
  }

  onResponse(head: ResponseHead): void {
    if (this.status !== 0) throw new Error("a second head");
    this.status = head.status;
    this.bodyless = head.bodyless;
    this.contentLength = head.contentLength;
    this.entries = head.fields.entries();
    if (head.bodyless) this.#end();
  }

  onResponseBody(bytes: Uint8Array): void {
    if (this.isOver || this.status === 0) throw new Error("a body outside of an answer");
    this.received += bytes.length;
    this.body.push(bytes.slice());
  }

  onResponseEnd(trailers: Fields | null): void {
    this.trailers = trailers?.entries() ?? null;
    this.#end();
  }

  onResponseFailure(failure: Failure): void {
    this.failure = failure;
    this.#end();
  }

  onBackendDrain(): void {
    this.drains++;
  }

  #end(): void {
    if (this.isOver) throw new Error("an answer is over twice");
    this.isOver = true;
    this.#over.resolve(this);
  }
}

/** A request, as it can be sent in any version of HTTP. */
export function askOn(backend: BackendConnection, ask: Ask): Asked {
  const head = new RequestHead();
  head.method = ask.method ?? "GET";
  head.path = ask.path ?? "/";
  head.authority = ask.authority ?? "a.example";
  head.upgrade = ask.upgrade ?? "";
  const { body, trailers } = ask;
  head.contentLength = body === undefined ? 0 : UNKNOWN_LENGTH;
  for (const [name, value] of ask.fields ?? []) head.fields.add(name, value);
  const asked = new Asked();
  asked.stream = backend.request(head, asked);
  if (ask.stalled === true) asked.stream.pause();
  if (body === undefined || body === null) return asked;
  asked.stream.sendBody(body);
  asked.stream.sendEnd(trailers === undefined ? null : fieldsOf(trailers));
  return asked;
}

export class H2TestClient implements BackendEvents, Disposable {
  readonly backend: Http2Backend;
  changes = 0;
  readonly ready: Promise<void>;
  readonly gone: Promise<Failure | null>;
  isGone = false;
  readonly #ready = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<Failure | null>();

  constructor(wire: Wire) {
    this.ready = within("the backend is ready", this.#ready.promise);
    this.gone = this.#gone.promise;
    this.backend = new Http2Backend({ wire, events: this, limits: LIMITS });
  }

  static async connect(port: number): Promise<H2TestClient> {
    const wire = await new Promise<Wire>((resolve, reject) => {
      connectPlain(
        {
          address: { kind: "ip", host: "127.0.0.1", port },
          socket: SOCKET,
          setOptions: () => {},
          watermarks: {
            highBytes: HTTP_DEFAULTS.highWatermarkBytes,
            lowBytes: HTTP_DEFAULTS.lowWatermarkBytes,
          },
        },
        (each, error) => (each === null ? reject(error) : resolve(each)),
      );
    });
    const client = new H2TestClient(wire);
    await client.ready;
    return client;
  }

  ask(ask: Ask = {}): Asked {
    return askOn(this.backend, ask);
  }

  onReady(connection: BackendConnection): void {
    if (connection.free === 0) throw new Error("ready, and nothing is free");
    this.#ready.resolve();
  }

  onChange(): void {
    this.changes++;
  }

  onGone(_connection: BackendConnection, failure: Failure | null): void {
    if (this.isGone) throw new Error("gone twice");
    this.isGone = true;
    this.#gone.resolve(failure);
  }

  [Symbol.dispose](): void {
    this.backend.destroy();
  }
}
