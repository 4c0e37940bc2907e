// Targets written as addresses and as URLs.

import { expect, test } from "bun:test";

import * as fc from "fast-check";

import { parseTarget, TARGET_SCHEMES } from "../../src/config/target.ts";
import { ProxyError } from "../../src/shared/errors.ts";

test.each([
  ["127.0.0.1:80", null, "127.0.0.1", 80],
  ["http://a.example", "http", "a.example", 80],
  ["HTTPS://a.example/", "https", "a.example", 443],
  ["https://[::1]", "https", "::1", 443],
  ["h2c://[::1]:50051", "h2c", "::1", 50_051],
  ["h3://a.example:8443", "h3", "a.example", 8_443],
  ["quic://a.example:4433", "quic", "a.example", 4_433],
])("%s", (text, scheme, host, port) => {
  expect(parseTarget(text)).toEqual({ scheme, endpoint: { kind: "tcp", host, port } } as never);
});

test("a unix socket is an address, not a URL", () => {
  expect(parseTarget("unix:/run/a.sock")).toEqual({
    scheme: null,
    endpoint: { kind: "unix", path: "/run/a.sock" },
  });
});

test.each([
  ["ftp://a", "unknown scheme"],
  ["http://", "needs a host"],
  ["http://a/path", "only a host and a port"],
  ["http://user@a", "only a host and a port"],
  ["http://a?q", "only a host and a port"],
  ["quic://a", "port is missing"],
  ["http://a:", "is not a port"],
])("%s is refused", (text, reason) => {
  expect(() => parseTarget(text)).toThrow(reason);
});

test("no text makes the parser throw anything but a ProxyError", () => {
  const url = fc
    .tuple(fc.constantFrom(...TARGET_SCHEMES, "x", ""), fc.stringMatching(/^[[\]:a0./@%-]{0,12}$/))
    .map(([scheme, rest]) => `${scheme}://${rest}`);
  fc.assert(
    fc.property(fc.oneof(url, fc.string()), (text) => {
      try {
        parseTarget(text);
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyError);
      }
    }),
    { numRuns: 1_000 },
  );
});
