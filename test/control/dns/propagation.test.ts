// Waiting until a record is at all servers of its zone: which servers are waited for, which are given up, and what is said when
// the time is over.

import { describe, expect, test } from "bun:test";

import { Authoritative } from "../../../src/control/dns/authoritative.ts";
import {
  type Sight,
  type Visibility,
  waitUntilVisible,
} from "../../../src/control/dns/propagation.ts";
import { DnsWorld } from "../../support/dns-world.ts";
import { until } from "../../support/until.ts";

const ORIGIN = "example.test";
const NAME = `_acme-challenge.${ORIGIN}`;
const VALUE = "wanted";
const ALL = { isSeen: true, givenUp: [] };
const NEVER = new AbortController().signal;

interface WaitOptions {
  timeoutMs?: number;
  delayMs?: number;
  tryMs?: number;
  signal?: AbortSignal;
}

class Wait {
  readonly sights: string[] = [];
  done = false;
  readonly result: Promise<Visibility>;

  /** @param tryMs short where a server is silent: it is what the test waits for. */
  constructor(world: DnsWorld, options: WaitOptions = {}) {
    this.result = this.#start(world, options);
    this.result.then(
      () => (this.done = true),
      () => (this.done = true),
    );
  }

  async #start(
    world: DnsWorld,
    { timeoutMs = 30_000, delayMs = 0, tryMs = 10_000, signal = NEVER }: WaitOptions,
  ): Promise<Visibility> {
    const { resolvers, port } = world;
    const lookup = new Authoritative({ resolvers, port, tryMs });
    const place = await lookup.locate(NAME, signal);
    const seen = ({ server, state, detail }: Sight): void => {
      this.sights.push(`${server.split(".")[0]} ${state} ${detail}`);
    };
    const times = { timeoutMs, delayMs, lookFirstMs: 5, tryMs, unseenMs: 50 };
    return waitUntilVisible({ place, value: VALUE, ...times, seen }, signal);
  }
}

async function worldOf(count: number, options = {}): Promise<DnsWorld> {
  const world = await DnsWorld.start(count, options);
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  world.zone(ORIGIN, numbers);
  return world;
}

describe("a record is visible", () => {
  test("when every server has it, beside whatever other values", async () => {
    await using world = await worldOf(2);
    world.add(ORIGIN, NAME, "TXT", "another's");
    world.add(ORIGIN, NAME, "TXT", VALUE);
    const wait = new Wait(world);
    expect(await wait.result).toEqual(ALL);
    expect(wait.sights.toSorted()).toEqual(["ns1 present has it", "ns2 present has it"]);
    expect(world.resolver.asked(NAME, "TXT")).toEqual([]);
  });

  test("and not before the last server has it", async () => {
    await using world = await worldOf(3);
    world.copy(ORIGIN, 1).add(NAME, "TXT", VALUE);
    world.copy(ORIGIN, 2).add(NAME, "TXT", "old");
    const wait = new Wait(world);
    await until("several looks", () => world.server(3).asked(NAME, "TXT").length >= 3);
    expect(wait.done).toBe(false);
    expect(world.server(1).asked(NAME, "TXT")).toHaveLength(1); // it had it
    world.copy(ORIGIN, 2).add(NAME, "TXT", VALUE);
    const looks = world.server(3).asked(NAME, "TXT").length;
    await until("another look", () => world.server(3).asked(NAME, "TXT").length >= looks + 2);
    expect(wait.done).toBe(false);
    world.copy(ORIGIN, 3).add(NAME, "TXT", VALUE);
    expect(await wait.result).toEqual(ALL);
    expect(wait.sights.toSorted()).toEqual([
      "ns1 present has it",
      'ns2 absent has other values there: "old"',
      "ns2 present has it",
      "ns3 absent does not have it (NXDOMAIN)",
      "ns3 present has it",
    ]);
  });

  test("on servers of both families", async () => {
    await using world = await DnsWorld.start(1, { ipv6: true });
    world.zone(ORIGIN, [1, 2]);
    world.copy(ORIGIN, 1).add(NAME, "TXT", VALUE);
    const wait = new Wait(world);
    await until("looks at ::1", () => world.server(2).asked(NAME, "TXT").length >= 2);
    expect(wait.done).toBe(false);
    world.copy(ORIGIN, 2).add(NAME, "TXT", VALUE);
    expect(await wait.result).toEqual(ALL);
  });

  test("when a slow server has answered", async () => {
    await using world = await worldOf(1);
    world.add(ORIGIN, NAME, "TXT", VALUE);
    const { promise, resolve } = Promise.withResolvers<void>();
    const wait = new Wait(world);
    world.server(1).behaviour.gate = promise;
    await until("it is asked", () => world.server(1).asked(NAME, "CNAME").length > 0);
    resolve();
    expect(await wait.result).toEqual(ALL);
  });
});

