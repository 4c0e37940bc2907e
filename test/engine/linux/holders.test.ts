// Pipes and buffers are never shared by two connections, and none is left behind.

import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";

import fc from "fast-check";

import { BufferPool, PipePool } from "../../../src/engine/linux/holders.ts";
import { libc } from "../../../src/ffi/libc.ts";

const linux = test.skipIf(process.platform !== "linux");
const F_GETPIPE_SZ = 1032;
const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

linux("a pipe is as large as asked, where the system allows it", () => {
  const pool = new PipePool(256 * 1024);
  const pipe = pool.take();
  expect(libc.fcntl(pool.writeEnd(pipe), F_GETPIPE_SZ, 0)).toBe(256 * 1024);
  pool.discard(pipe);
});

linux("a size beyond every limit still gives a pipe", () => {
  const pool = new PipePool(2 ** 30);
  const pipe = pool.take();
  expect(libc.fcntl(pool.writeEnd(pipe), F_GETPIPE_SZ, 0)).toBeGreaterThanOrEqual(4096);
  pool.discard(pipe);
});

linux(
  "whatever is taken, released and discarded, no two hold one pipe and no descriptor is left",
  () => {
    const step = fc.constantFrom("take", "release", "discard");
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const before = openDescriptors();
        const pool = new PipePool(65_536);
        const taken: number[] = [];
        for (const action of steps) {
          if (action === "take") taken.push(pool.take());
          else {
            const pipe = taken.pop();
            if (pipe !== undefined) pool[action](pipe);
          }
          const descriptors = taken.flatMap((pipe) => [pool.readEnd(pipe), pool.writeEnd(pipe)]);
          expect(new Set(descriptors).size).toBe(descriptors.length);
        }
        for (const pipe of taken) pool.discard(pipe);
        pool.close();
        expect(openDescriptors()).toBe(before);
      }),
      { numRuns: 50 },
    );
  },
);

test("buffers in use are distinct, and a released one is used again", () => {
  const pool = new BufferPool(1024);
  const first = pool.take();
  const second = pool.take();
  expect(first).not.toBe(second);
  expect(pool.at(first)).not.toBe(pool.at(second));
  pool.release(first);
  expect(pool.take()).toBe(first);
});
