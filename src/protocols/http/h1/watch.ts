// The time limits of a client's connection: what it waits for, since when, and whether that is too long or too slow. Pure: it is
// asked by the connection's sweep with the time, and answers what is to be done. Moments are noted when a sweep sees them, so
// that no clock is read on the way of a request; a limit is kept to the sweep's period.

import type { HttpLimitsPlan, HttpTimeoutsPlan } from "../../../shared/http-plan.ts";
import { H1, HTTP_RELAY } from "../../../shared/limits.ts";
import { Pace } from "./pace.ts";

export const FINE = 0;
/** Nothing is under way, and has not been for too long. */
export const RESTED = 1;
export const HEAD_LATE = 2;
export const BODY_SLOW = 3;
export const READER_SLOW = 4;
/** The client had its time to read the last answer. */
export const LINGERED = 5;
/** No request is to follow. */
export const OLD = 6;

/** What a connection waits for. */
export const FOR_REQUEST = 0;
export const FOR_HEAD = 1;
/** Of a body that is read, or not wanted. */
export const FOR_BODY = 2;
export const FOR_REST_OF_BODY = 3;
/** Somebody else, who has limits of his own. */
export const FOR_OTHERS = 4;
export const FOR_END = 5;

/** A connection as it is now. */
export interface Watched {
  readonly waitsFor: number;
  /** So far, with the one under way. */
  readonly requests: number;
  /** It is not to be used again, and its client has not heard of that yet. */
  readonly isDraining: boolean;
  /** It sends as fast as it likes: nobody holds it up. */
  readonly sendsFreely: boolean;
  readonly received: number;
  /** Bytes that the wire has, and of these those that the client has not taken. */
  readonly written: number;
  readonly pending: number;
  /** They wait for our own limit of bandwidth, and not for the client. */
  readonly isHeldDown: boolean;
}

export class Watch {
  readonly #limits: HttpLimitsPlan;
  readonly #timeouts: HttpTimeoutsPlan;
  readonly #sender = new Pace();
  readonly #reader = new Pace();
  readonly #beganMs: number;
  #sinceMs: number;
  #phase = FOR_REQUEST;
  /** A look has found that it may be closed. */
  #isDue = false;

  constructor(limits: HttpLimitsPlan, timeouts: HttpTimeoutsPlan, nowMs: number) {
    this.#limits = limits;
    this.#timeouts = timeouts;
    this.#beganMs = this.#sinceMs = nowMs;
  }

  look(nowMs: number, watched: Watched): number {
    const { waitsFor, requests } = watched;
    const phase = requests * 8 + waitsFor;
    if (phase !== this.#phase) {
      // The first head is waited for from the connection's beginning.
      if (phase !== FOR_HEAD) this.#sinceMs = nowMs;
      this.#phase = phase;
      this.#isDue = false;
    }
    return this.#lookAtPace(nowMs, watched) || this.#lookAtTime(nowMs, watched);
  }

  #lookAtTime(nowMs: number, { waitsFor, requests, isDraining, pending }: Watched): number {
    const { headMs, keepaliveMs, lifetimeMs } = this.#timeouts;
    const elapsedMs = nowMs - this.#sinceMs;
    switch (waitsFor) {
      case FOR_REQUEST:
        if (elapsedMs >= (requests === 0 ? headMs : keepaliveMs)) return RESTED;
        if (isDraining && elapsedMs >= HTTP_RELAY.drainRestMs) return this.#lookAgain();
        break;
      case FOR_HEAD:
        if (elapsedMs >= headMs) return HEAD_LATE;
        break;
      case FOR_REST_OF_BODY:
        if (elapsedMs >= keepaliveMs) return RESTED;
        break;
      case FOR_END:
        return elapsedMs >= H1.lingerMs && pending === 0 ? LINGERED : FINE;
      default:
    }
    return lifetimeMs > 0 && nowMs - this.#beganMs >= lifetimeMs ? OLD : FINE;
  }

  /** What has arrived by now is read before the next look. */
  #lookAgain(): number {
    if (this.#isDue) return RESTED;
    this.#isDue = true;
    return FINE;
  }

  #lookAtPace(
    nowMs: number,
    { waitsFor, sendsFreely, received, written, pending, isHeldDown }: Watched,
  ): number {
    const { minBytesPerSecond } = this.#limits;
    const { bodyRestMs } = HTTP_RELAY;
    const isSender = waitsFor === FOR_BODY || waitsFor === FOR_REST_OF_BODY;
    if (!isSender || !sendsFreely) this.#sender.rest();
    else if (!this.#sender.keeps(nowMs, received, minBytesPerSecond, bodyRestMs)) return BODY_SLOW;
    if (pending === 0 || isHeldDown) this.#reader.rest();
    else if (!this.#reader.keeps(nowMs, written - pending, minBytesPerSecond)) return READER_SLOW;
    return FINE;
  }
}
