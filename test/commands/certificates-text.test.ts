// The list of certificates as people and programs read it.

import { describe, expect, test } from "bun:test";

import { formatInventory, inventoryJson, isUnwell } from "../../src/commands/certificates-text.ts";
import type { InventoryEntry } from "../../src/control/acme/inventory.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");
const DAY = 86_400_000;

function entry(
  names: string[],
  days: number,
  changes: Partial<InventoryEntry> = {},
): InventoryEntry {
  const certificate = {
    authority: "letsencrypt",
    issuedMs: NOW - 60 * DAY,
    notBeforeMs: NOW - 60 * DAY,
    notAfterMs: NOW + days * DAY,
    renewalMs: NOW + (days - 30) * DAY,
    chainFile: "/c/chain.pem",
    keyFile: "/c/key.pem",
  };
  return { names, certificate, failures: [], damage: null, ...changes };
}

const FAILURE = {
  authority: "zerossl",
  count: 3,
  lastMs: NOW - 60_000,
  message: "zerossl does not answer",
};

const ENTRIES = [
  entry(["example.com", "www.example.com"], 60),
  entry(["a.example.com"], 29.5),
  entry(["b.example.com"], 1.25, { failures: [FAILURE] }),
  entry(["c.example.com"], -1),
  entry(["d.example.com"], 0, { certificate: null, failures: [{ ...FAILURE, count: 1 }] }),
  entry(["e.example.com"], 0, { certificate: null, damage: "/c/key.pem: the file is missing" }),
];

test("a table says what there is, and lines below it what went wrong", () => {
  expect(formatInventory(ENTRIES, NOW)).toBe(
    `
NAMES                         AUTHORITY    EXPIRES     LEFT      RENEWAL
example.com, www.example.com  letsencrypt  2027-01-21  60 days   2026-12-22
a.example.com                 letsencrypt  2026-12-22  29 days   due
b.example.com                 letsencrypt  2026-11-23  30 hours  due
c.example.com                 letsencrypt  2026-11-21  expired   due
d.example.com                              missing               at once
e.example.com                              damaged               at once

b.example.com: 3 attempts with zerossl failed, the last at 2026-11-22 11:59 UTC: zerossl does not answer
d.example.com: an attempt with zerossl failed, the last at 2026-11-22 11:59 UTC: zerossl does not answer
e.example.com: /c/key.pem: the file is missing`.slice(1),
  );
});

test("somebody should look at those that are expired, missing or damaged", () => {
  expect(ENTRIES.map((each) => isUnwell(each, NOW))).toEqual([
    false,
    false,
    false,
    true,
    true,
    true,
  ]);
});

describe("as JSON", () => {
  const shown = JSON.parse(inventoryJson(ENTRIES, NOW)) as Record<string, unknown>[];

  test("times are those of ISO 8601, and the files are named", () => {
    expect(shown[0]).toEqual({
      names: ["example.com", "www.example.com"],
      state: "valid",
      authority: "letsencrypt",
      issued: "2026-09-23T12:00:00.000Z",
      notBefore: "2026-09-23T12:00:00.000Z",
      notAfter: "2027-01-21T12:00:00.000Z",
      daysLeft: 60,
      renewal: "2026-12-22T12:00:00.000Z",
      chainFile: "/c/chain.pem",
      keyFile: "/c/key.pem",
      failures: [],
      damage: null,
    });
  });

  test("what is not there is null", () => {
    expect(shown[3]).toMatchObject({ state: "expired", daysLeft: -1 });
    expect(shown[4]).toMatchObject({ state: "missing", authority: null, notAfter: null });
    const { lastMs: _, ...others } = FAILURE;
    expect(shown[2]!.failures).toEqual([{ ...others, last: "2026-11-22T11:59:00.000Z" }]);
  });
});
