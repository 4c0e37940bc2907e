// A reload of listeners of UDP: sessions that are there keep their targets, whoever comes later goes where the new plan says, and
// no datagram is lost, doubled or out of order, whatever changes how often.

import { expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { freePort } from "../support/daemon.ts";
import { Datagrams, type UdpAddress } from "../support/udp.ts";
import { until } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

type Keys = Readonly<Record<string, unknown>>;

const CLIENTS = 20;
const RELOADS = 12;

/** A target that answers with what it was sent and its name. */
async function named(name: string): Promise<Datagrams> {
  const server = await Datagrams.open();
  server.onDatagram = ({ data, from }) => void server.send(`${data} ${name}`, from);
  return server;
}

const udp = (target: Datagrams, keys: Keys = {}): Keys => ({
  name: "udp",
  listen: "127.0.0.1:0",
  target: target.target,
  ...keys,
});

const addressOf = (proxy: Proxy): UdpAddress =>
  proxy.listeners()[0]!.bound[0] as { kind: "ip" } & UdpAddress;

async function canBind(port: number): Promise<boolean> {
  try {
    (await Bun.udpSocket({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

/** A client that asks on until it is told to end, one number after the other. */
class Counting {
  asked = 0;
  readonly #socket: Datagrams;
  readonly #to: UdpAddress;
  readonly #done: Promise<void>;
  #over = false;

  constructor(socket: Datagrams, to: UdpAddress, name: string) {
    this.#socket = socket;
    this.#to = to;
    this.#done = this.#run(name);
  }

  /** @throws Error for an answer that is another's, or does not come. */
  async #run(name: string): Promise<void> {
    while (!this.#over) {
      const { data } = await this.#socket.ask(String(++this.asked), this.#to);
      const answer = data.toString();
      if (answer !== `${this.asked} ${name}`)
        throw new Error(`${answer}: not ${this.asked} ${name}`);
    }
  }

  async end(): Promise<void> {
    this.#over = true;
    await this.#done;
    expect(this.#socket.received).toEqual([]);
    await this.#socket[Symbol.asyncDispose]();
  }
}

for (const workers of [1, 2]) {
  test(`sessions keep their target and lose nothing while the listener changes; ${workers} workers`, async () => {
    await using a = await named("a");
    await using b = await named("b");
    const plan = (target: Datagrams, i: number) =>
      compiledPlan([udp(target, { limits: { max_connections: 1_000 + i } })], { workers });
    await using proxy = await Proxy.start(plan(a, 0));
    const address = addressOf(proxy);
    const clients: Counting[] = [];
    const add = async (name: string, count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        clients.push(new Counting(await Datagrams.open(), address, name));
      }
      await until("all are served", () => clients.every(({ asked }) => asked > 1));
    };
    await add("a", CLIENTS);
    for (let i = 1; i <= RELOADS; i++) {
      const before = clients.map(({ asked }) => asked);
      const isB = i % 2 === 1;
      await proxy.reload(plan(isB ? b : a, i));
      expect(addressOf(proxy)).toEqual(address);
      await add(isB ? "b" : "a", 1);
      await until("all go on", () => before.every((asked, j) => clients[j]!.asked > asked + 1));
    }
    for (const client of clients) await client.end();
    const total = clients.reduce((sum, { asked }) => sum + asked, 0);
    const [stats] = Object.values(proxy.stats().listeners);
    expect(stats).toMatchObject({
      total: clients.length,
      active: clients.length,
      datagramsUp: total,
      datagramsDown: total,
    });
  }, 30_000);
}

test("a session is over after the idle time that it began with", async () => {
  await using a = await named("a");
  await using b = await named("b");
  const timed = (target: Datagrams, idle: string) =>
    compiledPlan([udp(target, { timeouts: { idle } })]);
  await using proxy = await Proxy.start(timed(a, "300ms"));
  await using client = await Datagrams.open();
  expect((await client.ask("1", addressOf(proxy))).data.toString()).toBe("1 a");
  await proxy.reload(timed(b, "1h"));
  expect((await client.ask("2", addressOf(proxy))).data.toString()).toBe("2 a");
  await until("it is over", () => proxy.connections().length === 0);
  expect((await client.ask("3", addressOf(proxy))).data.toString()).toBe("3 b");
}, 30_000);

test("a listener that is removed serves its sessions on, and hands them on to one that takes its place", async () => {
  await using a = await named("a");
  await using b = await named("b");
  await using other = await WireServer.echo();
  const tcp: Keys = { name: "tcp", listen: "127.0.0.1:0", target: other.target };
  const listen = `127.0.0.1:${await freePort()}`;
  await using proxy = await Proxy.start(compiledPlan([udp(a, { listen }), tcp]));
  const address = addressOf(proxy);
  const client = new Counting(await Datagrams.open(), address, "a");
  await until("it is served", () => client.asked > 1);
  await proxy.reload(compiledPlan([udp(b, { listen }), tcp])); // the one that is removed has it of another
  await proxy.reload(compiledPlan([tcp]));
  const { asked } = client;
  await until("it is served on", () => client.asked > asked + 1);
  await proxy.reload(compiledPlan([udp(b, { listen }), tcp]));
  await using newcomer = await Datagrams.open();
  expect((await newcomer.ask("1", address)).data.toString()).toBe("1 b");
  const { asked: then } = client;
  await until("it is still served", () => client.asked > then + 1);
  await client.end();
  await proxy.reload(compiledPlan([tcp]));
  const port = Number(listen.split(":")[1]);
  await until("nobody has the address any more", () => canBind(port));
}, 30_000);

test("a reload that is refused leaves sessions and sockets as they are", async () => {
  await using a = await named("a");
  await using b = await named("b");
  await using taken = await WireServer.listen();
  await using proxy = await Proxy.start(compiledPlan([udp(a)]));
  const address = addressOf(proxy);
  const client = new Counting(await Datagrams.open(), address, "a");
  await until("it is served", () => client.asked > 1);
  const busy: Keys = { name: "tcp", listen: taken.target, target: "127.0.0.1:9" };
  for (let i = 0; i < 5; i++) {
    const failure = await proxy.reload(compiledPlan([udp(b), busy])).catch((error) => error);
    expect(failure).toMatchObject({ code: "ERR_LISTEN" });
    await using newcomer = await Datagrams.open();
    expect((await newcomer.ask("1", address)).data.toString()).toBe("1 a");
  }
  const { asked } = client;
  await until("it goes on", () => client.asked > asked + 1);
  await client.end();
}, 30_000);
