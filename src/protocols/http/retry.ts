// What a failure means: which status a client is told, how it is counted, and which requests may be sent a second time. Pure;
// called by relay.ts.

import type { Refusal } from "../../shared/messages.ts";
import type { Failure, FailureCode } from "./exchange.ts";
import type { Version } from "./message/heads.ts";

const STATUS: Record<FailureCode, number> = {
  connect: 502,
  connect_timeout: 504,
  tls: 502,
  closed: 502,
  reset: 502,
  stream_reset: 502,
  shortage: 503,
  malformed: 502,
  too_large: 502, // of the backend's answer; a client's request is refused before
  timeout: 504,
  drain: 503,
  internal: 500,
};

/** The status of an answer that a backend does not give. */
export function statusOf(failure: Failure): number {
  return failure === CLIENT_RESTED ? 408 : STATUS[failure.code];
}

const NOT_OF_TARGET = new Set<FailureCode>(["internal", "drain", "stream_reset", "shortage"]);

/**
 * Of an upgrade that the backend did not accept. Who asked by extended CONNECT would take a success for a tunnel (RFC 8441
 * section 4), and the answer's body for what comes through it.
 */
export function refusedUpgrade(status: number, version: Version): number {
  return version >= 20 && status < 300 ? 501 : status;
}

/** Whether it shows that the target does not work: not what a client brings about, which could have every target left out. */
export function isOfTarget(failure: Failure): boolean {
  const { code } = failure;
  if (failure === CLIENT_RESTED || failure === CAME_SLOWLY) return false;
  if (failure === PAST_DEADLINE) return false;
  return !NOT_OF_TARGET.has(code);
}

/** @param timeoutMs 0: never. */
export function isOver(sinceMs: number, timeoutMs: number, now: number): boolean {
  return timeoutMs > 0 && now - sinceMs >= timeoutMs;
}

/** @param cameMs how long the request was on its way: a client that takes most of the time must not make its target look slow. */
export function tookTooLong(cameMs: number, totalMs: number): Failure {
  return cameMs > totalMs / 2 ? CAME_SLOWLY : TOOK_TOO_LONG;
}

export function refusalOf(failure: Failure): Refusal {
  const { code } = failure;
  if (failure === CLIENT_RESTED) return "http_slow";
  if (code === "connect" || code === "tls") return "target_down";
  if (code === "connect_timeout") return "connect_timeout";
  if (code === "shortage") return "descriptors";
  return code === "timeout" ? "http_backend_timeout" : "http_backend";
}

/** RFC 9110 section 9.2.2: to send it twice means the same as to send it once. */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case "GET":
    case "HEAD":
    case "OPTIONS":
    case "TRACE":
    case "PUT":
    case "DELETE":
      return true;
    default:
      return false;
  }
}

// What the relay itself says to a backend's stream, or of one.

export const TRIED_ELSEWHERE = problem("drain", "the request is tried elsewhere");
export const ANSWERED_EARLY = problem("closed", "it was answered before all of it was sent");
export const CONNECT_TIMEOUT = problem("connect_timeout", "it did not answer in time");
export const BODY_TOO_LARGE = problem("too_large", "the body is larger than this listener takes");
export const NO_ANSWER = problem("timeout", "no answer in time");
/** The time was the client's own (grpc-timeout). */
export const PAST_DEADLINE = problem("timeout", "no answer within the call's own time");
export const CLIENT_RESTED = problem("timeout", "nothing of the request's body came for too long");
export const STALLED = problem("timeout", "nothing moved either way for too long");
const CAME_SLOWLY = problem("timeout", "the request itself took the exchange's time");
const TOOK_TOO_LONG = problem("timeout", "it took longer than an exchange may");

function problem(code: FailureCode, message: string): Failure {
  return { code, message, unprocessed: false };
}
