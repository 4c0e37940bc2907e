// The command line's flags as a Source, so that flags and files go the same way to a Config and their mistakes are
// reported in the same words, with the flag's name as the place. Called by the run command.

import { ProxyError } from "../shared/errors.ts";
import { STAGING } from "./auto-tls.ts";
import { findings } from "./check.ts";
import { formatPath, type Path, type Place, type Source } from "./problems.ts";

interface Flag {
  /** Where its value stands in the configuration. */
  readonly path: Path;
  /** With -config, the file describes the listeners, and only flags of the process may be given. */
  readonly of: "listener" | "process";
  /** A flag without a value: what it stands for. */
  readonly on?: unknown;
}

/** Every flag that means something in the configuration. Mistakes are told in this order. */
const FLAGS = {
  protocol: { path: ["protocols", 0, "name"], of: "listener" },
  listen: { path: ["protocols", 0, "listen"], of: "listener" },
  target: { path: ["protocols", 0, "target"], of: "listener" },
  preset: { path: ["protocols", 0, "preset"], of: "listener" },
  cert: { path: ["tls", "cert_file"], of: "listener" },
  key: { path: ["tls", "key_file"], of: "listener" },
  // Who asks for certificates agrees to the terms that they come with, as the original program does; the help and the log say so.
  "auto-tls": { path: ["auto_tls"], of: "listener", on: { agree_terms: true } },
  email: { path: ["auto_tls", "email"], of: "listener" },
  domains: { path: ["auto_tls", "domains"], of: "listener" },
  "dns-provider": { path: ["auto_tls", "dns_provider"], of: "listener" },
  staging: { path: ["auto_tls", "ca"], of: "listener", on: STAGING },
  admin: { path: ["admin", "listen"], of: "process" },
  engine: { path: ["engine"], of: "process" },
  workers: { path: ["workers"], of: "process" },
  "log-level": { path: ["log_level"], of: "process" },
  "log-format": { path: ["log_format"], of: "process" },
} as const satisfies Record<string, Flag>;

export type FlagName = keyof typeof FLAGS;

/** Flag values as typed; undefined: not given. */
export type Flags = {
  [Name in FlagName]?:
    ((typeof FLAGS)[Name] extends { on: unknown } ? boolean : string) | undefined;
};

const NAMES = Object.keys(FLAGS) as FlagName[];
const LISTENER_FLAGS = NAMES.filter((name) => FLAGS[name].of === "listener");
const PROCESS_FLAGS = NAMES.filter((name) => FLAGS[name].of === "process");

/** Flags that say how certificates are obtained, and not that they are. */
const OF_AUTO_TLS = ["email", "domains", "dns-provider", "staging"] as const;

/** Flags that a listener, and -auto-tls, cannot do without, and an example. */
const NEEDED = { listen: ":8080", target: "127.0.0.1:80", domains: "example.com" } as const;

/**
 * A configuration of one listener.
 * @throws ProxyError ERR_USAGE if a flag is missing, or has no effect without another, with everything else that is wrong.
 */
export function flagSource(flags: Flags): Source {
  const value: Record<string, unknown> = {};
  const idle: readonly FlagName[] = OF_AUTO_TLS.filter(
    (name) => flags[name] !== undefined && flags["auto-tls"] !== true,
  );
  for (const name of LISTENER_FLAGS) if (!idle.includes(name)) place(value, name, flags);
  // The place of a problem with an implied value is the flag that a user would write.
  if (flags.protocol === undefined) put(value, FLAGS.protocol.path, "tcp");
  const source = withProcessFlags({ value, place: (path) => placeOf(path, flags) }, flags);
  const missing = (Object.keys(NEEDED) as (keyof typeof NEEDED)[]).filter(
    (name) => flags[name] === undefined && (name !== "domains" || flags["auto-tls"] === true),
  );
  if (missing.length + idle.length === 0) return source;
  const faults = [
    ...missing.map((name) => `-${name} is missing. Write for example -${name} ${NEEDED[name]}`),
    ...idle.map((name) => `-${name} has no effect without -auto-tls`),
  ];
  const absent = missing.map((name) => formatPath(FLAGS[name].path));
  const others = findings(source).problems.filter(
    ({ path }) => path === undefined || !absent.includes(formatPath(path)),
  );
  const lines = others.map((problem) => `${problem.place.text}: ${problem.message}`);
  throw new ProxyError("ERR_USAGE", [...faults, ...lines].join("\n"));
}

/**
 * With -config, the file describes the listeners.
 * @throws ProxyError ERR_USAGE if flags of a listener are given too.
 */
export function refuseListenerFlags(flags: Flags): void {
  const given = LISTENER_FLAGS.filter((name) => flags[name] !== undefined);
  if (given.length === 0) return;
  const names = given.map((name) => `-${name}`).join(", ");
  throw new ProxyError("ERR_USAGE", `${names} cannot be given together with -config`, {
    cure: "Write the listener into the file, or leave -config out",
  });
}

/** A file with the flags that concern the whole process laid over it. */
export function withProcessFlags(source: Source, flags: Flags): Source {
  const isMapping = typeof source.value === "object" && source.value !== null;
  if (!isMapping || Array.isArray(source.value)) return source; // the grammar will say so
  const value: Record<string, unknown> = { ...source.value };
  const given: FlagName[] = [];
  for (const name of PROCESS_FLAGS) {
    if (flags[name] === undefined) continue;
    given.push(name);
    place(value, name, flags);
  }
  const ours = (path: Path): boolean => given.some((name) => FLAGS[name].path[0] === path[0]);
  return {
    value,
    place: (path, part) => (ours(path) ? placeOf(path, flags) : source.place(path, part)),
  };
}

function place(value: Record<string, unknown>, name: FlagName, flags: Flags): void {
  const written = flags[name];
  if (written !== undefined) put(value, FLAGS[name].path, convert(name, written));
}

/** The flag's text as YAML would have read it. */
function convert(name: FlagName, written: string | boolean): unknown {
  const flag: Flag = FLAGS[name];
  if (flag.on !== undefined) return structuredClone(flag.on); // values of other flags are put into it
  const text = String(written);
  if (name === "domains") return text.split(",").map((domain) => domain.trim());
  if (name === "workers" && /^-?\d+$/.test(text)) return Number(text);
  return text;
}

function put(value: Record<string, unknown>, path: Path, leaf: unknown): void {
  let at: Record<string | number, unknown> = value;
  path.slice(0, -1).forEach((step, i) => {
    at[step] ??= typeof path[i + 1] === "number" ? [] : {};
    at = at[step] as Record<string | number, unknown>;
  });
  at[path.at(-1)!] = leaf;
}

/** The flag whose value stands or would stand at a path; failing that, one that was given around it, or below. */
function placeOf(path: Path, flags: Flags): Place {
  const wanted = formatPath(path);
  const related = (name: FlagName): boolean => {
    const at = formatPath(FLAGS[name].path);
    return (
      wanted.startsWith(`${at}.`) || wanted.startsWith(`${at}[`) || at.startsWith(`${wanted}.`)
    );
  };
  // The nearest of those around it: -domains for one of the names, not -auto-tls.
  const around = NAMES.filter((name) => flags[name] !== undefined && related(name)).toSorted(
    (a, b) => FLAGS[b].path.length - FLAGS[a].path.length,
  );
  const found =
    NAMES.find((name) => formatPath(FLAGS[name].path) === wanted) ??
    around[0] ??
    NAMES.find(related);
  return found === undefined
    ? { text: "command line", order: -1 }
    : { text: `-${found}`, order: NAMES.indexOf(found) };
}
