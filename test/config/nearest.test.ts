// Which known word a mistyped one is taken for.

import { expect, test } from "bun:test";

import * as fc from "fast-check";

import { editDistance, nearest, suggest } from "../../src/config/nearest.ts";

const KNOWN = ["listen", "target", "timeouts", "log-level", "log-format", "key", "cert", "version"];

test.each([
  ["lisen", "listen"],
  ["listne", "listen"],
  ["LISTEN", "listen"],
  ["timeout", "timeouts"],
  ["loglevel", "log-level"],
  ["log_level", "log-level"],
  ["kye", "key"],
  ["vers", "version"],
  ["v", "version"],
])("%s is taken for %s", (typed, word) => expect(nearest(typed, KNOWN)).toBe(word));

test.each(["frobnicate", "x", "", "cat"])("%p is near to nothing", (typed) =>
  expect(nearest(typed, ["listen", "target", "key"])).toBeUndefined(),
);

test("what is near to nothing gets the list", () => {
  expect(suggest("frobnicate", ["listen", "target"])).toBe("Known here: listen, target");
  expect(suggest("lisen", ["listen", "target"])).toBe('Did you mean "listen"?');
});

test("a swap of neighbours is one edit", () => {
  expect(editDistance("listen", "litsen")).toBe(1);
  expect(editDistance("", "abc")).toBe(3);
  expect(editDistance("kitten", "sitting")).toBe(3);
});

test("the distance is symmetric, zero only for equal words, and at most the longer length", () => {
  const word = fc.stringMatching(/^[a-d]{0,8}$/);
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
    }),
  );
});

test("one edit anywhere in a longer word is still recognised", () => {
  const long = ["notsent_lowat", "proxy_protocol", "high_watermark", "max_connections"];
  fc.assert(
    fc.property(
      fc.constantFrom(...long),
      fc.nat(),
      fc.constantFrom("", "q"),
      (word, position, letter) => {
        const at = position % word.length;
        expect(nearest(word.slice(0, at) + letter + word.slice(at + 1), long)).toBe(word);
      },
    ),
  );
});
