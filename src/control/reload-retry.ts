// When a configuration that was refused for something outside of it is tried again: an address that somebody has, a name without
// address, a certificate that is not there yet, a worker that did not come up. What is wrong with the file itself stays so until
// the file changes. Called by the reloader.

import { type ErrorCode, ProxyError } from "../shared/errors.ts";
import { CONTROL } from "../shared/limits.ts";

/** Of what may be otherwise the next time, though the file is the same. */
const OUTSIDE: ReadonlySet<ErrorCode> = new Set([
  "ERR_LISTEN",
  "ERR_RESOLVE",
  "ERR_CERTIFICATE",
  "ERR_STORAGE",
  "ERR_WORKER",
  "ERR_SYSTEM",
]);

export function mayPass(error: unknown): boolean {
  return error instanceof ProxyError && OUTSIDE.has(error.code);
}

/** @param failures of attempts before. @returns milliseconds. */
export function backoffOf(failures: number): number {
  const { reloadRetryMs, reloadRetryMaxMs } = CONTROL;
  return Math.min(reloadRetryMs * 2 ** Math.min(failures, 20), reloadRetryMaxMs);
}

export class ReloadRetry {
  readonly #tryAgain: () => void;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tryAgain: () => void) {
    this.#tryAgain = tryAgain;
  }

  /** It was refused, once more: ever more slowly. */
  refused(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#tryAgain, backoffOf(this.#failures++));
    this.#timer.unref();
  }

  /** It begins now. */
  began(): void {
    clearTimeout(this.#timer);
  }

  /** Nothing is to be tried any more, or somebody asked anew. */
  reset(): void {
    clearTimeout(this.#timer);
    this.#failures = 0;
  }
}
