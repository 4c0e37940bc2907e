// The stream of snapshots (GET /api/stream): server-sent events, one a second, made once for all who read. Invariant: nobody
// reads, nothing is made and no timer runs; a reader has at most one event that it has not taken, is skipped meanwhile, and cut
// after ADMIN.streamStallMs. Called by the API, and by admin.ts when readers have to go.

import type { ServerResponse } from "node:http";

import { monotonicMs } from "../../shared/clock.ts";
import { messageOf } from "../../shared/errors.ts";
import { ADMIN } from "../../shared/limits.ts";
import type { Log } from "../../shared/log.ts";
import { type Answer, failure } from "./answer.ts";

export const EVENT_STREAM = "text/event-stream";

/** Milliseconds; those of ADMIN, but for tests. */
export interface StreamTimes {
  readonly streamMs: number;
  readonly streamStallMs: number;
}

interface Reader {
  readonly response: ServerResponse;
  /** Since when an event waits to be taken; null: none does. */
  waitsSinceMs: number | null;
}

export class SnapshotStream {
  readonly #log: Log;
  readonly #make: () => object;
  readonly #rest: () => void;
  readonly #times: StreamTimes;
  readonly #readers = new Set<Reader>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #last: Buffer | null = null;

  /** @param rest nobody reads any more: what was kept for the next snapshot can go. */
  constructor(log: Log, make: () => object, rest: () => void, times: StreamTimes = ADMIN) {
    this.#log = log;
    this.#make = make;
    this.#rest = rest;
    this.#times = times;
  }

  answer(): Answer {
    if (this.#readers.size >= ADMIN.streamsMax) {
      return failure(503, `${ADMIN.streamsMax} streams are open already`, { "retry-after": "5" });
    }
    return { status: 200, type: EVENT_STREAM, text: "", follow: (response) => this.#add(response) };
  }

  #add(response: ServerResponse): void {
    if (response.destroyed || this.#readers.size >= ADMIN.streamsMax) {
      response.end();
      return;
    }
    const reader: Reader = { response, waitsSinceMs: null };
    this.#readers.add(reader);
    response.once("close", () => this.#remove(reader));
    this.#timer ??= setInterval(() => this.#tick(), this.#times.streamMs);
    this.#last ??= this.#event();
    if (this.#last !== null) this.#send(reader, this.#last);
  }

  #tick(): void {
    const now = monotonicMs();
    const ready: Reader[] = [];
    for (const reader of this.#readers) {
      const { waitsSinceMs, response } = reader;
      if (waitsSinceMs === null) ready.push(reader);
      else if (now - waitsSinceMs >= this.#times.streamStallMs) {
        this.#remove(reader);
        response.destroy();
      }
    }
    this.#last = ready.length === 0 ? null : this.#event();
    if (this.#last !== null) for (const reader of ready) this.#send(reader, this.#last);
  }

  /** @returns null: it could not be made, and every reader has been sent away. */
  #event(): Buffer | null {
    try {
      return Buffer.from(`event: snapshot\ndata: ${JSON.stringify(this.#make())}\n\n`);
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "the stream of snapshots has ended");
      this.end();
      return null;
    }
  }

  #send(reader: Reader, event: Buffer): void {
    reader.waitsSinceMs = monotonicMs();
    reader.response.write(event, () => (reader.waitsSinceMs = null));
  }

  #remove(reader: Reader): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#last = null;
    this.#rest();
  }

  /** Every reader has had its last event, and may come again. */
  end(): void {
    for (const reader of this.#readers) {
      this.#remove(reader);
      reader.response.end();
    }
  }
}
