// The timer of timeouts: runs only while it is needed, and as often as the shortest timeout asks.
import { expect, test } from "bun:test";

import type { WorkerEvent } from "../../src/shared/messages.ts";
import { RefusalReports } from "../../src/shared/refusal-reports.ts";
import { Sweep } from "../../src/shared/sweep.ts";
import { until } from "../support/until.ts";

test("nothing is looked at before something can time out", async () => {
  let looks = 0;
  const sweep = new Sweep(() => ++looks < 0);
  await Bun.sleep(60); // three of the shortest periods
  expect(looks).toBe(0);
  sweep.need(160);
  await until("the first look", () => looks === 1);
  await Bun.sleep(60);
  expect(looks).toBe(1); // the look said that nothing is left
});

test("a shorter timeout makes the looks more frequent, a longer one does not slow them down", async () => {
  let looks = 0;
  const sweep = new Sweep(() => ++looks > 0);
  sweep.need(8_000_000);
  sweep.need(160);
  sweep.need(8_000_000);
  await until("several looks", () => looks >= 3, 1_000);
  sweep.stop();
  const seen = looks;
  await Bun.sleep(60);
  expect(looks).toBe(seen);
});

test("closing reports what was not reported yet", () => {
  const events: WorkerEvent[] = [];
  const reports = new RefusalReports("tcp :1", (event) => events.push(event));
  for (let i = 1; i <= 5; i++) reports.add("target_down", `attempt ${i}`);
  reports.add("max_connections", "");
  expect(events.map((event) => event.type === "refused" && event.count)).toEqual([1, 1]);
  reports.close();
  expect(events).toHaveLength(3);
  expect(events[2]).toEqual({
    type: "refused",
    key: "tcp :1",
    reason: "target_down",
    count: 4,
    detail: "attempt 5",
  });
});
