// Sets of addresses, against node's BlockList, which nobody here wrote.

import { describe, expect, test } from "bun:test";
import { BlockList, isIPv4 } from "node:net";

import fc from "fast-check";

import { AccessList, AddressSet } from "../../src/l4/address-set.ts";
import { ProxyError } from "../../src/shared/errors.ts";
import { formatIp, IP_BYTES, maskIp, parseIp } from "../../src/shared/ip.ts";

const has = (blocks: readonly string[], address: string): boolean =>
  new AddressSet(blocks).has(parseIp(address)!);

describe("a set", () => {
  test.each([
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.0.0.0/8", "9.255.255.255", false],
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["::ffff:10.0.0.0/104", "10.1.2.3", true],
    ["192.0.2.7", "192.0.2.7", true],
    ["192.0.2.7", "192.0.2.6", false],
    ["0.0.0.0/0", "255.255.255.255", true],
    ["0.0.0.0/0", "::1", false],
    ["::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true],
    ["::/0", "127.0.0.1", false],
    ["::1", "::1", true],
    ["::1", "::2", false],
    ["fd00::/8", "fdff::1", true],
    ["fd00::/8", "fe00::", false],
    ["2001:db8::/33", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff", true],
    ["2001:db8::/33", "2001:db8:8000::", false],
  ])("of %s has %s: %p", (block, address, expected) => {
    expect(has([block], address)).toBe(expected);
  });

  test("of nothing has nobody", () => {
    expect(new AddressSet([]).empty).toBeTrue();
    expect(has([], "127.0.0.1")).toBeFalse();
  });

  test("names the block that is wrong and what to write", () => {
    const make = (): AddressSet => new AddressSet(["10.0.0.0/8", "10.1.1.1/16"]);
    expect(make).toThrow(ProxyError);
    expect(make).toThrow('"10.1.1.1/16" is not an address block');
    expect(make).toThrow("Write 10.1.0.0/16 for the block, or 10.1.1.1 for one address");
  });

  /** Few different bits, so that blocks nest, touch and overlap. */
  const byte = fc.constantFrom(0, 1, 127, 128, 254, 255);
  const four = fc.array(byte, { minLength: 4, maxLength: 4 });
  const ip = fc.oneof(
    four.map((tail) => parseIp(tail.join("."))!),
    fc.array(byte, { minLength: IP_BYTES, maxLength: IP_BYTES }).map((all) => Uint8Array.from(all)),
    fc
      .tuple(four, four)
      .map(([head, tail]) => Uint8Array.from([...head, 0, 0, 0, 0, 0, 0, 0, 0, ...tail])),
  );
  const block = fc.tuple(ip, fc.nat(128)).map(([each, bits]) => {
    const v4 = isIPv4(formatIp(each));
    const length = v4 ? bits % 33 : bits;
    return { host: formatIp(maskIp(each, v4 ? 96 + length : length)), length };
  });

  test("has whom node's BlockList has", () => {
    fc.assert(
      fc.property(
        fc.array(block, { maxLength: 12 }),
        fc.array(ip, { minLength: 10 }),
        (blocks, ips) => {
          // One for each family: in one list, ::/0 would have IPv4 addresses in it.
          const oracle = { ipv4: new BlockList(), ipv6: new BlockList() };
          const family = (host: string): "ipv4" | "ipv6" => (isIPv4(host) ? "ipv4" : "ipv6");
          for (const { host, length } of blocks)
            oracle[family(host)].addSubnet(host, length, family(host));
          const set = new AddressSet(blocks.map(({ host, length }) => `${host}/${length}`));
          const edges = blocks.map(({ host }) => parseIp(host)!);
          for (const each of [...ips, ...edges]) {
            const address = formatIp(each);
            expect(set.has(each)).toBe(oracle[family(address)].check(address, family(address)));
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("an access list", () => {
  const admits = (allow: string[], deny: string[], address: string): boolean =>
    new AccessList(allow, deny).admits(parseIp(address)!);

  test("without entries admits everyone", () => {
    expect(admits([], [], "192.0.2.1")).toBeTrue();
  });

  test("with allow admits only who is in it", () => {
    expect(admits(["10.0.0.0/8"], [], "10.0.0.1")).toBeTrue();
    expect(admits(["10.0.0.0/8"], [], "192.0.2.1")).toBeFalse();
  });

  test("denies who is in deny, even if allow names them too", () => {
    expect(admits([], ["10.0.0.1"], "10.0.0.2")).toBeTrue();
    expect(admits([], ["10.0.0.0/8"], "10.0.0.1")).toBeFalse();
    expect(admits(["10.0.0.1"], ["10.0.0.0/8"], "10.0.0.1")).toBeFalse();
  });
});
