// What an exchange remembers for the access log, and where it is counted. Its strings are made only if there is a log. One for
// each exchange object, used again; filled in by relay.ts.

import type { Refusal } from "../../shared/messages.ts";
import { UNROUTED_PLACE } from "../../shared/route-names.ts";
import type { ClientConnection, Failure, RefusedRequest } from "./exchange.ts";
import type { RequestHead } from "./message/heads.ts";
import { NO_CLIENT } from "./nobody.ts";
import type { AccessLog, ExchangeRecord, Route, RouteRefusal } from "./passage.ts";

export class Notes implements ExchangeRecord {
  connection: ClientConnection = NO_CLIENT;
  method = "";
  path = "";
  host = "";
  version = 0;
  requestId = "";
  userAgent = "";
  referer = "";
  status = 0;
  bytesUp = 0;
  bytesDown = 0;
  target = "";
  startedMs = 0;
  connectMs = -1;
  headMs = -1;
  totalMs = 0;
  retries = 0;
  failure = "";
  /** The place of its route in counters. */
  counted = UNROUTED_PLACE;

  counts(route: Route | RouteRefusal): number {
    return (this.counted = typeof route === "number" ? UNROUTED_PLACE : route.counted);
  }

  /** Before the head is edited. */
  note(connection: ClientConnection, head: RequestHead): void {
    const { fields } = head;
    this.connection = connection;
    this.method = head.method;
    this.path = head.path;
    this.host = head.authority;
    this.version = head.version;
    this.userAgent = fields.get("user-agent") ?? "";
    this.referer = fields.get("referer") ?? "";
  }

  noteRefused(connection: ClientConnection, request: RefusedRequest, failure: string): void {
    this.connection = connection;
    this.method = request.method;
    this.path = request.path;
    this.host = request.host;
    this.version = request.version;
    this.status = request.status;
    this.bytesDown = request.bytes;
    this.failure = failure;
  }

  /** What every exchange has, with a log or without one. */
  begin(now: number): void {
    this.startedMs = now;
    this.status = this.bytesUp = this.bytesDown = this.retries = 0;
  }

  /** Of a client's failure, its codec may have told it so. */
  fail({ code, message, answered }: Failure): void {
    this.failure = `${code}: ${message}`;
    if (answered !== undefined) this.status = answered;
  }

  /** An answer of this proxy's own. What has failed before says more. */
  refuse(reason: Refusal, detail: string): void {
    this.failure ||= detail === "" ? reason : `${reason}: ${detail}`;
  }

  /** It is over. */
  record(log: AccessLog, target: string, totalMs: number): void {
    this.target = target;
    this.totalMs = totalMs;
    log.record(this);
    this.#forget();
  }

  /** What only the log wants. */
  #forget(): void {
    this.connection = NO_CLIENT;
    this.method = this.path = this.host = this.requestId = this.userAgent = this.referer = "";
    this.target = this.failure = "";
    this.connectMs = this.headMs = -1;
  }
}
