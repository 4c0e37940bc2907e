// One route's conditions, compiled from the plan: what a request must be for the route to be its. A rule says whether the
// path, the method and the fields fit; the table (table.ts) has looked at the host by then. Pure, and without strings for a
// request.
//
//   /a/b    this path alone
//   /v1/*   every path below /v1/, and /v1 itself: who writes it for what may be reached, or may not, means the whole tree
//   /v1*    every path that begins so, /v1beta too
//
// Methods are compared as they are: GET does not fit HEAD. Of a field that is there several times any one may fit.

import { ProxyError } from "../../../shared/errors.ts";
import type { HttpMatchPlan } from "../../../shared/http-plan.ts";
import type { RequestHead } from "../message/heads.ts";
import { idOfText, UNKNOWN } from "../message/names.ts";
import { PathView } from "./path-view.ts";

const SLASH = 0x2f;
const encoder = new TextEncoder();

/** Fields that are never among those of a head: the codecs take them out (heads.ts). */
const TAKEN_OUT = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "te",
  "http2-settings",
  "host",
  "content-length",
  "expect",
]);

interface FieldRule {
  readonly id: number;
  readonly name: string;
  readonly value: Uint8Array | null;
}

export class Rule {
  /** Of its route. */
  readonly index: number;
  /** It compares the path. */
  readonly hasPath: boolean;
  /** As the two readings of a request's path (path-view.ts) have it. */
  readonly #match: Uint8Array;
  readonly #loose: Uint8Array;
  readonly #prefix: boolean;
  readonly #methods: readonly string[] | null;
  readonly #fields: readonly FieldRule[];
  /** In lower case; null: whatever is asked for. Empty: an upgrade to anything. */
  readonly #upgrade: string | null;

  /** @throws ProxyError ERR_CONFIG for a path or a field that no request can have. */
  constructor(index: number, match: HttpMatchPlan) {
    this.index = index;
    this.#prefix = match.path?.endsWith("*") === true;
    this.hasPath = match.path !== null;
    this.#match = compilePath(match.path ?? "*", "match");
    this.#loose = compilePath(match.path ?? "*", "loose");
    this.#methods = match.methods;
    const upgrade = match.headers.find(({ name }) => name === "upgrade");
    this.#upgrade = upgrade === undefined ? null : (upgrade.value ?? "").toLowerCase();
    this.#fields = match.headers.filter(({ name }) => name !== "upgrade").map(compileField);
  }

  /** Whether every path fits, and every method and field. */
  get fitsAll(): boolean {
    return (
      !this.hasPath && this.#methods === null && this.#fields.length === 0 && this.#upgrade === null
    );
  }

  /** Asked of rules that compare the path. @param view what came, in this reading. */
  fitsPath({ bytes, start, end }: PathView, reading: "match" | "loose"): boolean {
    const path = reading === "match" ? this.#match : this.#loose;
    const length = end - start;
    let compared = path.length;
    if (length < compared) {
      const isDirectory = this.#prefix && length === compared - 1 && path[length] === SLASH;
      if (!isDirectory || length === 0) return false;
      compared = length;
    } else if (length > compared && !this.#prefix) return false;
    for (let i = 0; i < compared; i++) if (bytes[start + i] !== path[i]) return false;
    return true;
  }

  /** Whether the method and the fields fit. */
  fitsRest(head: RequestHead): boolean {
    if (this.#methods !== null && !this.#methods.includes(head.method)) return false;
    if (this.#upgrade !== null) {
      if (head.upgrade === "" || (this.#upgrade !== "" && head.upgrade !== this.#upgrade)) {
        return false;
      }
    }
    for (const field of this.#fields) if (!hasField(head, field)) return false;
    return true;
  }
}

function hasField({ fields }: RequestHead, { id, name, value }: FieldRule): boolean {
  let i = id === UNKNOWN ? fields.findNamed(name) : fields.find(id);
  while (i >= 0) {
    if (value === null || fields.valueIs(i, value)) return true;
    i = id === UNKNOWN ? fields.findNamed(name, i + 1) : fields.find(id, i + 1);
  }
  return false;
}

function compileField({ name, value }: HttpMatchPlan["headers"][number]): FieldRule {
  if (TAKEN_OUT.has(name)) {
    throw new ProxyError("ERR_CONFIG", `a route cannot be chosen by the field "${name}"`, {
      cure: name === "host" ? "Write match.host" : "Leave it out",
    });
  }
  return { id: idOfText(name), name, value: value === null ? null : encoder.encode(value) };
}

/** @param text with a `*` at its end, every path that begins so. */
function compilePath(text: string, reading: "match" | "loose"): Uint8Array {
  if (text === "*") return new Uint8Array(0);
  const bytes = encoder.encode(text.replace(/\*$/, ""));
  const view = new PathView();
  const readable = view.read(bytes, 0, bytes.length, reading);
  if (!readable || bytes.length === 0 || text.includes("?")) {
    throw new ProxyError("ERR_CONFIG", `"${text}" is no path that a request can have`, {
      cure: "Write a path that begins with /, without a query, such as /v1/users or /v1/*",
    });
  }
  return view.bytes.slice(view.start, view.end);
}
