// The bun engine cannot hold less than the runtime reads at once; a smaller watermark is said to be exceeded.
import { expect, test } from "bun:test";

import { silentLog } from "../../../src/shared/log.ts";
import { Relay } from "../../support/relay.ts";

async function warningsWith(highWatermarkBytes: number): Promise<string[]> {
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (_: object, message: string) => void warnings.push(message) };
  const buffers = { copyBytes: 4096, highWatermarkBytes, lowWatermarkBytes: 4096 };
  const relay = await Relay.start("bun", { target: "127.0.0.1:9", buffers }, { log });
  await relay.proxy.stop();
  return warnings;
}

test("a watermark below one read of the runtime is a warning that says so", async () => {
  expect(await warningsWith(65_536)).toEqual([
    "high_watermark 65536 is exceeded: the bun engine reads up to 524288 bytes at once",
  ]);
});

test("a watermark that can be kept is not", async () => {
  expect(await warningsWith(524_288)).toEqual([]);
});
