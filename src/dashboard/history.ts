// What snapshots told over the last ten minutes: columns of numbers, one point for each snapshot, for all listeners
// together and for each. Bounded: POINTS points, LISTENERS_MAX listeners. Pure; time comes with the snapshots. Called by
// store.ts.

import type { ListenerState, Snapshot } from "../control/admin/schemas.ts";
import { type Buckets, difference, percentile, sum } from "./histogram.ts";

/** Ten minutes of one a second. */
export const POINTS = 600;
/** With lines of their own; the others are in what all have together. */
export const LISTENERS_MAX = 100;
/** Percentiles are of the answers of so many snapshots: those of a single second would jump. */
const LATENCY_SNAPSHOTS = 5;
/** After a longer silence lines are broken: nobody knows what was meanwhile. */
const SILENCE_MS = 4_000;

/** null: not known. */
export type Column = (number | null)[];

const COLUMNS = [
  "up",
  "down",
  "active",
  "opened",
  "requests",
  "errors",
  "refused",
  "p50",
  "p95",
  "p99",
] as const;
export type ColumnName = (typeof COLUMNS)[number];

/** Bytes, connections, requests and errors are a second's; percentiles in ms; active is how many there are. */
export type Track = Readonly<Record<ColumnName, Column>>;

/** What a listener, or all of them, had counted at one moment. */
interface Reading {
  readonly up: number;
  readonly down: number;
  readonly active: number;
  readonly opened: number;
  readonly requests: number;
  /** Answers of 5xx, whoever gave them. */
  readonly errors: number;
  readonly refused: number;
  readonly took: Buckets | null;
}

interface Kept {
  readonly track: Track;
  /** The last of them is the newest. */
  readings: Reading[];
  /** Since how many snapshots it is not there any more. */
  gone: number;
}

export class History {
  /** Unix time in seconds. */
  readonly times: number[] = [];
  readonly #all = fresh(0);
  readonly #listeners = new Map<string, Kept>();
  #lastMs = 0;

  /** Of all listeners together. */
  get all(): Track {
    return this.#all.track;
  }

  of(listener: string): Track | undefined {
    return this.#listeners.get(listener)?.track;
  }

  push({ timeMs, listeners }: Snapshot): void {
    const seconds = (timeMs - this.#lastMs) / 1000;
    const isFirst = this.#lastMs === 0;
    if (!isFirst && seconds <= 0) return; // the clock was set back: such a point has no place on the axis
    if (!isFirst && seconds * 1000 > SILENCE_MS) this.#breakLines();
    this.#lastMs = timeMs;
    this.times.push(timeMs / 1000);
    const readings = listeners.map((each): [string, Reading] => [each.key, read(each)]);
    add(this.#all, total(readings.map(([, reading]) => reading)), seconds);
    this.#pushListeners(new Map(readings), seconds);
    this.#trim();
  }

  #pushListeners(readings: ReadonlyMap<string, Reading>, seconds: number): void {
    for (const key of readings.keys()) {
      if (this.#listeners.has(key) || this.#listeners.size >= LISTENERS_MAX) continue;
      this.#listeners.set(key, fresh(this.times.length - 1));
    }
    for (const [key, kept] of this.#listeners) {
      const reading = readings.get(key);
      kept.gone = reading === undefined ? kept.gone + 1 : 0;
      if (kept.gone > POINTS) this.#listeners.delete(key);
      else add(kept, reading, seconds);
    }
  }

  #breakLines(): void {
    this.times.push(this.#lastMs / 1000 + 1);
    for (const kept of [this.#all, ...this.#listeners.values()]) add(kept, undefined, 1);
  }

  #trim(): void {
    const surplus = this.times.length - POINTS;
    if (surplus <= 0) return;
    this.times.splice(0, surplus);
    for (const { track } of [this.#all, ...this.#listeners.values()]) {
      for (const name of COLUMNS) track[name].splice(0, surplus);
    }
  }
}

function fresh(points: number): Kept {
  const columns = COLUMNS.map((name) => [name, new Array<number | null>(points).fill(null)]);
  return { track: Object.fromEntries(columns) as Track, readings: [], gone: 0 };
}

function read({ bytes, connections, refused, http }: ListenerState): Reading {
  return {
    up: bytes.up,
    down: bytes.down,
    active: connections.active,
    opened: connections.total,
    requests: http?.requests ?? 0,
    errors: http?.answers["5xx"] ?? 0,
    refused: countOf(refused),
    took: http?.durations ?? null,
  };
}

function countOf(byReason: Readonly<Record<string, number>>): number {
  return Object.values(byReason).reduce((all, count) => all + count, 0);
}

function total(readings: readonly Reading[]): Reading {
  const of = (name: Exclude<keyof Reading, "took">): number =>
    readings.reduce((all, reading) => all + reading[name], 0);
  return {
    up: of("up"),
    down: of("down"),
    active: of("active"),
    opened: of("opened"),
    requests: of("requests"),
    errors: of("errors"),
    refused: of("refused"),
    took: sum(readings.flatMap(({ took }) => (took === null ? [] : [took]))),
  };
}

/** @param reading undefined: nothing is known of this moment. */
function add(kept: Kept, reading: Reading | undefined, seconds: number): void {
  const { track } = kept;
  if (reading === undefined) {
    for (const name of COLUMNS) track[name].push(null);
    kept.readings = [];
    return;
  }
  const before = kept.readings.at(-1);
  const rate = (name: "up" | "down" | "opened" | "requests" | "errors" | "refused"): void => {
    const counted = before === undefined ? -1 : reading[name] - before[name];
    track[name].push(counted < 0 ? null : counted / seconds); // it began anew
  };
  track.active.push(reading.active);
  for (const name of ["up", "down", "opened", "requests", "errors", "refused"] as const) rate(name);
  const first = kept.readings[0];
  const took =
    reading.took === null || first === undefined || first.took === null
      ? null
      : difference(reading.took, first.took);
  track.p50.push(took === null ? null : percentile(took, 0.5));
  track.p95.push(took === null ? null : percentile(took, 0.95));
  track.p99.push(took === null ? null : percentile(took, 0.99));
  kept.readings = [...kept.readings.slice(1 - LATENCY_SNAPSHOTS), reading];
}
