// Results on paper: bench/results/*.json become bench/results/README.md, the chart, and the table in the
// project's README. Nothing is measured here, and no figure comes from anywhere else. Called by main.ts.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { drawChart } from "./chart.ts";
import { MEASUREMENTS } from "./engine/all.ts";
import type { Machine } from "./machine.ts";
import { formatNumber, formatTable, type Result } from "./report.ts";

/** What one file in bench/results holds. */
export type Published = Result & { machine: Machine };

const results = Bun.fileURLToPath(new URL("./results", import.meta.url));
const readme = Bun.fileURLToPath(new URL("../README.md", import.meta.url));

/** The README's rows, as `measurement.column`. */
const ROWS = [
  ["bulk-1", "rate", "Bulk, 1 stream, Gbit/s"],
  ["bulk-1", "cpuMs", "CPU ms for 1 GB"],
  ["bulk-8", "rate", "Bulk, 8 streams, Gbit/s"],
  ["bulk-8", "cpuMs", "CPU ms for 1 GB"],
  ["pingpong-1", "rate", "64 B ping-pong, 1 connection, messages/s"],
  ["pingpong-64", "rate", "the same, 64 connections"],
  ["pingpong-64", "cpuUs", "CPU µs for one message"],
  ["pingpong-512", "rate", "the same, 512 connections"],
  ["pingpong-512", "cpuUs", "CPU µs for one message"],
  ["connect", "rate", "Connections one after another, per second"],
  ["connect-16", "rate", "Connections, 16 at once, per second"],
  ["idle", "userKib", "KiB for an idle connection"],
] as const;

/** The original's own figures (its README): direct and through it. */
const ORIGINAL = [
  { name: "seed-throughput", column: "rate", title: "Throughput, MB/s", lost: "43.3 %" },
  { name: "seed-latency", column: "echoMs", title: "Latency, ms", lost: "+0.102 ms" },
  { name: "seed-concurrency", column: "rate", title: "Concurrent requests/s", lost: "27.5 %" },
] as const;

export function saveResult(result: Result, machine: Machine): void {
  mkdirSync(results, { recursive: true });
  const path = join(results, `${result.name}.json`);
  writeFileSync(path, `${JSON.stringify({ machine, ...result }, null, 2)}\n`);
}

function readResults(): Published[] {
  const names = new Set(readdirSync(results));
  return MEASUREMENTS.filter(({ name }) => names.has(`${name}.json`)).map(
    ({ name }) => JSON.parse(readFileSync(join(results, `${name}.json`), "utf8")) as Published,
  );
}

function describeMachine(published: readonly Published[]): string {
  const machines = new Map(
    published.map(({ machine }) => [machine.commit + machine.date, machine]),
  );
  return [...machines.values()]
    .map((m) => {
      const bun = `Bun ${m.bun}, iperf ${m.iperf3}`;
      return `${m.cores} cores of ${m.cpu}, ${m.memoryGib} GiB, ${m.system}, ${bun}, ${m.date}, commit ${m.commit}`;
    })
    .join("; ");
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = line(heads.map((_, i) => (i === 0 ? "---" : "---:")));
  return [line(heads), rule, ...rows.map(line)].join("\n");
}

const TUNED = "-tuned";

/** Without those that take part in some measurements only. */
function contestantNames(published: readonly Published[]): string[] {
  const all = published.flatMap(({ contestants }) => contestants.map(({ name }) => name));
  return [...new Set(all)].filter((name) => !name.endsWith(TUNED));
}

/** What the peers reach in bulk when they are set up for nothing else. */
function tuned(published: readonly Published[]): string {
  const bulk = published.find(({ name }) => name === "bulk-1");
  const rows = bulk?.contestants.filter(({ name }) => name.endsWith(TUNED)) ?? [];
  if (rows.length === 0) return "";
  const each = rows.map(({ name, setup, figures }) => {
    const rate = `${formatNumber(figures.rate!.median, 2)} Gbit/s`;
    const cpu = `${formatNumber(figures.cpuMs!.median, 1)} ms of CPU for a gigabyte`;
    return `${name.replace(TUNED, "")} (${setup.replace("the same with ", "")}) ${rate} at ${cpu}`;
  });
  return `Peers set up for bulk alone, 1 stream: ${each.join("; ")}.`;
}

function overview(published: readonly Published[]): string {
  const names = contestantNames(published);
  const rows = ROWS.flatMap(([name, key, title]) => {
    const result = published.find((each) => each.name === name);
    const column = result?.columns.find((each) => each.key === key);
    if (result === undefined || column === undefined) return [];
    const cells = names.map((contestant) => {
      const row = result.contestants.find((each) => each.name === contestant);
      const nothing = row === undefined || (contestant === "direct" && key !== "rate");
      return nothing ? "" : formatNumber(row.figures[key]!.median, column.digits);
    });
    return [[title, ...cells]];
  });
  const heads = names.map((name) => name.replace("proxy-", "**proxy**, "));
  return table(["", ...heads], rows);
}

