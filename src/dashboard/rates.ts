// What moved between two snapshots: of connections and targets, a second's worth; of refusals and errors, a minute's. Pure.
// Called by store.ts.

import type { Connections, Snapshot, TargetState } from "../control/admin/schemas.ts";

export type Connection = Connections["connections"][number];

export interface Rates {
  /** Bytes a second, both ways; undefined: not known yet. */
  connection(connection: Connection): number | undefined;
  target(target: TargetState): TargetRates | undefined;
}

export interface TargetRates {
  readonly bytes: number;
  readonly connects: number;
  readonly failures: number;
}

export const connectionKey = ({ worker, id }: Connection): string => `${worker}/${id}`;
export const targetKey = ({ listener, slot }: TargetState): string => `${listener}/${slot}`;

export function ratesBetween(before: Snapshot | null, now: Snapshot): Rates {
  const seconds = before === null ? 0 : (now.timeMs - before.timeMs) / 1000;
  if (before === null || seconds <= 0 || before.status.pid !== now.status.pid) {
    return { connection: () => undefined, target: () => undefined };
  }
  const connections = new Map(
    before.connections.connections.map((each) => [connectionKey(each), each]),
  );
  const targets = new Map(before.targets.map((each) => [targetKey(each), each]));
  const rate = (after: number, earlier: number): number => Math.max(0, after - earlier) / seconds;
  return {
    connection(each) {
      const earlier = connections.get(connectionKey(each));
      const isSame = earlier !== undefined && earlier.startedMs === each.startedMs;
      const known = isSame ? earlier.bytesUp + earlier.bytesDown : 0;
      // One that was not among those with most bytes may have moved them long ago.
      if (!isSame && each.startedMs < before.timeMs) return undefined;
      return rate(each.bytesUp + each.bytesDown, known);
    },
    target(each) {
      const earlier = targets.get(targetKey(each));
      if (earlier === undefined || earlier.name !== each.name) return undefined;
      return {
        bytes: rate(each.bytesUp + each.bytesDown, earlier.bytesUp + earlier.bytesDown),
        connects: rate(each.connects, earlier.connects),
        failures: rate(each.failures, earlier.failures),
      };
    },
  };
}

const MINUTE_MS = 60_000;

interface Counted {
  readonly timeMs: number;
  readonly pid: number;
  /** Refusals by listener and reason, and answers of 5xx. */
  readonly refused: ReadonlyMap<string, number>;
  readonly errors: number;
}

export interface Refusals {
  readonly reason: string;
  readonly lastMinute: number;
  readonly total: number;
  /** Those that have any, with how many. */
  readonly listeners: readonly (readonly [string, number])[];
}

/** Refusals and errors of the last minute, or since the page was opened if that was later. */
export class LastMinute {
  #counted: Counted[] = [];
  #refusals: readonly Refusals[] = [];
  #errors = 0;

  push(snapshot: Snapshot): void {
    const { timeMs, status } = snapshot;
    const now: Counted = {
      timeMs,
      pid: status.pid,
      refused: refusedOf(snapshot),
      errors: snapshot.listeners.reduce((all, { http }) => all + (http?.answers["5xx"] ?? 0), 0),
    };
    const young = this.#counted.filter(
      (each) => each.pid === now.pid && each.timeMs > timeMs - MINUTE_MS && each.timeMs < timeMs,
    );
    this.#counted = [...young, now];
    const first = this.#counted[0]!;
    this.#errors = Math.max(0, now.errors - first.errors);
    this.#refusals = summarise(snapshot, now, first);
  }

  /** Most in the last minute first. */
  get refusals(): readonly Refusals[] {
    return this.#refusals;
  }

  get refused(): number {
    return this.#refusals.reduce((all, { lastMinute }) => all + lastMinute, 0);
  }

  /** Answers of 5xx, whoever gave them. */
  get errors(): number {
    return this.#errors;
  }
}

function refusedOf({ listeners }: Snapshot): Map<string, number> {
  return new Map(
    listeners.flatMap(({ key, refused }) =>
      Object.entries(refused).flatMap(([reason, number]): [string, number][] =>
        number === 0 ? [] : [[`${reason}\n${key}`, number]],
      ),
    ),
  );
}

function summarise({ listeners }: Snapshot, now: Counted, first: Counted): Refusals[] {
  const reasons = new Set(listeners.flatMap(({ refused }) => Object.keys(refused)));
  const summaries = [...reasons].map((reason): Refusals => {
    const counts = listeners.flatMap(
      ({ key }): { key: string; total: number; recent: number }[] => {
        const total = now.refused.get(`${reason}\n${key}`) ?? 0;
        const recent = total - (first.refused.get(`${reason}\n${key}`) ?? 0);
        return total === 0 ? [] : [{ key, total, recent: Math.max(0, recent) }];
      },
    );
    return {
      reason,
      lastMinute: counts.reduce((all, { recent }) => all + recent, 0),
      total: counts.reduce((all, each) => all + each.total, 0),
      listeners: counts.map(({ key, total }) => [key, total] as const),
    };
  });
  return summaries
    .filter(({ total }) => total > 0)
    .toSorted((a, b) => b.lastMinute - a.lastMinute || b.total - a.total);
}
