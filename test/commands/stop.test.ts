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

test("signals that mean something else do just that, and are released with the rest", () => {
  const before = process.listenerCount("SIGHUP");
  let heard = 0;
  const signals = watchStopSignals(["SIGTERM"], { SIGHUP: () => void heard++ });
  process.emit("SIGHUP", "SIGHUP");
  expect(heard).toBe(1);
  signals.release();
  expect(process.listenerCount("SIGHUP")).toBe(before);
});
