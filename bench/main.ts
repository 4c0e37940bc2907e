// The benchmark: every contestant in turn, in one run, with the same client and the same backend.
//   bun bench/main.ts [--smoke] [--only NAME,...] [--contestants NAME,...] [--runs N] [--duration SECONDS] [--json]
//   bun bench/main.ts --against DIRECTORY   this checkout against another one of this project
//   bun bench/main.ts --report        only writes the tables and the chart again, from the results that are there
//   bun bench/main.ts --build-peers   only builds the contestants that no distribution has
// Results are written to bench/results, and tables from them to the README, unless --smoke or --contestants is given.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { type Duel, DUELS, formatComparison, measureAgainst } from "./against.ts";
import { endAllChildren } from "./children.ts";
import { MEASUREMENTS } from "./engine/all.ts";
import type { Measurement } from "./engine/measurement.ts";
import { commitOf, thisMachine } from "./machine.ts";
import { DURATION_MS, type Extent, measure, type Present, RUNS } from "./measure.ts";
import { peers } from "./peers/all.ts";
import { buildTools, CACHE, TOOLS } from "./peers/build.ts";
import { publish, saveComparison, saveResult } from "./publish.ts";
import { formatTable, type Result } from "./report.ts";

const USAGE = `bun bench/main.ts [flags]   measures every contestant, and writes bench/results and the README's tables
  --smoke                 everything, very short: only that it works; writes nothing
  --only NAME,...         these measurements, or groups of them:
${describeGroups()}
  --contestants NAME,...  these contestants; writes nothing
  --runs N                of each measurement (default: its own, most often ${RUNS})
  --duration SECONDS      of each run (default: its own, most often ${DURATION_MS / 1000})
  --json                  prints JSON
  --against DIRECTORY     measures this checkout against another one, turn by turn, and writes bench/results/against.json;
                          --only: ${DUELS.map(({ name }) => name).join(", ")}
  --report                measures nothing, writes the tables again
  --build-peers           measures nothing, builds ${TOOLS.map(({ name }) => name).join(", ")} in bench/.cache
  -h, --help              this page`;

/** A wrong argument: one line says so, without a stack. */
class UsageError extends Error {}

function describeGroups(): string {
  const groups = Map.groupBy(MEASUREMENTS, ({ group }) => group);
  const lines = [...groups].map(([group, measurements]) => {
    const names = measurements.map(({ name }) => name).filter((name) => name !== group);
    return `${" ".repeat(26)}${group.padEnd(13)}${names.join(", ")}`.trimEnd();
  });
  return lines.join("\n");
}

interface Options extends Extent {
  json: boolean;
  measurements: Measurement[];
  contestants: string[] | null;
  /** The other checkout; null: contestants are measured. */
  against: string | null;
  duels: Duel[];
  /** Results are kept: everything took part at full length. */
  saves: boolean;
  /** Nothing is measured. */
  reportsOnly: boolean;
  buildsOnly: boolean;
}

const inCi = process.env.CI === "true";

/** @param list names, and groups where there are any. @throws if one of them is not known. */
function choose<T extends { name: string; group?: string }>(
  known: readonly T[],
  list: string | undefined,
): T[] {
  if (list === undefined) return [...known];
  return list.split(",").flatMap((name) => {
    const found = known.filter((each) => each.name === name || each.group === name);
    if (found.length > 0) return found;
    throw new UsageError(`"${name}" is not one of ${known.map((each) => each.name).join(", ")}`);
  });
}

function parse() {
  const options = {
    smoke: { type: "boolean", default: false },
    only: { type: "string" },
    contestants: { type: "string" },
    against: { type: "string" },
    runs: { type: "string" },
    duration: { type: "string" },
    json: { type: "boolean", default: false },
    report: { type: "boolean", default: false },
    "build-peers": { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

/** @returns null if only the usage was asked for. @throws UsageError */
function readOptions(): Options | null {
  const values = parse();
  if (values.help) return null;
  const smoke = values.smoke;
  const seconds = values.duration === undefined ? null : Number(values.duration);
  const runs = values.runs === undefined ? null : Number(values.runs);
  if (
    (seconds !== null && !(seconds > 0)) ||
    (runs !== null && !(Number.isInteger(runs) && runs > 0))
  ) {
    throw new UsageError("--runs takes a whole number and --duration a number of seconds, above 0");
  }
  const against = values.against === undefined ? null : resolve(values.against);
  if (against !== null && (values.contestants ?? values.runs ?? values.duration) !== undefined) {
    const message = "--against has contestants, runs and durations of its own";
    throw new UsageError(`${message}: leave --contestants, --runs and --duration out`);
  }
  if (against !== null && !existsSync(join(against, "src/cli.ts"))) {
    throw new UsageError(
      `--against takes another checkout of this project, and ${against} is none`,
    );
  }
  return {
    smoke,
    runs,
    durationMs: seconds === null ? null : seconds * 1000,
    json: values.json,
    measurements: against === null ? choose(MEASUREMENTS, values.only) : [],
    duels: against === null ? [] : choose(DUELS, values.only),
    contestants: values.contestants?.split(",") ?? null,
    against,
    saves: !smoke && values.contestants === undefined,
    reportsOnly: values.report,
    buildsOnly: values["build-peers"],
  };
}

/** The contestants that are here. One that is missing is an error in CI, and if it was asked for; else left out. */
async function gather(options: Options, directory: string): Promise<Present[]> {
  const known = peers(directory);
  const present: Present[] = [];
  for (const peer of choose(known, options.contestants?.join(","))) {
    const found = await peer.available();
    if ("version" in found) present.push({ ...peer, version: found.version });
    else if (options.contestants !== null || (inCi && peer.optional !== true))
      throw new Error(`${peer.name}: ${found.missing}`);
    else console.error(`without ${peer.name}: ${found.missing}`);
  }
  return present;
}

async function measureAll(options: Options, directory: string): Promise<void> {
  const machine = thisMachine();
  const results: Result[] = [];
  const contestants = await gather(options, directory);
  for (const measurement of options.measurements) {
    const begin = performance.now();
    const result = await measure(measurement, contestants, options, directory);
    results.push(result);
    console.error(`${measurement.name}: ${((performance.now() - begin) / 1000).toFixed(0)} s`);
    if (options.saves) saveResult(result, machine);
    if (!options.json) console.log(formatTable(result));
  }
  if (options.saves) publish();
  if (options.json) console.log(JSON.stringify(results, null, 2));
}

async function compareAll(root: string, options: Options, directory: string): Promise<void> {
  const machine = thisMachine();
  const { duels, smoke } = options;
  const compared = await measureAgainst(root, duels, smoke, directory);
  const comparison = { now: machine.commit, before: commitOf(root), compared };
  if (options.saves) saveComparison(comparison, machine);
  console.log(options.json ? JSON.stringify(comparison, null, 2) : formatComparison(comparison));
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === null) {
    console.log(USAGE);
    return;
  }
  if (options.reportsOnly) return publish();
  if (options.buildsOnly) return buildTools();
  const directory = mkdtempSync(join(tmpdir(), "proxy-bench-"));
  const cleanUp = async (): Promise<void> => {
    await endAllChildren();
    rmSync(directory, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
  }
  try {
    if (options.against === null) await measureAll(options, directory);
    else await compareAll(options.against, options, directory);
  } finally {
    await cleanUp();
  }
}

// What was built here comes first; Debian keeps servers where users do not look for programs.
process.env.PATH = [CACHE, process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(":");
try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\nbun bench/main.ts --help lists the flags.`);
  process.exitCode = 2;
}
