// Addresses and blocks as bytes: text comes back, IPv4 has one form, and what cannot be meant is refused with what to write.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { ProxyError } from "../../src/shared/errors.ts";
import {
  formatIp,
  formatIPv6,
  IP_BYTES,
  isIPv4,
  maskIp,
  parseAddressBlock,
  parseIp,
  parseIPv6,
} from "../../src/shared/ip.ts";

const sixteenBytes = fc.uint8Array({ minLength: IP_BYTES, maxLength: IP_BYTES });

test("IPv6 text and bytes are inverse", () => {
  fc.assert(
    fc.property(sixteenBytes, (bytes) => {
      expect(parseIPv6(formatIPv6(bytes))).toEqual(bytes);
    }),
  );
});

test("every address comes back as it went in, whichever family it is of", () => {
  const mapped = fc
    .uint8Array({ minLength: 4, maxLength: 4 })
    .map((tail) => new Uint8Array([...new Array<number>(10).fill(0), 0xff, 0xff, ...tail]));
  fc.assert(
    fc.property(fc.oneof(sixteenBytes, mapped), (ip) => {
      expect(parseIp(formatIp(ip))).toEqual(ip);
    }),
  );
});

test("an IPv4 address and its mapped form are the same bytes", () => {
  expect(parseIp("10.0.0.1")).toEqual(parseIp("::ffff:10.0.0.1"));
  expect(isIPv4(parseIp("10.0.0.1")!)).toBeTrue();
  expect(isIPv4(parseIp("::10.0.0.1")!)).toBeFalse();
});

test.each(["", "localhost", "1.2.3", "01.2.3.4", "1.2.3.4.5", "::1::", "[::1]"])(
  "%p is not an address",
  (text) => expect(parseIp(text)).toBeNull(),
);

describe("blocks", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0", 104],
    ["10.0.0.1", "10.0.0.1", 128],
    ["0.0.0.0/0", "0.0.0.0", 96],
    ["::/0", "::", 0],
    ["fd00::/8", "fd00::", 8],
    ["::ffff:10.0.0.0/104", "10.0.0.0", 104],
    ["2001:db8::1/128", "2001:db8::1", 128],
  ])("%s", (text, ip, bits) => {
    const block = parseAddressBlock(text);
    expect([formatIp(block.ip), block.bits]).toEqual([ip, bits]);
  });

  test.each([
    ["10.0.0.0/33", "such as 10.0.0.0/8"],
    ["10.0.0.0/", "such as 10.0.0.0/8"],
    ["10.0.0.0/8/8", "such as 10.0.0.0/8"],
    ["10.0.0.0/08", "such as 10.0.0.0/8"],
    ["fe80::1%eth0", "such as 10.0.0.0/8"],
    ["localhost", "such as 10.0.0.0/8"],
    ["10.0.0.7/8", "Write 10.0.0.0/8 for the block, or 10.0.0.7 for one address"],
    ["fd00::1/8", "Write fd00::/8 for the block, or fd00::1 for one address"],
  ])("%s is refused with what to write", (text, cure) => {
    expect(() => parseAddressBlock(text)).toThrow(ProxyError);
    expect(() => parseAddressBlock(text)).toThrow(`"${text}"`);
    expect(() => parseAddressBlock(text)).toThrow(cure);
  });

  test("a block of a masked address is never refused", () => {
    fc.assert(
      fc.property(sixteenBytes, fc.integer({ min: 0, max: 128 }), (ip, bits) => {
        const masked = maskIp(ip, bits);
        const block = parseAddressBlock(`${formatIPv6(masked)}/${bits}`);
        expect(block).toEqual({ ip: masked, bits });
      }),
    );
  });
});
