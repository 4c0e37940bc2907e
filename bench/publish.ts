// Results on paper: bench/results/*.json become bench/results/README.md, the chart, and what the project's README says
// about speed. Nothing is measured here, and no figure comes from anywhere else. Called by main.ts.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Comparison, formatComparison, merged } from "./against.ts";
import { drawChart } from "./chart.ts";
import { MEASUREMENTS } from "./engine/all.ts";
import type { Machine } from "./machine.ts";
import { formatTable, type Result } from "./report.ts";
import {
  datagrams,
  gateways,
  headline,
  losses,
  overview,
  pace,
  type Published,
  scaling,
  tuned,
} from "./summary.ts";

const results = Bun.fileURLToPath(new URL("./results", import.meta.url));
const comparison = join(results, "against.json");
const readme = Bun.fileURLToPath(new URL("../README.md", import.meta.url));
/** What `auto` took when results did not say so yet. */
const AUTO_ONCE = "epoll";
const DETAILS =
  "[bench/results](bench/results/README.md) has all measurements, contestants, columns and extremes.";

export function saveResult(result: Result, machine: Machine): void {
  mkdirSync(results, { recursive: true });
  const path = join(results, `${result.name}.json`);
  writeFileSync(path, `${JSON.stringify({ machine, ...result }, null, 2)}\n`);
}

/** Beside what was compared with the same commit before. */
export function saveComparison(fresh: Comparison, machine: Machine): void {
  mkdirSync(results, { recursive: true });
  const all = { machine, ...merged(readComparison(), fresh) };
  writeFileSync(comparison, `${JSON.stringify(all, null, 2)}\n`);
  publish();
}

function readComparison(): (Comparison & { machine: Machine }) | null {
  if (!existsSync(comparison)) return null;
  return JSON.parse(readFileSync(comparison, "utf8")) as Comparison & { machine: Machine };
}

function readResults(): Published[] {
  const names = new Set(readdirSync(results));
  const files = MEASUREMENTS.map(({ name }) => `${name}.json`).filter((file) => names.has(file));
  return files.map((file) => {
    const read = JSON.parse(readFileSync(join(results, file), "utf8")) as Published;
    return { ...read, machine: { ...read.machine, engine: read.machine.engine ?? AUTO_ONCE } };
  });
}

/** Every machine once, with the commits that were measured on it. */
function describeMachines(published: readonly Published[]): string {
  const commits = new Map<string, Set<string>>();
  for (const { machine } of published) {
    const where = describe(machine);
    commits.set(where, (commits.get(where) ?? new Set()).add(machine.commit));
  }
  return [...commits]
    .map(([where, of]) => `${where}, ${of.size === 1 ? "commit" : "commits"} ${[...of].join(", ")}`)
    .join("; ");
}

function describe(m: Machine): string {
  const bun = `Bun ${m.bun}, iperf ${m.iperf3}`;
  return `${m.cores} cores of ${m.cpu}, ${m.memoryGib} GiB, ${m.system}, ${bun}, ${m.date}`;
}

function describeRuns(published: readonly Published[]): string {
  const runs = published.map((each) => each.runs);
  const [least, most] = [Math.min(...runs), Math.max(...runs)];
  return `Medians of ${least === most ? least : `${least} to ${most}`} runs in turn.`;
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
  const where = `${describeRuns(published)} ${describeMachines(published)}.`;
  const head = "<!-- Written by `bun bench/main.ts`. Do not edit. -->\n\n# Benchmark results";
  const all = published.map(formatTable);
  const compared = readComparison();
  if (compared !== null) all.push(`${formatComparison(compared)}\n${describe(compared.machine)}.`);
  const page = [head, where, "![chart](chart.svg)", peers.join("\n"), ...all];
  writeFileSync(join(results, "README.md"), `${page.join("\n\n").trimEnd()}\n`);
  writeFileSync(join(results, "chart.svg"), drawChart(published));
  const tables = [overview, pace, tuned, scaling, losses, datagrams, gateways];
  const parts = tables.map((part) => part(published));
  const block = [...parts, `${DETAILS} ${where}`].filter(Boolean).join("\n\n");
  const text = replaceBlock(readFileSync(readme, "utf8"), "headline", headline(published));
  writeFileSync(readme, replaceBlock(text, "bench", block));
  // The project's formatter aligns the table, and its check would fail otherwise.
  Bun.spawnSync([process.execPath, "fmt", readme]);
}
