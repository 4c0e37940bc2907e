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

/** More than anybody mends at a time: a file that another program made wrongly has one in each of its thousand entries. */
const SHOWN_MAX = 100;
/** Longer than any address, name or path that can be right. */
const WORD_MAX = 300;
/** Longer than any message with values that can be right. */
const MESSAGE_MAX = 2_000;

/** All problems as one error, a line each; of very many the first. */
export function problemsError(code: ErrorCode, problems: readonly Problem[]): ProxyError {
  const inOrder = problems
    .toSorted((a, b) => a.place.order - b.place.order)
    .map(({ place, message }) => `${place.text}: ${clip(message)}`);
  const lines = [...new Set(inOrder)];
  const more = lines.length - SHOWN_MAX;
  const rest = more > 0 ? [`and ${more} more, which are shown once these are mended`] : [];
  return new ProxyError(code, [...lines.slice(0, SHOWN_MAX), ...rest].join("\n"));
}

/** Values stand in messages as they were written, and a value may be all of the file. */
function clip(message: string): string {
  const words = message.replaceAll(/\S+/g, (word) =>
    word.length > WORD_MAX ? `${word.slice(0, 60)}…` : word,
  );
  return words.length > MESSAGE_MAX ? `${words.slice(0, MESSAGE_MAX)}…` : words;
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
