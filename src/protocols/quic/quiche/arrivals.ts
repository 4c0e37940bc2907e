// Clients whose hello has not come whole: their packets wait, a few of each and for a while, until it is known which
// certificate they ask for. Bounded in number, memory and time. Called by endpoints with several certificates.

import { QUICHE } from "../../../shared/limits.ts";
import type { Peer } from "../../live-rows.ts";
import { HelloCollector } from "./initial.ts";
import type { LongHeader } from "./packets.ts";

export interface Arrival {
  readonly peer: Peer;
  readonly host: string;
  /** After a Retry: what the client called us first. */
  readonly originalCid: Uint8Array | null;
  /** Whole, in the order in which they came. */
  readonly datagrams: Uint8Array[];
  bytes: number;
  readonly collector: HelloCollector;
  readonly untilMs: number;
}

export class Arrivals {
  /** In the order of their coming, by the id that they made up for us. */
  readonly #waiting = new Map<string, Arrival>();

  get full(): boolean {
    return this.#waiting.size >= QUICHE.arrivalsMax;
  }

  get size(): number {
    return this.#waiting.size;
  }

  get(cid: string): Arrival | undefined {
    return this.#waiting.get(cid);
  }

  begin(
    cid: string,
    dcid: Uint8Array,
    about: Pick<Arrival, "peer" | "host" | "originalCid">,
    nowMs: number,
  ): Arrival {
    const collector = new HelloCollector(dcid);
    const untilMs = nowMs + QUICHE.arrivalMs;
    const arrival = { ...about, datagrams: [], bytes: 0, collector, untilMs };
    this.#waiting.set(cid, arrival);
    return arrival;
  }

  /**
   * @param header of the datagram, an Initial. @returns the name that is asked for, empty if there is none or the hello
   * cannot be read or is too long, which TLS will say better; null: more is to come.
   */
  add(arrival: Arrival, datagram: Uint8Array, header: LongHeader): string | null {
    arrival.datagrams.push(datagram);
    arrival.bytes += datagram.length;
    if (arrival.bytes > QUICHE.arrivalBytes) return "";
    const outcome = arrival.collector.add(datagram, header);
    if (outcome.type === "hello") return outcome.hello.sni ?? "";
    if (outcome.type === "more" && arrival.datagrams.length < QUICHE.arrivalDatagrams) return null;
    return "";
  }

  end(cid: string): void {
    this.#waiting.delete(cid);
  }

  /** @returns whose time is over. */
  expired(nowMs: number): Arrival[] {
    const over: Arrival[] = [];
    for (const [cid, arrival] of this.#waiting) {
      if (arrival.untilMs > nowMs) break;
      this.#waiting.delete(cid);
      over.push(arrival);
    }
    return over;
  }
}
