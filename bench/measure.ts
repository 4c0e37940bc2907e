// One measurement for all contestants: they are started together, warmed up, and then loaded in turn, so that what else
// the machine does meets all of them. Called by main.ts.

import { startBackend } from "./backends.ts";
import {
  CannotMeasure,
  type Measurement,
  type Pace,
  type Sample,
  type Scale,
} from "./engine/measurement.ts";
import { pinned } from "./load/affinity.ts";
import type { Peer, RunningPeer } from "./peers/peer.ts";
import type { Contestant, Result } from "./report.ts";
import { summarize } from "./statistics.ts";

/** A contestant that is installed. */
export type Present = Peer & Contestant;

/** What the command line asks for; null leaves it to the measurement. */
export interface Extent {
  runs: number | null;
  durationMs: number | null;
  smoke: boolean;
}

export const RUNS = 5;
export const DURATION_MS = 2_000;
/** The last compiler tier of a relay in JavaScript comes after some two seconds, and takes a tenth of a second of CPU time. */
const RELAY_WARM_MS = 3_000;
const LOAD_WARM_MS = 200; // the load programs are small
const SETTLE_MS = 100; // between two contestants: the last one's connections finish closing
const SMOKE = { durationMs: 100, warmMs: 20 };
const NO_PACE: Pace = { perSecond: 0, note: "" };

export function runsOf(measurement: Measurement, { runs, smoke }: Extent): number {
  return runs ?? (smoke ? 1 : (measurement.runs ?? RUNS));
}

function scaleOf(measurement: Measurement, { durationMs, smoke }: Extent): Scale {
  if (smoke) return { ...SMOKE, smoke };
  const length = durationMs ?? measurement.durationMs ?? DURATION_MS;
  return { durationMs: length, warmMs: LOAD_WARM_MS, smoke };
}

class Field {
  readonly samples = new Map<string, Sample[]>();
  /** What has to be known to read the figures. */
  readonly notes: string[] = [];
  readonly #running = new Map<string, RunningPeer>();
  readonly #measurement: Measurement;
  readonly #start: (peer: Peer) => Promise<RunningPeer>;
  #pace = NO_PACE;

  constructor(measurement: Measurement, start: (peer: Peer) => Promise<RunningPeer>) {
    this.#measurement = measurement;
    this.#start = start;
  }

  /** Starts those that serve all runs, at once: programs that start are no measurement yet. */
  async open(contestants: readonly Present[]): Promise<void> {
    for (const { name } of contestants) this.samples.set(name, []);
    if (this.#measurement.freshPeer) return;
    const started = contestants.map(async (peer) => [peer.name, await this.#start(peer)] as const);
    for (const [name, running] of await Promise.all(started)) this.#running.set(name, running);
  }

  async findPace(scale: Scale): Promise<void> {
    if (this.#measurement.findPace === undefined) return;
    this.#pace = await this.#measurement.findPace(this.#running, scale);
    this.notes.push(this.#pace.note);
  }

  async run(peer: Present, scale: Scale, counts: boolean): Promise<void> {
    if (!this.samples.has(peer.name)) return;
    const lasting = this.#running.get(peer.name);
    const served = lasting ?? (await this.#start(peer));
    try {
      const sample = await this.#measurement.run(served, scale, this.#pace);
      if (counts) this.samples.get(peer.name)!.push(sample);
    } catch (error) {
      if (error instanceof CannotMeasure) this.#drop(peer, error);
      else throw new Error(`${this.#measurement.name}, ${peer.name}`, { cause: error });
    } finally {
      if (lasting === undefined) await served.stop();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map((peer) => peer.stop()));
  }

  #drop(peer: Present, reason: Error): void {
    this.samples.delete(peer.name);
    this.notes.push(`Without ${peer.name}, which ${reason.message}.`);
    console.error(`${this.#measurement.name} without ${peer.name}, which ${reason.message}`);
  }
}

/** The same contestants, another first each time: whoever follows a heavy one must not always be the same. */
function rotated<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

function takesPart({ name, contestants }: Measurement, peer: Present): boolean {
  return peer.only?.test(name) !== false && contestants?.test(peer.name) !== false;
}

async function runAll(
  field: Field,
  contestants: readonly Present[],
  measurement: Measurement,
  extent: Extent,
): Promise<void> {
  const scale = scaleOf(measurement, extent);
  await field.open(contestants);
  if (!scale.smoke && !measurement.freshPeer) {
    const warm = { ...scale, durationMs: measurement.relayWarmMs ?? RELAY_WARM_MS };
    for (const peer of contestants) await field.run(peer, warm, false);
  }
  await field.findPace(scale);
  // Nothing is compared in a smoke run: what can serve all at once does.
  if (scale.smoke && measurement.backend !== "iperf3") {
    await Promise.all(contestants.map((peer) => field.run(peer, scale, true)));
    return;
  }
  for (let run = 0; run < runsOf(measurement, extent); run++) {
    for (const peer of rotated(contestants, run)) {
      await Bun.sleep(SETTLE_MS);
      await field.run(peer, scale, true);
    }
  }
}

export async function measure(
  measurement: Measurement,
  present: readonly Present[],
  extent: Extent,
  directory: string,
): Promise<Result> {
  // What is started from here inherits the processor.
  using _core = measurement.oneCore === true ? pinned() : null;
  const contestants = present.filter((peer) => takesPart(measurement, peer));
  const backend = await startBackend(measurement.backend, directory);
  const field = new Field(measurement, (peer) => peer.start(backend.port, directory, backend));
  await runAll(field, contestants, measurement, extent);
  await field.close();
  await backend.stop();
  const { name, title, columns } = measurement;
  const rows = contestants.filter((peer) => field.samples.has(peer.name));
  return {
    name,
    title,
    columns,
    runs: runsOf(measurement, extent),
    ...(field.notes.length > 0 && { note: field.notes.join(" ") }),
    contestants: rows.map((peer) => ({
      name: peer.name,
      setup: peer.setup,
      version: peer.version,
      figures: summarize(field.samples.get(peer.name)!),
    })),
  };
}
