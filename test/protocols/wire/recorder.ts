// One end of a wire in tests: notes what it is told, checks and sends streams, and fails on an event that comes from within a
// call of its own.

import type { Wire, WireHandler } from "../../../src/protocols/wire/wire.ts";
import { streamBytes, StreamCheck } from "../../support/bytes.ts";

type SystemError = Error & { code?: string };

const CHUNK_BYTES = 128 * 1024;

export class Recorder implements WireHandler {
  wire!: Wire;
  received = 0;
  text = "";
  drains = 0;
  pendingAtDrain = -1;
  hasEnded = false;
  closes = 0;
  /** The stream that is sent waits for a drain. */
  stopped = false;
  readonly ended: Promise<void>;
  readonly closed: Promise<SystemError | null>;
  onChunk: (bytes: Uint8Array) => void = () => {};
  onEndOf: () => void = () => {};
  readonly #ended = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<SystemError | null>();
  #check: StreamCheck | null = null;
  #calling = false;
  #more: (() => void) | null = null;

  constructor() {
    this.ended = this.#ended.promise;
    this.closed = this.#closed.promise;
  }

  get isClosed(): boolean {
    return this.closes > 0;
  }

  adopt(wire: Wire): void {
    this.wire = wire;
    wire.handler = this;
  }

  /** What comes from now on is stream `seed`; otherwise it is kept as text. */
  expectStream(seed: number): void {
    this.#check = new StreamCheck(seed);
  }

  write(bytes: Uint8Array): boolean {
    return this.#call(() => this.wire.write(bytes));
  }

  end(): void {
    this.#call(() => this.wire.end());
  }

  /** Goes on at each drain. */
  sendStream(seed: number, length: number): void {
    let at = 0;
    this.#more = () => {
      this.stopped = false;
      while (at < length && !this.isClosed) {
        const step = Math.min(CHUNK_BYTES, length - at);
        const goOn = this.write(streamBytes(seed, at, step));
        at += step;
        if (!goOn) {
          this.stopped = true;
          return;
        }
      }
    };
    this.#more();
  }

  #call<T>(call: () => T): T {
    this.#calling = true;
    const result = call();
    this.#calling = false;
    return result;
  }

  #told(what: string): void {
    if (this.#calling) throw new Error(`${what} from within a call`);
    if (this.isClosed) throw new Error(`${what} after close`);
  }

  onData(bytes: Uint8Array): void {
    this.#told("data");
    if (this.hasEnded) throw new Error("data after the end");
    this.received += bytes.length;
    if (this.#check === null) this.text += Buffer.from(bytes).toString("latin1");
    else this.#check.take(bytes);
    this.onChunk(bytes);
  }

  onDrain(): void {
    this.#told("drain");
    this.drains++;
    this.pendingAtDrain = this.wire.pending;
    this.#more?.();
  }

  onEnd(): void {
    this.#told("end");
    if (this.hasEnded) throw new Error("a second end");
    this.hasEnded = true;
    this.#ended.resolve();
    this.onEndOf();
  }

  onClose(error: SystemError | null): void {
    this.#told("close");
    this.closes++;
    this.#closed.resolve(error);
  }
}
