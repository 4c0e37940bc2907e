// Turns zod's issues into problems that a person can act on: the place in the file, what is there, what belongs there,
// and the nearest known word. Called by check.ts only.

import type { z } from "zod";

import { exampleOf, foreignKey, foreignProtocol } from "./hints.ts";
import { isAtHome } from "./key-homes.ts";
import { editDistance, nearest, suggest } from "./nearest.ts";
import { describe, formatPath, type Path, type Problem, type Source } from "./problems.ts";
import { PROTOCOLS, schema } from "./schema.ts";

type Issue = z.core.$ZodIssue;
type AnySchema = z.core.$ZodType;

const NO_VALUE = "has no value. Write one, or remove the key";

export function explain(issues: readonly Issue[], source: Source): Problem[] {
  return issues
    .filter((issue, i) => !isBeyondAll(issue) || !isTooBig(issues[i + 1]))
    .flatMap((issue) => explainIssue(issue, source, []));
}

const isTooBig = (issue: Issue | undefined): boolean => issue?.code === "too_big";

/** More than a number can be: the issue after it knows what may stand there. */
const isBeyondAll = (issue: Issue): boolean =>
  issue.code === "too_big" && issue.maximum === Number.MAX_SAFE_INTEGER;

function explainIssue(issue: Issue, source: Source, base: Path): Problem[] {
  const path = [...base, ...issue.path] as Path;
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      place: source.place([...path, key], "key"),
      message: unknownKey(key, path, source),
      path: [...path, key],
    }));
  }
  if (issue.code === "invalid_union") return explainUnion(issue, source, path);
  const value = valueAt(source.value, path);
  const place = source.place(path, "value");
  if (value === undefined) return [{ place, message: missing(path), path }];
  if (value === null) return [{ place, message: NO_VALUE, path }];
  return [{ place, message: reason(issue, value, path), path }];
}

