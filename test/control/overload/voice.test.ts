// What the log says of overload: a beginning and an end with figures, and no flood of them.

import { expect, test } from "bun:test";

import { OverloadVoice } from "../../../src/control/overload/voice.ts";
import type { Overload } from "../../../src/control/proxy-state.ts";
import { SHEDDING } from "../../../src/shared/limits.ts";
import { LogLines } from "../../support/log-lines.ts";

const MEMORY: Overload = { reason: "memory", detail: "900 MB are held", partial: false };
const LAG: Overload = { reason: "lag", detail: "worker 1, 700 ms late", partial: true };

test("each reason has a line when it begins and one when it is over", () => {
  const lines = new LogLines();
  const voice = new OverloadVoice(lines.log);
  voice.hear([MEMORY], 1_000);
  voice.hear([MEMORY, LAG], 2_000);
  voice.hear([LAG], 3_500);
  voice.hear([], 4_000);
  expect(lines.lines.map(({ level, fields }) => [level, fields])).toEqual([
    ["warn", { reason: "memory", detail: MEMORY.detail }],
    ["warn", { reason: "lag", detail: LAG.detail }],
    ["info", { reason: "memory", forMs: 2_500 }],
    ["info", { reason: "lag", forMs: 2_000 }],
  ]);
});

test("what comes and goes is told once in a while, with how often it came", () => {
  const lines = new LogLines();
  const voice = new OverloadVoice(lines.log);
  for (let at = 0; at <= SHEDDING.sayMs; at += SHEDDING.sayMs / 10) {
    voice.hear([MEMORY], at);
    voice.hear([], at + 1);
  }
  const told = lines.lines.filter(({ level }) => level === "warn").map(({ fields }) => fields);
  expect(told).toEqual([
    { reason: "memory", detail: MEMORY.detail },
    { reason: "memory", detail: MEMORY.detail, untold: 9 },
  ]);
  expect(lines.lines).toHaveLength(4);
});
