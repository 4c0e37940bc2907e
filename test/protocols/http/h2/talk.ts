// A server on a wire without a socket, and a client that speaks frames: for what real clients do not do.

import type {
  ClientStream,
  Failure,
  RequestEvents,
  RequestTaker,
} from "../../../../src/protocols/http/exchange.ts";
import * as C from "../../../../src/protocols/http/h2/constants.ts";
import { Http2Server } from "../../../../src/protocols/http/h2/server.ts";
import type { Fields } from "../../../../src/protocols/http/message/fields.ts";
import { RequestHead } from "../../../../src/protocols/http/message/heads.ts";
import type { HttpLimitsPlan, HttpTimeoutsPlan } from "../../../../src/shared/http-plan.ts";
import type { Refusal } from "../../../../src/shared/messages.ts";
import { LIMITS, TIMEOUTS } from "../../../support/h2-server.ts";
import { join, Peer, type Said, settings, SETTINGS_ACK } from "./frames.ts";
import { MemoryWire } from "./memory-wire.ts";

/** A request as the taker saw it. */
export class Taken implements RequestEvents {
  readonly stream: ClientStream;
  readonly head = new RequestHead();
  body = "";
  ended = false;
  trailers: [string, string][] | null = null;
  failure: Failure | null = null;
  drains = 0;
  /** Stops after each part. */
  stops = false;

  constructor(stream: ClientStream, head: RequestHead) {
    this.stream = stream;
    this.head.copy(head);
    stream.events = this;
  }

  onRequestBody(bytes: Uint8Array): void {
    this.body += new TextDecoder("latin1").decode(bytes);
    if (this.stops) this.stream.pause();
  }

  onRequestEnd(trailers: Fields | null): void {
    if (this.ended) throw new Error("a request ended twice");
    this.ended = true;
    this.trailers = trailers?.entries() ?? null;
  }

  onRequestFailure(failure: Failure): void {
    if (this.failure !== null) throw new Error("a request failed twice");
    this.failure = failure;
  }

  onClientDrain(): void {
    this.drains++;
  }
}

export interface TalkOptions {
  readonly limits?: Partial<HttpLimitsPlan>;
  readonly timeouts?: Partial<HttpTimeoutsPlan>;
  readonly take?: (taken: Taken) => void;
  readonly taker?: RequestTaker;
  /** The client says nothing by itself. */
  readonly silent?: boolean;
  /** The client's SETTINGS. */
  readonly settings?: readonly (readonly [number, number])[];
}

export class Talk {
  readonly wire = new MemoryWire();
  readonly peer = new Peer();
  readonly server: Http2Server;
  readonly taken: Taken[] = [];
  readonly refusals: { reason: Refusal; detail: string }[] = [];
  /** undefined: it is not gone. */
  gone: Failure | null | undefined;

  /** The preface and the settings of both sides are exchanged. */
  constructor(options: TalkOptions = {}) {
    const take: RequestTaker = (stream, head) => {
      if (options.taker !== undefined) return options.taker(stream, head);
      const taken = new Taken(stream, head);
      this.taken.push(taken);
      options.take?.(taken);
    };
    this.server = new Http2Server({
      wire: this.wire,
      connection: { address: "192.0.2.1", port: 1, tls: null, trusted: false },
      take,
      events: {
        onGone: (failure) => {
          if (this.gone !== undefined) throw new Error("gone twice");
          this.gone = failure;
        },
        onRefused: (reason, detail) => void this.refusals.push({ reason, detail }),
      },
      limits: { ...LIMITS, ...options.limits },
      timeouts: { ...TIMEOUTS, ...options.timeouts },
      nowMs: 1_000,
    });
    if (options.silent === true) return;
    this.send(C.PREFACE, settings(...(options.settings ?? [])), SETTINGS_ACK);
    this.said();
  }

  /** In one read. */
  send(...frames: readonly Uint8Array[]): void {
    this.wire.handler.onData(join(...frames));
  }

  /** What the server has written since the last time. */
  said(): Said[] {
    this.server.sender.output.flush();
    return this.peer.read(this.wire.taken());
  }

  /** Sends frames and returns what is said to them. */
  ask(...frames: readonly Uint8Array[]): Said[] {
    this.send(...frames);
    return this.said();
  }
}

/** The codes of GOAWAY and RST_STREAM in what was said. */
export function errorsIn(said: readonly Said[]): string[] {
  return said.flatMap((each) => {
    if (each.kind === "goaway") return [`GOAWAY ${C.errorName(each.code)}`];
    return each.kind === "reset" ? [`RST_STREAM ${each.stream} ${C.errorName(each.code)}`] : [];
  });
}

export function refusalsOf(talk: Talk): Refusal[] {
  return talk.refusals.map(({ reason }) => reason);
}
