// The command line's flags as a Source, so that flags and files go the same way to a Config and their mistakes are
// reported in the same words, with the flag's name as the place. Called by the run command.

import { ProxyError } from "../shared/errors.ts";
import { findings } from "./check.ts";
import { formatPath, type Path, type Place, type Source } from "./problems.ts";

/** Flag values as typed; undefined: not given. */
export interface Flags {
  protocol?: string | undefined;
  listen?: string | undefined;
  target?: string | undefined;
  preset?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  "auto-tls"?: boolean | undefined;
  email?: string | undefined;
  domains?: string | undefined;
  "dns-provider"?: string | undefined;
  staging?: boolean | undefined;
  admin?: string | undefined;
  engine?: string | undefined;
  workers?: string | undefined;
  "log-level"?: string | undefined;
  "log-format"?: string | undefined;
}

type FlagName = keyof Flags;

/** Flags that describe the one listener of the command line; with -config, the file describes them all. */
const LISTENER_FLAGS: readonly FlagName[] = [
  "protocol",
  "listen",
  "target",
  "preset",
  "cert",
  "key",
  "auto-tls",
  "email",
  "domains",
  "dns-provider",
  "staging",
];

/** Where each flag's value stands in the configuration. */
const PATHS: Partial<Record<FlagName, Path>> = {
  protocol: ["protocols", 0, "name"],
  listen: ["protocols", 0, "listen"],
  target: ["protocols", 0, "target"],
  preset: ["protocols", 0, "preset"],
  cert: ["tls", "cert_file"],
  key: ["tls", "key_file"],
  "auto-tls": ["auto_tls"],
  email: ["auto_tls", "email"],
  domains: ["auto_tls", "domains"],
  "dns-provider": ["auto_tls", "dns_provider"],
  staging: ["auto_tls", "ca"],
  admin: ["admin", "listen"],
  engine: ["engine"],
  workers: ["workers"],
  "log-level": ["log_level"],
  "log-format": ["log_format"],
};

/** Flags that a listener cannot do without, and an example. */
const NEEDED = { listen: ":8080", target: "127.0.0.1:80" } as const;

/**
 * A configuration of one listener.
 * @throws ProxyError ERR_USAGE if -listen or -target is missing, with everything else that is wrong.
 */
export function flagSource(flags: Flags): Source {
  const value: Record<string, unknown> = {};
  for (const name of LISTENER_FLAGS) place(value, name, flags);
  // The place of a problem with an implied value is the flag that a user would write.
  if (flags.protocol === undefined) put(value, PATHS.protocol!, "tcp");
  const source = withProcessFlags({ value, place: (path) => placeOf(path, flags) }, flags);
  const missing = (["listen", "target"] as const).filter((name) => flags[name] === undefined);
  if (missing.length === 0) return source;
  const faults = missing.map(
    (name) => `-${name} is missing. Write for example -${name} ${NEEDED[name]}`,
  );
  const absent = missing.map((name) => formatPath(PATHS[name]!));
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
  for (const name of ["admin", "engine", "workers", "log-level", "log-format"] as const) {
    if (flags[name] === undefined) continue;
    given.push(name);
    place(value, name, flags);
  }
  const ours = (path: Path): boolean => given.some((name) => PATHS[name]![0] === path[0]);
  return {
    value,
    place: (path, part) => (ours(path) ? placeOf(path, flags) : source.place(path, part)),
  };
}

function place(value: Record<string, unknown>, name: FlagName, flags: Flags): void {
  const written = flags[name];
  if (written !== undefined) put(value, PATHS[name]!, convert(name, written));
}

/** The flag's text as YAML would have read it. */
function convert(name: FlagName, written: string | boolean): unknown {
  if (name === "auto-tls") return {};
  if (name === "staging") return "letsencrypt-staging";
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

/** The flag whose value stands at a path; failing that, one that was given whose value holds it, or is a part of it. */
function placeOf(path: Path, flags: Flags): Place {
  const names = Object.keys(PATHS) as FlagName[];
  const wanted = formatPath(path);
  const related = (name: FlagName): boolean => {
    const at = formatPath(PATHS[name]!);
    return (
      wanted.startsWith(`${at}.`) || wanted.startsWith(`${at}[`) || at.startsWith(`${wanted}.`)
    );
  };
  const found =
    names.find((name) => formatPath(PATHS[name]!) === wanted && flags[name] !== undefined) ??
    names.find((name) => flags[name] !== undefined && related(name)) ??
    names.find((name) => formatPath(PATHS[name]!) === wanted) ??
    names.find(related);
  return found === undefined
    ? { text: "command line", order: -1 }
    : { text: `-${found}`, order: names.indexOf(found) };
}
