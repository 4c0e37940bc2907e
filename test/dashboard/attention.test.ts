// What the dashboard says that somebody should see to.

import { expect, test } from "bun:test";

import { mattersOf } from "../../src/dashboard/attention.ts";
import { NOW_MS, snapshotOf, targetOf } from "./snapshots.ts";

const DAY_MS = 86_400_000;
const told = (...given: Parameters<typeof snapshotOf>): string[] =>
  mattersOf(snapshotOf(...given)).map(({ level, text }) => `${level}: ${text}`);

test("nothing, where nothing is wrong", () => {
  expect(told()).toEqual([]);
});

test("why it is not ready comes before what may become a reason", () => {
  expect(
    told({
      status: { ready: false, reasons: ["listener tcp :1 is open on no worker"], warnings: ["w"] },
    }),
  ).toEqual(["bad: listener tcp :1 is open on no worker", "warn: w"]);
  expect(told({ status: { phase: "draining", ready: false, reasons: ["draining"] } })).toEqual([
    "warn: it is draining",
  ]);
});

test("targets that are down or ejected; of those that somebody took out the status tells", () => {
  const targets = [
    targetOf({ name: "a", health: "ejected" }),
    targetOf({ name: "b", health: "down" }),
    targetOf({ name: "c", health: "down", state: "draining" }),
    targetOf({ name: "d", health: "half_open" }),
  ];
  expect(told({ targets })).toEqual([
    "bad: b of tcp :8080 is down",
    "warn: a of tcp :8080 is ejected: it failed too often",
  ]);
});

test("certificates of files that end within two weeks, or have ended", () => {
  const file = (name: string, days: number) => ({
    listener: "tls :443",
    names: [name],
    notAfterMs: NOW_MS + days * DAY_MS,
  });
  const files = [file("a", 14), file("b", 13.5), file("c", -1), file("d", 1)];
  expect(told({ certificates: { managed: [], files } })).toEqual([
    "bad: the certificate of c has expired",
    "warn: the certificate of b ends in 13 days",
    "warn: the certificate of d ends in 1 day",
  ]);
});

test("threads that are late, and descriptors that run out", () => {
  const process = { lagMs: 140, descriptors: { open: 1_000, max: 1_024 } };
  expect(told({ process })).toEqual([
    "warn: its threads run 140 ms late",
    "warn: 1000 of 1024 descriptors are open",
  ]);
});
