// The access log of one listener in a gateway worker: lines are gathered, and go to the control plane, which writes them, as
// one message for many. Invariant: a line that was recorded is passed on within ACCESS_LOG.flushMs, or by `close`. Made by the
// listener, told by exchanges.

import type { AccessLogPlan } from "../../../shared/http-plan.ts";
import { ACCESS_LOG } from "../../../shared/limits.ts";
import type { AccessLog, ExchangeRecord } from "../passage.ts";
import { combinedFormat, jsonFormat, type WriteLine } from "./formats.ts";
import { LineBuffer } from "./line-buffer.ts";

/** Room for the line that passes the size of a batch. */
const SPARE_BYTES = 8 * 1024;

export class BatchedAccessLog implements AccessLog {
  readonly #writeLine: WriteLine;
  readonly #pass: (bytes: Uint8Array, lines: number) => void;
  readonly #line = new LineBuffer(ACCESS_LOG.batchBytes + SPARE_BYTES, ACCESS_LOG.textMax);
  #lines = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @param pass gets whole lines; the bytes are its own. */
  constructor(format: AccessLogPlan["format"], pass: (bytes: Uint8Array, lines: number) => void) {
    this.#writeLine = format === "json" ? jsonFormat() : combinedFormat();
    this.#pass = pass;
  }

  record(record: ExchangeRecord): void {
    this.#writeLine(this.#line, record);
    this.#lines++;
    if (this.#line.used >= ACCESS_LOG.batchBytes) this.#passOn();
    else this.#timer ??= setTimeout(() => this.#passOn(), ACCESS_LOG.flushMs);
  }

  /** Passes on what there is. Exchanges that are told of later are passed on as before. */
  close(): void {
    if (this.#lines > 0) this.#passOn();
  }

  #passOn(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const line = this.#line;
    this.#pass(line.bytes.slice(0, line.used), this.#lines);
    line.used = 0;
    this.#lines = 0;
  }
}
