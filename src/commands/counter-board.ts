// The demo's live counters: on a terminal, lines that are drawn over themselves; elsewhere, a line when something changed.

import type { ListenerStats } from "../shared/counters.ts";
import { type Style, styleFor } from "./terminal.ts";

interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

interface Row {
  readonly name: string;
  readonly key: string;
}

/** Without a terminal: at most a line a second for each row, so that a log file stays readable. */
const PLAIN_INTERVAL_MS = 1_000;

export class CounterBoard {
  readonly #output: Output;
  readonly #rows: readonly Row[];
  readonly #style: Style;
  readonly #nameWidth: number;
  readonly #rates = new Map<string, { at: number; bytes: number }>();
  #drawn: string[] = [];
  #nextPlainMs = 0;

  constructor(output: Output, rows: readonly Row[]) {
    this.#output = output;
    this.#rows = rows;
    this.#style = styleFor(output);
    this.#nameWidth = Math.max(...rows.map(({ name }) => name.length));
  }

  show(stats: Readonly<Record<string, ListenerStats>>, now = performance.now()): void {
    const active = this.#rows.some(({ key }) => (stats[key]?.total ?? 0) > 0);
    if (!active) return; // nothing has happened yet
    const lines = this.#rows.map((row) => this.#line(row, stats[row.key]!, now));
    if (this.#output.isTTY === true) this.#redraw(lines);
    else if (now >= this.#nextPlainMs) this.#append(lines, now);
  }

  /** Ends the drawing, so that what follows starts on a line of its own. */
  close(): void {
    if (this.#output.isTTY === true) this.#output.write("\n");
  }

  #redraw(lines: string[]): void {
    if (lines.join("\n") === this.#drawn.join("\n")) return;
    const up = this.#drawn.length > 0 ? `\u001B[${this.#drawn.length}A` : "";
    this.#output.write(up + lines.map((line) => `\r\u001B[2K${line}\n`).join(""));
    this.#drawn = lines;
  }

  #append(lines: string[], now: number): void {
    const changed = lines.filter((line, i) => line !== this.#drawn[i]);
    if (changed.length === 0) return;
    this.#output.write(changed.map((line) => `${line}\n`).join(""));
    this.#drawn = lines;
    this.#nextPlainMs = now + PLAIN_INTERVAL_MS;
  }

  #line({ name, key }: Row, stats: ListenerStats, now: number): string {
    const { bold, dim } = this.#style;
    const columns = [
      `${String(stats.active).padStart(4)} open`,
      `${String(stats.total).padStart(6)} in all`,
      `${readable(stats.bytesUp).padStart(9)} up`,
      `${readable(stats.bytesDown).padStart(9)} down`,
    ];
    const rate = this.#rate(key, stats.bytesUp + stats.bytesDown, now);
    // The rate of the moment would make every plain line differ from the one before.
    const speed = this.#output.isTTY === true && rate > 0 ? `${readable(rate)}/s` : "";
    return `  ${bold(name.padEnd(this.#nameWidth))} ${columns.join(" ")}  ${dim(speed)}`.trimEnd();
  }

  /** Bytes per second since the last call. */
  #rate(key: string, bytes: number, now: number): number {
    const last = this.#rates.get(key);
    const seconds = last === undefined ? 0 : (now - last.at) / 1_000;
    const perSecond = last === undefined || seconds <= 0 ? 0 : (bytes - last.bytes) / seconds;
    this.#rates.set(key, { at: now, bytes });
    return perSecond;
  }
}

/** Three digits or so, in powers of two: `812 B`, `1.2 MB`. */
export function readable(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
