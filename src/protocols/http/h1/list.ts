// Goes through the items of a list in a field value (RFC 9110 section 5.6.1): what stands between commas, without the white space
// around it. Pure; one cursor is used again and again by the readers, none of which uses it within another's turn.

import { isSpace } from "./octets.ts";

const COMMA = 0x2c;

export class ListCursor {
  /** Of the item that `next` came to; both the same for an empty one. */
  start = 0;
  end = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #stop = 0;

  begin(bytes: Uint8Array, start: number, end: number): this {
    this.#bytes = bytes;
    this.#at = start;
    this.#stop = end;
    return this;
  }

  /** @returns false when there is no further item. An empty value has one, which is empty. */
  next(): boolean {
    const bytes = this.#bytes;
    const stop = this.#stop;
    let at = this.#at;
    if (at > stop) return false;
    while (at < stop && isSpace(bytes[at]!)) at++;
    this.start = at;
    while (at < stop && bytes[at] !== COMMA) at++;
    this.#at = at + 1;
    while (at > this.start && isSpace(bytes[at - 1]!)) at--;
    this.end = at;
    return true;
  }
}

export const LIST = new ListCursor();
