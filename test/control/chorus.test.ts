// What many workers find out each for itself is told once at once, and once a second for all others.

import { expect, test } from "bun:test";

import { Chorus, type Finding, type Voice } from "../../src/control/chorus.ts";
import { until } from "../support/until.ts";

const KEY = "tcp :1";
const LAST_RESORT: Finding = { type: "last_resort", key: KEY };

const becomes = (to: string, target = "a"): Finding => ({
  type: "target",
  key: KEY,
  target,
  from: "up",
  to,
  forMs: 0,
});

function recorder(): { heard: [Finding, Voice][]; chorus: Chorus } {
  const heard: [Finding, Voice][] = [];
  return { heard, chorus: new Chorus((event, voice) => heard.push([event, voice])) };
}

test("the first is heard at once by itself, the others together a second later", async () => {
  const { heard, chorus } = recorder();
  for (let worker = 0; worker < 64; worker++) chorus.add(worker, becomes("ejected"));
  expect(heard).toEqual([[becomes("ejected"), { worker: 0 }]]);
  await until("the others", () => heard.length === 2);
  expect(heard[1]).toEqual([becomes("ejected"), { workers: 63 }]);
  chorus.add(5, becomes("ejected"));
  chorus.add(5, becomes("ejected"));
  expect(heard).toHaveLength(2);
  chorus.flush();
  expect(heard.slice(2)).toEqual([[becomes("ejected"), { worker: 5 }]]);
  chorus.flush();
  expect(heard).toHaveLength(3);
});

test("targets, and what becomes of them, are told of apart", () => {
  const { heard, chorus } = recorder();
  const findings = [becomes("ejected"), becomes("up"), becomes("ejected", "b"), LAST_RESORT];
  for (const finding of findings) chorus.add(1, finding);
  expect(heard.map(([finding]) => finding)).toEqual(findings);
  chorus.flush();
  expect(heard).toHaveLength(4);
});
