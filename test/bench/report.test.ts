// What the benchmark makes of its samples: medians, tables and the chart. Measuring itself is tried by its smoke mode.
import { describe, expect, test } from "bun:test";

import { drawChart } from "../../bench/chart.ts";
import { formatTable, type Result } from "../../bench/report.ts";
import { evenness, spread, summarize } from "../../bench/statistics.ts";

function result(name: string, key: string, values: Record<string, number[]>): Result {
  return {
    name,
    title: "A <measurement>",
    columns: [{ key, title: "per second", digits: 1, better: "higher" }],
    runs: 3,
    contestants: Object.entries(values).map(([contestant, samples]) => ({
      name: contestant,
      setup: "",
      version: "1.0",
      figures: summarize(samples.map((value) => ({ [key]: value }))),
    })),
  };
}

describe("statistics", () => {
  test("the median of an odd number of runs is one of them", () => {
    expect(spread([9, 1, 5])).toEqual({ median: 5, min: 1, max: 9 });
  });

  test("the median of an even number of runs lies between the two in the middle", () => {
    expect(spread([1, 10, 2, 4])).toEqual({ median: 3, min: 1, max: 10 });
  });

  test("no run has no median", () => {
    expect(() => spread([])).toThrow(RangeError);
  });

  test("a figure that some runs lack is of the others, and one that all lack is not there", () => {
    const both = summarize([{ rate: 1 }, { rate: 3, even: 50 }]);
    expect(both).toEqual({
      rate: { median: 2, min: 1, max: 3 },
      even: { median: 50, min: 50, max: 50 },
    });
  });

  test("workers that do the same are even, whatever other threads there are", () => {
    expect(evenness([10, 700, 0, 700, 20], 2)).toBe(100);
    expect(evenness([10, 700, 350], 2)).toBe(50);
  });

  test("of two workers, one that is not to be seen does nothing", () => {
    expect(evenness([700], 2)).toBe(0);
    expect(evenness([], 2)).toBe(0);
  });
});

describe("table", () => {
  test("has a row for each contestant with its median and extremes", () => {
    const table = formatTable(
      result("connect", "rate", { direct: [1, 3, 2], nginx: [1000, 2000, 1500] }),
    );
    expect(table).toContain("| direct |        2.0 |         1.0 to 3.0 |");
    expect(table).toContain("| nginx  |    1,500.0 | 1,000.0 to 2,000.0 |");
  });

  test("leaves empty what a contestant has no figure for, and says the note above", () => {
    const one = result("scaling", "rate", { nginx: [2] });
    const even = { key: "even", title: "even", digits: 0, better: "higher" } as const;
    const table = formatTable({ ...one, columns: [...one.columns, even], note: "So it is." });
    expect(table).toContain("\n\nSo it is.\n\n|");
    expect(table).toContain("| nginx |        2.0 |      | 2.0 to 2.0 |");
  });
});

describe("chart", () => {
  const chart = drawChart([
    result("connect-16", "rate", {
      direct: [40],
      "proxy-epoll": [10],
      nginx: [5],
      "nginx-tuned": [6],
    }),
    result("not-in-the-chart", "rate", { nginx: [1] }),
  ]);
  const bars = [...chart.matchAll(/<rect class="(\w+)"[^>]* width="([\d.]+)"/g)];

  test("draws a bar for ours and for the peers, in proportion, and leaves out what is not compared", () => {
    expect(bars.map((bar) => bar[1])).toEqual(["ours", "other"]);
    const [ours, nginx] = bars.map((bar) => Number(bar[2]));
    expect(ours! / nginx!).toBeCloseTo(2, 1);
  });

  test("is XML whose elements are closed", () => {
    const open = [...chart.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)].reduce<string[]>(
      (stack, match) => {
        const [, closing, name, empty] = match;
        if (closing === "/") expect(stack.at(-1)).toBe(name!);
        if (closing === "/") return stack.slice(0, -1);
        return empty === "/" ? stack : [...stack, name!];
      },
      [],
    );
    expect(open).toEqual([]);
  });

  test("without results has no bars", () => {
    expect(drawChart([])).not.toContain("<rect");
  });
});
