// What the admin listener answers: status, type and text. Called by everything behind it.

import type { ServerResponse } from "node:http";

export interface Question {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** The Accept field; empty: none. */
  readonly accept: string;
  /** The fields of these names, where a page is asked for; empty: none. */
  readonly acceptEncoding?: string;
  readonly ifNoneMatch?: string;
  /** May be told everything; otherwise only what is public. */
  readonly trusted: boolean;
  /** Of POST, as it came. */
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  /** Sent instead of `text`. */
  readonly bytes?: Uint8Array;
  readonly fields?: Readonly<Record<string, string>>;
  /** It goes on, in place of the text, for as long as whoever is given this likes. Not of HEAD. */
  readonly follow?: (response: ServerResponse) => void;
}

const TEXT = "text/plain; charset=utf-8";
const JSON_TYPE = "application/json; charset=utf-8";

export function text(status: number, body: string): Answer {
  return { status, type: TEXT, text: body };
}

export function json(status: number, value: unknown): Answer {
  return { status, type: JSON_TYPE, text: `${JSON.stringify(value)}\n` };
}

/** As every refusal looks: `{"error": "…"}`. */
export function failure(status: number, reason: string, fields?: Answer["fields"]): Answer {
  const answer = json(status, { error: reason });
  return fields === undefined ? answer : { ...answer, fields };
}

export function wantsJson({ accept }: Question): boolean {
  return /\bapplication\/json\b/i.test(accept);
}
