// Server-sent events in whatever pieces they come.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { EventStream } from "../../../src/control/admin/event-stream.ts";

const TEXT = `: hello\nevent: snapshot\ndata: {"a":\ndata: 1}\n\ndata:bare\r\nid: 7\r\n\r\nevent: nothing\n\ndata: é\r\r`;
const EVENTS = [
  { name: "snapshot", data: '{"a":\n1}' },
  { name: "message", data: "bare" },
  { name: "message", data: "é" },
];

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("events are told with their name and all their lines, those without data are not", () => {
  expect(new EventStream(1_000).push(bytes(`${TEXT}:`))).toEqual(EVENTS);
});

test("it does not matter where the bytes are cut", () => {
  const whole = bytes(`${TEXT}:`);
  fc.assert(
    fc.property(fc.array(fc.nat(whole.length), { maxLength: 8 }), (cuts) => {
      const stream = new EventStream(1_000);
      const ends = [...cuts.toSorted((a, b) => a - b), whole.length];
      const events = ends.flatMap((end, i) => stream.push(whole.subarray(ends[i - 1] ?? 0, end)));
      expect(events).toEqual(EVENTS);
    }),
  );
});

test("an event without an end is an error, in one line or in many", () => {
  expect(() => new EventStream(10).push(bytes("data: 0123456789"))).toThrow(
    "more than 10 characters",
  );
  const stream = new EventStream(10);
  stream.push(bytes("data: 0123\n"));
  expect(() => stream.push(bytes("data: 01234567\n"))).toThrow("more than 10 characters");
  expect(() => new EventStream(10).push(bytes("data:\n".repeat(11)))).toThrow("more than 10");
  expect(new EventStream(10).push(bytes("data: 01234\n\ndata: 56789\n\n"))).toHaveLength(2);
});
