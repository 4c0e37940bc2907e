// What a new plan changes: which listeners come, go and stay, and what of the process takes effect when. Pure. Called by a
// reload, which touches nothing but what is told here.

import { isDeepStrictEqual } from "node:util";

import type { ListenerPlan, Plan } from "../shared/plan.ts";

export interface ListenerChange {
  readonly before: ListenerPlan;
  readonly after: ListenerPlan;
  /** The keys of the configuration that changed, for people: `targets`, `limits`. */
  readonly parts: readonly string[];
}

export interface PlanDiff {
  readonly added: readonly ListenerPlan[];
  readonly removed: readonly ListenerPlan[];
  readonly changed: readonly ListenerChange[];
  readonly unchanged: readonly ListenerPlan[];
  /** Keys of the process that take effect at once. */
  readonly settings: readonly string[];
  /** Keys of the process that a running one keeps; an upgrade takes them up. */
  readonly deferred: readonly string[];
}

/** Parts of plans by the configuration's names for them; what is missing here is called alike. */
const KEYS: Readonly<Record<string, string>> = {
  groups: "targets",
  access: "allow and deny",
  proxyProtocol: "proxy_protocol",
  sendProxy: "proxy_protocol",
  buffers: "backpressure",
  accessLog: "access_log",
  h3: "http3",
};

const SETTINGS: readonly (readonly [keyof Plan, string])[] = [
  ["shutdownTimeoutMs", "shutdown_timeout"],
  ["shutdownDelayMs", "shutdown_delay"],
  ["overload", "overload"],
  ["autoTls", "auto_tls"],
  ["admin", "admin"],
];
const DEFERRED: readonly (readonly [keyof Plan, string])[] = [
  ["engine", "engine"],
  ["workers", "workers"],
  ["ring", "uring"],
];

export function diffPlans(before: Plan, after: Plan): PlanDiff {
  const old = new Map(before.listeners.map((listener) => [listener.key, listener]));
  const kept = new Set(after.listeners.map(({ key }) => key));
  const pairs = after.listeners.flatMap((next) => {
    const known = old.get(next.key);
    return known === undefined ? [] : [{ before: known, after: next, parts: partsOf(known, next) }];
  });
  const differs = (keys: typeof SETTINGS): string[] =>
    keys.filter(([part]) => !isDeepStrictEqual(before[part], after[part])).map(([, name]) => name);
  const settings = differs(SETTINGS);
  if (before.log.level !== after.log.level) settings.unshift("log_level");
  const deferred = differs(DEFERRED);
  if (before.log.format !== after.log.format) deferred.push("log_format");
  return {
    added: after.listeners.filter(({ key }) => !old.has(key)),
    removed: before.listeners.filter(({ key }) => !kept.has(key)),
    changed: pairs.filter(({ parts }) => parts.length > 0),
    unchanged: pairs.filter(({ parts }) => parts.length === 0).map((pair) => pair.after),
    settings,
    deferred,
  };
}

export function isEmpty({ added, removed, changed, settings, deferred }: PlanDiff): boolean {
  return [added, removed, changed, settings, deferred].every((part) => part.length === 0);
}

function partsOf(before: ListenerPlan, after: ListenerPlan): string[] {
  const a: Readonly<Record<string, unknown>> = { ...before };
  const b: Readonly<Record<string, unknown>> = { ...after };
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  const changed = names.filter((name) => !isDeepStrictEqual(a[name], b[name]));
  return [...new Set(changed.map((name) => KEYS[name] ?? name))];
}
