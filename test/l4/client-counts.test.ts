// Connections counted by client: against a Map, in a table so small that entries are always in each other's way, and in
// threads.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { ClientCounts, clientCountsMemory } from "../../src/l4/client-counts.ts";
import { formatIp, parseIp } from "../../src/shared/ip.ts";
import { race } from "../support/race.ts";
import { RACE_CLIENTS } from "./client-counts-race.ts";

const ip = (text: string): Uint8Array => parseIp(text)!;

test("a client is admitted up to the limit, and again when a connection ended", () => {
  const counts = new ClientCounts(clientCountsMemory(10, 1));
  const [a, b] = [ip("192.0.2.1"), ip("2001:db8::1")];
  expect([1, 2, 3].map(() => counts.enter(a, 2))).toEqual([true, true, false]);
  expect(counts.enter(b, 2)).toBeTrue();
  expect([counts.count(a), counts.count(b), counts.size]).toEqual([2, 1, 2]);
  counts.leave(a);
  expect([counts.enter(a, 2), counts.enter(a, 2)]).toEqual([true, false]);
  counts.leave(b);
  expect([counts.count(b), counts.size]).toEqual([0, 1]);
});

test("the same client on sockets of one family and of both is one client", () => {
  const counts = new ClientCounts(clientCountsMemory(10, 1));
  counts.enter(ip("192.0.2.1"), 5);
  expect(counts.count(ip("::ffff:192.0.2.1"))).toBe(1);
  expect(counts.count(ip("::192.0.2.1"))).toBe(0);
});

test("an IPv6 client is a whole address, or a network if so asked, and IPv4 is always whole", () => {
  for (const [bits, ofFirst, ofSecond] of [
    [128, 1, 1],
    [64, 2, 1],
    [40, 3, 3],
  ] as const) {
    const counts = new ClientCounts(clientCountsMemory(10, 1), bits);
    for (const each of ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::", "192.0.2.1", "192.0.2.2"])
      counts.enter(ip(each), 5);
    const seen = ["2001:db8::1", "2001:db8:0:1::", "192.0.2.1"].map((each) =>
      counts.count(ip(each)),
    );
    expect(seen).toEqual([ofFirst, ofSecond, 1]);
  }
});

test("more clients than announced are turned away, and those that are in stay counted", () => {
  const counts = new ClientCounts(clientCountsMemory(4, 1));
  const all = Array.from({ length: 20 }, (_, i) => ip(`10.0.0.${i}`));
  const admitted = all.filter((each) => counts.enter(each, 1));
  expect(admitted.length).toBeWithin(4, 8);
  expect(counts.size).toBe(admitted.length);
  admitted.forEach((each) => counts.leave(each));
  expect(counts.size).toBe(0);
});

test("whatever comes and goes, every count is that of a Map", () => {
  const step = fc.record({
    client: fc.nat(11),
    enters: fc.boolean(),
    max: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.integer(), (steps, seed) => {
      const counts = new ClientCounts(clientCountsMemory(12, seed));
      const model = new Map<string, number>();
      for (const { client, enters, max } of steps) {
        const each = ip(client < 6 ? `10.0.0.${client}` : `2001:db8::${client}`);
        const name = formatIp(each);
        const count = model.get(name) ?? 0;
        if (enters) {
          expect(counts.enter(each, max)).toBe(count < max);
          if (count < max) model.set(name, count + 1);
        } else if (count > 0) {
          counts.leave(each);
          model.set(name, count - 1);
        }
        for (const [text, expected] of model) expect(counts.count(ip(text))).toBe(expected);
      }
      expect(counts.size).toBe([...model.values()].filter((count) => count > 0).length);
    }),
    { numRuns: 200 },
  );
});

test("a hundred thousand clients come and go", () => {
  const counts = new ClientCounts(clientCountsMemory(100_000, 7));
  const all = Array.from({ length: 100_000 }, (_, i) =>
    ip(`2001:db8::${(i >>> 10).toString(16)}:${(i & 1023).toString(16)}`),
  );
  for (const each of all) counts.enter(each, 1_000_000);
  expect(counts.size).toBe(all.length);
  for (const each of all) counts.leave(each);
  expect(counts.size).toBe(0);
});

test("threads never admit more than the limit, and nothing stays when all have left", async () => {
  const memory = clientCountsMemory(8, 3);
  const broken = await race(import.meta.resolve("./client-counts-race.ts"), memory, 4);
  expect(broken).toEqual([0, 0, 0, 0]);
  const counts = new ClientCounts(memory);
  expect([counts.size, ...RACE_CLIENTS.map((each) => counts.count(each))]).toEqual([
    0, 0, 0, 0, 0, 0,
  ]);
});
