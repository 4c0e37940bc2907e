// Readers of heads that are used again: a connection has one only while it has a head, so that one which rests costs no buffer.
// Invariant: a reader that is here is empty, and its arena is small. One pool for each listener or group, by its limits.

import { H1 } from "../../../shared/limits.ts";
import type { HeadLimits } from "./head-reader.ts";
import { RequestReader } from "./request-reader.ts";
import { ResponseReader } from "./response-reader.ts";
import type { SectionReader } from "./section-reader.ts";

export class ReaderPool<Reader extends SectionReader> {
  readonly #make: () => Reader;
  readonly #free: Reader[] = [];

  constructor(make: () => Reader) {
    this.#make = make;
  }

  take(): Reader {
    return this.#free.pop() ?? this.#make();
  }

  give(reader: Reader): void {
    if (this.#free.length >= H1.readersMax) return;
    if (reader.fields.arena.length > H1.readerMaxBytes) return;
    reader.reset();
    this.#free.push(reader);
  }
}

const REQUESTS = new WeakMap<HeadLimits, ReaderPool<RequestReader>>();
const RESPONSES = new WeakMap<HeadLimits, ReaderPool<ResponseReader>>();

export function requestReaders(limits: HeadLimits): ReaderPool<RequestReader> {
  let pool = REQUESTS.get(limits);
  if (pool === undefined) {
    pool = new ReaderPool(() => new RequestReader(limits));
    REQUESTS.set(limits, pool);
  }
  return pool;
}

export function responseReaders(limits: HeadLimits): ReaderPool<ResponseReader> {
  let pool = RESPONSES.get(limits);
  if (pool === undefined) {
    pool = new ReaderPool(() => new ResponseReader(limits));
    RESPONSES.set(limits, pool);
  }
  return pool;
}
