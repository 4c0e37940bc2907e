// Workers that crash while a reload is under way, at each of its steps: it is taken or refused as a whole, every listener comes
// back as the plan says that is served then, and the next reload is as any other. And an end in the middle of a reload.

import { describe, expect, test } from "bun:test";
import type { Worker } from "node:worker_threads";

import { Proxy } from "../../src/control/proxy.ts";
import type { Command } from "../../src/shared/messages.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { wireAddress } from "../support/relay.ts";
import { Threads } from "../support/threads.ts";
import { until, within } from "../support/until.ts";
import { Wire, type WireAddress, WireServer } from "../support/wire.ts";

type Keys = Readonly<Record<string, unknown>>;
type Name = "tcp" | "http";

const QUESTION = { tcp: "?", http: "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n" } as const;

/** A target that answers with its name. */
function named(name: string): Promise<WireServer> {
  const text = `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${name}`;
  return WireServer.listen((wire) => {
    wire.onData((chunk) => void wire.write(chunk.toString().startsWith("GET") ? text : name));
    void wire.ending.then(() => wire.end());
  });
}

/** Of two listeners, the first of which changes with the target. */
function planOf(name: Name, engine: string, target: WireServer, other: WireServer): Plan {
  const listener: Keys = { name, listen: "127.0.0.1:0" };
  const listeners = [
    { ...listener, target: target.target },
    { ...listener, target: other.target },
  ];
  return compiledPlan(listeners, { engine, workers: 2 });
}

const addressOf = (proxy: Proxy, index: number): WireAddress =>
  wireAddress(proxy.listeners()[index]!.bound[0]!);

async function ask(address: WireAddress, name: Name): Promise<string> {
  const wire = await Wire.connect(address);
  const bytes = name === "tcp" ? 1 : 39;
  await wire.write(QUESTION[name]);
  const answer = await within("an answer", wire.readBytes(bytes));
  wire.reset();
  return answer.slice(-1);
}

const isOpen = (proxy: Proxy): boolean =>
  proxy.listeners().every(({ workers }) => workers.length === 2);

/** The steps of a reload, by what a worker is told in each of them. */
const STEPS: Readonly<Record<string, (command: Command) => boolean>> = {
  "is asked for its sockets": ({ type, ...more }) =>
    type === "ask" && "question" in more && more.question === "sockets",
  "opens the new listener": ({ type }) => type === "open",
  "is told to accept": ({ type, ...more }) =>
    type === "ask" && "question" in more && more.question === "accept",
  "closes the old listener": ({ type }) => type === "close",
};

const engines = process.platform === "linux" ? ["uring", "epoll", "bun"] : ["bun"];
const cases = [
  ...engines.map((engine) => ({ name: "tcp" as const, engine })),
  { name: "http" as const, engine: "auto" },
];

describe.each(cases)("$name with the engine $engine", ({ name, engine }) => {
  for (const [step, fits] of Object.entries(STEPS)) {
    for (const which of ["the first worker", "the second worker", "every worker"]) {
      test(`${which} crashes when it ${step}`, async () => {
        using threads = new Threads();
        await using a = await named("a");
        await using b = await named("b");
        await using proxy = await Proxy.start(planOf(name, engine, a, a));
        const addresses = [addressOf(proxy, 0), addressOf(proxy, 1)];
        const places = threads.all.slice(0, 2);
        const victims = new Set<Worker>(
          places.filter(
            (_, i) => which === "every worker" || which.includes(["first", "second"][i]!),
          ),
        );
        threads.onPost = (thread, command) => {
          if (fits(command) && victims.delete(thread)) threads.crash(thread);
        };
        const wanted = planOf(name, engine, b, a);
        const outcome = await within(
          "the reload",
          proxy.reload(wanted).catch((error) => error),
        );
        threads.onPost = null;
        const isTaken = !(outcome instanceof Error);
        if (!isTaken) expect(outcome).toMatchObject({ code: "ERR_WORKER" });
        expect(proxy.plan.listeners).toEqual(planOf(name, engine, isTaken ? b : a, a).listeners);
        await until("listeners are open on all workers", () => isOpen(proxy));
        expect([addressOf(proxy, 0), addressOf(proxy, 1)]).toEqual(addresses);
        const seen = new Set<string>();
        for (let i = 0; i < 10; i++) seen.add(await ask(addresses[0]!, name));
        expect([...seen]).toEqual([isTaken ? "b" : "a"]);
        expect(await ask(addresses[1]!, name)).toBe("a");
        await proxy.reload(planOf(name, engine, b, b));
        expect([await ask(addresses[0]!, name), await ask(addresses[1]!, name)]).toEqual([
          "b",
          "b",
        ]);
        expect(await within("the stop", proxy.stop(5_000))).toEqual({ reset: 0 });
        expect(threads.alive).toBe(0);
      }, 30_000);
    }

    test(`an end when a worker ${step} ends the reload and everything else`, async () => {
      using threads = new Threads();
      await using a = await named("a");
      await using b = await named("b");
      const proxy = await Proxy.start(planOf(name, engine, a, a));
      const addresses = [addressOf(proxy, 0), addressOf(proxy, 1)];
      const ended = Promise.withResolvers<{ reset: number }>();
      threads.onPost = (_thread, command) => {
        if (!fits(command)) return;
        threads.onPost = null;
        ended.resolve(proxy.stop(5_000));
      };
      const outcome = await proxy.reload(planOf(name, engine, b, a)).catch((error) => error);
      if (outcome instanceof Error) {
        expect(outcome).toMatchObject({ code: expect.stringMatching(/ERR_(STATE|WORKER|CLOSED)/) });
      }
      expect(await within("the stop", ended.promise)).toEqual({ reset: 0 });
      expect(threads.alive).toBe(0);
      for (const address of addresses) {
        await expect(Wire.connect(address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
      }
    }, 30_000);
  }
});

test("a reload that needs workers which do not come up is refused, and the next one starts them", async () => {
  using threads = new Threads();
  await using a = await named("a");
  const tcp: Keys = { name: "tcp", listen: "127.0.0.1:0", target: a.target };
  const http: Keys = { ...tcp, name: "http" };
  await using proxy = await Proxy.start(compiledPlan([tcp], { workers: 2 }));
  threads.onPost = (thread, { type }) => {
    if (type === "open" || type === "challenges") threads.crash(thread);
  };
  const refused = await proxy.reload(compiledPlan([tcp, http], { workers: 2 })).catch((e) => e);
  expect(refused).toMatchObject({ code: "ERR_WORKER" });
  expect(proxy.listeners()).toHaveLength(1);
  expect(await ask(addressOf(proxy, 0), "tcp")).toBe("a");
  threads.onPost = null;
  await until("a reload is taken", async () => {
    const outcome = await proxy.reload(compiledPlan([tcp, http], { workers: 2 })).catch((e) => e);
    return !(outcome instanceof Error);
  });
  await until("listeners are open on all workers", () => isOpen(proxy));
  expect(await ask(addressOf(proxy, 1), "http")).toBe("a");
}, 30_000);

test("of two reloads at once the second is refused, and what the first one says is served", async () => {
  await using a = await named("a");
  await using b = await named("b");
  await using proxy = await Proxy.start(planOf("tcp", "auto", a, a));
  const first = proxy.reload(planOf("tcp", "auto", b, b));
  const second = await proxy.reload(planOf("tcp", "auto", a, b)).catch((error) => error);
  expect(second).toMatchObject({ code: "ERR_STATE" });
  await first;
  expect(await ask(addressOf(proxy, 0), "tcp")).toBe("b");
});