function reason(issue: Issue, value: unknown, path: Path): string {
  switch (issue.code) {
    case "invalid_type":
      return wrongType(issue.expected, value, path);
    case "invalid_value":
      return notOneOf(value, path, issue.values);
    case "too_small":
      if (issue.origin === "string" || issue.origin === "array") return "is empty";
      return `${describe(value)} is too little. Write at least ${issue.minimum}`;
    case "too_big":
      return `${describe(value)} is too much. Write at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}

function notOneOf(value: unknown, path: Path, values: readonly unknown[]): string {
  if (values.length === 1) return `${describe(value)} is not known. Write ${values[0]}`;
  return `${describe(value)} is not one of ${listed(values)}${valueCure(value, values, path)}`;
}

function wrongType(expected: string, value: unknown, path: Path): string {
  const wanted = TYPE_NAMES[expected] ?? expected;
  return `expected ${wanted}, found ${describe(value)}${typeCure(expected, value, path)}`;
}

const TYPE_NAMES: Record<string, string> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping of keys to values",
  record: "a mapping of keys to values",
};

function typeCure(expected: string, value: unknown, path: Path): string {
  if (expected === "array" && typeof value === "object") return `. Begin each entry with "- "`;
  if (expected === "array") return `. Write it as [${value}]`;
  if (expected === "object" && Array.isArray(value)) return `. Remove the "- " before its keys`;
  if (expected === "object" || expected === "record") {
    // "a:b" is a mapping whose space is missing; another scalar is one value where several have a name.
    const isMapping = typeof value === "string" && /^\w+:(?!\/)/.test(value);
    const example = isMapping ? undefined : exampleOf(path);
    if (example !== undefined) return `. Write for example ${example}`;
    return `. Write "key: value", with a space after the colon`;
  }
  if (expected === "string" && typeof value !== "object") return `. Put it in quotes: "${value}"`;
  if (expected === "boolean" && typeof value === "string") {
    if (/^(yes|on|true)$/i.test(value)) return ". Write true";
    if (/^(no|off|false)$/i.test(value)) return ". Write false";
  }
  if (typeof value === "string" && /^\d{1,3}([,_']\d{3})+$/.test(value)) {
    return `. Write ${value.replaceAll(/\D/g, "")}`;
  }
  if (typeof value === "string" && value.trim() !== "" && Number.isFinite(Number(value))) {
    return `. Remove the quotes: ${value}`;
  }
  return "";
}

function valueCure(value: unknown, values: readonly unknown[], path: Path): string {
  if (typeof value !== "string") return "";
  if (values.includes(Number(value))) return `. Remove the quotes: ${value}`;
  const ours = path.at(-1) === "name" ? foreignProtocol(value) : undefined;
  if (ours !== undefined) return `. Write ${ours}`;
  // What is matched has a mapping of its own; what a target is told stands beside it.
  if (path.at(-1) === "host" && value.includes("."))
    return `. To match it, write match: { host: ${value} }`;
  const word = nearest(
    value,
    values.filter((known) => typeof known === "string"),
  );
  return word === undefined ? "" : `. Did you mean "${word}"?`;
}

function listed(values: readonly unknown[]): string {
  const words = [...new Set(values.map(String))].filter((word) => word !== "");
  // Of two spellings of one word, the first is enough.
  const spelled = new Map(words.toReversed().map((word) => [word.replaceAll("-", "_"), word]));
  return words.filter((word) => spelled.get(word.replaceAll("-", "_")) === word).join(", ");
}

/** Of a union, the branch that the value was meant for is the one that does not fail at the value itself. */
function explainUnion(
  issue: Extract<Issue, { code: "invalid_union" }>,
  source: Source,
  path: Path,
): Problem[] {
  const branches = branchesOf(issue);
  const fitting = branches.find(
    (errors) =>
      errors.length > 0 &&
      errors.every(({ path: at, code }) => at.length > 0 || code === "unrecognized_keys"),
  );
  const custom = branches.find((errors) =>
    errors.some(({ code }) => code === "custom" || code === "too_small" || code === "too_big"),
  );
  const meant = fitting ?? custom;
  if (meant) return meant.flatMap((inner) => explainIssue(inner, source, path));
  const value = valueAt(source.value, path);
  const place = source.place(path, "value");
  if (value === null) return [{ place, message: NO_VALUE, path }];
  const forms = branches.map(([first]) => {
    if (first?.code === "invalid_value") return listed(first.values);
    if (first?.code === "invalid_type") return TYPE_NAMES[first.expected] ?? first.expected;
    return first?.message ?? "";
  });
  return [{ place, message: `expected ${forms.join(" or ")}, found ${describe(value)}`, path }];
}

/** A union that is a branch of another is its branches. */
function branchesOf({ errors }: Extract<Issue, { code: "invalid_union" }>): readonly Issue[][] {
  return errors.flatMap((branch) => {
    const [only] = branch;
    const nested = branch.length === 1 && only?.code === "invalid_union" && only.path.length === 0;
    return nested ? branchesOf(only) : [branch];
  });
}

function missing(path: Path): string {
  const example = exampleOf(path);
  return example === undefined ? "is missing" : `is missing. Write ${example}`;
}

function unknownKey(key: string, path: Path, source: Source): string {
  const here = knownKeys(path);
  const word = nearest(key, here);
  const ours = foreignKey(key, path);
  if (ours !== undefined && word === undefined) return `unknown key. Write ${ours}`;
  // `client`, which haproxy has, is not meant for client_hello, which only begins so.
  if (ours !== undefined && editDistance(key, word!) > 1) return `unknown key. Write ${ours}`;
  if (word !== undefined) return `unknown key. Did you mean "${word}"?`;
  const elsewhere = homesOf(key, path, source);
  if (elsewhere.length > 0 && elsewhere.length <= HOMES_SHOWN) {
    const under = elsewhere.map(whereIs);
    return `unknown key here. It belongs ${under.join(" or ")}`;
  }
  return `unknown key. ${suggest(key, keysFor(path, here, source))}`;
}

/** Where a key may stand: the places that are below this one, if there are such, or the only one. */
function homesOf(key: string, path: Path, source: Source): string[] {
  const found = homes().get(key) ?? [];
  const here = `${formatPath(path).replace(/\[\d+\]/g, "[]")}.`;
  const below = found.filter((home) => home.startsWith(here));
  const name = path[0] === "protocols" ? valueAt(source.value, [...path.slice(0, 2), "name"]) : "";
  const meant = (places: readonly string[]): string[] =>
    places.filter((home) => {
      const steps = `${home}.${key}`.replace(/^protocols\[\]\./, "").split(".");
      return !isProtocol(name) || isAtHome(steps, name);
    });
  if (below.length > 0) return meant(below);
  const elsewhere = meant(found);
  return elsewhere.length === 1 ? elsewhere : [];
}

function whereIs(home: string): string {
  if (home === "") return "at the top level";
  return home === "protocols[]" ? "to the listener" : `under ${home}`;
}

/** More places than these help nobody. */
const HOMES_SHOWN = 2;

/** Of the keys of a listener, those that mean something to its protocol. */
function keysFor(path: Path, keys: readonly string[], source: Source): string[] {
  const [top, entry, ...below] = path;
  if (top !== "protocols" || entry === undefined) return [...keys];
  const name = valueAt(source.value, [top, entry, "name"]);
  if (!isProtocol(name)) return [...keys];
  return keys.filter((key) => isAtHome([...below, key], name));
}

const isProtocol = (name: unknown): boolean => (PROTOCOLS as readonly unknown[]).includes(name);

/** The keys that the grammar knows at a path. */
function knownKeys(path: Path): string[] {
  let at: AnySchema = schema;
  for (const step of path) {
    const shape = objectIn(at)?._zod.def.shape;
    const next: AnySchema | undefined = typeof step === "number" ? elementOf(at) : shape?.[step];
    if (!next) return [];
    at = next;
  }
  return Object.keys(objectIn(at)?._zod.def.shape ?? {});
}

/** Through optional and union wrappers to what is inside. */
function unwrap(at: AnySchema): AnySchema[] {
  const { def } = (at as z.core.$ZodTypes)._zod;
  if (def.type === "optional" || def.type === "nonoptional") return unwrap(def.innerType);
  if (def.type === "pipe") return unwrap(def.in);
  if (def.type === "union") return def.options.flatMap(unwrap);
  return [at];
}

function objectIn(at: AnySchema): z.core.$ZodObject | undefined {
  return unwrap(at).find((inner) => inner._zod.def.type === "object") as
    z.core.$ZodObject | undefined;
}

function elementOf(at: AnySchema): AnySchema | undefined {
  const array = unwrap(at).find((inner) => inner._zod.def.type === "array") as
    z.core.$ZodArray | undefined;
  return array?._zod.def.element;
}

/** For each key of the grammar: where it may stand. Made when the first unknown key needs it. */
function homes(): ReadonlyMap<string, readonly string[]> {
  return (HOMES ??= findHomes());
}

let HOMES: ReadonlyMap<string, readonly string[]> | undefined;

function findHomes(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const walk = (at: AnySchema, shown: string, path: Path): void => {
    const element = elementOf(at);
    if (element) walk(element, `${shown}[]`, [...path, 0]);
    for (const [key, inner] of Object.entries(objectIn(at)?._zod.def.shape ?? {})) {
      found.set(key, [...(found.get(key) ?? []), shown]);
      walk(inner, formatPath(shown === "" ? [key] : [shown, key]), [...path, key]);
    }
  };
  walk(schema, "", []);
  return found;
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}
