// A log that keeps its lines, for tests that wait for one. Called by tests of the control plane.

import type { Log } from "../../src/shared/log.ts";

export interface LogLine {
  readonly at: number;
  readonly level: keyof Log;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class LogLines {
  readonly lines: LogLine[] = [];
  readonly log: Log = {
    debug: (fields, message) => this.#note("debug", fields, message),
    info: (fields, message) => this.#note("info", fields, message),
    warn: (fields, message) => this.#note("warn", fields, message),
    error: (fields, message) => this.#note("error", fields, message),
  };

  /** Lines with this message. */
  of(message: string): LogLine[] {
    return this.lines.filter((line) => line.message === message);
  }

  #note(level: keyof Log, fields: object, message: string): void {
    const at = performance.now();
    this.lines.push({ at, level, message, fields: fields as Record<string, unknown> });
  }
}
