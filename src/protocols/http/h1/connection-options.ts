// Connection (RFC 9110 section 7.6.1): what it says of the connection, and the fields that it nominates to go no further. Read
// while a head is parsed; the fields are removed once all of them are known. Pure; one for each reader.
//
// A client that nominates a field which is meant for everybody behind us (Cookie, Host, X-Forwarded-For) wants it removed by
// somebody who does not look at it: that is refused. A backend may nominate what it likes: its answer only gets shorter.

import { H1 } from "../../../shared/limits.ts";
import type { Fields } from "../message/fields.ts";
import { findId, idOf, UNKNOWN } from "../message/names.ts";
import { LIST } from "./list.ts";
import { all, isText, octetsOf, TOKEN } from "./octets.ts";

const CLOSE = octetsOf("close");
const KEEP_ALIVE = octetsOf("keep-alive");
const UPGRADE = octetsOf("upgrade");

/** Fields of a connection have the numbers 1 to this one. */
export const LAST_OF_CONNECTION = idOf("http2-settings");

export class ConnectionOptions {
  close = false;
  keepAlive = false;
  upgrade = false;
  /** Start and end of each name, relative to the section. */
  readonly #nominated: number[] = [];

  reset(): void {
    this.close = this.keepAlive = this.upgrade = false;
    // To set the length of an array costs more than all the rest, and hardly anybody nominates a field.
    if (this.#nominated.length > 0) this.#nominated.length = 0;
  }

  /**
   * Takes one Connection field's value.
   * @param strict known fields may not be nominated.
   * @returns why it is refused; null if it is not.
   */
  take(
    bytes: Uint8Array,
    start: number,
    end: number,
    origin: number,
    strict: boolean,
  ): string | null {
    for (LIST.begin(bytes, start, end); LIST.next();) {
      if (LIST.start === LIST.end) continue; // RFC 9110 section 5.6.1.2
      const problem = this.#takeOption(bytes, LIST.start, LIST.end, origin, strict);
      if (problem !== null) return problem;
    }
    return null;
  }

  #takeOption(
    bytes: Uint8Array,
    from: number,
    to: number,
    origin: number,
    strict: boolean,
  ): string | null {
    if (isText(bytes, from, to, CLOSE)) this.close = true;
    else if (isText(bytes, from, to, KEEP_ALIVE)) this.keepAlive = true;
    else if (isText(bytes, from, to, UPGRADE)) this.upgrade = true;
    else {
      if (!all(bytes, from, to, TOKEN)) return "Connection is malformed";
      const id = findId(bytes, from, to);
      if (id !== UNKNOWN && id <= LAST_OF_CONNECTION) return null;
      if (id !== UNKNOWN && strict)
        return "Connection nominates a field that is not of a connection";
      if (this.#nominated.length >= H1.nominatedMax * 2)
        return "Connection nominates too many fields";
      this.#nominated.push(from - origin, to - origin);
    }
    return null;
  }

  /** Removes what was nominated. */
  apply(fields: Fields): void {
    for (let i = 0; i < this.#nominated.length; i += 2) {
      fields.removeNamed(fields.text(this.#nominated[i]!, this.#nominated[i + 1]!).toLowerCase());
    }
  }
}
