// An exchange under every order of events that clients, backends and time can come in: the fakes on both sides throw on whatever
// the contract forbids, and in the end nothing is lost, doubled or left behind.

import { expect, test } from "bun:test";

import fc from "fast-check";

import type { BreakerPlan } from "../../../src/shared/plan.ts";
import { breakerPlan } from "../../support/breaker.ts";
import { failure, type FakeBackendStream, type FakeClient, Stage } from "./support/fakes.ts";

interface Act {
  readonly kind: number;
  readonly pick: number;
}

/** What moves a request on comes more often than what ends it. */
const KINDS = [0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 4, 5, 5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 13];

const acts = fc.array(
  fc.record({ kind: fc.constantFrom(...KINDS), pick: fc.integer({ min: 0, max: 1_000 }) }),
  { minLength: 20, maxLength: 80, size: "max" },
);

const REQUESTS = [
  { method: "GET" },
  { method: "POST", contentLength: 12 },
  { method: "PUT", contentLength: -1 },
  { method: "HEAD" },
  { method: "GET", upgrade: "websocket" },
] as const;

/** One request at a time finds out: a place that is not given back keeps all others away. */
const BREAKER = breakerPlan({ failures: 1, openMs: 100, maxOpenMs: 1_000, statuses: [503] });

/** A client with the backend streams that its request was given to, which end in the one that answered. */
class Scene {
  readonly stage: Stage;
  readonly clients: FakeClient[] = [];
  #letters = 0;

  constructor(places: number, targets: number, breaker?: BreakerPlan) {
    const retries = { attempts: 2, connect: true, statuses: [502, 503] };
    const timeouts = { totalMs: 60_000 };
    this.stage = new Stage({ targets, places, retries, timeouts, ...(breaker && { breaker }) });
  }

  #letter(): string {
    return String.fromCharCode(97 + (this.#letters++ % 26));
  }

  act({ kind, pick }: Act): void {
    const of = <T>(all: readonly T[]): T | undefined => all[pick % Math.max(1, all.length)];
    const clients = this.clients.filter((client) => !client.isOver);
    const streams = this.stage.backends.flatMap((backend) => backend.streams);
    const telling = streams.filter((stream) => stream.mayTell);
    const dialled = of(this.stage.backends.filter(({ dials }) => dials.length > 0));
    switch (kind) {
      case 0:
        this.clients.push(this.stage.ask(of(REQUESTS)!));
        break;
      case 1:
        dialled?.connect(pick % 4 === 0 ? "ECONNREFUSED" : "");
        break;
      case 2:
        this.#sendBody(of(clients.filter((client) => client.maySend)), pick);
        break;
      case 3:
        of(clients.filter((client) => client.maySend))?.finish();
        break;
      case 4:
        if (pick % 5 === 0) of(clients)?.leave();
        break;
      case 5:
        of(clients.filter((client) => client.waitsForDrain))?.drain();
        break;
      case 6:
        of(telling.filter(({ status }) => status === 0))?.informational(103);
        break;
      case 7: {
        const stream = of(telling.filter(({ status }) => status === 0));
        if (stream === undefined) break;
        const accepted = stream.head.upgrade !== "" && pick % 3 > 0;
        const bodyless = stream.head.method === "HEAD" || pick % 4 === 0;
        if (accepted) stream.respond(101);
        else stream.respond(pick % 7 === 0 ? 503 : 200, bodyless);
        break;
      }
      case 8:
        of(telling.filter(({ status, paused }) => status !== 0 && !paused))?.body(this.#letter());
        break;
      case 9:
        of(telling.filter(({ status }) => status !== 0))?.finish();
        break;
      case 10:
        of(telling)?.fail(failure(pick % 2 ? "reset" : "malformed", pick % 3 === 0));
        break;
      case 11:
        of(streams.filter((stream) => !stream.isOver && stream.waitsForDrain))?.drain();
        break;
      case 12:
        this.stage.pass(pick * (pick % 10 === 0 ? 10 : 1));
        break;
      case 13: {
        const client = of(clients);
        if (client !== undefined) client.takes = pick % 2 === 0;
        const stream = of(streams);
        if (stream !== undefined) stream.takes = pick % 2 === 0;
        if (pick % 9 === 0) of(this.stage.backends.flatMap((b) => b.connections))?.gone(null);
        break;
      }
    }
    this.check();
  }

  /** Also behind a pause: what was on its way up. */
  #sendBody(client: FakeClient | undefined, pick: number): void {
    if (client === undefined) return;
    if (!client.paused || (client.flowed && pick % 3 === 0)) client.body(this.#letter());
  }

  /** What holds at every moment. */
  check(): void {
    const { exchanges, records, stats } = this.stage;
    const open = this.clients.filter((client) => !client.isOver).length;
    expect(exchanges.count).toBe(open);
    expect(records.length).toBe(this.clients.length - open);
    expect(stats.http.active).toBe(open);
    for (const client of this.clients) this.#checkBytes(client);
  }

  #checkBytes(client: FakeClient): void {
    const streams = this.stage.backends
      .flatMap((backend) => backend.streams)
      .filter((stream) => stream.head === client.head);
    const given = streams.filter((stream) => stream.received !== "");
    expect(given.length).toBeLessThanOrEqual(1); // a body goes out once
    const own = client.received.startsWith("error ");
    const answering = streams.filter((stream) => stream.sent !== "");
    if (!own) expect(client.received).toBe(answering.map(({ sent }) => sent).join(""));
    for (const stream of streams) this.#checkStream(client, stream);
    if (given.length === 0) return;
    // What came while it was over is the codec's to discard.
    expect(client.sent.startsWith(given[0]!.received)).toBe(true);
    if (!client.isOver) expect(given[0]!.received).toBe(client.sent);
  }

  #checkStream(client: FakeClient, stream: FakeBackendStream): void {
    const hasBody = client.head.upgrade === "" || stream.status === 101;
    // Whoever was told the end of a request has all of it.
    if (stream.requestEnded && hasBody) expect(stream.received).toBe(client.sent);
    if (client.isOver || stream.isOver) return;
    // Each is paused exactly while the other side has said stop.
    expect(stream.paused).toBe(client.waitsForDrain);
    const sends = client.maySend && (client.head.upgrade === "" || client.isTunnel);
    if (sends) expect(client.paused).toBe(stream.waitsForDrain);
  }

