// Where a record is written: zones are found by walking up, CNAME records are followed, servers are found for both families.

import { describe, expect, test } from "bun:test";

import { Authoritative } from "../../../src/control/dns/authoritative.ts";
import { Resolvers } from "../../../src/control/dns/resolvers.ts";
import { freePort } from "../../support/daemon.ts";
import { DnsWorld } from "../../support/dns-world.ts";

const ORIGIN = "example.test";
const NAME = `_acme-challenge.${ORIGIN}`;
const NEVER = new AbortController().signal;

function lookup(world: DnsWorld, tryMs = 10_000): Authoritative {
  return new Authoritative({ resolvers: world.resolvers, port: world.port, tryMs });
}

describe("the zone of a name", () => {
  test("is the closest above it, with its servers of both families", async () => {
    await using world = await DnsWorld.start(2, { ipv6: true });
    world.zone("test", [1]);
    world.zone(ORIGIN, [1, 2, 3]);
    const zone = await lookup(world).zoneOf(`_acme-challenge.a.b.${ORIGIN.toUpperCase()}.`, NEVER);
    const { port } = world;
    expect(zone).toEqual({
      name: ORIGIN,
      servers: [
        { name: "ns1.hosts.test", addresses: [{ host: "127.0.0.2", port }] },
        { name: "ns2.hosts.test", addresses: [{ host: "127.0.0.3", port }] },
        { name: "ns3.hosts.test", addresses: [{ host: "::1", port }] },
      ],
    });
  });

  test("may begin at the name itself", async () => {
    await using world = await DnsWorld.start(2);
    world.zone(ORIGIN, [1]);
    world.zone(NAME, [2]);
    expect((await lookup(world).zoneOf(NAME, NEVER)).name).toBe(NAME);
  });

  test("is found by walking up where a resolver leaves out the authority section", async () => {
    await using world = await DnsWorld.start(1);
    world.zone(ORIGIN, [1]);
    world.resolver.hidesAuthority = true;
    expect((await lookup(world).zoneOf(`a.b.${ORIGIN}`, NEVER)).name).toBe(ORIGIN);
    expect(world.resolver.asked(`b.${ORIGIN}`, "SOA")).toHaveLength(1);
  });

  test("is not the root, which is what says that there is no such domain", async () => {
    await using world = await DnsWorld.start(1);
    world.zone("", [1]);
    await expect(lookup(world).zoneOf(NAME, NEVER)).rejects.toMatchObject({
      code: "ERR_RESOLVE",
      message: expect.stringContaining(`no DNS zone has the name "${NAME}". Check the spelling`),
    });
  });

  test("is not known where the resolvers fail for all of the name", async () => {
    await using world = await DnsWorld.start(1);
    world.resolver.behaviour.rcode = "SERVFAIL";
    await expect(lookup(world).zoneOf(NAME, NEVER)).rejects.toThrow(
      `no DNS zone has the name "${NAME}" (this machine's resolvers say SERVFAIL)`,
    );
  });

  test("may have servers whose names have no address, but not only such", async () => {
    await using world = await DnsWorld.start(1);
    world.zone(ORIGIN, [1], ["ns.nowhere.test"]);
    world.zone("other.test", [], ["ns.nowhere.test"]);
    world.zone("nowhere.test", [1]);
    const { servers } = await lookup(world).zoneOf(NAME, NEVER);
    expect(servers.map(({ addresses }) => addresses.length)).toEqual([1, 0]);
    await expect(lookup(world).zoneOf("other.test", NEVER)).rejects.toThrow(
      'the DNS zone "other.test" has no server with an address: ns.nowhere.test',
    );
  });
});

describe("resolvers", () => {
  test("one that is down or refuses is followed by the next", async () => {
    await using world = await DnsWorld.start(2);
    world.zone(ORIGIN, [1]);
    world.server(2).behaviour.rcode = "REFUSED";
    const { port } = world;
    const resolvers = new Resolvers([
      { host: "127.0.0.1", port: await freePort() },
      { host: "127.0.0.3", port },
      { host: "127.0.0.1", port },
    ]);
    expect((await new Authoritative({ resolvers, port }).zoneOf(NAME, NEVER)).name).toBe(ORIGIN);
  });

  test("if none answers, the error says what each did", async () => {
    await using world = await DnsWorld.start(1);
    world.server(1).behaviour.rcode = "SERVFAIL";
    const free = await freePort();
    const resolvers = new Resolvers([
      { host: "127.0.0.1", port: free },
      { host: "127.0.0.2", port: world.port },
    ]);
    await expect(resolvers.ask({ name: ORIGIN, type: "NS" }, NEVER)).rejects.toMatchObject({
      code: "ERR_RESOLVE",
      message:
        `the NS records of "${ORIGIN}" cannot be looked up (127.0.0.1:${free}: nothing listens there; ` +
        `127.0.0.2:${world.port}: SERVFAIL). Check this machine's resolvers, or write others in auto_tls.dns.resolvers`,
    });
  });

  test("may be named; without any, they are the system's", async () => {
    await using world = await DnsWorld.start(1);
    world.zone(ORIGIN, [1]);
    const named = await Resolvers.from([{ kind: "tcp", host: "localhost", port: world.port }]);
    expect((await named.ask({ name: ORIGIN, type: "NS" }, NEVER)).answers).toHaveLength(1);
    expect(await Resolvers.from([])).toBeInstanceOf(Resolvers);
  });
});

