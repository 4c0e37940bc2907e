// The opening handshake of WebSocket (RFC 6455) between versions of HTTP. HTTP/1.1 proves with Sec-WebSocket-Key and -Accept
// that both sides mean it; HTTP/2 and HTTP/3 do without (RFC 8441 section 5). So each side is given the proof that its version
// asks for.
//
// Towards a backend there is always a key: the client's own, or one that is made here; codecs of versions that have no use for it
// leave it out. The frames that follow are not looked at. In front of every route; called by the relay.

import { createHash, randomBytes } from "node:crypto";

import type { ClientConnection, ClientStream, Failure, RequestEvents } from "../exchange.ts";
import type { Fields } from "../message/fields.ts";
import type { RequestHead, ResponseHead } from "../message/heads.ts";
import { idOf } from "../message/names.ts";
import type { Filter, OwnAnswer } from "../passage.ts";
import { refusal } from "./refusal.ts";

const KEY = idOf("sec-websocket-key");
const ACCEPT = idOf("sec-websocket-accept");
/** RFC 6455 section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** 16 bytes in Base64. */
const KEY_FORM = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
const FIRST_WITHOUT_KEYS = 20;

/** What a server answers to this key, so that the client knows that it has read it. */
export function acceptOf(key: string): string {
  return createHash("sha1")
    .update(key + GUID)
    .digest("base64");
}

export class WebSocketFilter implements Filter {
  answer(head: RequestHead): OwnAnswer | null {
    if (head.upgrade !== "websocket" || head.version >= FIRST_WITHOUT_KEYS) return null;
    return clientKey(head.fields) === null
      ? refusal(400, "Sec-WebSocket-Key must be there once, with 16 bytes in Base64")
      : null;
  }

  wrap(stream: ClientStream, head: RequestHead): ClientStream {
    if (head.upgrade !== "websocket") return stream;
    const hasKey = head.version < FIRST_WITHOUT_KEYS;
    let key = hasKey ? clientKey(head.fields) : null;
    if (key === null) {
      key = randomBytes(16).toString("base64");
      head.fields.removeAll(KEY);
      head.fields.add("sec-websocket-key", key);
    }
    return new WebSocketStream(stream, key, hasKey);
  }
}

/** @returns null if there is none, more than one, or one that no client makes. */
function clientKey(fields: Fields): string | null {
  const i = fields.find(KEY);
  if (i < 0 || fields.find(KEY, i + 1) >= 0) return null;
  const key = fields.value(i);
  return KEY_FORM.test(key) ? key : null;
}

class WebSocketStream implements ClientStream {
  readonly connection: ClientConnection;
  readonly #inner: ClientStream;
  readonly #key: string;
  readonly #clientHasKey: boolean;
  #events!: RequestEvents;
  /** The backend's proof was wrong: nothing of it reaches the client. */
  #refused = false;

  constructor(inner: ClientStream, key: string, clientHasKey: boolean) {
    this.connection = inner.connection;
    this.#inner = inner;
    this.#key = key;
    this.#clientHasKey = clientHasKey;
  }

  get events(): RequestEvents {
    return this.#events;
  }

  /** What the client does needs no change. */
  set events(events: RequestEvents) {
    this.#events = events;
    if (!this.#refused) this.#inner.events = events;
  }

  sendInformational(head: ResponseHead): void {
    this.#inner.sendInformational(head);
  }

  sendHead(head: ResponseHead): void {
    if (head.status === 101 && !this.#proves(head)) {
      this.#refuse();
      return;
    }
    this.#inner.sendHead(head);
  }

  /** Checks the proof that the backend gave, and leaves the one that the client needs. */
  #proves({ fields, version }: ResponseHead): boolean {
    const expected = acceptOf(this.#key);
    const given = fields.find(ACCEPT);
    if (given < 0 && version < FIRST_WITHOUT_KEYS) return false;
    if (given >= 0 && fields.value(given) !== expected) return false;
    fields.removeAll(ACCEPT);
    if (this.#clientHasKey) fields.add("sec-websocket-accept", expected);
    return true;
  }

  #refuse(): void {
    this.#refused = true;
    const failure: Failure = {
      code: "malformed",
      message: "the backend accepted a WebSocket with a wrong Sec-WebSocket-Accept, or none",
      unprocessed: false,
      answered: 502,
    };
    const { head, body } = refusal(502, "The server's WebSocket handshake was wrong.");
    this.#inner.sendHead(head);
    this.#inner.sendBody(body);
    this.#inner.sendEnd(null);
    // Not from within a call of the exchange: it goes on with what it was about to do. By then it may be over.
    queueMicrotask(() => this.#events.onRequestFailure(failure));
  }

  sendBody(bytes: Uint8Array): boolean {
    return !this.#refused && this.#inner.sendBody(bytes);
  }

  sendEnd(trailers: Fields | null): void {
    if (!this.#refused) this.#inner.sendEnd(trailers);
  }

  reset(failure: Failure): void {
    if (!this.#refused) this.#inner.reset(failure);
  }

  pause(): void {
    if (!this.#refused) this.#inner.pause();
  }

  resume(): void {
    if (!this.#refused) this.#inner.resume();
  }
}
