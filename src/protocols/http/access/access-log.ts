// The access log of one listener in a gateway worker: lines are gathered, and go to the control plane, which writes them, as
// one message for many. Invariant: a line that was recorded is passed on within ACCESS_LOG.flushMs, or by `close`. Made by the
// gateway (compose.ts), told by exchanges.

import type { AccessLogPlan } from "../../../shared/http-plan.ts";
import { ACCESS_LOG } from "../../../shared/limits.ts";
import type { AccessLog, ExchangeRecord } from "../passage.ts";
import { combinedFormat, type FormatLine, jsonFormat } from "./formats.ts";

export class BatchedAccessLog implements AccessLog {
  readonly #format: FormatLine;
  readonly #pass: (bytes: Uint8Array, lines: number) => void;
  readonly #batch = Buffer.allocUnsafeSlow(ACCESS_LOG.batchBytes);
  #used = 0;
  #lines = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @param pass gets whole lines; the bytes are its own. */
  constructor(format: AccessLogPlan["format"], pass: (bytes: Uint8Array, lines: number) => void) {
    this.#format = format === "json" ? jsonFormat() : combinedFormat();
    this.#pass = pass;
  }

  record(record: ExchangeRecord): void {
    const line = this.#format(record);
    const batch = this.#batch;
    if (this.#used + line.length > batch.length) this.#passOn();
    if (line.length > batch.length) return this.#pass(Buffer.from(line, "latin1"), 1);
    this.#used += batch.write(line, this.#used, "latin1");
    this.#lines++;
    this.#timer ??= setTimeout(() => this.#passOn(), ACCESS_LOG.flushMs);
  }

  /** Passes on what there is. Exchanges that are told of later are passed on as before. */
  close(): void {
    this.#passOn();
  }

  #passOn(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#lines === 0) return;
    this.#pass(Uint8Array.prototype.slice.call(this.#batch, 0, this.#used), this.#lines);
    this.#used = 0;
    this.#lines = 0;
  }
}
