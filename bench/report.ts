// Results as data and as Markdown tables. Called by main.ts.

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
  contestants: (Contestant & { figures: Summary })[];
}

/** One table: medians, and the extremes of the first column. */
export function formatTable(result: Result): string {
  const [first] = result.columns;
  const heads = ["", ...result.columns.map((column) => column.title), "min to max"];
  const rows = result.contestants.map(({ name, figures }) => {
    const cells = result.columns.map(({ key, digits }) =>
      formatNumber(figures[key]!.median, digits),
    );
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
  return [title, "", line(heads), rule, ...rows.map(line), ""].join("\n");
}

export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}
