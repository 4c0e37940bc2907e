// Says how attempts at one certificate fail, at a rate that people read: the first failure, then at growing intervals; louder
// when there is little time left; and once when it is over. Called by the manager.

import { VOICE } from "../../shared/auto-tls-limits.ts";
import type { Log } from "../../shared/log.ts";

const DAY_MS = 86_400_000;

export interface Trouble {
  readonly authority: string;
  readonly reason: string;
  readonly failures: number;
  /** When the certificate in use ends; null: there is none. */
  readonly notAfterMs: number | null;
  /** Of the certificate in use; 0: there is none. */
  readonly lifetimeMs: number;
  readonly nextMs: number;
}

export class FailureVoice {
  readonly #log: Log;
  readonly #names: string;
  #said = 0;
  #lastSaidMs = 0;
  #wasUrgent = false;

  constructor(log: Log, names: readonly string[]) {
    this.#log = log;
    this.#names = names.join(", ");
  }

  failed(trouble: Trouble, nowMs: number): void {
    const { authority, reason, failures, notAfterMs, lifetimeMs, nextMs } = trouble;
    const leftMs = notAfterMs === null ? 0 : notAfterMs - nowMs;
    const isUrgent = leftMs < lifetimeMs * VOICE.urgentShare || notAfterMs === null;
    const { intervalsMs } = VOICE;
    const restMs = intervalsMs[Math.min(this.#said, intervalsMs.length) - 1] ?? 0;
    const isLouder = isUrgent && !this.#wasUrgent;
    if (nowMs - this.#lastSaidMs < restMs && !isLouder) return;
    this.#said++;
    this.#lastSaidMs = nowMs;
    this.#wasUrgent = isUrgent;
    const fields = {
      names: this.#names,
      authority,
      error: reason,
      failures,
      ...(notAfterMs === null ? {} : { daysLeft: daysOf(leftMs) }),
      nextAttempt: new Date(nextMs).toISOString(),
    };
    if (isUrgent) this.#log.error(fields, "certificate not obtained, trying on");
    else this.#log.warn(fields, "certificate not renewed, trying on");
  }

  /** @param notAfterMs of the new one. @param failures before it. */
  obtained(authority: string, notAfterMs: number, failures: number, nowMs: number): void {
    this.#said = 0;
    this.#lastSaidMs = 0;
    this.#wasUrgent = false;
    const daysLeft = daysOf(notAfterMs - nowMs);
    const after = failures > 0 ? { failures } : {};
    this.#log.info({ names: this.#names, authority, daysLeft, ...after }, "certificate obtained");
  }
}

/** With one digit behind the point: of a certificate of six days, hours count. */
export function daysOf(ms: number): number {
  return Math.round((ms / DAY_MS) * 10) / 10;
}
