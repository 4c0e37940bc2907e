// Connections to one target: which is taken, when one is made, and when one is given up.

import { describe, expect, test } from "bun:test";

import type { Asker, Member } from "../../../../src/protocols/http/backend/pool.ts";
import type { Failure, ResponseEvents } from "../../../../src/protocols/http/exchange.ts";
import { RequestHead } from "../../../../src/protocols/http/message/heads.ts";
import {
  addCounters,
  CounterWriter,
  createCounters,
  emptyStats,
  type ListenerStats,
} from "../../../../src/shared/counters.ts";
import { HTTP_POOL } from "../../../../src/shared/limits.ts";
import { FakeBackend } from "../support/fakes.ts";

const NOTHING: ResponseEvents = {
  onInformational() {},
  onResponse() {},
  onResponseBody() {},
  onResponseEnd() {},
  onResponseFailure() {},
  onBackendDrain() {},
};

class Waiter implements Asker {
  member: Member | null = null;
  failure: Failure | null = null;

  onMember(member: Member): void {
    this.member = member;
    member.request(new RequestHead(), NOTHING);
  }

  onNoMember(failure: Failure): void {
    this.failure = failure;
  }
}

class Place {
  now = 1_000;
  readonly backend: FakeBackend;
  readonly #counters = createCounters(1);

