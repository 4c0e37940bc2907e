// Which fields are taken out of a head, compiled once: a look at each field's number, and for names that have none at their
// length first.
//
// Look-alikes go with the fields that they look like: programs behind CGI, WSGI and PHP get `X_Forwarded_For` and even
// `X.Forwarded.For` by the same name as X-Forwarded-For, and could not tell what this proxy has said from what its client has.

import { type Fields, REMOVED } from "../message/fields.ts";
import { idOfText, lower, UNKNOWN } from "../message/names.ts";

const HYPHEN = 0x2d;

export interface RemovalOptions {
  /** In lower case. */
  readonly names: Iterable<string>;
  /** Known names (names.ts) of which only look-alikes are removed: the fields themselves stay. */
  readonly guarded?: Iterable<string>;
  /** `x-forwarded-`: every name that begins so and is not known. */
  readonly prefix?: string;
  /** Look-alikes stay: what comes from a backend is not a claim about somebody. */
  readonly exact?: boolean;
}

export class Removal {
  /** By number: 1 for one that is removed. */
  readonly #known = new Uint8Array(256);
  /** By length: names that are not known, or not written as they should be. */
  readonly #unknown: (Uint8Array[] | undefined)[] = [];
  readonly #prefix: Uint8Array | null;
  readonly #exact: boolean;

  constructor({ names, guarded = [], prefix, exact = false }: RemovalOptions) {
    this.#exact = exact;
    this.#prefix = prefix === undefined ? null : Buffer.from(prefix);
    for (const name of names) {
      const id = idOfText(name);
      if (id !== UNKNOWN) this.#known[id] = 1;
      if (id === UNKNOWN || (!exact && name.includes("-"))) this.#addUnknown(name);
    }
    for (const name of guarded) if (name.includes("-")) this.#addUnknown(name);
  }

  #addUnknown(name: string): void {
    (this.#unknown[name.length] ??= []).push(Buffer.from(name, "latin1"));
  }

  applyTo(fields: Fields): void {
    const { ids, count } = fields;
    const known = this.#known;
    for (let i = 0; i < count; i++) {
      const id = ids[i]!;
      if (id === UNKNOWN ? this.#takes(fields, i) : known[id] === 1) ids[i] = REMOVED;
    }
  }

  /** Whether field `i`, whose name is not known, is one of these or looks like one. */
  #takes({ arena, ranges }: Fields, i: number): boolean {
    const start = ranges[i * 4]!;
    const length = ranges[i * 4 + 1]! - start;
    const prefix = this.#prefix;
    if (prefix !== null && length > prefix.length && this.#like(arena, start, prefix)) return true;
    const names = this.#unknown[length];
    if (names === undefined) return false;
    for (const name of names) if (this.#like(arena, start, name)) return true;
    return false;
  }

  /** Letters and digits in any case, and where the name has a hyphen anything else. */
  #like(arena: Uint8Array, start: number, name: Uint8Array): boolean {
    for (let i = 0; i < name.length; i++) {
      const expected = name[i]!;
      const byte = lower(arena[start + i]!);
      if (byte === expected) continue;
      if (this.#exact || expected !== HYPHEN || isAlphanumeric(byte)) return false;
    }
    return true;
  }
}

function isAlphanumeric(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39);
}
