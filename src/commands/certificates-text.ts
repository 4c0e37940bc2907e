// The list of `proxy certificates`: as a table for people, as JSON for programs. Pure.

import type { InventoryEntry } from "../control/acme/inventory.ts";

const DAY_MS = 86_400_000;

/** Whether somebody should look: expired, missing or damaged. */
export function isUnwell({ certificate }: InventoryEntry, nowMs: number): boolean {
  return certificate === null || certificate.notAfterMs <= nowMs;
}

export function formatInventory(entries: readonly InventoryEntry[], nowMs: number): string {
  const rows = entries.map((entry) => rowOf(entry, nowMs));
  const head = ["NAMES", "AUTHORITY", "EXPIRES", "LEFT", "RENEWAL"];
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]!.length)),
  );
  const lines = [head, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd(),
  );
  const notes = entries.flatMap((entry) => notesOf(entry));
  return [...lines, ...(notes.length > 0 ? ["", ...notes] : [])].join("\n");
}

function rowOf({ names, certificate, damage }: InventoryEntry, nowMs: number): string[] {
  const shown = names.join(", ");
  if (certificate === null)
    return [shown, "", damage === null ? "missing" : "damaged", "", "at once"];
  const { authority, notAfterMs, renewalMs } = certificate;
  const renewal = renewalMs <= nowMs ? "due" : dayOf(renewalMs);
  return [shown, authority, dayOf(notAfterMs), leftOf(notAfterMs - nowMs), renewal];
}

function leftOf(ms: number): string {
  if (ms <= 0) return "expired";
  const days = Math.floor(ms / DAY_MS);
  if (days >= 2) return `${days} days`;
  return `${Math.floor(ms / 3_600_000)} hours`;
}

function notesOf({ names, failures, damage }: InventoryEntry): string[] {
  const [name] = names;
  const broken = damage === null ? [] : [`${name}: ${damage}`];
  const failed = failures.map(({ authority, count, lastMs, message }) => {
    const times = count === 1 ? "an attempt" : `${count} attempts`;
    return `${name}: ${times} with ${authority} failed, the last at ${timeOf(lastMs)}: ${message}`;
  });
  return [...broken, ...failed];
}

export function inventoryJson(entries: readonly InventoryEntry[], nowMs: number): string {
  const shown = entries.map(({ names, certificate, failures, damage }) => ({
    names,
    state: certificate === null ? "missing" : certificate.notAfterMs <= nowMs ? "expired" : "valid",
    authority: certificate?.authority ?? null,
    issued: isoOf(certificate?.issuedMs),
    notBefore: isoOf(certificate?.notBeforeMs),
    notAfter: isoOf(certificate?.notAfterMs),
    daysLeft: certificate === null ? null : Math.floor((certificate.notAfterMs - nowMs) / DAY_MS),
    renewal: isoOf(certificate?.renewalMs),
    chainFile: certificate?.chainFile ?? null,
    keyFile: certificate?.keyFile ?? null,
    failures: failures.map(({ lastMs, ...others }) => ({ ...others, last: isoOf(lastMs) })),
    damage,
  }));
  return JSON.stringify(shown, null, 2);
}

function isoOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

const timeOf = (ms: number): string =>
  `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
