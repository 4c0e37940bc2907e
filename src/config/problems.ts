// What is wrong with a configuration, and where. A Source is anything that a configuration can come from (a YAML file,
// flags) and that can name the place of a path; every check of src/config speaks in these terms.

import { type ErrorCode, ProxyError } from "../shared/errors.ts";

export type Path = readonly (string | number)[];

/** Which end of `key: value` a problem is about. */
export type Part = "key" | "value";

export interface Source {
  /** Plain data, as the YAML core schema reads it. */
  readonly value: unknown;
  /** Of a path that is not there: the place where it would be looked for. */
  place(path: Path, part: Part): Place;
}

export interface Place {
  /** As it stands before a message: `proxy.yaml:4:5: protocols[0].listen`, or `-listen`. */
  readonly text: string;
  /** Problems are listed in this order. */
  readonly order: number;
}

export interface Problem {
  readonly place: Place;
  readonly message: string;
  /** Whose value is wrong; none where the text could not be read so far. */
  readonly path?: Path;
}

/** Takes a problem down. */
export type Report = (path: Path, message: string, part?: Part) => void;

export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** All problems as one error, a line each. */
export function problemsError(code: ErrorCode, problems: readonly Problem[]): ProxyError {
  const lines = problems
    .toSorted((a, b) => a.place.order - b.place.order)
    .map(({ place, message }) => `${place.text}: ${message}`);
  return new ProxyError(code, [...new Set(lines)].join("\n"));
}

/** What stands there, in the words of someone who looks at the file. */
export function describe(value: unknown): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  if (typeof value === "string") return `the text "${shorten(value)}"`;
  if (typeof value === "boolean") return `the word ${value}`;
  return `the number ${value}`;
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
