// Several targets for every engine: shares, a client that notices nothing of a dead target, targets that are left out and
// come back, backups, and clients that stay with their target.

import { expect, test } from "bun:test";

import { parseEndpoint } from "../../src/shared/address.ts";
import { type Balance, GROUP_DEFAULTS, type GroupPlan } from "../../src/shared/plan.ts";
import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

interface Member {
  readonly address: string;
  readonly weight?: number;
  readonly backup?: boolean;
}

function group(members: readonly Member[], balance: Balance = "round_robin"): GroupPlan {
  const targets = members.map(({ address, weight = 1, backup = false }) => ({
    endpoint: parseEndpoint(address, "target"),
    weight,
    backup,
  }));
  return { balance, targets, ...GROUP_DEFAULTS };
}

/** Says which one it is, and ends. */
function named(name: string, address?: { host: string; port: number }): Promise<WireServer> {
  return WireServer.listen((wire) => {
    void wire.write(name).then(() => wire.end());
  }, address);
}

/** An address at which nobody listens. */
async function deadAddress(): Promise<string> {
  const server = await WireServer.listen();
  const { target } = server;
  await server[Symbol.asyncDispose]();
  return target;
}

async function ask(relay: Relay): Promise<string> {
  const client = await relay.connect();
  const answer = await within("the answer", client.readAll());
  client.end();
  return answer;
}

async function askTimes(relay: Relay, times: number): Promise<string> {
  let answers = "";
  for (let i = 0; i < times; i++) answers += await ask(relay);
  return answers;
}

forEveryEngine((engine) => {
  const start = (...groups: GroupPlan[]): Promise<Relay> =>
    Relay.start(engine, { target: "127.0.0.1:1", groups, connectMs: 5_000 });

  test("targets take turns by their weights", async () => {
    await using a = await named("a");
    await using b = await named("b");
    await using relay = await start(
      group([{ address: a.target, weight: 2 }, { address: b.target }]),
    );
    expect(await askTimes(relay, 6)).toBe("abaaba");
    await until("all are over", () => relay.stats.active === 0);
    expect(relay.stats.targets).toMatchObject([
      { name: a.target, connects: 4, failures: 0, active: 0 },
      { name: b.target, connects: 2, failures: 0, active: 0 },
    ]);
  });

  test("a target that refuses is left out after three failures, and no client notices", async () => {
    const dead = await deadAddress();
    await using b = await named("b");
    await using relay = await start(group([{ address: dead }, { address: b.target }]));
    expect(await askTimes(relay, 12)).toBe("b".repeat(12));
    const [first, second] = relay.stats.targets;
    expect(first).toMatchObject({ name: dead, connects: 0, failures: 3, active: 0 });
    expect(second).toMatchObject({ connects: 12, failures: 0 });
    expect(relay.stats.refused.target_down).toBe(0);
  });

  test("a target that was left out is tried again, and takes its turns once it is back", async () => {
    const dead = await deadAddress();
    const [host = "", port = ""] = dead.split(":");
    await using b = await named("b");
    await using relay = await start(group([{ address: dead }, { address: b.target }]));
    expect(await askTimes(relay, 6)).toBe("bbbbbb");
    await using a = await named("a", { host, port: Number(port) });
    expect(a.target).toBe(dead);
    await until("it is back", async () => (await ask(relay)) === "a");
    expect(new Set(await askTimes(relay, 4))).toEqual(new Set(["a", "b"]));
  });

  test("a backup serves only while nobody else does", async () => {
    const dead = await deadAddress();
    await using a = await named("a");
    await using b = await named("b");
    const spare = { address: b.target, backup: true };
    await using relay = await start(group([{ address: a.target }, spare]));
    expect(await askTimes(relay, 4)).toBe("aaaa");
    await using other = await start(group([{ address: dead }, spare]));
    expect(await askTimes(other, 5)).toBe("bbbbb");
  });

  test("when every target is down, all of them are tried and the client is told", async () => {
    const dead = [await deadAddress(), await deadAddress()];
    await using relay = await start(group(dead.map((address) => ({ address }))));
    for (let i = 0; i < 6; i++) {
      const refusal = relay.connect().then(
        (wire) => wire.ending,
        (error) => error.code,
      );
      expect(await within("the refusal", refusal)).toBe("ECONNRESET");
    }
    expect(relay.stats.refused.target_down).toBe(6);
    expect(relay.stats.targets.map(({ failures }) => failures)).toEqual([6, 6]);
  });

  test("least connections goes where the fewest are", async () => {
    await using a = await WireServer.echo();
    await using b = await WireServer.echo();
    const members = [{ address: a.target }, { address: b.target }];
    await using relay = await start(group(members, "least_connections"));
    const talk = async () => {
      const client = await relay.connect();
      await client.write("hello");
      await within("the echo", client.readHead(5));
      return client;
    };
    const clients = [await talk(), await talk(), await talk(), await talk()];
    expect([a.accepted, b.accepted]).toEqual([2, 2]);
    const onA = relay.proxy.connections().filter(({ target }) => target === a.target);
    const ports = onA.map(({ client }) => Number(client.split(":")[1]));
    for (const client of clients) if (ports.includes(client.socket.localPort!)) client.end();
    await until("those of a are gone", () => relay.stats.targets[0]!.active === 0);
    await talk();
    await talk();
    expect([a.accepted, b.accepted]).toEqual([4, 2]);
  });

  test("source_hash keeps a client with its target", async () => {
    await using a = await named("a");
    await using b = await named("b");
    await using c = await named("c");
    const members = [a, b, c].map(({ target }) => ({ address: target }));
    await using relay = await start(group(members, "source_hash"));
    const answers = await askTimes(relay, 6);
    expect(answers).toBe(answers[0]!.repeat(6));
  });
});
