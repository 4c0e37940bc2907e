// Addresses as people write them: what is accepted, the cure for what is not, and that formatting inverts parsing.

import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";

import * as fc from "fast-check";

import {
  type Endpoint,
  formatEndpoint,
  formatSocketAddress,
  parseEndpoint,
  UNIX_PATH_MAX_BYTES,
} from "../../src/shared/address.ts";
import { ProxyError } from "../../src/shared/errors.ts";

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?$/);
const hostName = fc
  .array(label, { minLength: 1, maxLength: 4 })
  .map((labels) => labels.join("."))
  .filter((name) => !/^[\d.]+$/.test(name));
const host = fc.oneof(
  hostName,
  fc.ipV4(),
  fc.ipV6().filter((address) => isIP(address) === 6),
);
const tcpEndpoint = (hosts: fc.Arbitrary<string>, min: number): fc.Arbitrary<Endpoint> =>
  fc.record({
    kind: fc.constant("tcp" as const),
    host: hosts,
    port: fc.integer({ min, max: 65_535 }),
  });
const unixEndpoint: fc.Arbitrary<Endpoint> = fc.record({
  kind: fc.constant("unix" as const),
  path: fc
    .string({ minLength: 1, maxLength: 60, unit: "grapheme" })
    .filter((path) => !path.includes("\0") && Buffer.byteLength(path) <= UNIX_PATH_MAX_BYTES),
});

describe("what an address may look like", () => {
  test.each([
    [":8080", "", 8080],
    [":0", "", 0],
    ["127.0.0.1:80", "127.0.0.1", 80],
    ["[::1]:8080", "::1", 8080],
    ["[::]:8080", "::", 8080],
    ["[fe80::1%lo]:80", "fe80::1%lo", 80],
    ["db.example.com:5432", "db.example.com", 5432],
    ["db.example.com.:5432", "db.example.com.", 5432],
    ["_sip._tcp.example:5060", "_sip._tcp.example", 5060],
    ["LOCALHOST:065535", undefined, undefined],
    ["xn--bcher-kva.example:65535", "xn--bcher-kva.example", 65_535],
  ])("%s to listen on", (text, expectedHost, port) => {
    if (expectedHost === undefined) expect(() => parseEndpoint(text, "listen")).toThrow(ProxyError);
    else
      expect(parseEndpoint(text, "listen")).toEqual({
        kind: "tcp",
        host: expectedHost,
        port: port!,
      });
  });

  test("unix sockets, with any path that the system takes", () => {
    expect(parseEndpoint("unix:/run/a b:1.sock", "target")).toEqual({
      kind: "unix",
      path: "/run/a b:1.sock",
    });
    expect(parseEndpoint("unix:relative", "listen")).toEqual({ kind: "unix", path: "relative" });
    const longest = `unix:/${"x".repeat(UNIX_PATH_MAX_BYTES - 1)}`;
    expect(parseEndpoint(longest, "listen").kind).toBe("unix");
    expect(() => parseEndpoint(`${longest}x`, "listen")).toThrow("the path has 108 bytes");
  });
});

describe("what is refused, and the cure", () => {
  test.each([
    ["", "Write 127.0.0.1:8080"],
    ["8080", "Write :8080 or 127.0.0.1:8080"],
    ["localhost", "Write localhost:8080"],
    ["127.0.0.1", "Write 127.0.0.1:8080"],
    [":", '"" is not a port'],
    [":http", '"http" is not a port'],
    [":65536", "port 65536 is out of range"],
    [":-1", '"-1" is not a port'],
    [":80 ", '"80 " is not a port'],
    [":８０", "is not a port"],
    ["::1", "Write [::1]:8080"],
    ["::1:8080", "Write [::1]:8080"],
    ["fe80::1:2:3:4:5:6:7", "needs brackets"],
    ["[::1]", "Write [::1]:8080"],
    ["[::1", "the bracket is not closed"],
    ["[::1]8080", "the port is missing"],
    ["[localhost]:80", "in brackets is not an IPv6 address"],
    ["256.0.0.1:80", "neither an IP address nor a host name"],
    ["1.2.3:80", "neither an IP address nor a host name"],
    ["-a.example:80", "neither an IP address nor a host name"],
    ["a..example:80", "neither an IP address nor a host name"],
    [".:80", "neither an IP address nor a host name"],
    ["a b:80", "neither an IP address nor a host name"],
    [`${"a".repeat(64)}:80`, "neither an IP address nor a host name"],
    ["http://a:80", "it is a URL. Write a:80"],
    ["unix:", "the path is missing"],
    ["unix:/a\0b", "the path holds a zero byte"],
  ])("%p", (text, reason) => {
    const error = (() => {
      try {
        parseEndpoint(text, "listen");
      } catch (caught) {
        return caught as ProxyError;
      }
      throw new Error(`${text} was accepted`);
    })();
    expect(error).toBeInstanceOf(ProxyError);
    expect(error.code).toBe("ERR_ADDRESS");
    expect(error.message).toContain(reason);
    expect(error.cure).toBeString();
  });

  test("a target needs a host and a real port", () => {
    expect(() => parseEndpoint(":80", "target")).toThrow("Write 127.0.0.1:80");
    expect(() => parseEndpoint("a:0", "target")).toThrow("port 0 is out of range");
    expect(() => parseEndpoint("80", "target")).toThrow("Write 127.0.0.1:80");
  });

  test("what a cure tells to write is an address", () => {
    for (const text of ["8080", "localhost", "::1", "::1:8080", "[::1]", "", "unix:"]) {
      try {
        parseEndpoint(text, "target");
      } catch (error) {
        const [, written] = /Write (\S+)/.exec((error as ProxyError).message) ?? [];
        expect(() => parseEndpoint(written!, "target")).not.toThrow();
      }
    }
  });
});

describe("properties", () => {
  test("formatting and parsing give back every endpoint", () => {
    fc.assert(
      fc.property(
        fc.oneof(tcpEndpoint(fc.oneof(host, fc.constant("")), 0), unixEndpoint),
        (endpoint) => {
          expect(parseEndpoint(formatEndpoint(endpoint), "listen")).toEqual(endpoint);
        },
      ),
      { numRuns: 1_000 },
    );
    fc.assert(
      fc.property(fc.oneof(tcpEndpoint(host, 1), unixEndpoint), (endpoint) => {
        expect(parseEndpoint(formatEndpoint(endpoint), "target")).toEqual(endpoint);
      }),
      { numRuns: 1_000 },
    );
  });

  test("a text that is accepted is written back as it was, but for leading zeros", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-c:0-3[\].-]{0,10}$/), (text) => {
        let endpoint: Endpoint;
        try {
          endpoint = parseEndpoint(text, "listen");
        } catch (error) {
          expect(error).toBeInstanceOf(ProxyError);
          return;
        }
        expect(formatEndpoint(endpoint)).toBe(text.replace(/:0+(?=\d+$)/, ":"));
      }),
      { numRuns: 5_000 },
    );
  });

  test("no text makes the parser throw anything but a ProxyError", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), (text) => {
        for (const role of ["listen", "target"] as const) {
          try {
            parseEndpoint(text, role);
          } catch (error) {
            expect(error).toBeInstanceOf(ProxyError);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("socket addresses are shown like the endpoints they came from", () => {
    expect(formatSocketAddress({ kind: "ip", host: "::1", port: 80 })).toBe("[::1]:80");
    expect(formatSocketAddress({ kind: "ip", host: "127.0.0.1", port: 80 })).toBe("127.0.0.1:80");
    expect(formatSocketAddress({ kind: "unix", path: "/a" })).toBe("unix:/a");
  });
});
