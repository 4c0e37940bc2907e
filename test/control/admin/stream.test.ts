// The stream of snapshots: made once for all, for nobody when nobody reads, and held up by no reader.

import { expect, test } from "bun:test";
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";

import { SnapshotStream, type StreamTimes } from "../../../src/control/admin/stream.ts";
import { ADMIN } from "../../../src/shared/limits.ts";
import { LogLines } from "../../support/log-lines.ts";
import { until } from "../../support/until.ts";

/** A reader that takes events when it is told to. */
class FakeResponse extends EventEmitter {
  readonly events: string[] = [];
  ended = false;
  destroyed = false;
  #taken: (() => void) | null = null;

  write(bytes: Buffer, taken: () => void): boolean {
    if (this.#taken !== null) throw new Error("a second event before the first was taken");
    this.events.push(bytes.toString());
    this.#taken = taken;
    return false;
  }

  take(): void {
    this.#taken?.();
    this.#taken = null;
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

function setUp(times: Partial<StreamTimes> = {}) {
  const log = new LogLines();
  const state = { made: 0, rests: 0, broken: false };
  const make = (): object => {
    if (state.broken) throw new Error("broken");
    return { made: ++state.made };
  };
  const all = { streamMs: 5, streamStallMs: 60_000, ...times };
  const stream = new SnapshotStream(log.log, make, () => state.rests++, all);
  const follow = (): FakeResponse => {
    const response = new FakeResponse();
    stream.answer().follow!(response as unknown as ServerResponse);
    return response;
  };
  return { stream, state, log, follow };
}

test("who comes gets an event at once, all get the same ones, and nothing is made when all have left", async () => {
  const { state, follow } = setUp();
  expect(state.made).toBe(0);
  const [one, two] = [follow(), follow()];
  expect(one.events).toEqual(['event: snapshot\ndata: {"made":1}\n\n']);
  expect(two.events).toEqual(one.events);
  one.take();
  two.take();
  await until("the next", () => one.events.length === 2);
  expect(two.events).toEqual(one.events);
  one.destroy();
  expect(state.rests).toBe(0);
  two.destroy();
  expect(state.rests).toBe(1);
  const { made } = state;
  const later = follow();
  expect(later.events).toEqual([`event: snapshot\ndata: {"made":${made + 1}}\n\n`]);
  later.destroy();
});

test("a reader that takes nothing is skipped, holds nobody up, and is cut in the end", async () => {
  const { follow } = setUp({ streamStallMs: 50 });
  const [stalled, reading] = [follow(), follow()];
  await until("the cut", () => {
    reading.take();
    return stalled.destroyed;
  });
  expect(stalled.events).toHaveLength(1);
  expect(reading.events.length).toBeGreaterThan(2);
  reading.destroy();
});

test("there are as many as may be, and room again when one leaves", () => {
  const { stream, follow } = setUp();
  const readers = Array.from({ length: ADMIN.streamsMax }, follow);
  expect(stream.answer()).toMatchObject({ status: 503 });
  readers[3]!.destroy();
  expect(stream.answer()).toMatchObject({ status: 200 });
  stream.end();
  expect(readers.filter(({ ended }) => ended)).toHaveLength(ADMIN.streamsMax - 1);
});

test("a snapshot that cannot be made is logged, and ends the streams", async () => {
  const { state, log, follow } = setUp();
  const reader = follow();
  reader.take();
  state.broken = true;
  await until("the end", () => reader.ended);
  expect(log.lines.at(-1)).toMatchObject({ level: "error", fields: { error: "broken" } });
});
