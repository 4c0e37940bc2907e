// What the terminal that a command prints on can show. Called by commands that print tables.

import type { Room } from "./columns.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Of the standard output; whatever is no terminal takes lines of any length, in UTF-8. */
export function roomOf(stream: { isTTY?: boolean; columns?: number }, env: Environment): Room {
  if (stream.isTTY !== true) return { width: Infinity, unicode: true };
  return { width: stream.columns || 80, unicode: speaksUtf8(env) };
}

/** By the first of the variables that says anything (POSIX, 8.2): none is the POSIX locale, which has ASCII alone. */
export function speaksUtf8({ LC_ALL, LC_CTYPE, LANG }: Environment): boolean {
  const said = [LC_ALL, LC_CTYPE, LANG].find((value) => value !== undefined && value !== "");
  return said !== undefined && /utf-?8/i.test(said);
}
