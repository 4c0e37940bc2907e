// Problem documents and headers, as authorities send them and as nobody should: whatever comes, people get one line.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { alternatesOf } from "../../../../src/control/acme/protocol/order.ts";
import {
  printable,
  readProblem,
  readRetryAfter,
} from "../../../../src/control/acme/protocol/problem.ts";
import { ACME } from "../../../../src/shared/auto-tls-limits.ts";

describe("a problem document", () => {
  test("is told with its type, its detail and its subproblems", () => {
    const type = "urn:ietf:params:acme:error:";
    const problem = readProblem({
      type: `${type}compound`,
      detail: "Some names failed",
      subproblems: [
        { type: `${type}caa`, detail: "CAA forbids it", identifier: { type: "dns", value: "a.b" } },
        { type: "https://ca.example/odd", title: "Odd" },
      ],
    });
    expect(problem).toEqual({
      type: "compound",
      text: "Some names failed (compound); a.b: CAA forbids it (caa); Odd (https://ca.example/odd)",
    });
  });

  test("with very many subproblems says how many there are", () => {
    const subproblems = Array.from({ length: 23 }, (_, i) => ({ detail: `p${i}` }));
    const { text } = readProblem({ detail: "many", subproblems });
    expect(text).toContain("p19; and 3 more");
  });

  test("of any shape is one line of bounded length", () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const { type, text } = readProblem(value);
        expect(typeof type).toBe("string");
        expect(text.length).toBeLessThanOrEqual(ACME.problemMaxLength + 1);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (detail) => {
        expect(readProblem({ detail }).text).not.toMatch(/[\r\n\t\p{Cc}]/u);
      }),
    );
    expect(printable("a\u001b[31m\r\n b\u202e")).toBe("a [31m b");
  });
});

describe("Retry-After", () => {
  const now = Date.parse("2026-11-22T00:00:00Z");
  for (const [header, expected] of [
    [null, null],
    ["120", now + 120_000],
    [" 0 ", now],
    ["Sun, 22 Nov 2026 01:00:00 GMT", now + 3_600_000],
    ["soon", null],
    ["-5000000000000000", null],
    ["-5", null],
  ] as const) {
    test(`${JSON.stringify(header)} is ${expected}`, () => {
      expect(readRetryAfter(header, now)).toBe(expected);
    });
  }
});

describe("Link", () => {
  const base = "https://ca.example/cert/1";
  const links = (link: string): string[] =>
    alternatesOf({ status: 200, body: "", retryAtMs: null, headers: new Headers({ link }) }, base);

  test("names alternates among other relations, also relative ones", () => {
    const header =
      '<https://ca.example/dir>;rel="index", </cert/1/1>;rel="alternate", ' +
      '<https://ca.example/cert/1/2>; title="a, b"; rel=alternate, <x>;rel="alternates"';
    expect(links(header)).toEqual(["https://ca.example/cert/1/1", "https://ca.example/cert/1/2"]);
  });

  test("of any shape is no surprise", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ -~]*$/), (header) => {
        for (const url of links(header)) expect(URL.canParse(url)).toBe(true);
      }),
    );
  });
});