  /** Everybody goes. */
  end(): void {
    for (const client of this.clients) if (!client.isOver) client.leave();
    this.check();
    const { backends, targets, exchanges, stats } = this.stage;
    const open = backends.flatMap(({ streams }) => streams).filter((stream) => !stream.isOver);
    expect(open).toEqual([]);
    expect(exchanges.count).toBe(0);
    expect(stats.http.requests).toBe(this.clients.length);
    // Least connections chooses the first of equals in turn: were a request left behind, its target would be passed over.
    expect(activeOf(targets, backends.length)).toEqual(new Array(backends.length).fill(0));
  }

  /** After `end`, and when every circuit may be tried: each target takes one request, and after an answer any number. */
  recover({ maxOpenMs }: BreakerPlan): void {
    const { stage } = this;
    stage.pass(maxOpenMs);
    for (const backend of stage.backends) while (backend.dials.length > 0) backend.connect();
    const refused = stage.refusals.length;
    const clients = stage.backends.map(() => stage.ask());
    for (const backend of stage.backends) while (backend.dials.length > 0) backend.connect();
    for (const { streams } of stage.backends) {
      for (const stream of streams) if (!stream.isOver) stream.respond(200, true);
    }
    expect(clients.map(({ status }) => status)).toEqual(clients.map(() => 200));
    expect(stage.refusals).toHaveLength(refused);
    expect(stage.stats.targets.map(({ states }) => states.up)).toEqual(clients.map(() => 1));
  }
}

/** How many requests each target has, by what leaving once too often would make of it. */
function activeOf(targets: Stage["targets"], count: number): number[] {
  return Array.from({ length: count }, (_, slot) => targets.activeOf(slot));
}

for (const [name, places, targets] of [
  ["one HTTP/1.1 target", 1, 1],
  ["two HTTP/1.1 targets", 1, 2],
  ["two HTTP/2 targets", 3, 2],
] as const) {
  test(`any order of events ends each exchange once and loses nothing: ${name}`, () => {
    fc.assert(
      fc.property(acts, (list) => {
        const scene = new Scene(places, targets);
        for (const act of list) scene.act(act);
        scene.end();
      }),
      { numRuns: 400 },
    );
  });
}

for (const targets of [1, 2]) {
  test(`after any order of events a circuit that has opened closes again: ${targets} targets`, () => {
    fc.assert(
      fc.property(acts, fc.integer({ min: 1, max: 3 }), (list, places) => {
        const scene = new Scene(places, targets, BREAKER);
        for (const act of list) scene.act(act);
        scene.end();
        scene.recover(BREAKER);
      }),
      { numRuns: 150 },
    );
  });
}
