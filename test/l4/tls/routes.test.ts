// Routing by the ClientHello: which names a rule fits, and that a table finds what trying the rules in order would find.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { type RouteRule, RouteTable, shadowed } from "../../../src/l4/tls/routes.ts";
import { ProxyError } from "../../../src/shared/errors.ts";

const find = (
  rules: readonly RouteRule[],
  sni: string | null,
  alpn: readonly string[] = [],
): number => new RouteTable(rules).find({ sni, alpn });

describe("a rule", () => {
  test.each([
    ["db.example.com", "db.example.com", true],
    ["DB.Example.COM.", "db.example.com", true],
    ["db.example.com", "x.db.example.com", false],
    ["*.apps.example.com", "a.apps.example.com", true],
    ["*.apps.example.com", "a.b.apps.example.com", true],
    ["*.apps.example.com", "apps.example.com", false],
    ["*.apps.example.com", "aapps.example.com", false],
    ["*.apps.example.com", null, false],
    ["*.com", "example.com", true],
    ["bücher.example", "xn--bcher-kva.example", true],
    [undefined, "anything.example", true],
    [undefined, null, true],
  ])("for %p and the name %p: %p", (sni, asked, expected) => {
    expect(find([{ sni }], asked)).toBe(expected ? 0 : -1);
  });

  test("for protocols fits clients that offer one of them", () => {
    const rules = [{ sni: "a.example", alpn: ["h2", "h3"] }, { alpn: ["x"] }, { sni: "a.example" }];
    expect(find(rules, "a.example", ["http/1.1", "h2"])).toBe(0);
    expect(find(rules, "a.example", ["http/1.1"])).toBe(2);
    expect(find(rules, "a.example", [])).toBe(2);
    expect(find(rules, "a.example", ["x"])).toBe(1);
    expect(find(rules, "b.example", ["h2"])).toBe(-1);
  });

  test.each([
    ["*", "Leave sni out of the rule for every other name"],
    ["", "Leave sni out of the rule for every other name"],
    ["a.*.example", "or *.example.com for every name below"],
    ["*.", "or *.example.com for every name below"],
    ["*.*.example", "or *.example.com for every name below"],
    ["10.0.0.1", "or *.example.com for every name below"],
    ["a b", "or *.example.com for every name below"],
    ["a.example:443", "or *.example.com for every name below"],
    ["https://a.example", "or *.example.com for every name below"],
  ])("for %p is refused with what to write", (sni, cure) => {
    expect(() => new RouteTable([{ sni }])).toThrow(ProxyError);
    expect(() => new RouteTable([{ sni }])).toThrow(cure);
  });
});

const label = fc.constantFrom("a", "b", "c");
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
const protocols = fc.uniqueArray(fc.constantFrom("h2", "http/1.1", "x"), { maxLength: 2 });
const rule: fc.Arbitrary<RouteRule> = fc.record({
  sni: fc.option(
    fc.oneof(
      name,
      name.map((each) => `*.${each}`),
    ),
    { nil: undefined },
  ),
  alpn: fc.option(protocols, { nil: undefined, freq: 2 }),
});
const rules = fc.array(rule, { maxLength: 8 });
const client = fc.record({ sni: fc.option(name), alpn: protocols });

function fits({ sni, alpn }: RouteRule, hello: { sni: string | null; alpn: string[] }): boolean {
  if (alpn !== undefined && !alpn.some((each) => hello.alpn.includes(each))) return false;
  if (sni === undefined) return true;
  if (hello.sni === null) return false;
  return sni.startsWith("*.") ? hello.sni.endsWith(sni.slice(1)) : hello.sni === sni;
}

test("a table finds the first rule that fits", () => {
  fc.assert(
    fc.property(rules, client, (list, hello) => {
      const expected = list.findIndex((each) => fits(each, hello));
      expect(new RouteTable(list).find(hello)).toBe(expected);
    }),
    { numRuns: 1_000 },
  );
});

test("a rule that is shadowed is never found", () => {
  fc.assert(
    fc.property(rules, client, (list, hello) => {
      const found = new RouteTable(list).find(hello);
      expect(shadowed(list).map((each) => each.rule)).not.toContain(found);
    }),
    { numRuns: 1_000 },
  );
});

test("where no rule is shadowed, names find the most specific one", () => {
  const specificity = ({ sni }: RouteRule): number =>
    sni === undefined ? 0 : sni.length + (sni.startsWith("*") ? 0 : 1_000);
  fc.assert(
    fc.property(rules, client, (list, hello) => {
      const plain = list.map(({ sni }) => ({ sni }));
      fc.pre(shadowed(plain).length === 0);
      const found = plain[new RouteTable(plain).find(hello)];
      const all = plain.filter((each) => fits(each, hello));
      expect(found).toEqual(all.toSorted((a, b) => specificity(b) - specificity(a))[0]);
    }),
    { numRuns: 1_000 },
  );
});

test("the rule in the way is the first of those that are in the way by themselves", () => {
  fc.assert(
    fc.property(rules, (list) => {
      const alone = list.flatMap((own, i) => {
        const by = list.slice(0, i).findIndex((each) => shadowed([each, own]).length > 0);
        return by < 0 ? [] : [{ rule: i, by }];
      });
      expect(shadowed(list)).toEqual(alone);
    }),
    { numRuns: 1_000 },
  );
});

test("the rule in the way is named", () => {
  const list = [{ sni: "*.Example.com" }, { sni: "a.example.com" }, {}, { sni: "b.example" }];
  expect(shadowed(list)).toEqual([
    { rule: 1, by: 0 },
    { rule: 3, by: 2 },
  ]);
});