/** What is lost against the direct connection of the same run. */
function losses(published: readonly Published[]): string {
  const names = contestantNames(published).filter((name) => name !== "direct");
  const rows = ORIGINAL.flatMap(({ name, column, title, lost }) => {
    const result = published.find((each) => each.name === name);
    if (result === undefined) return [];
    const median = (contestant: string): number | undefined =>
      result.contestants.find((each) => each.name === contestant)?.figures[column]!.median;
    const direct = median("direct");
    const digits = result.columns[0]!.digits;
    const cells = names.map((contestant) => {
      const value = median(contestant);
      if (value === undefined || direct === undefined) return "";
      if (column === "echoMs") return `+${formatNumber(value - direct, 3)} ms`;
      return `${formatNumber((1 - value / direct) * 100, 1)} %`;
    });
    const bound = direct === undefined ? "" : formatNumber(direct, digits);
    return [[title, bound, ...cells, lost]];
  });
  const heads = [
    "Lost against direct",
    "direct",
    ...names.map((n) => n.replace("proxy-", "**proxy**, ")),
  ];
  return table([...heads, "go-tunnel, as it says"], rows);
}

/** The sentence on the README's first screen: bulk, where the figures say most, against the peers of the same run. */
function headline(published: readonly Published[]): string {
  const bulk = published.find(({ name }) => name === "bulk-1");
  const idle = published.find(({ name }) => name === "idle");
  const figure = (result: Result | undefined, name: string, key: string): string => {
    const digits = result?.columns.find((column) => column.key === key)?.digits ?? 0;
    const row = result?.contestants.find((each) => each.name === name);
    return row === undefined ? "" : formatNumber(row.figures[key]!.median, digits);
  };
  const proxies = bulk?.contestants.filter(({ name }) => name.startsWith("proxy-")) ?? [];
  // What `auto` takes; an engine that is taken by name only has no place on the first screen.
  const ours = (proxies.find(({ name }) => name !== "proxy-uring") ?? proxies[0])?.name;
  if (bulk === undefined || ours === undefined) return "";
  const { cores } = bulk.machine;
  const against = (result: Result | undefined, key: string, unit: string): string => {
    const [own, ...others] = [ours, "nginx", "haproxy"].map((name) => figure(result, name, key));
    return `**${own} ${unit}** (nginx ${others[0]}, haproxy ${others[1]})`;
  };
  const parts = [
    `One stream of bulk data: ${against(bulk, "rate", "Gbit/s")}`,
    `with ${against(bulk, "cpuMs", "ms of CPU for a gigabyte")}`,
    `and ${against(idle, "userKib", "KiB for an idle connection")}`,
  ];
  return `${parts.join(", ")}: [measured](#benchmark) side by side on ${cores} cores, one worker each.`;
}

/** Puts `block` between the comments `<!-- name:begin -->` and `<!-- name:end -->`. */
function replaceBlock(text: string, name: string, block: string): string {
  const begin = `<!-- ${name}:begin -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(`<!-- ${name}:end -->`);
  if (from < 0 || to < from) throw new Error(`README.md lacks ${begin} and its end`);
  return `${text.slice(0, from + begin.length)}\n\n${block}\n\n${text.slice(to)}`;
}

/** Writes everything that is made of the results that are there. */
export function publish(): void {
  const published = readResults();
  if (published.length === 0) throw new Error("there are no results yet: run the benchmark first");
  const setups = new Map(
    published.flatMap(({ contestants }) => contestants.map((each) => [each.name, each] as const)),
  );
  const peers = [...setups.values()].map(({ name, version, setup }) =>
    `- ${name} ${version}`.trimEnd().concat(`: ${setup}`),
  );
  const runs = [...new Set(published.map((each) => each.runs))].join(" or ");
  const where = `Medians of ${runs} runs in turn. ${describeMachine(published)}.`;
  const head = "<!-- Written by `bun bench/main.ts`. Do not edit. -->\n\n# Benchmark results";
  const tables = published.map(formatTable);
  const page = [head, where, "![chart](chart.svg)", peers.join("\n"), ...tables];
  writeFileSync(join(results, "README.md"), `${page.join("\n\n").trimEnd()}\n`);
  writeFileSync(join(results, "chart.svg"), drawChart(published));
  const block = [overview(published), tuned(published), losses(published), where]
    .filter(Boolean)
    .join("\n\n");
  const text = replaceBlock(readFileSync(readme, "utf8"), "headline", headline(published));
  writeFileSync(readme, replaceBlock(text, "bench", block));
  // The project's formatter aligns the table, and its check would fail otherwise.
  Bun.spawnSync([process.execPath, "fmt", readme]);
}
