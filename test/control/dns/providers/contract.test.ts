// What every DNS provider must do (src/control/dns/provider.ts), each in front of its own API: five providers, one list.

import { describe, expect, test } from "bun:test";

import type { DnsProvider, TxtRecord } from "../../../../src/control/dns/provider.ts";
import { DNS_API } from "../../../../src/shared/auto-tls-limits.ts";
import { ProxyError } from "../../../../src/shared/errors.ts";
import { first } from "../../../support/dns-apis/fake-api.ts";
import {
  makeProvider,
  PROVIDER_KINDS,
  type ProviderKind,
  startBench,
} from "../../../support/dns-apis/kinds.ts";
import { within } from "../../../support/until.ts";

const NAME = "_acme-challenge.example.com";
const VALUE = "w6uP8Tcg6K2QR905Rms8iXTlksL6OD1KOWBxTK7wxPI";
const OTHER = "8Axt-PXQvjOVD2oi2YXqyyn8U5CDcC8P-BphlCxk3Ek";
const NEVER = new AbortController().signal;

for (const kind of PROVIDER_KINDS) {
  describe(kind.name, () => {
    describe("records", () => records(kind));
    describe("zones", () => zones(kind));
    describe("an API that is not well", () => mishaps(kind));
    describe("answers that are none", () => nonsense(kind));
    describe("who is refused", () => refusals(kind));
    describe("an end", () => aborts(kind));
  });
}

async function errorOf(promise: Promise<unknown>): Promise<ProxyError> {
  const error = await within("the failure", promise).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProxyError)) throw new Error("no ProxyError", { cause: error });
  expect(error.code).toBe("ERR_DNS_PROVIDER");
  return error;
}

function add(provider: DnsProvider, value = VALUE, name = NAME): Promise<TxtRecord> {
  return provider.add(name, value, 600, NEVER);
}

function records(kind: ProviderKind): void {
  test("is called by its name", async () => {
    await using bench = await startBench(kind);
    expect(bench.provider.name).toBe(kind.name);
  });

  test("a value is at its name once it is added, and gone once it is removed", async () => {
    await using bench = await startBench(kind);
    const record = await add(bench.provider);
    expect(record).toMatchObject({ name: NAME, value: VALUE, zone: "example.com" });
    expect(bench.values(NAME)).toEqual([VALUE]);
    await bench.provider.remove(record, NEVER);
    expect(bench.zone.records).toEqual([]);
  });

  test("values and names of others stay as they are", async () => {
    await using bench = await startBench(kind);
    const { api, zone, provider } = bench;
    const others = [
      api.record(zone, NAME, OTHER),
      api.record(zone, NAME, "left by somebody"),
      api.record(zone, `a.${NAME}`, VALUE),
      api.record(zone, `x${NAME}`, VALUE),
      api.record(zone, "example.com", "v=spf1 -all"),
    ];
    const facts = (): string[] =>
      zone.records.map(({ name, value, ttl }) => `${name} ${value} ${ttl}`).toSorted();
    const before = facts();
    const record = await add(provider);
    expect(bench.values(NAME).toSorted()).toEqual([OTHER, "left by somebody", VALUE].toSorted());
    await provider.remove(record, NEVER);
    expect(facts()).toEqual(before);
    expect(zone.records).toHaveLength(others.length);
  });

  test("several values are added to one name at once, and removed at once", async () => {
    await using bench = await startBench(kind);
    const { api, provider, zone } = bench;
    api.record(zone, NAME, OTHER);
    const values = ["one", "two", "three", "four"];
    const made = await Promise.all(values.map((value) => add(provider, value)));
    expect(bench.values(NAME).toSorted()).toEqual([OTHER, ...values].toSorted());
    await Promise.all(made.map((record) => provider.remove(record, NEVER)));
    expect(bench.values(NAME)).toEqual([OTHER]);
  });

  test("two providers of one process lose no value of each other", async () => {
    await using bench = await startBench(kind);
    const second = await makeProvider(kind, bench.api, { pause: async () => {} });
    await Promise.all([add(bench.provider, "one"), add(second, "two")]);
    expect(bench.values(NAME).toSorted()).toEqual(["one", "two"]);
  });

  test("a value that is there already is not added twice, and its record removes it", async () => {
    await using bench = await startBench(kind);
    await add(bench.provider);
    const again = await add(bench.provider);
    expect(bench.values(NAME)).toEqual([VALUE]);
    await bench.provider.remove(again, NEVER);
    expect(bench.values(NAME)).toEqual([]);
  });

  test("a record that is gone already is removed without an error", async () => {
    await using bench = await startBench(kind);
    const record = await add(bench.provider);
    await bench.provider.remove(record, NEVER);
    await bench.provider.remove(record, NEVER);
    expect(bench.zone.records).toEqual([]);
  });

  test("values of an earlier process are found, those asked for alone, and can be removed", async () => {
    await using bench = await startBench(kind);
    const { api, zone } = bench;
    for (const value of ["a", "b", VALUE, "c", OTHER]) api.record(zone, NAME, value);
    api.record(zone, `sub.${NAME}`, VALUE);
    const later = await makeProvider(kind, api, { pause: async () => {} });
    const found = await later.find(NAME, [OTHER, VALUE, "elsewhere"], NEVER);
    expect(found.map(({ value }) => value).toSorted()).toEqual([OTHER, VALUE].toSorted());
    for (const record of found) await later.remove(record, NEVER);
    expect(bench.values(NAME)).toEqual(["a", "b", "c"]);
    expect(bench.values(`sub.${NAME}`)).toEqual([VALUE]);
    expect(await later.find(NAME, [VALUE], NEVER)).toEqual([]);
  });

  test("the time to live is raised to the least that the API takes, and not lowered", async () => {
    await using bench = await startBench(kind);
    await bench.provider.add(NAME, VALUE, 5, NEVER);
    await bench.provider.add(`b.${NAME}`, VALUE, 7200, NEVER);
    expect(bench.zone.records.map(({ ttl }) => ttl)).toEqual([kind.ttlMin || 5, 7200]);
  });
}

