// Socket addresses as the kernel takes them, against what URL parsers make of the same text.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { copyIp, decodeSockaddr, encodeSockaddr, liveFamily } from "../../src/ffi/sockaddr.ts";
import { formatIp, IP_BYTES } from "../../src/shared/ip.ts";
import { FAMILY_IPV4, FAMILY_IPV6 } from "../../src/shared/live-table.ts";

const port = fc.integer({ min: 0, max: 65535 });

test("every IPv4 address comes back as it went in", () => {
  fc.assert(
    fc.property(fc.ipV4(), port, (host, number) => {
      const address = { kind: "ip", host, port: number } as const;
      const { bytes } = encodeSockaddr(address);
      expect(decodeSockaddr(bytes, bytes.length)).toEqual(address);
    }),
  );
});

test("every IPv6 address, however it is written, means what URL parsers take it for", () => {
  fc.assert(
    fc.property(fc.ipV6(), port, (host, number) => {
      fc.pre(URL.canParse(`http://[${host}]/`)); // the oracle refuses some forms with an IPv4 tail
      const { bytes } = encodeSockaddr({ kind: "ip", host, port: number });
      const normal = new URL(`http://[${host}]/`).hostname.slice(1, -1);
      expect(decodeSockaddr(bytes, bytes.length)).toEqual({
        kind: "ip",
        host: normal,
        port: number,
      });
    }),
  );
});

test("a unix path comes back as it went in, also with letters of several bytes", () => {
  const path = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(path, (text) => {
      fc.pre(!text.includes("\0"));
      const { bytes } = encodeSockaddr({ kind: "unix", path: `/${text}` });
      expect(decodeSockaddr(bytes, bytes.length)).toEqual({ kind: "unix", path: `/${text}` });
    }),
  );
});

test("a client without a name on a unix socket has an empty path", () => {
  expect(decodeSockaddr(new Uint8Array([1, 0]), 2)).toEqual({ kind: "unix", path: "" });
});

test("an IPv4 client of a socket of both families counts as IPv4", () => {
  const mapped = encodeSockaddr({ kind: "ip", host: "::ffff:10.1.2.3", port: 1 }).bytes;
  expect(liveFamily(mapped)).toEqual({ family: FAMILY_IPV4, offset: 20 });
  const six = encodeSockaddr({ kind: "ip", host: "2001:db8::1", port: 1 }).bytes;
  expect(liveFamily(six)).toEqual({ family: FAMILY_IPV6, offset: 8 });
});

test("a client has the same 16 bytes on a socket of its family and on one of both", () => {
  const into = new Uint8Array(IP_BYTES);
  for (const host of ["10.1.2.3", "::ffff:10.1.2.3"]) {
    into.fill(7);
    expect(copyIp(encodeSockaddr({ kind: "ip", host, port: 1 }).bytes, into)).toBeTrue();
    expect(formatIp(into)).toBe("10.1.2.3");
  }
  copyIp(encodeSockaddr({ kind: "ip", host: "2001:db8::1", port: 1 }).bytes, into);
  expect(formatIp(into)).toBe("2001:db8::1");
  expect(copyIp(encodeSockaddr({ kind: "unix", path: "/a" }).bytes, into)).toBeFalse();
});