describe("CNAME records", () => {
  test("lead to where the record is written, in the zone that it is in", async () => {
    await using world = await DnsWorld.start(2);
    world.zone(ORIGIN, [1]);
    world.zone("delegated.test", [2]);
    world.add(ORIGIN, NAME, "CNAME", "next.delegated.test");
    world.add("delegated.test", "next.delegated.test", "CNAME", "x.acme.delegated.test");
    expect(await lookup(world).locate(NAME, NEVER)).toMatchObject({
      name: "x.acme.delegated.test",
      zone: { name: "delegated.test", servers: [{ name: "ns2.hosts.test" }] },
      aliases: [NAME, "next.delegated.test"],
    });
  });

  test("are asked of the zone's servers, since a resolver may not know a new one yet", async () => {
    await using world = await DnsWorld.start(2);
    world.zone(ORIGIN, [2, 1]); // the resolver knows what the second has
    world.zone("delegated.test", [1]);
    world.copy(ORIGIN, 2).remove(NAME, "CNAME");
    world.copy(ORIGIN, 1).add(NAME, "CNAME", "x.delegated.test");
    world.server(2).behaviour.silent = true;
    expect((await lookup(world, 500).locate(NAME, NEVER)).name).toBe("x.delegated.test");
    expect(world.resolver.asked(NAME, "CNAME")).toEqual([]);
  });

  test("are asked of the resolvers if none of the zone's servers answers", async () => {
    await using world = await DnsWorld.start(2);
    world.zone(ORIGIN, [1]);
    world.zone("delegated.test", [2]);
    world.add(ORIGIN, NAME, "CNAME", "x.delegated.test");
    world.server(1).behaviour.lame = true;
    expect((await lookup(world).locate(NAME, NEVER)).name).toBe("x.delegated.test");
  });

  test("in a circle are an error that shows it", async () => {
    await using world = await DnsWorld.start(1);
    world.zone(ORIGIN, [1]);
    world.add(ORIGIN, NAME, "CNAME", `a.${ORIGIN}`);
    world.add(ORIGIN, `a.${ORIGIN}`, "CNAME", NAME);
    await expect(lookup(world).locate(NAME, NEVER)).rejects.toThrow(
      `CNAME records lead in a circle: ${NAME} -> a.${ORIGIN} -> ${NAME}`,
    );
  });

  test("are followed eight times, and no further", async () => {
    await using world = await DnsWorld.start(1);
    world.zone(ORIGIN, [1]);
    const step = (i: number): string => (i === 0 ? NAME : `n${i}.${ORIGIN}`);
    for (let i = 0; i < 8; i++) world.add(ORIGIN, step(i), "CNAME", step(i + 1));
    expect((await lookup(world).locate(NAME, NEVER)).name).toBe(step(8));
    world.add(ORIGIN, step(8), "CNAME", step(9));
    await expect(lookup(world).locate(NAME, NEVER)).rejects.toThrow(
      "more than 8 CNAME records in a row",
    );
  });

  test("that a wildcard makes up are not followed: the record overrides it", async () => {
    await using world = await DnsWorld.start(1);
    world.zone(ORIGIN, [1]);
    world.add(ORIGIN, `*.${ORIGIN}`, "CNAME", "elsewhere.invalid");
    expect(await lookup(world).locate(NAME, NEVER)).toMatchObject({
      name: NAME,
      zone: { name: ORIGIN },
      aliases: [],
    });
  });
});

test("a signal ends the search with its reason", async () => {
  await using world = await DnsWorld.start(1);
  world.zone(ORIGIN, [1]);
  world.resolver.behaviour.silent = true;
  const stop = new AbortController();
  const search = lookup(world).locate(NAME, stop.signal);
  stop.abort(new Error("enough"));
  await expect(search).rejects.toThrow("enough");
});
