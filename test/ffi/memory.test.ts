// The address of pinned memory holds while the code that uses it is compiled and collected around it.

import { ptr, read } from "bun:ffi";
import { expect, test } from "bun:test";

import { pinnedBytes, pinnedInt32 } from "../../src/ffi/memory.ts";

test("what is written to pinned memory is found at its first address, 100,000 times", () => {
  const bytes = pinnedBytes(28);
  const words = pinnedInt32(1);
  const addresses = [ptr(bytes), ptr(words)] as const;
  let wrong = 0;
  const use = (i: number): void => {
    bytes[0] = i & 0xff;
    words[0] = i;
    if (read.u8(addresses[0], 0) !== (i & 0xff) || read.i32(addresses[1], 0) !== i) wrong++;
  };
  for (let i = 0; i < 100_000; i++) {
    use(i);
    if (i % 25_000 === 0) Bun.gc(true);
  }
  expect(wrong).toBe(0);
});
