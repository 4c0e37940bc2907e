// A client's stream that keeps what it is given, and an exchange that keeps what it is told: both ends of a filter.

import type {
  ClientStream,
  Failure,
  RequestEvents,
} from "../../../../src/protocols/http/exchange.ts";
import type { Fields } from "../../../../src/protocols/http/message/fields.ts";
import { fieldsOf } from "../../../../src/protocols/http/message/fields.ts";
import {
  RequestHead,
  ResponseHead,
  type Version,
} from "../../../../src/protocols/http/message/heads.ts";

/** The innermost stream, as a codec's server makes it. */
export class RecordedClient implements ClientStream {
  readonly connection = {
    address: "192.0.2.1",
    port: 40_000,
    tls: null,
    trusted: false,
    edited: null,
  };
  events!: RequestEvents;
  status = 0;
  contentLength = 0;
  bodyless = false;
  fields: [string, string][] = [];
  readonly parts: Buffer[] = [];
  trailers: [string, string][] | null = null;
  ended = false;
  failure: Failure | null = null;
  paused = true;
  /** What sendBody says. */
  more = true;

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  field(name: string): string | undefined {
    return this.fields.find(([each]) => each === name)?.[1];
  }

  sendInformational(): void {}

  sendHead(head: ResponseHead): void {
    this.status = head.status;
    this.contentLength = head.contentLength;
    this.bodyless = head.bodyless;
    this.fields = head.fields.entries();
  }

  sendBody(bytes: Uint8Array): boolean {
    this.parts.push(Buffer.from(bytes));
    return this.more;
  }

  sendEnd(trailers: Fields | null): void {
    this.ended = true;
    this.trailers = trailers?.entries() ?? null;
  }

  reset(failure: Failure): void {
    this.failure = failure;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

/** The exchange. */
export class RecordedExchange implements RequestEvents {
  readonly parts: Buffer[] = [];
  ended = false;
  failure: Failure | null = null;
  drains = 0;

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  onRequestBody(bytes: Uint8Array): void {
    this.parts.push(Buffer.from(bytes));
  }

  onRequestEnd(): void {
    this.ended = true;
  }

  onRequestFailure(failure: Failure): void {
    this.failure = failure;
  }

  onClientDrain(): void {
    this.drains++;
  }
}

export interface RequestParts {
  method?: string;
  version?: Version;
  upgrade?: string;
  contentLength?: number;
  fields?: Record<string, string>;
}

export function requestHead(parts: RequestParts): RequestHead {
  const head = new RequestHead();
  head.method = parts.method ?? "GET";
  head.version = parts.version ?? 11;
  head.upgrade = parts.upgrade ?? "";
  head.contentLength = parts.contentLength ?? 0;
  head.fields.copy(fieldsOf(Object.entries(parts.fields ?? {})));
  return head;
}

export interface ResponseParts {
  status?: number;
  version?: Version;
  contentLength?: number;
  bodyless?: boolean;
  fields?: Record<string, string>;
}

export function responseHead(parts: ResponseParts): ResponseHead {
  const head = new ResponseHead();
  head.status = parts.status ?? 200;
  head.version = parts.version ?? 11;
  head.contentLength = parts.contentLength ?? -1;
  head.bodyless = parts.bodyless ?? false;
  head.fields.copy(fieldsOf(Object.entries(parts.fields ?? {})));
  return head;
}

/** Cuts bytes at the given places, each a number from 0 to 1. */
export function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [...places.map((place) => Math.floor(place * bytes.length)), bytes.length];
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const to of at.toSorted((a, b) => a - b)) {
    pieces.push(bytes.subarray(from, to));
    from = to;
  }
  return pieces;
}