function zones(kind: ProviderKind): void {
  test("a record is in the longest zone that its name is in", async () => {
    await using bench = await startBench(kind);
    const inner = bench.api.zone("sub.example.com");
    const record = await add(bench.provider, VALUE, "_acme-challenge.a.sub.example.com");
    expect(record.zone).toBe("sub.example.com");
    expect(inner.records.map(({ name }) => name)).toEqual(["_acme-challenge.a.sub.example.com"]);
    expect(bench.zone.records).toEqual([]);
    expect((await add(bench.provider, VALUE, "_acme-challenge.other.example.com")).zone).toBe(
      "example.com",
    );
  });

  test("a zone that is the name itself is used: a challenge that was delegated", async () => {
    await using bench = await startBench(kind);
    const delegated = bench.api.zone(NAME);
    const record = await add(bench.provider);
    expect(record.zone).toBe(NAME);
    expect(delegated.records).toMatchObject([{ name: NAME, value: VALUE }]);
    expect(await bench.provider.find(NAME, [VALUE], NEVER)).toHaveLength(1);
    await bench.provider.remove(record, NEVER);
    expect(delegated.records).toEqual([]);
  });

  test("zones of similar names are not taken for it, however many", async () => {
    await using bench = await startBench(kind);
    for (const name of ["notexample.com", "example.com.au", "ample.com", "a-example.com"]) {
      bench.api.zone(name);
    }
    expect((await add(bench.provider)).zone).toBe("example.com");
  });

  test("a name in no zone is refused with the name and the cure", async () => {
    await using bench = await startBench(kind);
    const error = await errorOf(add(bench.provider, VALUE, "_acme-challenge.example.net"));
    expect(error.message).toStartWith(
      `${kind.title} has no zone for _acme-challenge.example.net: looked for _acme-challenge.example.net up to example.net. `,
    );
    expect(error.cure).toBeString();
    expect(bench.api.changes).toEqual([]);
    expect(bench.pauses).toEqual([]);
  });
}