  constructor(places = 1) {
    const clock = (): number => this.now;
    this.backend = new FakeBackend(new CounterWriter(this.#counters), 0, { places, clock });
  }

  /** As an exchange does it. */
  ask(fresh = false): Waiter {
    const waiter = new Waiter();
    const { pool } = this.backend;
    const member = pool.take(fresh);
    if (member !== null) waiter.onMember(member);
    else expect(pool.wait(waiter)).toBe(true);
    return waiter;
  }

  /** Of the oldest request that is under way on it. */
  finish(waiter: Waiter): void {
    const { streams } = waiter.member!.connection as FakeBackend["connections"][number];
    streams.find((stream) => !stream.isOver)!.finish();
  }

  get stats(): ListenerStats {
    const stats = emptyStats(1);
    addCounters(stats, this.#counters);
    return stats;
  }
}

describe("HTTP/1.1", () => {
  test("each request at once has a connection of its own", () => {
    const place = new Place();
    const waiters = [place.ask(), place.ask()];
    expect(place.backend.dials).toHaveLength(2);
    place.backend.connect();
    place.backend.connect();
    expect(waiters[0]!.member).not.toBe(waiters[1]!.member);
    expect(place.stats.targets[0]).toMatchObject({ connects: 2, active: 2 });
  });

  test("the connection that rested last is taken first, and the others grow old", () => {
    const place = new Place();
    const waiters = [place.ask(), place.ask()];
    place.backend.connect();
    place.backend.connect();
    place.finish(waiters[0]!);
    place.now += 6_000;
    place.finish(waiters[1]!);
    expect(place.ask().member).toBe(waiters[1]!.member);
    place.now += 4_000;
    place.backend.pool.sweep(place.now);
    expect(place.backend.connections.map(({ closed }) => closed)).toEqual([true, false]);
    expect(place.stats.targets[0]!.active).toBe(1);
  });

  test("connections that end with the listener are counted as ended", () => {
    const place = new Place();
    const waiters = [place.ask(), place.ask(), place.ask()];
    place.backend.connect();
    place.backend.connect();
    place.finish(waiters[0]!);
    place.backend.pool.destroy();
    expect(place.stats.targets[0]).toMatchObject({ connects: 2, active: 0 });
  });

  test("a connection that becomes free goes to whoever waits longest", () => {
    const place = new Place();
    const first = place.ask();
    place.backend.connect();
    const [second, third] = [place.ask(), place.ask()];
    place.finish(first);
    expect([second.member, third.member]).toEqual([first.member, null]);
    place.backend.connect(); // what was made for the second
    expect(third.member).not.toBeNull();
    place.backend.connect();
    expect(place.backend.pool.members).toBe(3);
  });

  test("a fresh connection is not one that has rested", () => {
    const place = new Place();
    const first = place.ask();
    place.backend.connect();
    place.finish(first);
    const fresh = place.ask(true);
    expect(fresh.member).toBeNull();
    place.backend.connect();
    expect(fresh.member).not.toBe(first.member);
  });

  test("a connection that closes is not taken", () => {
    const place = new Place();
    const first = place.ask();
    place.backend.connect();
    place.finish(first);
    place.backend.connections[0]!.gone(null);
    expect(place.ask().member).toBeNull();
    expect(place.stats.targets[0]!.active).toBe(0);
  });

  test("an attempt that fails is told to one that waits", () => {
    const place = new Place();
    const waiters = [place.ask(), place.ask()];
    place.backend.connect("ECONNREFUSED");
    expect(waiters.map(({ failure }) => failure?.message)).toEqual(["ECONNREFUSED", undefined]);
    expect(waiters[0]!.failure).toMatchObject({ code: "connect", unprocessed: true });
    place.backend.connect();
    expect(waiters[1]!.member).not.toBeNull();
  });

  test("an attempt that nobody waits for any more may fail unheard", () => {
    const place = new Place();
    const first = place.ask();
    place.backend.connect();
    const second = place.ask();
    place.finish(first);
    expect(second.member).toBe(first.member);
    place.backend.connect("ECONNREFUSED");
    expect(second.failure).toBeNull();
    expect(place.stats.targets[0]!.failures).toBe(1);
  });

  test("an attempt that takes too long is given up", () => {
    const place = new Place();
    const waiter = place.ask();
    place.now += 1_000;
    place.backend.pool.sweep(place.now);
    expect(waiter.failure).toMatchObject({ code: "connect_timeout" });
    expect(place.backend.dials).toHaveLength(0);
  });

  test("what this machine lacks is not the target's failure", () => {
    const place = new Place();
    const waiter = place.ask();
    place.backend.connect("ENFILE");
    expect([waiter.failure!.code, place.stats.targets[0]!.failures]).toEqual(["shortage", 0]);
    expect(place.stats.errors.ENFILE).toBe(1);
  });

  test("a certificate that is not accepted is a failure of TLS", () => {
    const place = new Place();
    const waiter = place.ask();
    place.backend.connect("CERT_HAS_EXPIRED");
    expect(waiter.failure).toMatchObject({ code: "tls" });
  });

  test("more connections than are needed do not rest", () => {
    const place = new Place();
    const waiters = Array.from({ length: HTTP_POOL.idleMax + 1 }, () => place.ask());
    for (const _ of waiters) place.backend.connect();
    for (const waiter of waiters) place.finish(waiter);
    expect(place.backend.pool.members).toBe(HTTP_POOL.idleMax);
  });
});

describe("HTTP/2", () => {
  test("connections are asked now and then whether their backend lives, those of HTTP/1.1 are not", () => {
    const swept = [1, 4].map((places) => {
      const place = new Place(places);
      place.ask();
      place.backend.connect();
      place.backend.pool.sweep(7_000);
      return place.backend.connections[0]!.sweptMs;
    });
    expect(swept).toEqual([0, 7_000]);
  });

  test("requests share a connection, and one more is made when its streams run out", () => {
    const place = new Place(2);
    const waiters = [place.ask(), place.ask(), place.ask()];
    expect(place.backend.dials).toHaveLength(1);
    place.backend.connect();
    expect(waiters.map(({ member }) => member !== null)).toEqual([true, true, false]);
    expect(place.backend.dials).toHaveLength(1);
    place.backend.connect();
    expect(waiters[2]!.member).not.toBe(waiters[0]!.member);
  });

  test("a stream that becomes free is taken", () => {
    const place = new Place(2);
    const waiters = [place.ask(), place.ask()];
    place.backend.connect();
    place.finish(waiters[0]!);
    expect(place.ask().member).toBe(waiters[0]!.member);
    expect(place.backend.connections).toHaveLength(1);
  });

  test("an attempt that fails is told to all, if there is no connection", () => {
    const place = new Place(2);
    const waiters = [place.ask(), place.ask(), place.ask()];
    place.backend.connect("ECONNREFUSED");
    expect(waiters.every(({ failure }) => failure !== null)).toBe(true);
    expect(place.backend.dials).toHaveLength(0);
  });

  test("a connection with requests under way does not grow old", () => {
    const place = new Place(2);
    const waiters = [place.ask(), place.ask()];
    place.backend.connect();
    place.finish(waiters[0]!);
    place.now += 20_000;
    place.backend.pool.sweep(place.now);
    expect(place.backend.connections[0]!.closed).toBe(false);
    place.finish(waiters[1]!);
    place.now += 10_000;
    place.backend.pool.sweep(place.now);
    expect(place.backend.connections[0]!.closed).toBe(true);
  });
});

test("a target that is none any more closes what rests, and the rest when it is done", () => {
  const place = new Place();
  const waiters = [place.ask(), place.ask()];
  place.backend.connect();
  place.backend.connect();
  place.finish(waiters[0]!);
  place.backend.pool.retire();
  expect(place.backend.connections.map(({ closed }) => closed)).toEqual([true, false]);
  expect(place.backend.pool.over).toBe(false);
  place.finish(waiters[1]!);
  expect(place.backend.pool.over).toBe(true);
});

describe("a target that the operator has taken out", () => {
  test("draining, has no connection that rests, finishes what is under way, and comes back", () => {
    const place = new Place();
    const waiters = [place.ask(), place.ask(), place.ask()];
    place.backend.connect();
    place.backend.connect();
    const { pool } = place.backend;
    place.finish(waiters[1]!); // its connection goes to the third
    place.finish(waiters[0]!);
    pool.setMode("draining");
    expect(place.backend.connections.map(({ closed }) => closed)).toEqual([true, false]);
    place.backend.connect(); // what was made for the third
    place.finish(waiters[2]!);
    expect(pool.members).toBe(0);
    expect(pool.over).toBe(false);
    pool.setMode("enabled");
    const later = place.ask();
    place.backend.connect();
    place.finish(later);
    expect(place.ask().member).not.toBeNull();
  });

  test("disabled, tells whoever waits, ends what is open, and gives up what is being made", () => {
    const place = new Place();
    place.ask();
    place.backend.connect();
    const waiting = place.ask();
    const { pool } = place.backend;
    pool.setMode("disabled");
    expect(waiting.failure).toMatchObject({ code: "drain", unprocessed: true });
    expect(place.backend.connections.map(({ closed }) => closed)).toEqual([true]);
    expect(place.backend.dials).toHaveLength(0);
    expect(place.stats.targets[0]).toMatchObject({ connects: 1, failures: 0, active: 0 });
    pool.setMode("enabled");
    const later = place.ask();
    place.backend.connect();
    expect(later.member).not.toBeNull();
  });
});
