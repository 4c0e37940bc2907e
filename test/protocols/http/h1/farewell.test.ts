// Wires that are ended in order: a backend that ends too is left alone, and one that goes on is reset.

import { expect, test } from "bun:test";

import { sayFarewell } from "../../../../src/protocols/http/h1/farewell.ts";
import { until } from "../../../support/until.ts";
import { MemoryWire } from "./support/memory-wire.ts";

test("a backend that ends its side too is not reset, one that sends is at once, and one that does nothing in time", async () => {
  const [orderly, talkative, silent] = [new MemoryWire(), new MemoryWire(), new MemoryWire()];
  for (const wire of [orderly, talkative, silent]) {
    wire.pause();
    sayFarewell(wire);
    expect([wire.hasEnded, wire.isPaused]).toEqual([true, false]);
  }
  orderly.feedEnd();
  orderly.feedClose(null);
  talkative.feed("more");
  expect([talkative.wasReset, silent.wasReset]).toEqual([true, false]);
  await until("the silent one is reset", () => silent.wasReset);
  expect(orderly.wasReset).toBe(false);
});
