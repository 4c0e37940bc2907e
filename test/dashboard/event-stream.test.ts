// The dashboard's reader of text/event-stream: whole events come out of whatever pieces the bytes come in.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { EVENT_MAX_CHARS, EventStreamReader } from "../../src/dashboard/event-stream.ts";

test("events come out whole, however they are cut", () => {
  const text = fc.stringMatching(/^[^\r\n]*$/);
  const events = fc.array(fc.record({ name: fc.stringMatching(/^[a-z]+$/), data: text }));
  fc.assert(
    fc.property(events, fc.array(fc.nat(30)), fc.constantFrom("\n", "\r\n"), (sent, cuts, end) => {
      const stream = sent
        .map(({ name, data }) =>
          [`event: ${name}`, ": a comment", `data: ${data}`, "", ""].join(end),
        )
        .join("");
      const reader = new EventStreamReader();
      const got = [];
      let at = 0;
      for (const cut of [...cuts, stream.length]) {
        got.push(...(reader.push(stream.slice(at, at + cut)) ?? []));
        at += cut;
      }
      expect(got).toEqual(sent);
    }),
  );
});

test("lines of data are one text; an event without data, or without its end, is none", () => {
  const reader = new EventStreamReader();
  expect(reader.push("data: a\ndata:b\n\nevent: x\n\nretry: 5\ndata: c\n")).toEqual([
    { name: "message", data: "a\nb" },
  ]);
  expect(reader.push("\n")).toEqual([{ name: "message", data: "c" }]);
});

test("a line without an end is not kept for ever", () => {
  const reader = new EventStreamReader();
  const piece = "x".repeat(EVENT_MAX_CHARS / 2);
  expect(reader.push(piece)).toEqual([]);
  expect(reader.push(piece)).toEqual([]);
  expect(reader.push("x")).toBeNull();
});
