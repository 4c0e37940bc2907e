// YAML to data with places: what each path's place is, what aliases and merge keys mean, and that nothing in a file
// (bytes, pieces of YAML, data of wrong shapes) does more than be refused.

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";
import { stringify } from "yaml";

import { checkGrammar, checkSource } from "../../src/config/check.ts";
import { readDocument } from "../../src/config/document.ts";
import { parseSource } from "../../src/config/load.ts";
import { ProxyError } from "../../src/shared/errors.ts";

const place = (text: string, path: (string | number)[], part: "key" | "value"): string =>
  parseSource(text, "f").place(path, part).text;

describe("places", () => {
  const text = `a: 1
list:
  - x
  - { inner: [p, q] }
base: &base { k: v }
merged:
  <<: *base
  own: 1
`;

  test("a value's place and its key's", () => {
    expect(place(text, ["a"], "key")).toBe("f:1:1: a");
    expect(place(text, ["a"], "value")).toBe("f:1:4: a");
    expect(place(text, ["list", 1, "inner", 1], "value")).toBe("f:4:18: list[1].inner[1]");
  });

  test("what came by a merge key is shown where it is written", () => {
    expect(place(text, ["merged", "k"], "value")).toBe("f:5:18: merged.k");
    expect(place(text, ["merged", "own"], "value")).toBe("f:8:8: merged.own");
  });

  test("what is missing is looked for where its parent stands", () => {
    expect(place(text, ["list", 1, "missing"], "value")).toBe("f:4:5: list[1].missing");
    expect(place(text, ["nowhere", "at", "all"], "key")).toBe("f:1:1: nowhere.at.all");
  });

  test("columns count characters after tabs, CRLF and letters beyond ASCII", () => {
    expect(place('é: "ü"\r\nb: {ß: 1}\r\n', ["b", "ß"], "value")).toBe("f:2:8: b.ß");
  });
});

describe("values", () => {
  test("are those of the YAML core schema", () => {
    const { value } = parseSource(
      'a: yes\nb: "1"\nc: 0x10\nd: ~\ne: [true, 1.5]\nf: 2020-01-01',
      "f",
    );
    expect(value).toEqual({ a: "yes", b: "1", c: 16, d: null, e: [true, 1.5], f: "2020-01-01" });
  });

  test("a key given beside a merge wins, and of several sources the first", () => {
    const { value } = parseSource(
      "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  z: 3\n  <<: [*a, *b]\n",
      "f",
    );
    expect((value as { c: unknown }).c).toEqual({ x: 1, y: 1, z: 3 });
  });

  test("an alias means the last anchor of its name before it", () => {
    const { value } = parseSource("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", "f");
    expect(value).toEqual({ a: 1, b: 1, c: 2, d: 2 });
    const inner = parseSource("a: &x 1\nb: &y [*x]\nc: &x 2\nd: *y\ne: *x", "f");
    expect(inner.value).toEqual({ a: 1, b: [1], c: 2, d: [1], e: 2 });
  });

  test("a key named __proto__ is a key like any other", () => {
    const { value } = parseSource("__proto__: { polluted: true }\nprotocols: []", "f");
    expect(Object.keys(value as object)).toContain("__proto__");
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(() => checkSource(parseSource("__proto__: {a: 1}\nprotocols: []", "f"))).toThrow(
      "__proto__: unknown key",
    );
  });

  test("any plain data that is written as YAML is read back", () => {
    const data = fc.dictionary(
      fc.stringMatching(/^[a-z]{1,8}$/),
      fc.letrec((tie) => ({
        any: fc.oneof(
          { depthSize: "small" },
          fc.boolean(),
          fc.integer(),
          fc.string(),
          fc.array(tie("any"), { maxLength: 4 }),
        ),
      })).any,
      { minKeys: 1 },
    );
    const control = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;
    fc.assert(
      fc.property(data, (value) => {
        const text = stringify(value);
        fc.pre(!control.test(text));
        const read = readDocument(text, "f");
        expect("source" in read && read.source.value).toEqual(value);
      }),
    );
  });
});

