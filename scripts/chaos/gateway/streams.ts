// The exchanges of raw TCP (tcp/exchanges.ts) over the program's own wires: TLS, and streams of QUIC. Both ends are here,
// since targets of QUIC are this process's own, too.

import { QuicError, type QuicStreamHandler } from "../../../src/protocols/quic/transport.ts";
import type { Wire } from "../../../src/protocols/wire/wire.ts";
import { streamBytes, StreamCheck } from "../../../test/support/bytes.ts";
import { type Exchange, exchangeOf, HEAD_BYTES, headOf } from "../tcp/exchanges.ts";

/** Bytes of a stream that begin at any offset of it are a view of this length at most. */
const CHUNK_MAX = 512 * 1024;

export interface StreamOutcome {
  /** `fin`: the peer ended its direction in order. Otherwise a code, or `closed`. */
  readonly ending: string;
  readonly received: number;
  /** Bytes that differ; empty: none do. */
  readonly wrong: string;
  /** Of a stream of QUIC that was aborted: the code; otherwise -1. */
  readonly wireCode: number;
  /** For people: what it saw and did. */
  readonly seen: string;
}

/** One end of an exchange. */
export class StreamEnd implements QuicStreamHandler {
  readonly over: Promise<StreamOutcome>;
  readonly #wire: Wire;
  readonly #isClient: boolean;
  readonly #over = Promise.withResolvers<StreamOutcome>();
  /** Of a target, until the client has said what is to happen. */
  #exchange: Exchange | null;
  #head = Buffer.alloc(0);
  #check = new StreamCheck(0);
  #sent = 0;
  #sentAll = false;
  #hasEnded = false;
  #isClosed = false;
  #wrong = "";

  private constructor(wire: Wire, exchange: Exchange | null) {
    this.#wire = wire;
    this.#exchange = exchange;
    this.#isClient = exchange !== null;
    this.over = this.#over.promise;
    wire.handler = this;
  }

  static ask(wire: Wire, exchange: Exchange): StreamEnd {
    const end = new StreamEnd(wire, exchange);
    wire.write(Buffer.from(headOf(exchange)));
    end.#begin(exchange);
    return end;
  }

  static answer(wire: Wire): StreamEnd {
    return new StreamEnd(wire, null);
  }

  /** At once, whatever it does. */
  vanish(): void {
    if (!this.#isClosed) this.#wire.reset();
    this.onClose(null);
  }

  onData(bytes: Uint8Array): void {
    if (this.#exchange !== null) return this.#take(bytes);
    this.#head = Buffer.concat([this.#head, bytes]);
    if (this.#head.length < HEAD_BYTES) return;
    const [said, rest] = [
      this.#head.toString("latin1", 0, HEAD_BYTES),
      this.#head.subarray(HEAD_BYTES),
    ];
    if (!said.startsWith("[")) return this.vanish(); // of somebody who does not mean us
    this.#exchange = exchangeOf(said);
    // The owner of a wire is never called from within its own call, and this is one of the wire's.
    this.#begin(this.#exchange);
    if (rest.length > 0) this.#take(rest);
  }

  onDrain(): void {
    this.#send();
  }

  onEnd(): void {
    this.#hasEnded = true;
    // A target that was told nothing has nothing to say.
    if (this.#exchange === null) this.#wire.end();
  }

  onClose(error: (Error & { code?: string }) | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const ending = error === null ? (this.#hasEnded ? "fin" : "closed") : (error.code ?? "?");
    const { received } = this.#check;
    const seen = `${this.#hasEnded ? "an end" : "no end"}, ${this.#sent} sent${this.#sentAll ? ", and the end" : ""}`;
    const wireCode = error instanceof QuicError ? error.wireCode : -1;
    this.#over.resolve({ ending, received, wrong: this.#wrong, wireCode, seen });
  }

  /** The peer's bytes. */
  #take(bytes: Uint8Array): void {
    try {
      this.#check.take(bytes);
    } catch (error) {
      this.#wrong ||= (error as Error).message;
    }
  }

  #begin({ seed, stalls, stallMs }: Exchange): void {
    this.#check = new StreamCheck(this.#isClient ? seed + 1 : seed);
    if (stalls === this.#role) {
      this.#wire.pause();
      setTimeout(() => this.#isClosed || this.#wire.resume(), stallMs);
    }
    this.#send();
  }

  get #role(): "client" | "target" {
    return this.#isClient ? "client" : "target";
  }

  #send(): void {
    if (this.#exchange === null || this.#sentAll) return;
    const { seed, up, down, chunk, resets } = this.#exchange;
    const [from, length] = this.#isClient ? [seed, up] : [seed + 1, down];
    const isResetter = resets === this.#role;
    const until = isResetter ? length >> 1 : length;
    const step = Math.min(chunk, CHUNK_MAX);
    while (!this.#isClosed && this.#sent < until) {
      const bytes = streamBytes(from, this.#sent, Math.min(step, until - this.#sent));
      this.#sent += bytes.length;
      if (!this.#wire.write(bytes)) return;
    }
    if (this.#isClosed) return;
    this.#sentAll = true;
    if (isResetter) this.vanish();
    else this.#wire.end();
  }
}

/** Whatever a client of raw bytes might want. @param random from 0 to below 1. */
export function inventExchange(seed: number, random: () => number): Exchange {
  const size = (): number => Math.trunc(random() ** 6 * 2 * 1024 * 1024);
  const [up, down] = [size(), size()];
  const largest = random() < 0.3 ? 3 * 1024 : 128 * 1024;
  const either = (): "client" | "target" => (random() < 0.5 ? "client" : "target");
  return {
    seed,
    up,
    down,
    chunk: 1 + Math.trunc(Math.max(up, down) / 500) + Math.trunc(random() ** 3 * largest),
    resets: random() < 0.15 ? either() : "",
    stalls: random() < 0.15 ? either() : "",
    stallMs: Math.trunc(random() * 1_000),
    restMs: 0,
  };
}

/** What is wrong with how it ended for its client, if nothing was done to the proxy; empty: nothing. */
export function complaintOf(e: Exchange, { ending, received, wrong, seen }: StreamOutcome): string {
  if (wrong !== "") return wrong;
  if (e.resets === "client") return "";
  const told = `${ending} after ${received} of ${e.down} bytes (${seen})`;
  if (e.resets === "target") return ending === "fin" ? `passed for whole: ${told}` : "";
  return ending === "fin" && received === e.down ? "" : told;
}
