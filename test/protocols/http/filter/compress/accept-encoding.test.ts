// Accept-Encoding: which coding is taken of what clients say that they take.

import { expect, test } from "bun:test";

import { negotiate } from "../../../../../src/protocols/http/filter/compress/accept-encoding.ts";

const CASES: [string, ReturnType<typeof negotiate>][] = [
  ["", null],
  ["gzip", "gzip"],
  ["GZIP", "gzip"],
  ["x-gzip", "gzip"],
  ["br", "br"],
  ["zstd", "zstd"],
  ["deflate", null],
  ["gzip, deflate, br, zstd", "zstd"], // Chromium, Firefox
  ["gzip, deflate, br", "gzip"], // Safari
  ["gzip;q=0.5, br;q=0.8, zstd;q=0.2", "br"],
  ["br;q=1.0, gzip;q=0.8, *;q=0.1", "br"],
  ["zstd;q=0, gzip", "gzip"],
  ["gzip;q=0", null],
  ["gzip;q=0.000", null],
  ["*", "zstd"],
  ["*, zstd;q=0", "gzip"],
  ["*;q=0", null],
  ["*;q=0, br", "br"],
  ["identity", null],
  ["identity, gzip;q=0.5", null],
  ["identity;q=0.5, gzip", "gzip"],
  ["identity;q=0, gzip;q=0.1", "gzip"],
  ["gzip ; q=0.5 ,\tbr;q=0.6", "br"],
  [",,gzip,", "gzip"],
  ["gzip;q=2, br", "br"], // of what cannot be read, nothing is taken
  ["gzip;q=-1", null],
  ["gzip;q=", null],
  ["gzip;level=5", null],
  ["g zip", null],
];

test.each(CASES)("of %p is taken %p", (header, coding) => {
  expect(negotiate(header)).toBe(coding);
});