describe("bounds", () => {
  test("aliases of aliases end with an error, long before all that they mean", () => {
    const rows = Array.from(
      { length: 30 },
      (_, i) => `k${i}: &k${i} [${i === 0 ? "x" : `*k${i - 1}, *k${i - 1}`}]`,
    );
    expect(() => parseSource(rows.join("\n"), "f")).toThrow("aliases multiply them");
  }, 60_000);

  test("more values than anybody writes are refused, and where they are too many", () => {
    const text = `a: [${"1,".repeat(100_001)}]`;
    expect(() => parseSource(text, "f")).toThrow("is beyond the 100000 values that");
  }, 60_000);

  test("nesting without end is an error, not a stack overflow", () => {
    const text = `a: ${"[".repeat(5_000)}${"]".repeat(5_000)}`;
    expect(() => parseSource(text, "f")).toThrow(ProxyError);
    expect(() => parseSource("a: " + "[".repeat(20_000), "f")).toThrow("is nested too deeply");
  }, 60_000);

  // Each took minutes or hours when all was compared with all, and a reload of it stopped the proxy for as long.
  const many = (entry: (i: number) => string): string =>
    Array.from({ length: 6_000 }, (_, i) => entry(i)).join("");
  const list = (entry: (i: number) => string): string =>
    `[${Array.from({ length: 400 }, (_, i) => entry(i)).join()}]`;
  const route = (lines: string): string =>
    `protocols:\n  - name: http\n    listen: ":1"\n    routes:\n${lines}`;
  const match = `{ host: ${list((i) => `h${i}.example`)}, path: ${list((i) => `/p${i}/*`)} }`;
  const large: Record<string, string> = {
    keys: many((i) => `key${i}: 1\n`),
    "open quotes": many(() => "a: '\n"),
    listeners: `protocols:\n${many((i) => `  - { name: tcp, listen: ":${1_000 + i}", target: "a:1" }\n`)}`,
    "TLS names": route(many((i) => `    - { sni: h${i}.example, target: "a:1" }\n`)).replace(
      "http",
      "tcp",
    ),
    "hosts with paths": route(`    - { match: ${match}, target: "a:1" }\n`),
  };
  for (const [name, text] of Object.entries(large)) {
    test(`thousands of ${name} are read and checked in a time of their own number`, () => {
      const outcome = (): unknown => checkGrammar(parseSource(text, "f"));
      if (name === "open quotes") expect(outcome).toThrow("f:1:4: this quote is never closed");
      else expect(outcome()).toHaveProperty(name === "keys" ? "problems" : "config");
    }, 60_000);
  }

  // A text of the file's length that a pattern tried from each of its places took half an hour.
  for (const piece of ["{", "{{", "${", "[", "[-", "/", "a."]) {
    test(`values that are nothing but ${piece} are refused or taken in a time of their length`, () => {
      const long = piece.repeat(400_000 / piece.length);
      const entry = { name: "http", listen: long, target: long, redirect: { to: long } };
      const asked = { host: long, path: long, headers: { a: long }, methods: [long] };
      const way = { match: asked, rewrite: { strip_prefix: long }, target: long };
      const value = { protocols: [{ ...entry, routes: [way] }] };
      const outcome = checkGrammar({ value, place: () => ({ text: "f", order: 0 }) });
      expect(outcome).toHaveProperty("problems");
    }, 60_000);
  }

  test("of a thousand mistakes a hundred are shown, and how many more there are", () => {
    const entry = `- { name: tcp, listen: ":1", target: "a:1", weight: 1 }`;
    const text = `protocols: [${Array.from({ length: 1_000 }, () => entry.slice(2)).join(",\n  ")}]`;
    const message = messageOf(() => checkSource(parseSource(text, "f")));
    expect(message.split("\n")).toHaveLength(101);
    expect(message).toEndWith("more, which are shown once these are mended");
  }, 60_000);

  test("a value that is all of the file is not all of the message", () => {
    const text = `protocols: [{ name: tcp, listen: ":1", target: "${"x".repeat(500_000)}" }]`;
    expect(messageOf(() => checkSource(parseSource(text, "f"))).length).toBeLessThan(500);
  }, 60_000);
});

function messageOf(outcome: () => unknown): string {
  try {
    outcome();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it was accepted");
}

describe("whatever stands in a file, the answer is a configuration or a ProxyError", () => {
  function tryText(content: string | Uint8Array): void {
    try {
      checkGrammar(parseSource(content, "f"));
    } catch (error) {
      expect(error).toBeInstanceOf(ProxyError);
      expect((error as Error).message).toStartWith("f");
    }
  }

  test("bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), tryText), { numRuns: 500 });
  });

  test("YAML-like text", () => {
    const piece = fc.constantFrom(
      ..."protocols:|- |  |\n|name: tcp|listen|: |\"|'|[|]|{|}|,|&a |*a|<<: |!t |# |%|---\n|\t|? |>-\n|||é|1.0|null".split(
        "|",
      ),
      "|",
    );
    const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));
    fc.assert(fc.property(text, tryText), { numRuns: 3_000 });
  });

  test("well-formed data of wrong shapes", () => {
    const key = fc.constantFrom(
      "protocols",
      "name",
      "listen",
      "target",
      "targets",
      "routes",
      "tls",
      "limits",
      "workers",
      "options",
      "x",
    );
    const { any } = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: "medium", withCrossShrink: true },
        fc.constantFrom<unknown>(null, true, 1, -1, 1.5, "tcp", ":8080", "127.0.0.1:80", "5s", ""),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(key, tie("any"), { maxKeys: 5 }),
      ),
    }));
    fc.assert(
      fc.property(any, (value) => {
        const checked = checkGrammar({
          value,
          place: (path) => ({ text: path.join("."), order: 0 }),
        });
        if ("problems" in checked) {
          expect(checked.problems.length).toBeGreaterThan(0);
          for (const { message } of checked.problems) expect(message).not.toContain("undefined");
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
