// What others wrote reaches a terminal as text alone.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { printable, printableJson, printableLines } from "../../src/shared/printable.ts";

test("control characters are escaped, those of eight bits too", () => {
  expect(printable("a\u001B[2Jb")).toBe("a\\u001b[2Jb");
  expect(printable("\u0007\u007F\u009B31m\r\n\t")).toBe("\\u0007\\u007f\\u009b31m\\u000d\\n\\t");
});

test("marks that turn writing around, or cannot be seen, are escaped", () => {
  expect(printable("\u202Eexe.txt\u2066\u200B")).toBe("\\u202eexe.txt\\u2066\\u200b");
});

test("letters of any language stay, and are escaped where a terminal has ASCII alone", () => {
  expect(printable("bücher 漢字 🙂")).toBe("bücher 漢字 🙂");
  expect(printable("bücher 🙂", false)).toBe("b\\u00fccher \\ud83d\\ude42");
});

test("lines are told apart", () => {
  expect(printableLines("a\u001B\nb\r\nc")).toEqual(["a\\u001b", "b", "c"]);
});

test("JSON means the same, and has no control character but the ends of its lines", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const json = JSON.stringify({ text: `${text}\u009B\u202E` }, null, 2);
      const shown = printableJson(json);
      expect(JSON.parse(shown)).toEqual(JSON.parse(json));
      // oxlint-disable-next-line no-control-regex
      expect(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202E]/.test(shown)).toBe(false);
    }),
  );
});
