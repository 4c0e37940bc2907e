// What two snapshots tell together: how much of everything there was a second. Pure: time is the snapshots' own. Called by
// the session, for each snapshot that comes.

import type {
  Connections,
  ListenerState,
  Snapshot,
  TargetState,
} from "../../control/admin/schemas.ts";

/** null: there is nothing to compare with yet. */
type PerSecond = number | null;

export interface ListenerReading {
  readonly id: string;
  readonly listener: ListenerState;
  readonly connects: PerSecond;
  readonly bytesUp: PerSecond;
  readonly bytesDown: PerSecond;
  readonly refused: PerSecond;
  /** Of HTTP; otherwise null. */
  readonly requests: PerSecond;
  /** Of answers in between; null: there were none. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

export interface TargetReading {
  readonly id: string;
  readonly target: TargetState;
  readonly connects: PerSecond;
  readonly bytes: PerSecond;
}

type Connection = Connections["connections"][number];

export interface ConnectionReading {
  readonly id: string;
  readonly connection: Connection;
  readonly bytes: PerSecond;
}

export interface Reading {
  readonly snapshot: Snapshot;
  readonly listeners: readonly ListenerReading[];
  readonly targets: readonly TargetReading[];
  readonly connections: readonly ConnectionReading[];
  readonly connects: PerSecond;
  readonly bytesUp: PerSecond;
  readonly bytesDown: PerSecond;
  /** null: nothing speaks HTTP, too. */
  readonly requests: PerSecond;
  /** Of one processor: 1 is all of it. */
  readonly cpu: PerSecond;
}

export function readingOf(before: Snapshot | null, now: Snapshot): Reading {
  const clock = clockOf(before, now);
  const oldListeners = new Map(before?.listeners.map((each) => [each.key, each]));
  const listeners = now.listeners.map((each) =>
    listenerReading(each, before === null ? undefined : oldListeners.get(each.key), clock),
  );
  const oldTargets = new Map(before?.targets.map((each) => [targetId(each), each]));
  const targets = now.targets.map((each): TargetReading => {
    const old = oldTargets.get(targetId(each));
    const bytes = (of: TargetState): number => of.bytesUp + of.bytesDown;
    return {
      id: targetId(each),
      target: each,
      connects: clock(old?.connects, each.connects),
      bytes: clock(old && bytes(old), bytes(each)),
    };
  });
  return {
    snapshot: now,
    listeners,
    targets,
    connections: connectionReadings(before, now, clock),
    connects: sum(listeners.map(({ connects }) => connects)),
    bytesUp: sum(listeners.map(({ bytesUp }) => bytesUp)),
    bytesDown: sum(listeners.map(({ bytesDown }) => bytesDown)),
    requests: sum(listeners.map(({ requests }) => requests)),
    cpu: clock(before?.process.cpuSeconds, now.process.cpuSeconds),
  };
}

/** A counter's growth a second; one that was not there, or became less, began anew, and is not told yet. */
type Clock = (old: number | undefined, now: number) => PerSecond;

function clockOf(before: Snapshot | null, now: Snapshot): Clock {
  const seconds = before === null ? 0 : (now.timeMs - before.timeMs) / 1_000;
  // Another process counts from nothing.
  const isSame = before?.status.pid === now.status.pid && seconds > 0;
  return (old, value) =>
    !isSame || old === undefined || value < old ? null : (value - old) / seconds;
}

function listenerReading(
  listener: ListenerState,
  old: ListenerState | undefined,
  clock: Clock,
): ListenerReading {
  const { key, connections, bytes, http } = listener;
  const turnedAway = (of: ListenerState): number =>
    Object.values(of.refused).reduce((total, count) => total + count, 0);
  const fresh = http === null ? [] : growth(old?.http?.durations.counts, http.durations.counts);
  const bounds = http?.durations.boundsMs ?? [];
  return {
    id: key,
    listener,
    connects: clock(old?.connections.total, connections.total),
    bytesUp: clock(old?.bytes.up, bytes.up),
    bytesDown: clock(old?.bytes.down, bytes.down),
    refused: clock(old && turnedAway(old), turnedAway(listener)),
    requests: http === null ? null : clock(old?.http?.requests, http.requests),
    p50Ms: quantile(fresh, bounds, 0.5),
    p99Ms: quantile(fresh, bounds, 0.99),
  };
}

function connectionReadings(
  before: Snapshot | null,
  now: Snapshot,
  clock: Clock,
): ConnectionReading[] {
  const old = new Map(before?.connections.connections.map((each) => [connectionId(each), each]));
  const moved = (of: Connection): number => of.bytesUp + of.bytesDown;
  return now.connections.connections.map((each) => {
    const known = old.get(connectionId(each));
    const isNew = before !== null && each.startedMs >= before.timeMs;
    const base = known === undefined ? (isNew ? 0 : undefined) : moved(known);
    return { id: connectionId(each), connection: each, bytes: clock(base, moved(each)) };
  });
}

export function targetId({ listener, slot }: TargetState): string {
  return `${listener} ${slot}`;
}

export function connectionId({ worker, id }: Connection): string {
  return `${worker}:${id}`;
}

/** None, if counts began anew. */
function growth(old: readonly number[] | undefined, now: readonly number[]): number[] {
  if (old === undefined || old.length !== now.length) return [];
  const grown = now.map((count, i) => count - old[i]!);
  return grown.every((count) => count >= 0) ? grown : [];
}

/**
 * The value that this share of what was counted does not exceed, within its bucket by proportion (as histogram_quantile of
 * Prometheus); Infinity: it is beyond all bounds. null: nothing was counted.
 */
export function quantile(
  counts: readonly number[],
  bounds: readonly number[],
  share: number,
): number | null {
  const total = counts.reduce((all, count) => all + count, 0);
  if (total === 0) return null;
  let below = 0;
  for (const [i, count] of counts.entries()) {
    if (count > 0 && below + count >= total * share) {
      const upper = bounds[i];
      if (upper === undefined) return Infinity;
      const lower = bounds[i - 1] ?? 0;
      return lower + ((upper - lower) * (total * share - below)) / count;
    }
    below += count;
  }
  return Infinity;
}

function sum(parts: readonly PerSecond[]): PerSecond {
  const known = parts.filter((part) => part !== null);
  return known.length === 0 ? null : known.reduce((total, each) => total + each, 0);
}
