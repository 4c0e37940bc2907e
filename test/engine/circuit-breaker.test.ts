// Circuit breakers for every engine: clients of a target that is known not to answer are turned away at once, and served again
// when it is back; a client that leaves keeps nobody from finding out.

import { expect, test } from "bun:test";

import { parseEndpoint } from "../../src/shared/address.ts";
import { type BreakerPlan, type GroupPlan, singleTarget } from "../../src/shared/plan.ts";
import { breakerPlan } from "../support/breaker.ts";
import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { SilentTarget } from "../support/silent-target.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

function groupOf(addresses: readonly string[], breaker: Partial<BreakerPlan>): GroupPlan {
  const groups = addresses.map((address) => singleTarget(parseEndpoint(address, "target")));
  const targets = groups.flatMap((group) => group.targets);
  return { ...groups[0]!, targets, breaker: breakerPlan(breaker) };
}

/** An address at which nobody listens. */
async function deadAddress(): Promise<string> {
  await using server = await WireServer.listen();
  return server.target;
}

forEveryEngine((engine) => {
  const start = (
    addresses: readonly string[],
    breaker: Partial<BreakerPlan> = {},
    connectMs = 5_000,
  ): Promise<Relay> => {
    const groups = [groupOf(addresses, breaker)];
    return Relay.start(engine, { target: "127.0.0.1:1", groups, connectMs });
  };

  test("of one target, or of several, are open for all: clients are refused without a connect", async () => {
    for (const count of [1, 2]) {
      const dead = await Promise.all(Array.from({ length: count }, deadAddress));
      await using relay = await start(dead);
      for (let i = 0; i < 5; i++) expect(await relay.refusal()).toBe("ECONNRESET");
      await until("all are counted", () => relay.stats.refused.circuit_open === 3);
      // A client is counted as refused before its end is.
      await until("all are gone", () => relay.stats.active === 0);
      const { refused, targets } = relay.stats;
      expect(refused.target_down).toBe(2);
      expect(targets.map(({ failures }) => failures)).toEqual(dead.map(() => 2));
      expect(targets.map(({ states }) => states.ejected)).toEqual(dead.map(() => 1));
      expect(targets.map(({ ejections }) => ejections)).toEqual(dead.map(() => 1));
    }
  });

  test("is told of as half open when its time is over, though nobody comes", async () => {
    await using relay = await start([await deadAddress()], { openMs: 50, maxOpenMs: 50 });
    for (let i = 0; i < 2; i++) expect(await relay.refusal()).toBe("ECONNRESET");
    await until("it is half open", () => relay.stats.targets[0]!.states.half_open === 1);
    expect(relay.stats.targets[0]).toMatchObject({ ejections: 1, states: { ejected: 0 } });
  });

  test("closes when its target is back, without anybody's help", async () => {
    const dead = await deadAddress();
    await using relay = await start([dead], { openMs: 50, maxOpenMs: 50, probes: 2 });
    for (let i = 0; i < 2; i++) expect(await relay.refusal()).toBe("ECONNRESET");
    const [host = "", port = ""] = dead.split(":");
    const greet = (wire: { write(text: string): Promise<void>; end(): void }): void =>
      void wire.write("a").then(() => wire.end());
    await using server = await WireServer.listen(greet, { host, port: Number(port) });
    expect(server.target).toBe(dead);
    const ask = (): Promise<string> =>
      relay.connect().then(
        async (wire) => wire.readBytes(1).finally(() => wire.destroy()),
        () => "",
      );
    const answered = async (): Promise<boolean> => (await ask().catch(() => "")) === "a";
    await until("it answers", answered);
    await until("it is closed", async () => {
      await answered();
      return relay.stats.targets[0]!.states.up === 1;
    });
    const { circuit_open: refused } = relay.stats.refused;
    for (let i = 0; i < 5; i++) expect(await within("the greeting", ask())).toBe("a");
    expect(relay.stats.refused.circuit_open).toBe(refused);
  });

  test("lets the next client find out when the one that did leaves before the target answers", async () => {
    const dead = await deadAddress();
    await using relay = await start([dead], { failures: 1, openMs: 50, maxOpenMs: 50 }, 60_000);
    await relay.refusal();
    using silent = await SilentTarget.start(Number(dead.split(":")[1]));
    expect(`127.0.0.1:${silent.port}`).toBe(dead);
    const isWaiting = (): boolean => {
      const { active, targets } = relay.stats;
      return active === 1 && targets[0]!.states.half_open === 1;
    };
    let first: Wire | undefined;
    await until("one finds out", async () => {
      first = await relay.connect().catch(() => undefined);
      if (first === undefined) return false;
      const waiting = until("it has the place", isWaiting).then(() => true);
      return Promise.race([waiting, first.ending.then(() => false)]);
    });
    const { circuit_open: before } = relay.stats.refused;
    await relay.refusal();
    await until("the second is counted", () => relay.stats.refused.circuit_open === before + 1);
    first!.reset();
    await until("the first is gone", () => relay.stats.active === 0);
    await relay.connect();
    await until("the third has the place", isWaiting);
    expect(relay.stats.refused.circuit_open).toBe(before + 1);
  });
});
