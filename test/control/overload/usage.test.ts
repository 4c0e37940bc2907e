// What this very process holds: it grows with what the test takes, and is within what it may.

import { expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";

import {
  descriptorsMax,
  memoryHeld,
  memoryLimit,
  openDescriptors,
} from "../../../src/control/overload/usage.ts";

const UNIX = process.platform !== "win32";

test("memory that is written to is held", () => {
  const before = memoryHeld();
  const bytes = new Uint8Array(64 * 1024 * 1024).fill(1);
  expect(memoryHeld() - before).toBeGreaterThan(bytes.length / 2);
  expect(memoryHeld()).toBeLessThan(memoryLimit());
});

test.if(UNIX)("descriptors that are open are counted, within the limit", () => {
  const before = openDescriptors()!;
  const fds = Array.from({ length: 50 }, () => openSync("/dev/null", "r"));
  const after = openDescriptors()!;
  for (const fd of fds) closeSync(fd);
  expect(after - before).toBeWithin(40, 61);
  expect(after).toBeLessThan(descriptorsMax()!);
});
