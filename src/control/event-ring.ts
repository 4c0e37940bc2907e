// The last lines of the log of level warn and error, for whoever looks at a proxy and not at its log. Invariant: at most
// ADMIN.eventsMax of them are kept, each of at most ADMIN.eventMaxBytes or so, whatever is logged. Written by log.ts, read by
// the admin listener.

import { messageOf } from "../shared/errors.ts";
import { ADMIN } from "../shared/limits.ts";
import { maskUrls } from "../shared/secret.ts";

export type EventLevel = "warn" | "error";
type Value = string | number | boolean;

/** A line of the log. */
export interface LogEvent {
  /** Unix time. */
  readonly timeMs: number;
  readonly level: EventLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, Value>>;
}

export class EventRing {
  readonly #events: (LogEvent | undefined)[] = Array.from({ length: ADMIN.eventsMax });
  #added = 0;

  add(level: EventLevel, fields: object, message: string, timeMs: number): void {
    const budget = { left: ADMIN.eventMaxBytes };
    const cut = cutTo(message, budget);
    this.#events[this.#added % this.#events.length] = {
      timeMs,
      level,
      message: cut,
      fields: plain(fields, budget),
    };
    this.#added++;
  }

  /** Newest first. */
  newest(limit: number): LogEvent[] {
    const size = this.#events.length;
    const count = Math.min(limit, this.#added, size);
    return Array.from({ length: count }, (_, i) => this.#events[(this.#added - 1 - i) % size]!);
  }
}

interface Budget {
  left: number;
}

/** Names and values, until the budget is used up. */
function plain(fields: object, budget: Budget): Record<string, Value> {
  const kept: [string, Value][] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (budget.left <= 0) break;
    budget.left -= name.length;
    kept.push([
      name,
      typeof value === "object" ? cutTo(textOf(value), budget) : atom(value, budget),
    ]);
  }
  return Object.fromEntries(kept);
}

function atom(value: unknown, budget: Budget): Value {
  if (typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  return cutTo(String(value), budget);
}

function textOf(value: object | null): string {
  return value instanceof Error ? messageOf(value) : JSON.stringify(value);
}

function cutTo(whole: string, budget: Budget): string {
  const left = Math.max(0, budget.left);
  // More than can be kept is not worth masking; a mask may be longer than what it stands for, by a little.
  const text = maskUrls(whole.slice(0, 2 * ADMIN.eventMaxBytes));
  budget.left -= text.length;
  return text.length <= left ? text : `${text.slice(0, left)}…`;
}
