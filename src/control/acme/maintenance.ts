// What is done to stored certificates from outside, while a proxy may be using them: it finds out by looking into the folder.
// Called by `proxy certificates`.

import { MAINTENANCE } from "../../shared/auto-tls-limits.ts";
import type { AuthorityPlan } from "../../shared/auto-tls-plan.ts";
import { ProxyError } from "../../shared/errors.ts";
import { AcmeIssuer } from "./acme-issuer.ts";
import { INTERNAL } from "./internal-authority.ts";
import { InternalIssuer } from "./internal-issuer.ts";
import type { Issuer, RevocationReason } from "./issuer.ts";
import { CUT_SHORT } from "./managed-certificate.ts";
import type { CertificateStorage } from "./storage.ts";
import type { CertificateRecord } from "./storage/record.ts";

/** @param name any of its names. @throws ProxyError ERR_STATE, ERR_STORAGE */
export async function findRecord(
  storage: CertificateStorage,
  name: string,
): Promise<CertificateRecord> {
  const { certificates } = storage;
  const exact = await certificates.record(name);
  if (exact !== null) return exact;
  for (const first of await certificates.list()) {
    const record = await certificates.record(first);
    if (record?.names.includes(name) === true) return record;
  }
  throw new ProxyError("ERR_STATE", `there is no certificate for ${name} in ${storage.folder}`, {
    cure: "proxy certificates lists those that are there",
  });
}

/**
 * Asks the proxy that uses the folder for a new certificate, and waits for what comes of it.
 * @param pause between two looks; rejects when nobody wants to wait any longer.
 * @returns null: it is there; otherwise what went wrong.
 * @throws ProxyError ERR_STATE if no proxy has heard in time; ERR_STORAGE
 */
export async function renewStored(
  { folder, certificates }: CertificateStorage,
  before: CertificateRecord,
  pause: (ms: number) => Promise<void>,
): Promise<string | null> {
  const [name = ""] = before.names;
  const known = new Set(before.failures.map(({ lastMs }) => lastMs));
  await certificates.want(name);
  for (let waitedMs = 0; waitedMs < MAINTENANCE.renewMs; waitedMs += MAINTENANCE.lookMs) {
    await pause(MAINTENANCE.lookMs);
    const now = await certificates.record(name);
    if (now === null) continue;
    if (now.current !== null && now.current.version !== before.current?.version) return null;
    const failure = now.failures.find(
      ({ lastMs, message }) => !known.has(lastMs) && message !== CUT_SHORT,
    );
    if (failure !== undefined) return `${failure.authority}: ${failure.message}`;
  }
  throw new ProxyError("ERR_STATE", `no proxy that uses ${folder} has renewed ${name}`, {
    cure: "Start one, which hears of the wish then, or look into its log",
  });
}

/**
 * Revokes a certificate with the account that ordered it, and removes it, so that the proxy that uses the folder orders another.
 * @param authorities of a configuration, which knows roots and names; what is not there is asked as the folder knows it.
 * @throws ProxyError ERR_STATE, ERR_ISSUE, ERR_STORAGE
 */
export async function revokeStored(
  storage: CertificateStorage,
  { names, current }: CertificateRecord,
  reason: RevocationReason,
  authorities: readonly AuthorityPlan[],
  signal: AbortSignal,
): Promise<void> {
  const [name = ""] = names;
  const stored = await storage.certificates.read(name);
  if (stored === null || current === null) {
    throw new ProxyError("ERR_STATE", `there is no certificate for ${name} to revoke`);
  }
  const issuer = await issuerOf(storage, current.authority, authorities);
  const lock = await storage.lockCertificate(name, signal);
  try {
    await issuer.revoke(stored.chain, reason, signal);
    await storage.certificates.remove(name);
  } finally {
    lock.release();
  }
}

async function issuerOf(
  storage: CertificateStorage,
  authority: string,
  authorities: readonly AuthorityPlan[],
): Promise<Issuer> {
  if (authority === INTERNAL) return new InternalIssuer(storage);
  const warn = (): void => {}; // of orders, of which there is none
  const configured = authorities.find(({ name }) => name === authority);
  if (configured !== undefined) return new AcmeIssuer({ plan: configured, storage, warn });
  const account = await storage.accounts.read(authority);
  if (account === null) {
    throw new ProxyError("ERR_STATE", `there is no account with ${authority} in ${storage.folder}`);
  }
  const { directory, email } = account;
  const unsaid = { rootFile: null, eab: null, profile: null, preferredChain: null };
  return new AcmeIssuer({ plan: { name: authority, directory, email, ...unsaid }, storage, warn });
}
