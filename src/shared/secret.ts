// Bytes that must not be printed: keys. Whatever prints, logs or serialises one shows a mask; only `reveal` gives the bytes, and
// is called where they are used. Between threads they travel as an ArrayBuffer, which JSON leaves out.

import { inspect } from "node:util";

const MASK = "[secret]";

/** A URL as it may be printed: without name and password, and without its query, where keys stand too. */
export function printableUrl(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return `${origin}${pathname}${search === "" ? "" : "?…"}`;
}

/** Text for people in which URLs may stand: without what may be secret in them, names with passwords and queries. */
export function maskUrls(text: string): string {
  return text.replace(/:\/\/[^\s/@"]*@/g, `://${MASK}@`).replace(/(?<=\S)\?[^\s",;]+/g, "?…");
}

export class Secret {
  readonly #bytes: ArrayBuffer;

  constructor(bytes: ArrayBuffer) {
    this.#bytes = bytes;
  }

  static of(bytes: Uint8Array): Secret {
    return new Secret(new Uint8Array(bytes).buffer);
  }

  /** For use, and for other threads. Never for messages to people. */
  reveal(): ArrayBuffer {
    return this.#bytes;
  }

  equals(other: Secret): boolean {
    return Buffer.from(this.#bytes).equals(Buffer.from(other.#bytes));
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}
