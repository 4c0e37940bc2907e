// Where messages end, and the frame of trailers.

import { expect, test } from "bun:test";

import fc from "fast-check";

import {
  MessageBounds,
  trailersFrame,
} from "../../../../../src/protocols/http/filter/grpc-web/frames.ts";
import { fieldsOf } from "../../../../../src/protocols/http/message/fields.ts";
import { cut } from "../recorded-client.ts";

function message(length: number, fill = 0xff): Buffer {
  const bytes = Buffer.alloc(5 + length, fill);
  bytes[0] = 0;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

test("a message's end is known, wherever the bytes are cut", () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 5 });
  const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
  fc.assert(
    fc.property(lengths, places, (each, at) => {
      const bytes = Buffer.concat(each.map((length) => message(length)));
      const ends = new Set([0]);
      for (let to = 0, i = 0; i < each.length; i++) ends.add((to += each[i]! + 5));
      const bounds = new MessageBounds();
      let passed = 0;
      for (const piece of cut(bytes, at)) {
        passed += piece.length;
        expect(bounds.passes(piece)).toBe(ends.has(passed));
      }
    }),
  );
});

test("a length of four bytes is one number, not a negative one", () => {
  const bounds = new MessageBounds();
  expect(bounds.passes(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]))).toBe(false);
  expect(bounds.passes(Buffer.alloc(100))).toBe(false);
});

test("trailers are lines in a frame of their own, without those that were removed", () => {
  const trailers = fieldsOf([
    ["grpc-status", "5"],
    ["removed", "x"],
    ["grpc-message", "not%20found"],
    ["x-empty", ""],
  ]);
  trailers.add("X-Upper", "Kept As It Is");
  trailers.removeNamed("removed");
  const text = "grpc-status:5\r\ngrpc-message:not%20found\r\nx-empty:\r\nx-upper:Kept As It Is\r\n";
  const frame = trailersFrame(trailers);
  expect(frame[0]).toBe(0x80);
  expect(Buffer.from(frame).readUInt32BE(1)).toBe(text.length);
  expect(Buffer.from(frame).subarray(5).toString()).toBe(text);
});
