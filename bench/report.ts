// Results as data and as Markdown tables. Pure. Called by main.ts and publish.ts.

import type { Column } from "./engine/measurement.ts";
import type { Summary } from "./statistics.ts";

export interface Contestant {
  name: string;
  setup: string;
  version: string;
}

export interface Result {
  name: string;
  title: string;
  columns: readonly Column[];
  runs: number;
  /** What has to be known to read the figures. */
  note?: string;
  contestants: (Contestant & { figures: Summary })[];
}

/** One table: medians, and the extremes of the first column. */
export function formatTable(result: Result): string {
  const [first] = result.columns;
  const heads = ["", ...result.columns.map((column) => column.title), "min to max"];
  const rows = result.contestants.map(({ name, figures }) => {
    const cells = result.columns.map(({ key, digits }) => {
      const figure = figures[key];
      return figure === undefined ? "" : formatNumber(figure.median, digits);
    });
    const { min, max } = figures[first!.key]!;
    const range = `${formatNumber(min, first!.digits)} to ${formatNumber(max, first!.digits)}`;
    return [name, ...cells, range];
  });
  const widths = heads.map((head, i) =>
    Math.max(...[head, ...rows.map((r) => r[i]!)].map((c) => c.length)),
  );
  const line = (cells: string[]): string =>
    `| ${cells.map((c, i) => (i === 0 ? c.padEnd(widths[i]!) : c.padStart(widths[i]!))).join(" | ")} |`;
  const rule = `| ${widths.map((w, i) => (i === 0 ? "-".repeat(w) : `${"-".repeat(w - 1)}:`)).join(" | ")} |`;
  const title = `### ${result.title} (\`${result.name}\`, medians of ${result.runs})`;
  const note = result.note === undefined ? [] : [result.note, ""];
  return [title, "", ...note, line(heads), rule, ...rows.map(line), ""].join("\n");
}

export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}
