// What is done for a certificate besides ordering it: the storage is read, and looked at for what other processes did; its
// authority is asked for a renewal window. Called by the manager.
//
// Invariant: nothing here rejects; what could not be read changes nothing.

import { messageOf } from "../../shared/errors.ts";
import type { RenewalWindow } from "./issuer.ts";
import type { ManagedCertificate } from "./managed-certificate.ts";
import { type OrderTools, readHeld } from "./order.ts";
import type { CertificateRecord } from "./storage/record.ts";

/** What the storage has of a certificate that is kept from now on. */
export async function readStored(managed: ManagedCertificate, tools: OrderTools): Promise<void> {
  const record = await recordOf(managed, tools);
  if (record === null || record === undefined) return;
  managed.seenMs = record.current?.issuedMs ?? 0;
  const held = record.current && (await readHeld(managed, tools));
  if (held !== null) managed.found(held);
  managed.recall(record);
}

/**
 * Whether another process has put something into the storage, or taken it out.
 * @returns whether another certificate is to be shown now.
 */
export async function lookAtStored(
  managed: ManagedCertificate,
  tools: OrderTools,
): Promise<boolean> {
  const record = await recordOf(managed, tools);
  if (record === undefined) return false;
  const issuedMs = record?.current?.issuedMs ?? 0;
  if (issuedMs === managed.seenMs || managed.work !== null) return false;
  managed.seenMs = issuedMs;
  if (issuedMs === 0) {
    tools.log.warn({ names: managed.names.join(", ") }, "certificate was removed");
    managed.disown();
    return false;
  }
  const held = await readHeld(managed, tools);
  if (managed.work !== null || held === null) return false;
  return managed.obtained(held);
}

/** null: there is none; undefined: whether there is one cannot be read, which is logged. */
async function recordOf(
  managed: ManagedCertificate,
  { storage, log }: OrderTools,
): Promise<CertificateRecord | null | undefined> {
  try {
    if (await storage.certificates.takeWant(managed.name)) managed.want();
    const record = await storage.certificates.record(managed.name);
    managed.isUnreadable = false;
    return record;
  } catch (error) {
    const about = { names: managed.names.join(", "), error: messageOf(error) };
    if (!managed.isUnreadable) log.error(about, "stored certificate not used"); // it is looked at again every minute
    managed.isUnreadable = true;
    return undefined;
  }
}

/** Its authority is asked, and the answer kept for other processes. @param closing nobody wants it any more. */
export async function askForWindow(
  managed: ManagedCertificate,
  { storage, log }: OrderTools,
  closing: AbortSignal,
): Promise<void> {
  const question = managed.question();
  if (question === null) return;
  const { issuer, chain } = question;
  try {
    const window = await issuer.renewalWindow(chain, closing);
    if (managed.answered(window)) log.info(explanation(managed, window!), EXPLANATION);
    if (window === null) return;
    const lock = await storage.lockCertificate(managed.name, closing);
    try {
      await storage.certificates.note(managed.names, managed.notes);
    } finally {
      lock.release();
    }
  } catch (error) {
    if (closing.aborted) return;
    managed.answered(null);
    const about = { names: managed.name, authority: issuer.name, error: messageOf(error) };
    log.debug(about, "no renewal window");
  }
}

/** RFC 9773 section 4.2: people are to be told. */
const EXPLANATION = "the authority says why it wants a certificate renewed";

function explanation(
  { names }: ManagedCertificate,
  { startMs, explanationUrl }: RenewalWindow,
): object {
  const from = new Date(startMs).toISOString();
  return { names: names.join(", "), from, explanation: explanationUrl };
}
