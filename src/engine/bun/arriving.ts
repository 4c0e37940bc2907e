// A client whose first bytes are read before its target is chosen: stands in for the client's side as the data of its socket,
// hands what comes to the machine of l4/entrance.ts, and does what it says. Created by listener.ts; the engine's sweep calls
// `expire`. What is read is bounded by one read of the runtime beyond what the machine wants.

import type { Arrival, Refused, Verdict } from "../../l4/entrance.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { errnoOf } from "../../shared/errors.ts";
import type { Connection, SocketEvents } from "./connection.ts";

/** Whom it tells how the client's first bytes ended. */
export interface ArrivingListener {
  /** The PROXY header was read: who the client is. */
  introduced(connection: Connection, arrival: Arrival): void;
  /** The client's socket is paused, and what was read of it waits for its target. */
  choose(connection: Connection, group: number): void;
  refuse(connection: Connection, reason: Refused["reason"], detail: string, cause: string): void;
}

export class Arriving implements SocketEvents {
  readonly #connection: Connection;
  readonly #arrival: Arrival;
  readonly #listener: ArrivingListener;
  #settled = false;

  constructor(listener: ArrivingListener, connection: Connection, arrival: Arrival) {
    this.#listener = listener;
    this.#connection = connection;
    this.#arrival = arrival;
    connection.arrival = arrival;
    connection.client.socket!.data = this;
  }

  get deadlineMs(): number {
    return this.#arrival.deadlineMs;
  }

  get settled(): boolean {
    return this.#settled || this.#connection.over;
  }

  receive(chunk: Uint8Array): void {
    if (this.settled) return;
    const { header } = this.#arrival;
    const verdict = this.#arrival.take(chunk, monotonicMs());
    if (this.#arrival.header !== header) this.#listener.introduced(this.#connection, this.#arrival);
    this.#obey(verdict);
  }

  receiveFin(): void {
    if (!this.settled) this.#obey(this.#arrival.ended());
  }

  /** Its deadline has passed. */
  expire(): void {
    if (!this.settled) this.#obey(this.#arrival.expired());
  }

  #obey(verdict: Verdict): void {
    if (verdict.type === "more") return;
    this.#settled = true;
    const connection = this.#connection;
    const { client, target } = connection;
    if (verdict.type === "refused") {
      const { reason, detail } = verdict;
      this.#listener.refuse(connection, reason, detail, reason);
    } else if (verdict.type === "left") {
      client.socket!.shutdown(); // after a FIN each way the runtime closes the socket
    } else {
      client.socket!.pause();
      client.socket!.data = client;
      const { rest } = this.#arrival;
      if (rest.length > 0) target.send(rest); // it waits until there is a target
      this.#listener.choose(connection, verdict.group);
    }
  }

  /** Nothing was sent that could go on. */
  flush(): void {}

  close(error: Error | undefined): void {
    this.#settled = true;
    this.#connection.client.closed = true;
    this.#connection.abort(error === undefined ? "end" : errnoOf(error));
  }
}
