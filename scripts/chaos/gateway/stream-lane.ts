// One client of chaos that moves raw bytes: over TLS, on streams of a QUIC connection, or over TCP to a listener that leads
// to a quic:// target.

import { QUIC_CODES } from "../../../src/protocols/quic/codes.ts";
import type { QuicConnection } from "../../../src/protocols/quic/transport.ts";
import type { Wire } from "../../../src/protocols/wire/wire.ts";
import { within } from "../../../test/support/until.ts";
import { openQuic, openWire, type Way } from "./connect.ts";
import type { LaneHost } from "./http-lane.ts";
import type { Scope } from "./journal.ts";
import { SILENT_CONNECTION } from "./quic-handlers.ts";
import { complaintOf, inventExchange, StreamEnd } from "./streams.ts";

const HUNG_MS = 30_000;
const STREAMS_MAX = 6;
export const QUIC_ALPN = "chaos";

export interface StreamWay extends Way {
  readonly kind: "tls" | "quic" | "link";
}

export class StreamLane {
  readonly #host: LaneHost;
  readonly #way: StreamWay;

  constructor(host: LaneHost, way: StreamWay) {
    this.#host = host;
    this.#way = way;
  }

  async session(): Promise<void> {
    const sinceMs = performance.now();
    const { kind, listener } = this.#way;
    try {
      if (kind === "quic") await this.#overQuic();
      else await this.#overWire();
    } catch (error) {
      const why = `${kind} to ${listener} was not let in: ${(error as Error).message}`;
      this.#host.journal.failed(why, this.#scopes(0), sinceMs);
    }
  }

  async #overWire(): Promise<void> {
    const wire = await openWire(this.#way, []);
    await this.#play(wire, wire.local?.port ?? 0);
  }

  async #overQuic(): Promise<void> {
    const { random } = this.#host;
    const connection = await openQuic(this.#way, QUIC_ALPN);
    const openedMs = performance.now();
    const port = connection.local?.port ?? 0;
    connection.handler = SILENT_CONNECTION;
    const streams = 1 + Math.trunc(random() * STREAMS_MAX);
    const played: Promise<void>[] = [];
    for (let i = 0; i < streams; i++) {
      const stream = connection.openStream();
      if (stream === null) break;
      played.push(this.#play(stream, port, openedMs));
      if (random() < 0.3) await Bun.sleep(random() * 30);
    }
    await Promise.all(played);
    this.#leave(connection);
  }

  #leave(connection: QuicConnection): void {
    const { random } = this.#host;
    if (random() < 0.2) {
      // With streams under way, of which nothing is expected any more.
      for (let i = 0; i < 3; i++) {
        const stream = connection.openStream();
        if (stream !== null) StreamEnd.ask(stream, inventExchange(0, random));
      }
      setTimeout(() => connection.destroy(), random() * 50);
    } else connection.close(0, "");
  }

  #scopes(port: number): Scope[] {
    const { kind, listener } = this.#way;
    return [`port ${port}`, `listener ${listener}`, `group ${kind}`];
  }

  /** @param openedMs of the connection that it is a stream of. */
  async #play(wire: Wire, port: number, openedMs = 0): Promise<void> {
    const { journal, random } = this.#host;
    const { kind, listener } = this.#way;
    const exchange = inventExchange(2 * this.#host.nextId(), random);
    const sinceMs = performance.now();
    const end = StreamEnd.ask(wire, exchange);
    const who = `${kind} to ${listener}: ${JSON.stringify(exchange)}`;
    const vanishing = random() < 0.1 ? setTimeout(() => end.vanish(), random() * 100) : undefined;
    let outcome;
    try {
      outcome = await within("the exchange", end.over, HUNG_MS);
    } catch {
      end.vanish();
      return journal.violate(`${who} hangs`);
    } finally {
      clearTimeout(vanishing);
    }
    journal.count(`exchanges ${kind}`);
    if (outcome.wrong !== "") return journal.violate(`${who} ${outcome.wrong}`);
    if (vanishing !== undefined) return;
    const complaint = complaintOf(exchange, outcome);
    if (complaint === "") return;
    const isCheat = outcome.ending === "fin";
    // Nothing tells a client of QUIC that is not a proxy's link that the listener was replaced.
    if (outcome.wireCode === QUIC_CODES.draining) {
      return journal.failed(`${who} ${complaint}`, [`listener ${listener} drains`], openedMs);
    }
    if (isCheat) journal.violate(`${who} cut short and passed for whole: ${complaint}`);
    else journal.failed(`${who} ${complaint}`, this.#scopes(port), sinceMs);
  }
}
