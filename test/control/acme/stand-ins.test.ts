// Stand-ins: one with its own names for each certificate that is missing, as long as they are few.

import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";

import { StandIns } from "../../../src/control/acme/stand-ins.ts";
import { MANAGER } from "../../../src/shared/auto-tls-limits.ts";

const NOW = Date.UTC(2026, 0, 1);

test("what is missing has one with its names, until it is missing no more", async () => {
  const standIns = new StandIns();
  await standIns.cover([["a.example", "b.example"], ["c.example"]], NOW);
  expect(standIns.all.map(({ names }) => names)).toEqual([
    ["a.example", "b.example"],
    ["c.example"],
  ]);
  const [first, second] = standIns.all;
  expect(new X509Certificate(first!.chain).subjectAltName).toBe("DNS:a.example, DNS:b.example");
  await standIns.cover([["c.example"]], NOW);
  expect(standIns.all).toEqual([second!]);
});

test("where nothing is missing, there is one for clients that ask for anything", async () => {
  const standIns = new StandIns();
  await standIns.cover([], NOW);
  expect(standIns.all.map(({ names }) => names)).toEqual([["localhost"]]);
});

test("the many share one, under the names of each", async () => {
  const standIns = new StandIns();
  const missing = Array.from({ length: 1_000 }, (_, i) => [`n${i}.example`]);
  await standIns.cover(missing, NOW);
  expect(standIns.all.map(({ names }) => names)).toEqual(missing);
  expect(new Set(standIns.all.map(({ chain }) => chain)).size).toBe(MANAGER.standInsMax + 1);
});
