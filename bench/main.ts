// The benchmark: every contestant in turn, in one run, with the same client and the same backend.
//   bun bench/main.ts [--smoke] [--only NAME,...] [--contestants NAME,...] [--runs N] [--duration SECONDS] [--json]
// Results are written to bench/results unless --smoke or --contestants is given.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { startBackend } from "./backends.ts";
import { endAllChildren } from "./children.ts";
import { MEASUREMENTS } from "./engine/all.ts";
import type { Measurement, Sample, Scale } from "./engine/measurement.ts";
import { peers } from "./peers/all.ts";
import type { Peer, RunningPeer } from "./peers/peer.ts";
import { type Contestant, formatTable, type Result } from "./report.ts";
import { summarize } from "./statistics.ts";

interface Options {
  scale: Scale;
  runs: number;
  json: boolean;
  measurements: Measurement[];
  contestants: string[] | null;
}

const RUNS = 5;
const DURATION_SECONDS = 2;
const SMOKE_MS = 100;
const WARM_MS = 1_000; // enough for every compiler tier of a relay in JavaScript
const SETTLE_MS = 100; // between two contestants, so that the last one's closing connections are over

/** @throws if a name in the list is not known. */
function choose<T extends { name: string }>(known: readonly T[], list: string | undefined): T[] {
  if (list === undefined) return [...known];
  return list.split(",").map((name) => {
    const found = known.find((each) => each.name === name);
    if (found === undefined) {
      throw new Error(`"${name}" is not one of ${known.map((each) => each.name).join(", ")}`);
    }
    return found;
  });
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      smoke: { type: "boolean", default: false },
      only: { type: "string" },
      contestants: { type: "string" },
      runs: { type: "string" },
      duration: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const smoke = values.smoke;
  const seconds = Number(values.duration ?? DURATION_SECONDS);
  const runs = Number(values.runs ?? (smoke ? 1 : RUNS));
  if (!(seconds > 0) || !Number.isInteger(runs) || runs < 1) {
    throw new Error("--runs takes a whole number and --duration a number of seconds, above 0");
  }
  return {
    scale: { smoke, durationMs: smoke ? SMOKE_MS : seconds * 1000 },
    runs,
    json: values.json,
    measurements: choose(MEASUREMENTS, values.only),
    contestants: values.contestants?.split(",") ?? null,
  };
}

/** The contestants that are here. One that is missing is an error if it was asked for by name; else it is left out. */
async function gather(options: Options, directory: string): Promise<(Peer & Contestant)[]> {
  const known = peers(directory);
  const present: (Peer & Contestant)[] = [];
  for (const peer of choose(known, options.contestants?.join(","))) {
    const found = await peer.available();
    if ("version" in found) present.push({ ...peer, version: found.version });
    else if (options.contestants !== null) throw new Error(`${peer.name}: ${found.missing}`);
    else console.error(`without ${peer.name}: ${found.missing}`);
  }
  return present;
}

/** @param running a relay that goes on afterwards; without one, `start` gives one for this run alone. */
async function measureOnce(
  measurement: Measurement,
  peer: Peer,
  running: RunningPeer | undefined,
  start: () => Promise<RunningPeer>,
  scale: Scale,
): Promise<Sample> {
  const served = running ?? (await start());
  try {
    return await measurement.run(served, scale);
  } catch (error) {
    throw new Error(`${measurement.name}, ${peer.name}`, { cause: error });
  } finally {
    if (running === undefined) await served.stop();
  }
}

async function measure(
  measurement: Measurement,
  contestants: (Peer & Contestant)[],
  options: Options,
  directory: string,
): Promise<Result> {
  const backend = await startBackend(measurement.backend, directory);
  const running = new Map<string, RunningPeer>();
  const samples = new Map<string, Sample[]>(contestants.map((peer) => [peer.name, []]));
  if (!measurement.freshPeer) {
    for (const peer of contestants) {
      running.set(peer.name, await peer.start(backend.port, directory));
    }
  }
  const once = (peer: Peer, scale: Scale): Promise<Sample> =>
    measureOnce(
      measurement,
      peer,
      running.get(peer.name),
      () => peer.start(backend.port, directory),
      scale,
    );
  // The first run of all warms relays and client up; it does not count.
  if (!options.scale.smoke && !measurement.freshPeer) {
    for (const peer of contestants) await once(peer, { smoke: false, durationMs: WARM_MS });
  }
  for (let run = 0; run < options.runs; run++) {
    for (const peer of contestants) {
      await Bun.sleep(SETTLE_MS);
      samples.get(peer.name)!.push(await once(peer, options.scale));
    }
  }
  for (const each of running.values()) await each.stop();
  await backend.stop();
  const { name, title, columns } = measurement;
  return {
    name,
    title,
    columns,
    runs: options.runs,
    contestants: contestants.map((peer) => ({
      name: peer.name,
      setup: peer.setup,
      version: peer.version,
      figures: summarize(samples.get(peer.name)!),
    })),
  };
}

async function main(): Promise<void> {
  const options = readOptions();
  const directory = mkdtempSync(join(tmpdir(), "proxy-bench-"));
  const results: Result[] = [];
  try {
    const contestants = await gather(options, directory);
    for (const measurement of options.measurements) {
      const result = await measure(measurement, contestants, options, directory);
      results.push(result);
      if (!options.json) console.log(formatTable(result));
    }
    if (options.json) console.log(JSON.stringify(results, null, 2));
  } finally {
    await endAllChildren();
    rmSync(directory, { recursive: true, force: true });
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void endAllChildren().finally(() => process.exit(1)));
}

await main();