describe("a server that does not work", () => {
  test.each([
    ["is silent", { silent: true }, "no answer within 500 ms"],
    ["refuses", { rcode: "REFUSED" }, "REFUSED"],
    ["fails", { rcode: "SERVFAIL" }, "SERVFAIL"],
    ["does not have the zone", { lame: true }, "is lame: it does not have example.test"],
  ] as const)(
    "because it %s is given up after three looks, and told of",
    async (_, behaviour, detail) => {
      await using world = await worldOf(3);
      world.add(ORIGIN, NAME, "TXT", VALUE);
      Object.assign(world.server(2).behaviour, behaviour);
      const tryMs = "silent" in behaviour ? 500 : 10_000;
      const { isSeen, givenUp } = await new Wait(world, { tryMs }).result;
      expect(isSeen).toBe(true);
      expect(givenUp).toMatchObject([{ server: "ns2.hosts.test", state: "broken", detail }]);
      expect(world.server(2).asked(NAME, "TXT")).toHaveLength(3);
    },
  );

  test("because its name has no address is given up at once", async () => {
    await using world = await DnsWorld.start(1);
    world.zone("nowhere.test", [1]);
    world.zone(ORIGIN, [1], ["ns.nowhere.test"]);
    world.add(ORIGIN, NAME, "TXT", VALUE);
    expect((await new Wait(world).result).givenUp).toMatchObject([
      { server: "ns.nowhere.test", address: null, detail: "its name has no address" },
    ]);
    expect(world.server(1).asked(NAME, "TXT")).toHaveLength(1);
  });

  test("and recovers is waited for again", async () => {
    await using world = await worldOf(2);
    world.copy(ORIGIN, 1).add(NAME, "TXT", VALUE);
    world.server(2).behaviour.rcode = "SERVFAIL";
    const wait = new Wait(world);
    await until("one look", () => world.server(2).asked(NAME, "TXT").length >= 1);
    world.server(2).behaviour.rcode = null;
    await until("it says no", () => wait.sights.some((sight) => sight.startsWith("ns2 absent")));
    const looks = world.server(2).asked(NAME, "TXT").length;
    await until("more looks", () => world.server(2).asked(NAME, "TXT").length >= looks + 3);
    expect(wait.done).toBe(false);
    world.copy(ORIGIN, 2).add(NAME, "TXT", VALUE);
    expect(await wait.result).toEqual(ALL);
  });
});

describe("where no server is heard, a record is taken for visible after a while, which is told", () => {
  test.each([
    ["nothing comes back", { silent: true }, "no answer within 100 ms"],
    ["something else answers", { lame: true }, "is lame: it does not have example.test"],
  ] as const)("because %s", async (_, behaviour, detail) => {
    await using world = await worldOf(2);
    for (const number of [1, 2]) Object.assign(world.server(number).behaviour, behaviour);
    const { isSeen, givenUp } = await new Wait(world, { tryMs: 100 }).result;
    expect([isSeen, givenUp.map((sight) => sight.detail)]).toEqual([false, [detail, detail]]);
    expect(world.server(1).asked(NAME, "TXT").length).toBeGreaterThanOrEqual(3);
  });

  test("but not if one was heard before", async () => {
    await using world = await worldOf(2);
    world.server(2).behaviour.lame = true;
    const wait = new Wait(world, { timeoutMs: 500 });
    await until("a look", () => wait.sights.some((sight) => sight.startsWith("ns1 absent")));
    world.server(1).behaviour.lame = true;
    await expect(wait.result).rejects.toThrow("is not at all servers of example.test");
  });
});

describe("when the time is over, the error says", () => {
  test("which server has what", async () => {
    await using world = await worldOf(4);
    world.copy(ORIGIN, 1).add(NAME, "TXT", VALUE);
    world.copy(ORIGIN, 2).add(NAME, "TXT", "old");
    world.server(4).behaviour.rcode = "REFUSED";
    const { port } = world;
    await expect(new Wait(world, { timeoutMs: 30 }).result).rejects.toMatchObject({
      code: "ERR_CHALLENGE",
      message:
        `the TXT record ${NAME} is not at all servers of ${ORIGIN} after 30ms: ` +
        `ns1.hosts.test (127.0.0.2:${port}) has it; ` +
        `ns2.hosts.test (127.0.0.3:${port}) has other values there: "old"; ` +
        `ns3.hosts.test (127.0.0.4:${port}) does not have it (NXDOMAIN); ` +
        `ns4.hosts.test (127.0.0.5:${port}) fails: REFUSED. ` +
        "Give it more time in auto_tls.dns.propagation_timeout, or check that example.test is served by dns_provider",
    });
  });

  test("that no server has the zone, if all say so", async () => {
    await using world = await worldOf(2);
    for (const number of [1, 2]) world.server(number).behaviour.rcode = "REFUSED";
    await expect(new Wait(world, { timeoutMs: 100 }).result).rejects.toThrow(
      "fails: REFUSED. None of the servers that example.test is delegated to has it",
    );
  });

  test("that a CNAME has come to be where the record should be", async () => {
    await using world = await worldOf(1);
    world.add(ORIGIN, NAME, "TXT", "old");
    const wait = new Wait(world, { timeoutMs: 1_000 });
    await until("a look", () => wait.sights.length > 0);
    world.copy(ORIGIN, 1).remove(NAME, "TXT");
    world.add(ORIGIN, NAME, "CNAME", "elsewhere.test");
    await expect(wait.result).rejects.toThrow("has a CNAME there, to elsewhere.test");
  });
});

describe("a signal ends the wait with its reason", () => {
  test("before the first look", async () => {
    await using world = await worldOf(1);
    const stop = new AbortController();
    const wait = new Wait(world, { delayMs: 60_000, signal: stop.signal });
    await until("the place is found", () => world.server(1).asked(NAME, "CNAME").length > 0);
    stop.abort(new Error("enough"));
    await expect(wait.result).rejects.toThrow("enough");
    expect(world.server(1).asked(NAME, "TXT")).toEqual([]);
  });

  test("between looks, and during one", async () => {
    await using world = await worldOf(1);
    const stop = new AbortController();
    const wait = new Wait(world, { signal: stop.signal });
    await until("looks", () => world.server(1).asked(NAME, "TXT").length >= 2);
    stop.abort(new Error("enough"));
    await expect(wait.result).rejects.toThrow("enough");
  });
});
