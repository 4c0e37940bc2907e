// The benchmarks of codecs still run. What they measure is not looked at.

import { expect, test } from "bun:test";

import { measureCodec } from "../../bench/codecs/h1.ts";
import { measureSession } from "../../bench/codecs/h2.ts";

test("the codec of HTTP/1.1 is measured", () => {
  const figures = measureCodec(1, 10);
  expect(Object.keys(figures)).toHaveLength(6);
  expect(Object.values(figures).every((ns) => ns > 0)).toBe(true);
});

test("a client's connection of HTTP/2 is measured", () => {
  expect(measureSession(1, 2)).toHaveLength(2);
});
