// Stop signals, without a process: the handlers are called as the runtime would.

import { expect, test } from "bun:test";

import { watchStopSignals } from "../../src/commands/stop.ts";

test("the first and the second signal are told apart, and released handlers are gone", async () => {
  const before = process.listenerCount("SIGTERM") + process.listenerCount("SIGINT");
  const signals = watchStopSignals();
  process.emit("SIGTERM", "SIGTERM");
  process.emit("SIGINT", "SIGINT");
  process.emit("SIGINT", "SIGINT"); // a third says nothing new
  expect(await signals.first).toBe("SIGTERM");
  expect(await signals.second).toBe("SIGINT");
  signals.release();
  expect(process.listenerCount("SIGTERM") + process.listenerCount("SIGINT")).toBe(before);
});
