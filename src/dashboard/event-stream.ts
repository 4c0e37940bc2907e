// Reads text/event-stream (HTML Living Standard, section 9.2.6) from the parts that it comes in: only what this page is
// sent, events with data. EventSource cannot show a token. Pure. Called by link.ts.

export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

/** A snapshot of 200 connections has some 50 KiB; who sends more than this without an end sends no snapshot. */
export const EVENT_MAX_CHARS = 16 * 1024 * 1024;

export class EventStreamReader {
  #rest = "";
  #name = "message";
  #data: string[] = [];

  /** @returns the events that are whole now; null: it is no stream of events that can be held. */
  push(text: string): StreamEvent[] | null {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    const events = lines.flatMap((line) =>
      this.#line(line.endsWith("\r") ? line.slice(0, -1) : line),
    );
    return this.#rest.length > EVENT_MAX_CHARS || this.#data.length > EVENT_MAX_CHARS
      ? null
      : events;
  }

  #line(line: string): StreamEvent[] {
    if (line === "") return this.#end();
    const [, field, value] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
    if (field === "event") this.#name = value ?? "";
    if (field === "data") this.#data.push(value ?? "");
    return [];
  }

  #end(): StreamEvent[] {
    const event = { name: this.#name, data: this.#data.join("\n") };
    const isEmpty = this.#data.length === 0;
    this.#name = "message";
    this.#data = [];
    return isEmpty ? [] : [event];
  }
}
