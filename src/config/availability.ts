// What the grammar knows and this version does not carry out yet. Each is an error at its place, so that nothing is
// silently ignored; disabled listeners need no availability. It looks at plain data, so that it can speak beside the
// grammar's errors, and no suggestion leads to it. An entry leaves this file when its feature arrives.

import type { Part, Path, Problem, Source } from "./problems.ts";

const NOT_AVAILABLE = "not available in this version";

const AVAILABLE_PROTOCOLS: readonly unknown[] = ["tcp", "udp"];
const LATER_PROTOCOLS: readonly unknown[] = ["tls", "http", "http2", "http3", "quic"];

const TOP_KEYS: readonly string[] = ["admin", "tls", "auto_tls"];

const ENTRY_KEYS: readonly string[] = ["alpn"];

const LIMIT_KEYS: readonly string[] = [];

/** What only streams have so far. */
const UDP_ENTRY_KEYS: readonly string[] = ["allow", "deny"];
const UDP_LIMIT_KEYS: readonly string[] = ["max_per_ip", "accept_rate"];

export interface Unavailable {
  readonly problems: readonly Problem[];
  /** Whether a path is at or below something refused: what else is wrong there does not matter. */
  covers(path: Path | undefined): boolean;
}

type Mapping = Readonly<Record<string, unknown>>;

export function unavailable(source: Source): Unavailable {
  const problems: Problem[] = [];
  const refused: Path[] = [];
  const refuse = (path: Path, message = NOT_AVAILABLE, part: Part = "key"): void => {
    problems.push({ place: source.place(path, part), message, path });
    refused.push(path);
  };
  const top = mapping(source.value);
  for (const key of TOP_KEYS) if (top[key] !== undefined) refuse([key]);
  if ((top.access_log ?? "off") !== "off") refuse(["access_log"]);
  if ([true, "true"].includes(mapping(top.options).auto_tls as string))
    refuse(["options", "auto_tls"]);
  const entries: unknown[] = Array.isArray(top.protocols) ? top.protocols : [];
  entries.forEach((entry, i) => {
    if (mapping(entry).enabled === false) return;
    const path = ["protocols", i];
    const later = LATER_PROTOCOLS.includes(mapping(entry).name);
    const asked = refusedKeys(mapping(entry)).map((keys) => [...path, ...keys]);
    // The other keys of a protocol that is not there would only repeat it.
    if (later) {
      const { name } = mapping(entry);
      const message = `"${name}" is ${NOT_AVAILABLE}, which forwards ${AVAILABLE_PROTOCOLS.join(", ")}`;
      refuse([...path, "name"], message, "value");
      refused.push(...asked);
    } else asked.forEach((key) => refuse(key));
  });
  const covers = (path: Path | undefined): boolean =>
    path !== undefined && refused.some((head) => head.every((step, i) => path[i] === step));
  return { problems, covers };
}

function refusedKeys(entry: Mapping): string[][] {
  const limits = mapping(entry.limits);
  const isUdp = entry.name === "udp";
  const keys = isUdp ? [...ENTRY_KEYS, ...UDP_ENTRY_KEYS] : ENTRY_KEYS;
  const ofLimits = isUdp ? [...LIMIT_KEYS, ...UDP_LIMIT_KEYS] : LIMIT_KEYS;
  const asksForNothing = (key: string): boolean =>
    key === "deny" && Array.isArray(entry.deny) && entry.deny.length === 0;
  return [
    ...keys.filter((key) => entry[key] !== undefined && !asksForNothing(key)).map((key) => [key]),
    ...ofLimits.filter((key) => limits[key] !== undefined).map((key) => ["limits", key]),
  ];
}

/** Whether a key at this path would be refused. */
export function isLaterKey(path: Path): boolean {
  const key = String(path.at(-1));
  if (path.length === 1) return TOP_KEYS.includes(key) || key === "access_log" || key === "options";
  if (path[0] !== "protocols") return false;
  if (path.length === 3) return ENTRY_KEYS.includes(key);
  return path.length === 4 && path[2] === "limits" && LIMIT_KEYS.includes(key);
}

/** Whether a value at this path would be refused. */
export function isLaterValue(path: Path, value: unknown): boolean {
  return path.length === 3 && path[2] === "name" && LATER_PROTOCOLS.includes(value);
}

function mapping(value: unknown): Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Mapping)
    : {};
}
