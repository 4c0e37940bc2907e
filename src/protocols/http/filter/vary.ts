// Vary (RFC 9110 section 12.5.5): what an answer depends on. Called by filters that make one depend on something more.

import type { Fields } from "../message/fields.ts";
import { idOf } from "../message/names.ts";

const VARY = idOf("vary");

/** Adds a name that is not there yet; `*` covers all. */
export function addVary(fields: Fields, name: string): void {
  const wanted = name.toLowerCase();
  for (let i = fields.find(VARY); i >= 0; i = fields.find(VARY, i + 1)) {
    const names = fields.value(i).toLowerCase().split(",");
    if (names.some((each) => each.trim() === wanted || each.trim() === "*")) return;
  }
  fields.add("vary", name);
}
