// Targets that an operator takes out and brings back, in every protocol and under traffic: nobody fails, nobody new goes there
// once workers have obeyed, and what is under way goes on or is reset, as was asked.

import { afterAll, describe, expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import { Authority } from "../support/certificates.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { ENGINES } from "../support/engines.ts";
import { HttpProxy } from "../support/http-proxy.ts";
import { wireAddress } from "../support/relay.ts";
import { Threads } from "../support/threads.ts";
import { Datagrams } from "../support/udp.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

/** A client's connection or session, which one target has. */
interface Session {
  /** @returns the name of the target that answers. */
  ask(): Promise<string>;
  /** Settles when the proxy ends it. */
  readonly ended: Promise<unknown>;
  end(): void;
}

interface Server extends AsyncDisposable {
  readonly target: string;
}

/** One way from a client to a target. */
interface Way {
  readonly name: string;
  readonly file?: Readonly<Record<string, unknown>>;
  serve(name: string): Promise<Server>;
  listener(targets: readonly string[]): Readonly<Record<string, unknown>>[];
  open(proxy: Proxy): Promise<Session>;
}

async function answering(name: string, text: string): Promise<Server> {
  const server = await WireServer.listen((wire) => {
    wire.onData(() => void wire.write(text.replaceAll("?", name)));
    void wire.ending.then(() => wire.end());
  });
  return { target: server.target, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function overTcp(proxy: Proxy): Promise<Session> {
  const wire = await Wire.connect(wireAddress(proxy.listeners()[0]!.bound[0]!));
  return {
    ended: wire.closed,
    end: () => wire.end(),
    async ask() {
      await wire.write("?");
      return within("the answer", wire.readBytes(1));
    },
  };
}

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n?";

async function overHttp(proxy: Proxy): Promise<Session> {
  const wire = await Wire.connect(wireAddress(proxy.listeners()[0]!.bound[0]!));
  return {
    ended: wire.closed,
    end: () => wire.end(),
    async ask() {
      await wire.write("GET / HTTP/1.1\r\nhost: a.example\r\n\r\n");
      let answer = "";
      while (!/\r\n\r\n.$/s.test(answer)) answer += await within("a byte", wire.readBytes(1));
      return answer.startsWith("HTTP/1.1 200 ") ? answer.at(-1)! : answer;
    },
  };
}

async function overUdp(proxy: Proxy): Promise<Session> {
  const client = await Datagrams.open();
  const bound = proxy.listeners()[0]!.bound[0]!;
  const { port } = bound as { port: number };
  return {
    ended: until("the session's end", () => proxy.connections().length === 0),
    end: () => void client[Symbol.asyncDispose](),
    ask: async () => (await client.ask("?", { host: "127.0.0.1", port })).data.toString(),
  };
}

async function overUdpServer(name: string): Promise<Server> {
  const server = await Datagrams.open();
  server.onDatagram = ({ from }) => void server.send(name, from);
  return { target: server.target, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

const LISTEN = "127.0.0.1:0";
const authority = new Authority();
afterAll(() => authority[Symbol.dispose]());
const issued = authority.issue(["localhost", "IP:127.0.0.1"]);

/** A proxy of its own speaks QUIC in front of each target. */
async function overQuicServer(name: string): Promise<Server> {
  const behind = await answering(name, "?");
  const tls = { cert_file: issued.certFile, key_file: issued.keyFile };
  const listener = { name: "quic", listen: LISTEN, target: behind.target, tls };
  const proxy = await Proxy.start(compiledPlan([listener]));
  const { port } = proxy.listeners()[0]!.bound[0] as { port: number };
  return {
    target: `quic://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await proxy.kill();
      await behind[Symbol.asyncDispose]();
    },
  };
}

const WAYS: readonly Way[] = [
  ...ENGINES.map((engine) => ({
    name: `tcp, engine ${engine}`,
    file: { engine },
    serve: (name: string) => answering(name, "?"),
    listener: (targets: readonly string[]) => [{ name: "tcp", listen: LISTEN, targets }],
    open: overTcp,
  })),
  {
    name: "http",
    serve: (name) => answering(name, OK),
    listener: (targets) => [{ name: "http", listen: LISTEN, targets }],
    open: overHttp,
  },
  {
    name: "udp",
    serve: overUdpServer,
    listener: (targets) => [{ name: "udp", listen: LISTEN, targets }],
    open: overUdp,
  },
  {
    name: "tcp to quic",
    serve: overQuicServer,
    listener: (targets) => {
      const tls = { ca_file: authority.caFile };
      return [
        { name: "tcp", listen: LISTEN, targets: targets.map((address) => ({ address, tls })) },
      ];
    },
    open: overTcp,
  },
];

/** Opens sessions until one of each target is there. */
async function oneOfEach(way: Way, proxy: Proxy): Promise<Record<string, Session>> {
  const held: Record<string, Session> = {};
  while (held.a === undefined || held.b === undefined) {
    const session = await way.open(proxy);
    const name = await session.ask();
    if (held[name] === undefined) held[name] = session;
    else session.end();
  }
  return held;
}

async function asked(way: Way, proxy: Proxy): Promise<string> {
  const session = await way.open(proxy);
  try {
    return await session.ask();
  } finally {
    session.end();
  }
}

/** As its target is called. */
const nameOf = ({ target }: Server): string => target.replace("quic://", "");

async function wish(proxy: Proxy, server: Server, mode: "enabled" | "draining" | "disabled") {
  const key = proxy.plan.listeners[0]!.key;
  expect(proxy.wish(key, nameOf(server), { mode })).toBe(true);
  expect(await proxy.answers()).toBe(true);
}

for (const way of WAYS) {
  describe(way.name, () => {
    test("draining under traffic: nobody fails, nobody new goes there, and it comes back", async () => {
      await using a = await way.serve("a");
      await using b = await way.serve("b");
      const plan = compiledPlan(way.listener([a.target, b.target]), { workers: 2, ...way.file });
      await using proxy = await Proxy.start(plan);
      const held = await oneOfEach(way, proxy);
      let stopped = false;
      const seen: string[] = [];
      const traffic = Array.from({ length: 3 }, async () => {
        while (!stopped) seen.push(await asked(way, proxy));
      });
      await wish(proxy, a, "draining");
      for (let i = 0; i < 20; i++) expect(await asked(way, proxy)).toBe("b");
      // A connection that leads to one target keeps it; a request has a target of its own.
      expect(await held.a!.ask()).toBe(way.name === "http" ? "b" : "a");
      await wish(proxy, a, "enabled");
      const before = seen.length;
      await until("it is back", () => seen.includes("a", before));
      stopped = true;
      await Promise.all(traffic);
      expect(seen.filter((name) => name !== "a" && name !== "b")).toEqual([]);
      for (const session of Object.values(held)) session.end();
    }, 30_000);

    if (way.name === "http") return;

    test("disabled: what is under way there is reset, and nothing else", async () => {
      await using a = await way.serve("a");
      await using b = await way.serve("b");
      const plan = compiledPlan(way.listener([a.target, b.target]), way.file);
      await using proxy = await Proxy.start(plan);
      const held = await oneOfEach(way, proxy);
      if (way.name === "udp") {
        held.b!.end();
        const sessions = proxy.connections().length;
        await wish(proxy, a, "disabled");
        expect(proxy.connections().length).toBeLessThan(sessions);
        // A session is begun anew by its next datagram.
        expect(await held.a!.ask()).toBe("b");
      } else {
        await wish(proxy, a, "disabled");
        await within("the end", held.a!.ended);
        expect(await held.b!.ask()).toBe("b");
      }
      for (const session of Object.values(held)) session.end();
    }, 30_000);
  });
}

test("the last target may be taken out: clients are refused, and told why", async () => {
  await using a = await answering("a", OK);
  await using relay = await HttpProxy.start({ targets: [a.target] });
  await wish(relay.proxy, a, "draining");
  expect(await relay.ask("GET / HTTP/1.1")).toStartWith("HTTP/1.1 503 ");
  expect(relay.stats.refused.target_down).toBe(1);
  await wish(relay.proxy, a, "enabled");
  expect(await relay.ask("GET / HTTP/1.1")).toEndWith("\r\n\r\na");
});

test("requests that a disabled target has not answered are answered by the proxy, or sent to another", async () => {
  await using a = await WireServer.listen();
  await using relay = await HttpProxy.start({ targets: [a.target] });
  const answer = relay.ask("GET / HTTP/1.1");
  await a.accept();
  await until("it is asked", () => relay.stats.http.active === 1);
  await wish(relay.proxy, a, "disabled");
  expect(await within("the answer", answer)).toMatch(/^HTTP\/1\.1 50[23] /);
});

for (const way of WAYS.slice(0, ENGINES.length)) {
  test(`${way.name}: a worker that replaces a crashed one keeps to what was wished`, async () => {
    await using a = await way.serve("a");
    await using b = await way.serve("b");
    using threads = new Threads();
    const plan = compiledPlan(way.listener([a.target, b.target]), way.file);
    await using proxy = await Proxy.start(plan);
    await wish(proxy, a, "draining");
    threads.crash(threads.all[0]!);
    proxy.disconnect(0, -1); // wakes a worker that blocks in a system call
    await until("it is replaced", () => proxy.stats().workerRestarts === 1);
    await until("it is open", () => proxy.listeners()[0]!.workers.length === 1);
    for (let i = 0; i < 4; i++) expect(await asked(way, proxy)).toBe("b");
  });
}

test("a wish outlives a reload that keeps the target, and goes with one that does not", async () => {
  await using a = await answering("a", "?");
  await using b = await answering("b", "?");
  const plan = (targets: readonly string[], more = {}) =>
    compiledPlan([{ name: "tcp", listen: LISTEN, targets, ...more }]);
  const both = [a.target, b.target];
  await using proxy = await Proxy.start(plan(both));
  const modes = () =>
    [...proxy.targets().values()].flat().map(({ mode, weight }) => [mode, weight]);
  await wish(proxy, a, "draining");
  expect(proxy.wish(proxy.plan.listeners[0]!.key, b.target, { weight: 7 })).toBe(true);
  await proxy.reload(plan(both, { limits: { max_connections: 9 } }));
  expect(modes()).toEqual([
    ["draining", 1],
    ["enabled", 7],
  ]);
  const way = WAYS[0]!;
  for (let i = 0; i < 4; i++) expect(await asked(way, proxy)).toBe("b");
  await proxy.reload(plan([b.target]));
  await proxy.reload(plan(both));
  expect(modes()).toEqual([
    ["enabled", 1],
    ["enabled", 7],
  ]);
});
