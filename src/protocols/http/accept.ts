// Which of two kinds of body a client would rather have, by Accept (RFC 9110 section 12.5.1): JSON or text. Only read for
// answers that this proxy makes itself, and of no more than the first ranges: who sends hundreds gets text. Pure.

import type { Fields } from "./message/fields.ts";

/** Of one Accept field, and bytes of all of them: browsers send eight ranges in 140 bytes. */
const RANGES_MAX = 32;
const BYTES_MAX = 1_024;

/** How exactly a range names what it stands for. */
const ANY = 1;
const TYPE = 2;
const EXACT = 3;

interface Preference {
  specificity: number;
  q: number;
  /** Place of its range among all. */
  place: number;
}

/** @returns whether JSON is wanted more than text; of two that are named alike, the first. */
export function prefersJson(fields: Fields): boolean {
  const json: Preference = { specificity: 0, q: 0, place: 0 };
  const text: Preference = { specificity: 0, q: 0, place: 0 };
  let place = 0;
  const ranges = acceptOf(fields).split(",", RANGES_MAX);
  for (const range of ranges) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const q = qOf(parameters);
    if (q < 0) continue;
    place++;
    note(json, specificityFor(type, "application", "json", "problem+json"), q, place);
    note(text, specificityFor(type, "text", "plain", "html"), q, place);
  }
  if (json.q !== text.q) return json.q > text.q;
  return json.specificity === EXACT && (text.specificity < EXACT || json.place < text.place);
}

function acceptOf(fields: Fields): string {
  let accept = "";
  for (const [name, value] of fields.entries()) {
    if (name === "accept" && accept.length + value.length < BYTES_MAX) accept += `${value},`;
  }
  return accept;
}

function specificityFor(range: string, type: string, ...subtypes: readonly string[]): number {
  if (range === "*/*") return ANY;
  if (range === `${type}/*`) return TYPE;
  return subtypes.some((subtype) => range === `${type}/${subtype}`) ? EXACT : 0;
}

/** The most specific range decides; of several, the one that is wanted most. */
function note(preference: Preference, specificity: number, q: number, place: number): void {
  const { specificity: best } = preference;
  if (specificity === 0 || specificity < best) return;
  if (specificity === best && q <= preference.q) return;
  preference.specificity = specificity;
  preference.q = q;
  preference.place = place;
}

/** RFC 9110 section 12.4.2. @returns 1 without one, -1 if it is malformed: then the range counts for nothing. */
function qOf(parameters: readonly string[]): number {
  const q = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
  if (q === undefined) return 1;
  return /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(q) ? Number(q) : -1;
}
