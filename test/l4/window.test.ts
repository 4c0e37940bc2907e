// What is counted over a window, against lists of what happened.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { Window } from "../../src/l4/window.ts";

test("what is counted is what happened within the window, to a tenth of it", () => {
  const event = fc.record({ some: fc.boolean(), afterMs: fc.nat(250) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200, size: "max" }), fc.nat(10_000), (list, start) => {
      const window = new Window(1_000);
      const happened: { at: number; some: boolean }[] = [];
      let now = start;
      for (const { some, afterMs } of list) {
        now += afterMs;
        window.count(now);
        if (some) window.mark(now);
        happened.push({ at: now, some });
        const within = (ms: number) => happened.filter(({ at }) => at > now - ms);
        expect(window.all).toBeWithin(within(900).length, within(1_000).length + 1);
        const marked = (ms: number): number => within(ms).filter((each) => each.some).length;
        expect(window.some).toBeWithin(marked(900), marked(1_000) + 1);
      }
    }),
  );
});

test("forgets by time alone, and at once when it is told to", () => {
  const window = new Window(1_000);
  window.count(50);
  window.mark(50);
  window.advance(999);
  expect([window.all, window.some]).toEqual([1, 1]);
  window.advance(1_000);
  expect([window.all, window.some]).toEqual([0, 0]);
  window.count(1_000);
  window.clear();
  expect(window.all).toBe(0);
  window.advance(1_999);
  expect(window.all).toBe(0);
});
