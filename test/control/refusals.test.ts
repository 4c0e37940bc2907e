// Refusals of several workers, added up to one line a second for each listener and reason.

import { expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import { Refusals, type RefusedEvent } from "../../src/control/refusals.ts";
import { forEveryEngine } from "../support/engines.ts";
import { LogLines } from "../support/log-lines.ts";
import { makePlan } from "../support/plan.ts";
import { wireAddress } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const refused = (count: number, rest: Partial<RefusedEvent> = {}): RefusedEvent => ({
  type: "refused",
  key: "tcp :1",
  reason: "target_down",
  count,
  detail: `report of ${count}`,
  ...rest,
});

/** What was passed on, and when. */
function recorder(): { passed: RefusedEvent[]; times: number[]; refusals: Refusals } {
  const passed: RefusedEvent[] = [];
  const times: number[] = [];
  const refusals = new Refusals((event) => {
    passed.push(event);
    times.push(performance.now());
  });
  return { passed, times, refusals };
}

test("the first report is passed on at once, the next ones together a second later, with the newest detail", async () => {
  const { passed, times, refusals } = recorder();
  for (const count of [1, 2, 3]) refusals.add(refused(count));
  expect(passed).toEqual([refused(1)]);
  await until("the second", () => passed.length === 2);
  expect(passed[1]).toEqual(refused(5, { detail: "report of 3" }));
  expect(times[1]! - times[0]!).toBeGreaterThan(900);
  refusals.add(refused(7));
  expect(passed).toHaveLength(2);
  refusals.flush();
  expect(passed[2]).toEqual(refused(7));
  refusals.flush();
  expect(passed).toHaveLength(3);
});

test("listeners and reasons are counted apart", () => {
  const { passed, refusals } = recorder();
  const kinds = [refused(1), refused(1, { key: "tcp :2" }), refused(1, { reason: "no_address" })];
  for (const event of kinds) refusals.add(event);
  expect(passed).toEqual(kinds);
  refusals.flush();
  expect(passed).toHaveLength(3);
});

test("no timer keeps a process alive, and what waits is not lost to a flush", async () => {
  const path = Bun.fileURLToPath(new URL("../../src/control/refusals.ts", import.meta.url));
  const code = `
    const { Refusals } = await import(${JSON.stringify(path)});
    const refusals = new Refusals((event) => console.log(event.count));
    const event = { type: "refused", key: "k", reason: "target_down", detail: "" };
    refusals.add({ ...event, count: 1 });
    refusals.add({ ...event, count: 2 });
    process.on("exit", () => {
      console.log("exit");
      refusals.flush();
    });
  `;
  const child = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe" });
  expect(await within("its output", new Response(child.stdout).text())).toBe("1\nexit\n2\n");
  expect(await child.exited).toBe(0);
});

forEveryEngine((engine) => {
  test("two workers that refuse clients write one line a second, and an end forgets none", async () => {
    const REFUSED = 200;
    let target = "";
    {
      await using server = await WireServer.listen();
      ({ target } = server);
    }
    const lines = new LogLines();
    const proxy = await Proxy.start(makePlan({ engine, workers: 2 }, { target }), lines);
    const address = wireAddress(proxy.listeners()[0]!.bound[0]!);
    const started = performance.now();
    for (let i = 0; i < REFUSED; i++) {
      const client = await Wire.connect(address).catch(() => null);
      if (client !== null) await within("the refusal", client.closed);
    }
    const ended = performance.now();
    await proxy.kill();
    const reports = lines.of("target down");
    const counts = reports.map(({ fields }) => Number(fields["count"]));
    expect(counts.reduce((sum, count) => sum + count)).toBe(REFUSED);
    // One at once, one for each second, and one at the end.
    expect(reports.length).toBeLessThanOrEqual(2 + Math.floor((ended - started) / 900));
  });
});
