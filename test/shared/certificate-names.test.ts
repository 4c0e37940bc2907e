// Names of certificates: one form for each, whatever they are written like.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { isAddress, isWildcard, parseCertificateName } from "../../src/shared/certificate-names.ts";

describe("a name has one form", () => {
  test.each([
    ["Example.COM", "example.com"],
    ["example.com.", "example.com"],
    ["bücher.example.com", "xn--bcher-kva.example.com"],
    ["*.Bücher.example.com", "*.xn--bcher-kva.example.com"],
    ["日本語。jp", "xn--wgv71a119e.jp"],
    ["localhost", "localhost"],
    ["10.0.0.1", "10.0.0.1"],
    ["[::1]", "::1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["1and1.example.com", "1and1.example.com"],
  ])("%s is %s", (written, name) => {
    expect(parseCertificateName(written)).toBe(name);
  });

  test("which is read as itself", () => {
    const label = fc
      .stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/)
      .filter((text) => !/^..--/.test(text));
    const written = fc.tuple(fc.boolean(), fc.array(label, { minLength: 1, maxLength: 5 }));
    fc.assert(
      fc.property(written, ([wildcard, labels]) => {
        const name = parseCertificateName(`${wildcard ? "*." : ""}${labels.join(".")}`);
        expect(parseCertificateName(name)).toBe(name);
        expect(parseCertificateName(`${name.toUpperCase()}.`)).toBe(name);
        expect(isWildcard(name)).toBe(wildcard);
        expect(isAddress(name)).toBe(false);
      }),
    );
  });
});

test("whatever is written, it is a name that a certificate may have, or an error with a cure", () => {
  const odd = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.domain(),
    fc.ipV6(),
    fc.webUrl(),
  );
  fc.assert(
    fc.property(odd, (written) => {
      try {
        const name = parseCertificateName(written);
        if (!isAddress(name)) expect(name).toMatch(/^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$/);
        expect(name.length).toBeLessThanOrEqual(255);
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_CONFIG", cure: expect.stringMatching(/^[A-Z]/) });
      }
    }),
  );
});

test("a name that is too long, and one whose label is, are refused", () => {
  const long = Array.from({ length: 64 }, () => "abc").join(".");
  expect(() => parseCertificateName(`${long}.com`)).toThrow("has 259 characters");
  expect(() => parseCertificateName(`${"a".repeat(64)}.example.com`)).toThrow("1 to 63 letters");
});
