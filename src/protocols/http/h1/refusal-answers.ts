// Answers to requests that cannot be read, made once: nothing of what was sent is in them, and the connection ends behind them.
// Called by server.ts.

import type { Refusal } from "../../../shared/messages.ts";
import type { RefusedRequest } from "../exchange.ts";
import { octetsOf } from "./octets.ts";
import type { RequestReader } from "./request-reader.ts";
import { UNANSWERED } from "./section-reader.ts";
import { reasonOf } from "./status-lines.ts";

const ANSWERS: Uint8Array[] = [];

/** A whole answer with a small plain body. */
export function refusalAnswer(status: number): Uint8Array {
  return (ANSWERS[status] ??= makeAnswer(status));
}

function makeAnswer(status: number): Uint8Array {
  const body = bodyOf(status);
  return octetsOf(
    [
      `HTTP/1.1 ${status} ${reasonOf(status)}`,
      "Content-Type: text/plain",
      `Content-Length: ${body.length}`,
      "Connection: close",
      "",
      body,
    ].join("\r\n"),
  );
}

/** For the access log. @param reader of the head that is refused. */
export function refusedRequest(status: number, reader: RequestReader): RefusedRequest {
  const isAnswered = status !== UNANSWERED;
  const bytes = isAnswered ? bodyOf(status).length : 0;
  return { status: isAnswered ? status : 400, bytes, ...reader.understood() };
}

function bodyOf(status: number): string {
  return `${reasonOf(status)}\n`;
}

/** As it is counted. */
export function refusalReason(status: number): Refusal {
  if (status === 431) return "http_head_too_large";
  return status === 413 ? "http_body_too_large" : "http_malformed";
}
