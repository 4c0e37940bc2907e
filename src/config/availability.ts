// What the grammar knows and this version does not carry out yet. Each is an error at its place, so that nothing is
// silently ignored; disabled listeners need no availability. It looks at plain data, so that it can speak beside the
// grammar's errors, and no suggestion leads to it. An entry leaves this file when its feature arrives.

import type { Path, Problem, Source } from "./problems.ts";

const NOT_AVAILABLE = "not available in this version";

/** Below an entry, by protocol. */
const UNAVAILABLE_KEYS: Readonly<Record<string, readonly string[]>> = {
  http3: ["limits.bandwidth", "limits.connection_bandwidth"],
};

export interface Unavailable {
  readonly problems: readonly Problem[];
  /** Whether a path is at or below something refused: what else is wrong there does not matter. */
  covers(path: Path | undefined): boolean;
}

type Mapping = Readonly<Record<string, unknown>>;

export function unavailable(source: Source): Unavailable {
  const problems: Problem[] = [];
  const refused: Path[] = [];
  const refuse = (path: Path): void => {
    problems.push({ place: source.place(path, "key"), message: NOT_AVAILABLE, path });
    refused.push(path);
  };
  const top = mapping(source.value);
  const entries: unknown[] = Array.isArray(top.protocols) ? top.protocols : [];
  entries.forEach((entry, i) => {
    if (mapping(entry).enabled === false) return;
    const path = ["protocols", i];
    for (const keys of refusedKeys(mapping(entry))) refuse([...path, ...keys]);
  });
  const covers = (path: Path | undefined): boolean =>
    path !== undefined && refused.some((head) => head.every((step, i) => path[i] === step));
  return { problems, covers };
}

function refusedKeys(entry: Mapping): string[][] {
  const name = String(entry.name);
  const keys = Object.hasOwn(UNAVAILABLE_KEYS, name) ? UNAVAILABLE_KEYS[name]! : [];
  return keys.map((key) => key.split(".")).filter((steps) => asksFor(entry, steps));
}

function asksFor(entry: Mapping, steps: readonly string[]): boolean {
  let at: unknown = entry;
  for (const step of steps) at = mapping(at)[step];
  const isNothing = at === undefined || at === "off" || (Array.isArray(at) && at.length === 0);
  return !isNothing;
}

function mapping(value: unknown): Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Mapping)
    : {};
}
