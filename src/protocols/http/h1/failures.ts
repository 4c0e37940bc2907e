// Failures of this codec, and the events that nobody listens to. Called by server.ts and backend.ts.

import type { Failure, FailureCode, RequestEvents, ResponseEvents } from "../exchange.ts";

export function problem(code: FailureCode, message: string, unprocessed = false): Failure {
  return { code, message, unprocessed };
}

/** Why a wire was closed. */
export function failureOf({ message, code = "" }: Error & { code?: string }): Failure {
  const isReset = code === "ECONNRESET";
  return problem(isReset ? "reset" : "closed", code === "" ? message : `${code}: ${message}`);
}

/** Of a stream that is over. */
export const IGNORED: RequestEvents & ResponseEvents = {
  onRequestBody() {},
  onRequestEnd() {},
  onRequestFailure() {},
  onClientDrain() {},
  onInformational() {},
  onResponse() {},
  onResponseBody() {},
  onResponseEnd() {},
  onResponseFailure() {},
  onBackendDrain() {},
};

/** Of a request that is refused with this status. @param answered the client was told so. */
export function ofStatus(status: number, message: string, answered: boolean): Failure {
  const code = status === 408 ? "timeout" : status === 431 ? "too_large" : "malformed";
  const failure = problem(code, message);
  return answered ? { ...failure, answered: status } : failure;
}

export const CUT_BODY = problem("closed", "the client ended its request before it was complete");
export const READ_SLOWLY = problem("timeout", "an answer was read too slowly");
export const CLOSED = problem("closed", "the client closed the connection");
export const DRAINED = problem("drain", "this proxy is going away");
export const UNWRITABLE = problem("internal", "an answer cannot be written as HTTP/1.1");
export const UNASKED_UPGRADE = problem(
  "malformed",
  "an upgrade was accepted that was not asked for",
);
