// A reload of raw TCP: what changed serves new clients as it is now and old ones as they were, what did not change notices
// nothing, and what cannot be had changes nothing.

import { expect, test } from "bun:test";

import { diffPlans, isEmpty } from "../../src/control/diff.ts";
import { Proxy } from "../../src/control/proxy.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { freePort } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { wireAddress } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, type WireAddress, WireServer } from "../support/wire.ts";

/** A target that answers whatever it is sent with its name. */
async function named(name: string): Promise<AsyncDisposable & { target: string }> {
  const server = await WireServer.listen();
  void (async () => {
    for (;;) {
      const wire = await server.accept();
      wire.onData((chunk) => void wire.write(chunk.toString().replaceAll("?", name)));
      void wire.ending.then(() => wire.end());
    }
  })();
  return { target: server.target, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

const addressOf = (proxy: Proxy, key: string): WireAddress =>
  wireAddress(proxy.listeners().find((listener) => listener.key === key)!.bound[0]!);

async function ask(wire: Wire): Promise<string> {
  await wire.write("?");
  return within("the answer", wire.readBytes(1));
}

async function asked(address: WireAddress): Promise<string> {
  const wire = await Wire.connect(address);
  const answer = await ask(wire);
  wire.reset();
  return answer;
}

forEveryEngine((engine) => {
  for (const workers of [1, 2]) {
    test(`a changed target is for new clients, and nobody is cut off; ${workers} workers`, async () => {
      await using a = await named("a");
      await using b = await named("b");
      const one = { key: "one", target: a.target };
      const two = { key: "two", target: a.target };
      await using proxy = await Proxy.start(makePlan({ engine, workers }, one, two));
      const [first, second] = [addressOf(proxy, "one"), addressOf(proxy, "two")];
      const held = await Promise.all([Wire.connect(first), Wire.connect(second)]);
      expect(await Promise.all(held.map(ask))).toEqual(["a", "a"]);
      const diff = await proxy.reload(
        makePlan({ engine, workers }, { ...one, target: b.target }, two),
      );
      expect(diff.changed.map(({ after, parts }) => [after.key, parts])).toEqual([
        ["one", ["targets"]],
      ]);
      expect(diff.unchanged.map(({ key }) => key)).toEqual(["two"]);
      expect(addressOf(proxy, "one")).toEqual(first);
      for (let i = 0; i < 20; i++) expect(await asked(first)).toBe("b");
      expect(await asked(second)).toBe("a");
      expect(await Promise.all(held.map(ask))).toEqual(["a", "a"]);
      expect(proxy.connections().map(({ listener }) => listener)).toEqual(
        expect.arrayContaining(["one", "two"]),
      );
      for (const wire of held) wire.end();
      await Promise.all(held.map((wire) => within("the end", wire.ending)));
      await until("all are counted", () => proxy.stats().listeners.one!.active === 0);
      expect(proxy.stats().listeners.one).toMatchObject({ total: 21, active: 0 });
    });
  }

  test("a listener that is gone drains, and one that is new is opened", async () => {
    await using a = await named("a");
    const old = { key: "old", target: a.target };
    const kept = { key: "kept", target: a.target };
    await using proxy = await Proxy.start(makePlan({ engine }, old, kept));
    const address = addressOf(proxy, "old");
    const held = await Wire.connect(address);
    expect(await ask(held)).toBe("a");
    await proxy.reload(makePlan({ engine }, { ...kept }, { key: "new", target: a.target }));
    expect(proxy.listeners().map(({ key }) => key)).toEqual(["kept", "new"]);
    expect(await asked(addressOf(proxy, "new"))).toBe("a");
    await expect(Wire.connect(address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(await ask(held)).toBe("a");
    held.end();
    expect(await within("the end", held.ending)).toBe("fin");
  });

  test("what cannot be opened changes nothing at all", async () => {
    await using a = await named("a");
    await using b = await named("b");
    await using taken = await WireServer.listen();
    const one = { key: "one", target: a.target };
    await using proxy = await Proxy.start(makePlan({ engine }, one));
    const { plan } = proxy;
    const address = addressOf(proxy, "one");
    const busy = { key: "busy", listen: taken.target, target: a.target };
    const wanted = makePlan({ engine }, { ...one, target: b.target }, busy);
    const failure = await proxy.reload(wanted).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "ERR_LISTEN" });
    expect(proxy.plan).toBe(plan);
    expect(proxy.listeners().map(({ key }) => key)).toEqual(["one"]);
    for (let i = 0; i < 10; i++) expect(await asked(address)).toBe("a");
    await proxy.reload(makePlan({ engine }, { ...one, target: b.target }));
    expect(await asked(address)).toBe("b");
  });

  test("clients of before count for limits of now", async () => {
    await using a = await named("a");
    const one = { key: "one", target: a.target, maxConnections: 2 };
    await using proxy = await Proxy.start(makePlan({ engine }, one));
    const address = addressOf(proxy, "one");
    const held = await Wire.connect(address);
    await ask(held);
    await proxy.reload(makePlan({ engine }, { ...one, idleMs: 60_000 }));
    const second = await Wire.connect(address);
    expect(await ask(second)).toBe("a");
    const refused = Wire.connect(address).then((third) => third.ending);
    await within(
      "the refusal",
      refused.catch((error: unknown) => error),
    ); // it may come before the connect is over
    expect(proxy.stats().listeners.one!.refused.max_connections).toBe(1);
    held.reset();
    second.reset();
  });

  test("many clients come while the plan changes again and again, and each gets an answer", async () => {
    await using a = await named("a");
    await using b = await named("b");
    const one = (target: string): { key: string; target: string } => ({ key: "one", target });
    await using proxy = await Proxy.start(makePlan({ engine, workers: 2 }, one(a.target)));
    const address = addressOf(proxy, "one");
    let done = false;
    const client = async (): Promise<number> => {
      let served = 0;
      for (; !done; served++) expect(["a", "b"]).toContain(await asked(address));
      return served;
    };
    const clients = Array.from({ length: 8 }, client);
    for (let i = 0; i < 30; i++) {
      await proxy.reload(makePlan({ engine, workers: 2 }, one(i % 2 === 0 ? b.target : a.target)));
    }
    done = true;
    const served = await Promise.all(clients);
    expect(served.every((count) => count > 0)).toBe(true);
  }, 30_000);
});

test("a UDP address that the listener which it is to replace has says what to do", async () => {
  const port = await freePort();
  const at = (host: string) => {
    const listen = `${host}:${port}`;
    return compiledPlan([{ name: "udp", listen, target: "127.0.0.1:9" }]);
  };
  await using proxy = await Proxy.start(at("127.0.0.1"));
  const failure = await proxy.reload(at("0.0.0.0")).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    code: "ERR_LISTEN",
    message: expect.stringContaining("has the port until this is open"),
    cure: expect.stringContaining("with the next"),
  });
});

test("a reload of the same plan finds nothing to do", async () => {
  await using a = await named("a");
  const plan = makePlan({ engine: "auto" }, { key: "one", target: a.target });
  await using proxy = await Proxy.start(plan);
  expect(isEmpty(await proxy.reload(structuredClone(plan)))).toBe(true);
  expect(isEmpty(diffPlans(plan, { ...plan, workers: 9 }))).toBe(false);
  const deferred = await proxy.reload({ ...plan, workers: 9 });
  expect(deferred.deferred).toEqual(["workers"]);
  expect(proxy.plan.workers).toBe(plan.workers);
});