function mishaps(kind: ProviderKind): void {
  test("it is waited for as long as it asks, and everything is done in the end", async () => {
    await using bench = await startBench(kind);
    const { api } = bench;
    api.mishap = first(1, () => api.tooMany(7));
    const record = await add(bench.provider);
    api.mishap = first(
      1,
      () => api.tooMany(20),
      (seen) => api.isChange(seen),
    );
    await bench.provider.remove(record, NEVER);
    expect(bench.pauses.filter((ms) => ms % 1000 === 0 && ms !== 2000)).toEqual([7000, 20_000]);
    expect(bench.values(NAME)).toEqual([]);
  });

  test("a wait that it does not measure is longer each time", async () => {
    await using bench = await startBench(kind);
    bench.api.mishap = first(3, () => bench.api.tooMany(null));
    await add(bench.provider);
    const [one = 0, two = 0, three = 0] = bench.pauses;
    expect(one).toBeWithin(DNS_API.retryMs, DNS_API.retryMs * 1.5 + 1);
    expect(two).toBeWithin(DNS_API.retryMs * 2, DNS_API.retryMs * 3 + 1);
    expect(three).toBeWithin(DNS_API.retryMs * 4, DNS_API.retryMs * 6 + 1);
  });

  test("a wait that is too long is an error at once, which says how long", async () => {
    await using bench = await startBench(kind);
    bench.api.mishap = () => bench.api.tooMany(3600);
    const error = await errorOf(add(bench.provider));
    expect(error.message).toContain("is to be asked again in 3600 s");
    expect(bench.pauses).toEqual([]);
    expect(bench.api.seen).toHaveLength(1);
  });

  test("faults that go away are got over, and nothing is done twice", async () => {
    await using bench = await startBench(kind);
    const { api } = bench;
    api.mishap = first(2, () => api.fault(500, "internal"));
    const record = await add(bench.provider);
    expect(bench.values(NAME)).toEqual([VALUE]);
    api.mishap = first(
      1,
      () => api.fault(503, "later"),
      (seen) => api.isChange(seen),
    );
    await bench.provider.remove(record, NEVER);
    expect(bench.values(NAME)).toEqual([]);
  });

  test("what was carried out though its answer was lost is not done again", async () => {
    await using bench = await startBench(kind);
    const { api, zone } = bench;
    api.record(zone, NAME, OTHER);
    api.mishap = first(
      1,
      () => ({ lost: new Response("bad gateway", { status: 502 }) }),
      (seen) => api.isChange(seen),
    );
    const record = await add(bench.provider);
    expect(bench.values(NAME).toSorted()).toEqual([OTHER, VALUE].toSorted());
    api.mishap = first(
      1,
      () => ({ lost: new Response("bad gateway", { status: 502 }) }),
      (seen) => api.isChange(seen),
    );
    await bench.provider.remove(record, NEVER);
    expect(bench.values(NAME)).toEqual([OTHER]);
  });

  test("faults that stay end after some attempts, in the API's own words", async () => {
    await using bench = await startBench(kind);
    bench.api.mishap = () => bench.api.fault(500, "the shard is on fire");
    const error = await errorOf(add(bench.provider));
    expect(error.message).toStartWith(
      `${kind.title}: finding the zone of ${NAME} failed: 500 the shard is on fire (`,
    );
    expect(bench.api.seen).toHaveLength(DNS_API.attempts);
    expect(bench.pauses).toHaveLength(DNS_API.attempts - 1);
  });

  test("faults of a change name the zone", async () => {
    await using bench = await startBench(kind);
    const { api } = bench;
    api.mishap = (seen) => (api.isChange(seen) ? api.fault(400, "no such thing") : null);
    const error = await errorOf(add(bench.provider));
    expect(error.message).toStartWith(
      `${kind.title}: adding ${NAME} in zone example.com failed: 400 no such thing (`,
    );
    expect(api.changes).toHaveLength(1);
  });

  test("what a failed call left behind is found and removed later", async () => {
    await using bench = await startBench(kind);
    const { api } = bench;
    let isDown = false;
    api.mishap = (seen) => {
      if (isDown) return api.fault(503, "down");
      if (!api.isChange(seen)) return null;
      isDown = true;
      return { lost: api.fault(503, "down") };
    };
    await errorOf(add(bench.provider));
    expect(bench.values(NAME)).toEqual([VALUE]);
    api.mishap = () => null;
    const [left] = await bench.provider.find(NAME, [VALUE], NEVER);
    await bench.provider.remove(left!, NEVER);
    expect(bench.values(NAME)).toEqual([]);
  });
}

