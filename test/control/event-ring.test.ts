// The last warnings and errors: how many are kept, how much of each, and what is not shown.

import { expect, test } from "bun:test";

import { EventRing } from "../../src/control/event-ring.ts";
import { createLog } from "../../src/control/log.ts";
import { ADMIN } from "../../src/shared/limits.ts";

test("the newest come first, and the oldest go", () => {
  const ring = new EventRing();
  expect(ring.newest(9)).toEqual([]);
  for (let i = 0; i < ADMIN.eventsMax + 3; i++) ring.add("warn", { i }, "again", i);
  expect(ring.newest(2)).toEqual([
    { timeMs: 202, level: "warn", message: "again", fields: { i: 202 } },
    { timeMs: 201, level: "warn", message: "again", fields: { i: 201 } },
  ]);
  expect(ring.newest(1_000)).toHaveLength(ADMIN.eventsMax);
  expect(ring.newest(1_000).at(-1)!.timeMs).toBe(3);
});

test("fields are text, numbers and words; whatever else they are is text", () => {
  const ring = new EventRing();
  const fields = {
    a: 1,
    b: true,
    c: "x",
    d: [1, 2],
    e: null,
    f: undefined,
    g: NaN,
    h: new Error("why"),
  };
  ring.add("error", fields, "m", 0);
  expect(ring.newest(1)[0]!.fields).toEqual({
    a: 1,
    b: true,
    c: "x",
    d: "[1,2]",
    e: "null",
    g: "NaN",
    h: "why",
  });
});

test("a line is bounded, however much is logged", () => {
  const ring = new EventRing();
  const many = Object.fromEntries(
    Array.from({ length: 9_999 }, (_, i) => [`field ${i}`, "x".repeat(99)]),
  );
  ring.add("error", { first: "y".repeat(1e6), ...many }, "z".repeat(1_000), 0);
  expect(JSON.stringify(ring.newest(1)).length).toBeLessThan(2 * ADMIN.eventMaxBytes);
  expect(ring.newest(1)[0]!.fields.first).toEndWith("…");
});

test("passwords and queries of URLs are not shown", () => {
  const ring = new EventRing();
  const error = `"https://user:hunter2@ca.example/dir?key=hunter3" has no answer. Is it up?`;
  ring.add("error", { error }, "https://a:hunter4@b/", 0);
  expect(ring.newest(1)[0]).toMatchObject({
    message: "https://[secret]@b/",
    fields: { error: `"https://[secret]@ca.example/dir?…" has no answer. Is it up?` },
  });
});

test("the log keeps warnings and errors whatever its level is, and nothing less", () => {
  const log = createLog({ level: "error", format: "json", destination: "/dev/null" });
  log.info({}, "info");
  log.warn({ a: 1 }, "warning");
  log.error({}, "error");
  expect(log.events.newest(9).map(({ message }) => message)).toEqual(["error", "warning"]);
});
