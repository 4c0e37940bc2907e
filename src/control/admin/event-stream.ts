// Server-sent events (WHATWG HTML, section 9.2.6), as far as the API sends any: the data of each event, as the bytes come in
// whatever pieces. Pure. Called by client.ts.

import { ProxyError } from "../../shared/errors.ts";

export interface ServerEvent {
  /** `message`, if the stream does not say. */
  readonly name: string;
  readonly data: string;
}

export class EventStream {
  readonly #decoder = new TextDecoder();
  readonly #maxLength: number;
  /** Of a line whose end has not come. */
  #pieces: string[] = [];
  #name = "";
  #data: string[] = [];
  /** Characters of the event so far. */
  #held = 0;

  /** @param maxLength of one event, in characters. */
  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /** @returns the events that these bytes complete. @throws ProxyError ERR_ADMIN for one without an end. */
  push(bytes: Uint8Array): ServerEvent[] {
    this.#pieces.push(this.#decoder.decode(bytes, { stream: true }));
    const events = this.#hasEnd() ? this.#lines() : [];
    const length = this.#pieces.reduce((sum, piece) => sum + piece.length, this.#held);
    if (length <= this.#maxLength) return events;
    throw new ProxyError("ERR_ADMIN", `an event has more than ${this.#maxLength} characters`);
  }

  /** Looked for in what has just come, so that a long line is not searched again with each piece of it. */
  #hasEnd(): boolean {
    return this.#pieces.at(-2)?.endsWith("\r") === true || /[\r\n]/.test(this.#pieces.at(-1)!);
  }

  #lines(): ServerEvent[] {
    // A CR at the very end may be half of a CR LF.
    const lines = this.#pieces.join("").split(/\r\n|\n|\r(?!$)/);
    this.#pieces = [lines.pop()!];
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): ServerEvent[] {
    if (line === "") return this.#end();
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line)!;
    if (field === "event") this.#name = value!;
    else if (field === "data") {
      this.#data.push(value!);
      this.#held += value!.length + 1; // a line without text takes room, too
    }
    return []; // other fields and comments mean nothing here
  }

  #end(): ServerEvent[] {
    const event = { name: this.#name || "message", data: this.#data.join("\n") };
    const isEmpty = this.#data.length === 0;
    this.#name = "";
    this.#data = [];
    this.#held = 0;
    return isEmpty ? [] : [event];
  }
}
