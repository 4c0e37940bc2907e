// One measurement for all contestants: they are started together, warmed up, and then loaded in turn, so that what else
// the machine does meets all of them. Called by main.ts.

import { startBackend } from "./backends.ts";
import { CannotMeasure, type Measurement, type Sample, type Scale } from "./engine/measurement.ts";
import type { Peer, RunningPeer } from "./peers/peer.ts";
import type { Contestant, Result } from "./report.ts";
import { summarize } from "./statistics.ts";

/** A contestant that is installed. */
export type Present = Peer & Contestant;

export interface Scope {
  scale: Scale;
  runs: number;
}

const WARM_MS = 1_000; // enough for every compiler tier of a relay in JavaScript
const SETTLE_MS = 100; // between two contestants: the last one's connections finish closing

class Field {
  readonly samples = new Map<string, Sample[]>();
  readonly #running = new Map<string, RunningPeer>();
  readonly #measurement: Measurement;
  readonly #start: (peer: Peer) => Promise<RunningPeer>;

  constructor(measurement: Measurement, start: (peer: Peer) => Promise<RunningPeer>) {
    this.#measurement = measurement;
    this.#start = start;
  }

  /** Starts those that serve all runs. */
  async open(contestants: readonly Present[]): Promise<void> {
    for (const peer of contestants) {
      this.samples.set(peer.name, []);
      if (!this.#measurement.freshPeer) this.#running.set(peer.name, await this.#start(peer));
    }
  }

  async run(peer: Present, scale: Scale, counts: boolean): Promise<void> {
    const lasting = this.#running.get(peer.name);
    const served = lasting ?? (await this.#start(peer));
    try {
      const sample = await this.#measurement.run(served, scale);
      if (counts) this.samples.get(peer.name)!.push(sample);
    } catch (error) {
      if (error instanceof CannotMeasure) this.#drop(peer, error);
      else throw new Error(`${this.#measurement.name}, ${peer.name}`, { cause: error });
    } finally {
      if (lasting === undefined) await served.stop();
    }
  }

  async close(): Promise<void> {
    for (const peer of this.#running.values()) await peer.stop();
  }

  #drop(peer: Present, reason: Error): void {
    this.samples.delete(peer.name);
    console.error(`${this.#measurement.name} without ${peer.name}: ${reason.message}`);
  }
}

/** The same contestants, another first each time: whoever follows a heavy one must not always be the same. */
function rotated<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

export async function measure(
  measurement: Measurement,
  present: readonly Present[],
  { scale, runs }: Scope,
  directory: string,
): Promise<Result> {
  const contestants = present.filter(({ only }) => only?.test(measurement.name) !== false);
  const backend = await startBackend(measurement.backend, directory);
  const field = new Field(measurement, (peer) => peer.start(backend.port, directory));
  await field.open(contestants);
  if (!scale.smoke && !measurement.freshPeer) {
    for (const peer of contestants) {
      await field.run(peer, { smoke: false, durationMs: WARM_MS }, false);
    }
  }
  for (let run = 0; run < runs; run++) {
    for (const peer of rotated(contestants, run)) {
      if (!field.samples.has(peer.name)) continue;
      await Bun.sleep(SETTLE_MS);
      await field.run(peer, scale, true);
    }
  }
  await field.close();
  await backend.stop();
  const { name, title, columns } = measurement;
  const rows = contestants.filter((peer) => field.samples.has(peer.name));
  return {
    name,
    title,
    columns,
    runs,
    contestants: rows.map((peer) => ({
      name: peer.name,
      setup: peer.setup,
      version: peer.version,
      figures: summarize(field.samples.get(peer.name)!),
    })),
  };
}
