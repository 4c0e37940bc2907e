// Several targets of a UDP listener: who gets the next session, what a target that refuses means for the others, and names
// whose addresses change.

import { expect, test } from "bun:test";

import { breakerPlan } from "../../support/breaker.ts";
import { Datagrams, UdpRelay } from "../../support/udp.ts";
import { until } from "../../support/until.ts";

/** A target that answers with its name. */
async function named(name: string, host?: string, port?: number): Promise<Datagrams> {
  const server = await Datagrams.open(host, port);
  server.onDatagram = ({ from }) => void server.send(name, from);
  return server;
}

/** Which targets serve that many new clients, one after another. */
async function served(relay: UdpRelay, clients: number): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < clients; i++) {
    await using client = await Datagrams.open();
    names.push((await client.ask("who", relay.address)).data.toString());
  }
  return names;
}

test("clients go to the targets in turn, by weight", async () => {
  await using a = await named("a");
  await using b = await named("b");
  await using relay = await UdpRelay.start({
    targets: [{ address: a.target, weight: 2 }, b.target],
  });
  const names = await served(relay, 6);
  expect(names.join("")).toBe("abaaba");
  expect(relay.stats.targets).toMatchObject([{ connects: 4 }, { connects: 2 }]);
});

test("the fewest sessions decide with least_connections", async () => {
  await using a = await named("a");
  await using b = await named("b");
  await using relay = await UdpRelay.start({
    targets: [a.target, b.target],
    balance: "least_connections",
  });
  await served(relay, 4);
  expect(relay.stats.targets).toMatchObject([{ active: 2 }, { active: 2 }]);
  const ofA = relay.proxy.connections().filter(({ target }) => target === a.target);
  for (const { worker, id } of ofA) relay.proxy.disconnect(worker, id);
  await until("they are over", () => relay.stats.targets[0]!.active === 0);
  expect(await served(relay, 2)).toEqual(["a", "a"]);
});

test("the same client's address leads to the same target with source_hash, in every worker", async () => {
  await using a = await named("a");
  await using b = await named("b");
  await using c = await named("c");
  await using relay = await UdpRelay.start(
    { targets: [a.target, b.target, c.target], balance: "source_hash" },
    { workers: 3 },
  );
  expect(new Set(await served(relay, 10)).size).toBe(1);
});

test("a backup serves while the primary refuses, and no longer", async () => {
  const primary = await named("primary");
  const { port } = primary.address;
  await using backup = await named("backup");
  await using relay = await UdpRelay.start({
    targets: [primary.target, { address: backup.target, backup: true }],
  });
  expect(await served(relay, 2)).toEqual(["primary", "primary"]);
  await primary[Symbol.asyncDispose]();
  await using client = await Datagrams.open();
  for (let i = 1; i <= 3; i++) {
    await client.send("who", relay.address);
    await until("it refuses", () => relay.stats.errors.ECONNREFUSED === i);
  }
  // Three refusals in a row put the target out for a second, and end the session that had them.
  expect((await client.ask("who", relay.address)).data.toString()).toBe("backup");
  await using again = await named("primary", "127.0.0.1", port);
  await until("the primary is asked again", async () => {
    return (await served(relay, 1))[0] === "primary";
  });
  expect(again.address.port).toBe(port);
});

test("a name with several addresses is tried at the next one when the first refuses", async () => {
  await using target = await named("second", "127.0.0.2");
  await using relay = await UdpRelay.start(
    { targets: [`two.example:${target.address.port}`] },
    { lookup: () => Promise.resolve(["127.0.0.1", "127.0.0.2"]) },
  );
  await using client = await Datagrams.open();
  for (let i = 1; i <= 3; i++) {
    await client.send("who", relay.address);
    await until("it refuses", () => relay.stats.errors.ECONNREFUSED === i);
  }
  expect((await client.ask("who", relay.address)).data.toString()).toBe("second");
});

test("clients of a name that does not resolve are refused until it does", async () => {
  await using target = await named("found");
  let known = false;
  await using relay = await UdpRelay.start(
    { targets: [`late.example:${target.address.port}`] },
    { lookup: () => (known ? Promise.resolve(["127.0.0.1"]) : Promise.reject(new Error("no"))) },
  );
  await using client = await Datagrams.open();
  await client.send("who", relay.address);
  await until("it is refused", () => relay.stats.refused.no_address === 1);
  known = true; // it is looked up again after two seconds
  await until("it is served", async () => {
    await client.send("who", relay.address);
    return client.received.length > 0;
  });
  expect(await client.text()).toBe("found");
});

test("clients of a target whose circuit is open are turned away, and served when it is back", async () => {
  const target = await named("a");
  const { port } = target.address;
  const breaker = breakerPlan({ openMs: 50, maxOpenMs: 50, probes: 2 });
  await using relay = await UdpRelay.start({ targets: [target.target], breaker });
  expect(await served(relay, 1)).toEqual(["a"]);
  await target[Symbol.asyncDispose]();
  await until("it is open", async () => {
    await using client = await Datagrams.open();
    await client.send("who", relay.address);
    return relay.stats.refused.circuit_open > 0;
  });
  await using again = await named("a", "127.0.0.1", port);
  await until("it is closed", async () => {
    await using client = await Datagrams.open();
    await client.send("who", relay.address);
    return relay.stats.targets[0]!.states.up === 1;
  });
  expect([...(await served(relay, 3)), again.address.port]).toEqual(["a", "a", "a", port]);
});