function nonsense(kind: ProviderKind): void {
  test("something else than the API's language is refused, also as an error", async () => {
    for (const text of ["<html>Log in</html>", "{", "null", "[[]]", '{"success":true}', ""]) {
      await using bench = await startBench(kind);
      bench.api.mishap = () => new Response(text, { status: 200 });
      const error = await errorOf(bench.provider.find(NAME, [VALUE], NEVER));
      expect(error.message).toStartWith(`${kind.title}: `);
      bench.api.mishap = () => new Response(text, { status: 418 });
      expect((await errorOf(add(bench.provider))).message).toContain("failed: 418 ");
    }
  });

  test("an answer that does not end is cut off", async () => {
    await using bench = await startBench(kind);
    let sent = 0;
    const endless = (): Response =>
      new Response(
        new ReadableStream({
          pull: (controller) => {
            sent += 65_536;
            controller.enqueue(new Uint8Array(65_536).fill(0x20));
          },
        }),
      );
    bench.api.mishap = endless;
    const error = await errorOf(add(bench.provider));
    expect(error.message).toContain(`the answer is longer than ${DNS_API.answerMaxBytes} bytes`);
    expect(sent).toBeGreaterThan(DNS_API.answerMaxBytes);
    expect(bench.api.seen).toHaveLength(1);
  });

  test("another place is not gone to", async () => {
    await using bench = await startBench(kind);
    await using elsewhere = kind.startApi();
    bench.api.mishap = () => Response.redirect(elsewhere.endpoint, 302);
    expect((await errorOf(add(bench.provider))).message).toContain("failed: 302 ");
    expect(elsewhere.seen).toEqual([]);
  });

  test("silence ends in time, before an answer and in the middle of one", async () => {
    const half = (): Response =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
        }),
      );
    for (const silence of [() => "hang" as const, half]) {
      await using bench = await startBench(kind, { timeoutMs: 50 });
      bench.api.mishap = silence;
      const error = await errorOf(add(bench.provider));
      expect(error.message).toContain("failed: no answer within 0.05 s. Check that this machine");
      expect(bench.pauses).toHaveLength(DNS_API.attempts - 1);
    }
  });

  test("a machine that cannot be reached is named", async () => {
    await using bench = await startBench(kind);
    const { host } = new URL(bench.api.endpoint);
    await bench.api[Symbol.asyncDispose]();
    const error = await errorOf(add(bench.provider));
    expect(error.message).toEndWith(`Check that this machine reaches https://${host}`);
    expect(bench.pauses).toHaveLength(DNS_API.attempts - 1);
  });
}

function refusals(kind: ProviderKind): void {
  test("a wrong credential is told with its cure, at once, and is not shown", async () => {
    await using bench = await startBench(kind);
    const wrong = bench.api.wrongEnvironment;
    const provider = await makeProvider(kind, bench.api, {}, wrong);
    const error = await errorOf(add(provider));
    expect(error.cure).toStartWith("Check ");
    expect(error.message).toMatch(/failed: 40[0134] /);
    for (const [name, value] of Object.entries(wrong)) {
      if (!name.includes("REGION")) expect(Bun.inspect(error)).not.toContain(value);
    }
    expect(bench.api.seen).toHaveLength(1);
  });
}

function aborts(kind: ProviderKind): void {
  test("comes while an answer is waited for, with the caller's reason", async () => {
    await using bench = await startBench(kind);
    const stop = new AbortController();
    const reason = new Error("shut down");
    bench.api.mishap = () => {
      queueMicrotask(() => stop.abort(reason));
      return "hang";
    };
    const failed = bench.provider.add(NAME, VALUE, 60, stop.signal);
    expect(
      await within(
        "the end",
        failed.catch((error: unknown) => error),
      ),
    ).toBe(reason);
  });

  test("comes between two attempts, and there is no further one", async () => {
    const stop = new AbortController();
    const reason = new Error("shut down");
    await using bench = await startBench(kind, {
      pause: async () => stop.abort(reason),
    });
    bench.api.mishap = () => bench.api.tooMany(5);
    const failed = bench.provider.add(NAME, VALUE, 60, stop.signal);
    expect(
      await within(
        "the end",
        failed.catch((error: unknown) => error),
      ),
    ).toBe(reason);
    expect(bench.api.seen).toHaveLength(1);
  });

  test("before anything began means that nothing is sent", async () => {
    await using bench = await startBench(kind);
    const reason = new Error("shut down");
    const failed = bench.provider.add(NAME, VALUE, 60, AbortSignal.abort(reason));
    expect(await failed.catch((error: unknown) => error)).toBe(reason);
    expect(bench.api.seen).toEqual([]);
  });
}
