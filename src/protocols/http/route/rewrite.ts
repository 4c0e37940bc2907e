// A path on its way to a backend: a prefix taken off, another put before what is left; the query goes on as it is. A path that
// is written in another way than it need be (`/%76%31/x`, `//v1/./x`) is brought into its plain form first, since the prefix
// would not be found in it otherwise.
//
// Refused (400) is a path that some program may read as leading out of the prefix that it is put under: `/..%2fadmin`.

import type { RewritePlan } from "../../../shared/http-plan.ts";
import type { RequestHead } from "../message/heads.ts";
import { PathView } from "./path-view.ts";

const SLASH = 0x2f;
const PERCENT = 0x25;

export class Rewrite {
  readonly #strip: Uint8Array;
  readonly #add: Uint8Array;
  readonly #view = new PathView();
  readonly #rest = new PathView();

  constructor({ stripPrefix, addPrefix }: RewritePlan) {
    this.#strip = decoded(stripPrefix.replace(/\/+$/, ""));
    this.#add = new TextEncoder().encode(addPrefix.replace(/\/+$/, ""));
  }

  /** @returns false if the request must be refused. `*` and the path of a CONNECT stay as they are. */
  applyTo(head: RequestHead): boolean {
    const { fields, pathStart, pathEnd } = head;
    const { arena } = fields;
    const view = this.#view;
    if (!view.read(arena, pathStart, pathEnd, "forward")) return false;
    const { bytes, start, end } = view;
    if (bytes[start] !== SLASH || start === end) return true;
    const from = this.#behindPrefix(bytes, start, end);
    if (view.ambiguous && !this.#rest.read(bytes, from, end, "loose")) return false;
    if (from === start && this.#add.length === 0 && view.asItCame) return true;
    const { queryStart } = view;
    const written = fields.append(this.#add, 0, this.#add.length);
    fields.append(bytes, from, end);
    if (fields.used === written) fields.appendText("/");
    fields.append(arena, queryStart, pathEnd);
    head.pathStart = written;
    head.pathEnd = fields.used;
    return true;
  }

  /** @returns where the path goes on behind the prefix, at a slash or at its end; `start` if it does not begin so. */
  #behindPrefix(bytes: Uint8Array, start: number, end: number): number {
    const prefix = this.#strip;
    let at = start;
    for (let i = 0; i < prefix.length; i++) {
      if (at >= end) return start;
      let byte = bytes[at]!;
      if (byte === PERCENT) {
        const encoded = Number.parseInt(String.fromCharCode(bytes[at + 1]!, bytes[at + 2]!), 16);
        // These two stay as they are in both: a separator that is encoded is none.
        if (encoded !== SLASH && encoded !== PERCENT) {
          byte = encoded;
          at += 2;
        }
      }
      if (byte !== prefix[i]) return start;
      at++;
    }
    return at === end || bytes[at] === SLASH ? at : start;
  }
}

/** The prefix as its bytes, with nothing encoded. */
function decoded(prefix: string): Uint8Array {
  const bytes = new TextEncoder().encode(prefix);
  const view = new PathView();
  return view.read(bytes, 0, bytes.length, "match")
    ? view.bytes.slice(view.start, view.end)
    : bytes;
}
