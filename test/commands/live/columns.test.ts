// Tables within a terminal's width.

import { expect, test } from "bun:test";

import fc from "fast-check";

import {
  clip,
  type Column,
  cut,
  layOut,
  pad,
  widthOf,
} from "../../../src/commands/live/columns.ts";

const COLUMNS: readonly Column[] = [
  { title: "NAME", least: 6 },
  { title: "MORE", least: 4, spare: 1 },
  { title: "COUNT", right: true },
];
const ROWS = [
  ["short", "x", "1"],
  ["a name that is rather long", "and more of it", "12345"],
];

test("columns are as wide as what stands in them", () => {
  const { head, rows } = layOut(COLUMNS, ROWS, { width: Infinity, unicode: true });
  expect([head, ...rows]).toEqual([
    "NAME                        MORE            COUNT",
    "short                       x                   1",
    "a name that is rather long  and more of it  12345",
  ]);
});

test("the widest texts lose their middle first, and numbers never", () => {
  const { rows } = layOut(COLUMNS, ROWS, { width: 36, unicode: true });
  expect(rows).toEqual(
    ["short          x                   1", "a name…r long  and more of it  12345"].map(
      (row) => row,
    ),
  );
  const ascii = layOut(COLUMNS, ROWS, { width: 36, unicode: false });
  expect(ascii.rows[1]).toBe("a name~r long  and more of it  12345");
});

test("what can be spared is left out before anything is cut to pieces", () => {
  const { head, rows } = layOut(COLUMNS, ROWS, { width: 16, unicode: true });
  expect([head, ...rows]).toEqual(["NAME       COUNT", "short          1", "a na…long  12345"]);
});

test("a column has its usual width if there is room", () => {
  const columns: readonly Column[] = [
    { title: "A", usual: 6 },
    { title: "B", right: true, usual: 4 },
  ];
  expect(layOut(columns, [["1", "2"]], { width: 12, unicode: true }).rows).toEqual([
    "1          2",
  ]);
  expect(layOut(columns, [["1", "2"]], { width: 8, unicode: true }).rows).toEqual(["1      2"]);
});

test("letters of two columns count as such", () => {
  expect(cut("漢字漢字漢字", 7, true)).toBe("漢…字");
  expect(pad("漢字", 6)).toBe("漢字  ");
  expect(clip("漢字漢字漢字", 6, true)).toBe("漢字…");
  expect(clip("a sentence", 5, false)).toBe("a se~");
  expect(clip("a sentence", 0, false)).toBe("");
  expect(cut("abc", 0, true)).toBe("");
  expect(cut("abc", 1, false)).toBe("~");
});

test("no cut text is wider than it may be", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme" }),
      fc.nat(40),
      fc.boolean(),
      (text, width, unicode) => {
        expect(widthOf(cut(text, width, unicode))).toBeLessThanOrEqual(width);
      },
    ),
  );
});
