// What is in the folder of certificates, for people and programs: from the files alone, whether a proxy uses them or not.
// Called by `proxy certificates`.

import { X509Certificate } from "node:crypto";

import { messageOf } from "../../shared/errors.ts";
import { renewalAt } from "./schedule.ts";
import type { CertificateStorage } from "./storage.ts";
import type { CertificateRecord } from "./storage/record.ts";

export interface InventoryEntry {
  /** The first names it. */
  readonly names: readonly string[];
  /** null: none was issued yet, or its files cannot be used. */
  readonly certificate: {
    /** AuthorityPlan.name, or `internal`. */
    readonly authority: string;
    readonly issuedMs: number;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
    /** When a proxy renews it, at the soonest. */
    readonly renewalMs: number;
    readonly chainFile: string;
    readonly keyFile: string;
  } | null;
  /** What attempts with authorities came to since then. */
  readonly failures: readonly {
    readonly authority: string;
    readonly count: number;
    readonly lastMs: number;
    readonly message: string;
  }[];
  /** Why its files cannot be used; null: they can. */
  readonly damage: string | null;
}

/**
 * By their first names, sorted.
 * @param wanted those of a configuration, which are missing where the storage has nothing of them.
 * @throws ProxyError ERR_STORAGE if the folder cannot be read.
 */
export async function takeInventory(
  storage: CertificateStorage,
  wanted: readonly (readonly string[])[] = [],
): Promise<InventoryEntry[]> {
  const entries: InventoryEntry[] = [];
  for (const name of await storage.certificates.list()) {
    const record = await storage.certificates.record(name);
    if (record !== null) entries.push(await entryOf(storage, name, record)); // removed meanwhile
  }
  const known = new Set(entries.map(({ names }) => names[0]));
  for (const names of wanted) {
    if (!known.has(names[0]))
      entries.push({ names, certificate: null, failures: [], damage: null });
  }
  return entries.toSorted((a, b) => (a.names[0]! < b.names[0]! ? -1 : 1));
}

async function entryOf(
  { certificates }: CertificateStorage,
  name: string,
  record: CertificateRecord,
): Promise<InventoryEntry> {
  const { names } = record;
  const failures = record.failures.map(({ authority, count, lastMs, message }) => ({
    authority,
    count,
    lastMs,
    message,
  }));
  try {
    const stored = await certificates.read(name);
    if (stored === null) return { names, certificate: null, failures, damage: null };
    const { authority, issuedMs, chain, chainFile, keyFile } = stored;
    const { validFromDate, validToDate } = new X509Certificate(chain);
    const [notBeforeMs, notAfterMs] = [validFromDate.getTime(), validToDate.getTime()];
    const validity = { notBeforeMs, notAfterMs, obtainedMs: issuedMs };
    const times = [0, 1].map((chance) => renewalAt(validity, record.renewalWindow, chance));
    const renewalMs = Math.min(...times);
    const found = { authority, issuedMs, notBeforeMs, notAfterMs, renewalMs, chainFile, keyFile };
    return { names, certificate: found, failures, damage: null };
  } catch (error) {
    return { names, certificate: null, failures, damage: messageOf(error) };
  }
}
