// PROXY protocol headers that targets are sent: byte for byte where the specification says them, and read back by the parser.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import type { Endpoints } from "../../../src/l4/peer.ts";
import { encodeProxyHeader, type ProxyExtras } from "../../../src/l4/proxy/encode.ts";
import type { ProxyVersion } from "../../../src/l4/proxy/header.ts";
import { parseProxyHeader } from "../../../src/l4/proxy/parse.ts";
import { FIRST_BYTES } from "../../../src/shared/limits.ts";
import { anyEndpoints, ascii, IPV4_BODY, peer, v2, vector } from "./headers.ts";

const buffer = new Uint8Array(FIRST_BYTES.proxyHeaderMaxBytes);

function encode(version: ProxyVersion, endpoints: Endpoints, extras?: ProxyExtras): Uint8Array {
  buffer.fill(0xaa);
  return buffer.slice(0, encodeProxyHeader(buffer, version, endpoints, extras));
}

const IPV4 = { source: peer("192.0.2.1", 56324), destination: peer("192.0.2.2", 443) };
const MIXED = { source: peer("192.0.2.1", 1), destination: peer("2001:db8::1", 2) };
const UNIX = { source: { kind: "unix", path: "" } as const, destination: peer("::1", 1) };

describe("version 1", () => {
  test("is one line", () => {
    expect(encode(1, IPV4)).toEqual(ascii("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"));
    const six = { source: peer("2001:db8::1", 1), destination: peer("::1", 65535) };
    expect(encode(1, six)).toEqual(ascii("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"));
  });

  test("writes IPv4 clients of a socket of both families as IPv4", () => {
    const mapped = { source: peer("::ffff:192.0.2.1", 56324), destination: IPV4.destination };
    expect(encode(1, mapped)).toEqual(encode(1, IPV4));
  });

  test("writes two families as IPv6", () => {
    expect(encode(1, MIXED)).toEqual(ascii("PROXY TCP6 ::ffff:c000:201 2001:db8::1 1 2\r\n"));
  });

  test("says UNKNOWN of unix sockets", () => {
    expect(encode(1, UNIX)).toEqual(ascii("PROXY UNKNOWN\r\n"));
  });
});

describe("version 2", () => {
  test("has addresses and vectors as the specification lays them out", () => {
    expect(encode(2, IPV4)).toEqual(v2(1, 0x11, IPV4_BODY));
    expect(encode(2, IPV4, { authority: "a.example", alpn: ascii("h2") })).toEqual(
      v2(1, 0x11, [...IPV4_BODY, ...vector(2, ascii("a.example")), ...vector(1, ascii("h2"))]),
    );
  });

  test("says LOCAL of unix sockets, with nothing that follows", () => {
    expect(encode(2, UNIX, { authority: "a.example", checksum: true })).toEqual(v2(0, 0, []));
  });

  test("leaves out what does not fit into one small segment, but not the checksum", () => {
    const extras = { authority: "a".repeat(255), alpn: new Uint8Array(255), checksum: true };
    const bytes = encode(2, { source: peer("::1", 1), destination: peer("::2", 2) }, extras);
    expect(bytes.length).toBeLessThanOrEqual(536);
    const outcome = parseProxyHeader(bytes, "v2");
    expect(outcome).toMatchObject({ type: "header", header: { alpn: null } });
  });
});

test("what is written is read back, in any version, with any addresses and extras", () => {
  const extras = fc.record({
    authority: fc.option(fc.domain()),
    alpn: fc.option(fc.uint8Array({ minLength: 1, maxLength: 20 })),
    checksum: fc.boolean(),
  });
  fc.assert(
    fc.property(anyEndpoints, extras, fc.constantFrom(1, 2), (endpoints, said, version) => {
      const bytes = encode(version as ProxyVersion, endpoints, said);
      expect(parseProxyHeader(bytes, "any")).toEqual({
        type: "header",
        length: bytes.length,
        header: {
          version: version as ProxyVersion,
          command: "PROXY",
          endpoints,
          authority: version === 1 ? null : said.authority,
          alpn: version === 1 ? null : said.alpn,
          uniqueId: null,
        },
      });
    }),
  );
});
