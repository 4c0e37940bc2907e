// How many receive buffers circulate: few at first, more when they run short, fewer again when they are not needed.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";

import { Buffers } from "../../../src/engine/uring/buffers.ts";

const COUNT = 1_024;
const BYTES = 4_096;

describe.if(process.platform === "linux")("receive buffers", () => {
  let buffers: Buffers;
  beforeEach(() => {
    buffers = new Buffers(COUNT, BYTES);
  });
  afterEach(() => buffers.close());

  /** As the kernel does: uses the places of the ring in turn. */
  function takeAll(): number {
    const { free } = buffers;
    for (let i = 0; i < free; i++) buffers.take();
    return free;
  }

  test("few circulate at first", () => {
    expect(buffers.free).toBe(64);
    expect(buffers.circulating).toBe(64);
  });

  test("twice as many circulate each time that the kernel runs short, up to all", () => {
    const seen: number[] = [];
    for (let i = 0; i < 6; i++) {
      takeAll();
      buffers.publish();
      seen.push(buffers.circulating);
    }
    expect(seen).toEqual([128, 256, 512, 1_024, 1_024, 1_024]);
    expect(buffers.free).toBe(0);
  });

  test("half of them leave at each look while more than half were not needed, and come back with the next shortage", () => {
    let taken = 0;
    while (buffers.circulating < COUNT) {
      taken += takeAll();
      buffers.publish();
    }
    taken += takeAll();
    buffers.publish();
    buffers.relax(); // they were needed
    for (let buffer = 0; buffer < taken; buffer++) buffers.recycle(buffer);
    buffers.publish();
    expect(buffers.circulating).toBe(COUNT);
    buffers.relax(); // the fewest since the last look were none
    const seen: number[] = [];
    for (let i = 0; i < 5; i++) {
      buffers.relax();
      for (let n = buffers.free; n > 0; n--) {
        buffers.take(); // one message at a time: each buffer that is used can leave
        buffers.recycle(n);
        buffers.publish();
      }
      seen.push(buffers.circulating);
    }
    expect(seen).toEqual([512, 256, 128, 64, 64]);
    takeAll();
    buffers.publish();
    expect(buffers.circulating).toBe(128);
  });

  test("those that were needed for a moment between two looks stay", () => {
    takeAll();
    buffers.publish();
    expect(buffers.circulating).toBe(128);
    buffers.relax();
    const held = 64 + takeAll();
    for (let buffer = 0; buffer < held; buffer++) buffers.recycle(buffer);
    buffers.publish();
    buffers.relax();
    expect(buffers.circulating).toBe(128);
  });

  test("a pool smaller than the first circulation is used as a whole", () => {
    const small = new Buffers(16, 512);
    try {
      expect(small.free).toBe(16);
      small.relax();
      expect(small.circulating).toBe(16);
    } finally {
      small.close();
    }
  });
});
