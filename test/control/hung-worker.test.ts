// A worker that hangs must not keep the proxy from ending. The engine is the one that reads its mailbox on the event loop,
// because a thread that blocks could not be made to go on afterwards; for the control plane they are all the same.

import { expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import { CONTROL } from "../../src/shared/limits.ts";
import type { WorkerEvent } from "../../src/shared/messages.ts";
import { LogLines } from "../support/log-lines.ts";
import { makePlan } from "../support/plan.ts";
import { Threads } from "../support/threads.ts";
import { until, within } from "../support/until.ts";

const { endTimeoutMs } = CONTROL;
const SIZES = { copyBytes: 1_024, highWatermarkBytes: 4_096, lowWatermarkBytes: 2_048 };
const ENDS = {
  kill: (proxy: Proxy): Promise<unknown> => proxy.kill(),
  stop: (proxy: Proxy): Promise<unknown> => proxy.stop(100),
} as const;

for (const [name, end] of Object.entries(ENDS)) {
  test(`a worker that hangs is given up by \`${name}\` after a while, with its pairs, and named in the log`, async () => {
    using threads = new Threads();
    const lines = new LogLines();
    const plan = makePlan({ engine: "bun", workers: 2 }, { target: "127.0.0.1:1" });
    const proxy = await Proxy.start(plan, lines);
    const hung = threads.all[0]!;
    threads.hung = hung;
    const said: string[] = [];
    hung.on("message", ({ type }: WorkerEvent) => said.push(type));
    const { taken } = proxy.adopt([-1, -1], { idleMs: 0, ...SIZES });
    const lost = taken.catch((error: { message: string }) => error.message);
    try {
      await within(`the ${name}`, end(proxy), endTimeoutMs + 3_000);
      const error = `worker 0 did not end within ${endTimeoutMs} ms`;
      expect(await lost).toBe(error);
      const errors = lines.lines.filter(({ level }) => level === "error");
      expect(errors).toMatchObject([
        { message: "worker hangs, ending without it", fields: { worker: 0, error } },
      ]);
      expect(threads.alive).toBe(1);
    } finally {
      threads.release();
    }
    await until("it ends in order all the same", () => threads.alive === 0);
    expect(said).toEqual(["ended"]); // no word of the pair, whose descriptors may be somebody else's by now
  }, 30_000);
}
