// Answers that this proxy makes itself: errors, the answer to OPTIONS that may not go further, redirects. A status line's
// worth of text, or JSON for those who would rather have it, with the request's id by which an operator finds it in the log;
// nothing of what happened inside. A gRPC call gets an answer of gRPC: no body, and grpc-status in its head.

import { prefersJson } from "./accept.ts";
import { DEADLINE_EXCEEDED, grpcMessage, grpcStatusOf, isGrpc } from "./grpc.ts";
import { reasonOf } from "./h1/status-lines.ts";
import { type RequestHead, ResponseHead } from "./message/heads.ts";
import { idOf } from "./message/names.ts";
import type { ErrorAnswer, OwnAnswer } from "./passage.ts";

const ACCEPT = idOf("accept");
const GRPC_TIMEOUT = idOf("grpc-timeout");
const X_REQUEST_ID = idOf("x-request-id");

/** RFC 9110 section 15.5.6 wants it with 405: every method but TRACE and CONNECT. */
const ALLOW = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";
const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();

/** @param unixMs the time now, for Date. */
export function createErrorAnswer(unixMs: () => number): ErrorAnswer {
  return (status, head, retryAfterSeconds) => {
    const answer =
      head !== null && isGrpc(head.fields) ? grpcAnswer(status, head) : plainAnswer(status, head);
    const { fields } = answer.head;
    fields.add("date", new Date(unixMs()).toUTCString());
    if (retryAfterSeconds !== undefined) {
      fields.add("retry-after", String(Math.max(0, Math.ceil(retryAfterSeconds))));
    }
    return answer;
  };
}

/** @param location of a redirect, in ASCII. */
export function redirectAnswer(
  status: number,
  location: string,
  head: RequestHead,
  unixMs: number,
): OwnAnswer {
  const answer = plainAnswer(status, head);
  const { fields } = answer.head;
  fields.removeNamed("cache-control"); // 301 and 308 may be remembered
  fields.add("location", location);
  fields.add("date", new Date(unixMs).toUTCString());
  return answer;
}

function plainAnswer(status: number, request: RequestHead | null): OwnAnswer {
  const head = new ResponseHead();
  head.status = status;
  if (status === 405) head.fields.add("allow", ALLOW);
  if (status === 204) {
    head.bodyless = true;
    head.fields.add("allow", ALLOW);
    return { head, body: NOTHING };
  }
  const id = requestIdOf(request);
  const reason = reasonOf(status) || "Error";
  const json = request !== null && request.fields.find(ACCEPT) >= 0 && prefersJson(request.fields);
  const body = encoder.encode(
    json ? jsonBody(status, reason, id) : `${status} ${reason}\n${id === "" ? "" : `${id}\n`}`,
  );
  const type = json ? "application/json" : "text/plain; charset=utf-8";
  head.fields.add("content-type", type);
  head.fields.add("cache-control", "no-store");
  if (id !== "") head.fields.add("x-request-id", id);
  head.contentLength = body.length;
  // An answer to HEAD says how long it would be.
  head.bodyless = request?.method === "HEAD";
  return { head, body: head.bodyless ? NOTHING : body };
}

function jsonBody(status: number, error: string, id: string): string {
  return `${JSON.stringify(id === "" ? { status, error } : { status, error, request_id: id })}\n`;
}

/** Trailers-Only (PROTOCOL-HTTP2.md): one head that ends the stream. */
function grpcAnswer(status: number, { fields, version }: RequestHead): OwnAnswer {
  const head = new ResponseHead();
  const late = status === 504 && fields.find(GRPC_TIMEOUT) >= 0;
  const id = requestIdOf({ fields });
  head.bodyless = true;
  if (version < 20) head.contentLength = 0;
  head.fields.add("content-type", "application/grpc");
  head.fields.add("grpc-status", String(late ? DEADLINE_EXCEEDED : grpcStatusOf(status)));
  head.fields.add("grpc-message", grpcMessage(reasonOf(status) || "Error"));
  if (id !== "") head.fields.add("x-request-id", id);
  return { head, body: NOTHING };
}

/**
 * Before the request was edited it may be what its client has sent: nothing in it may mean anything to a browser that takes
 * text for something else.
 */
function requestIdOf(request: Pick<RequestHead, "fields"> | null): string {
  if (request === null) return "";
  const i = request.fields.find(X_REQUEST_ID);
  const id = i < 0 ? "" : request.fields.value(i);
  return /^[\w.:+/=@-]{1,128}$/.test(id) ? id : "";
}
