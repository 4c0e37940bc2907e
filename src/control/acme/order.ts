// One attempt at one certificate, from the lock to the disk. Called by the manager.
//
// Invariant: a certificate is on disk before it is used, and an order is begun only if the disk takes it; of all who share a
// storage, one orders, and the others read what it got.

import { MANAGER } from "../../shared/auto-tls-limits.ts";
import type { CertificateKeyType } from "../../shared/auto-tls-plan.ts";
import { messageOf } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Clock } from "./clock.ts";
import { type Held, hold } from "./held.ts";
import type { ManagedCertificate } from "./managed-certificate.ts";
import { renewalAt } from "./schedule.ts";
import type { CertificateStorage } from "./storage.ts";

export interface OrderTools {
  readonly storage: CertificateStorage;
  readonly keyType: CertificateKeyType;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The certificate learns what came of it.
 * @returns what is in use now; null: it is not to be tried now, since another process has tried.
 * @param closing nobody wants it any more.
 * @throws the error that it was told of; or the reason of `closing`, and then nothing has failed.
 */
export async function order(
  managed: ManagedCertificate,
  tools: OrderTools,
  closing: AbortSignal,
): Promise<Held | null> {
  const { storage } = tools;
  const signal = AbortSignal.any([closing, AbortSignal.timeout(MANAGER.orderMaxMs)]);
  const lock = await storage.lockCertificate(managed.name, signal).catch((error: unknown) => {
    closing.throwIfAborted();
    managed.failed(error);
    throw error;
  });
  try {
    const found = await another(managed, tools);
    if (found !== null) return found;
    const record = await storage.certificates.record(managed.name);
    if (record !== null) managed.recall(record);
    if (managed.dueMs() > tools.clock.now()) return null;
    return await issue(managed, tools, signal);
  } catch (error) {
    if (closing.aborted) managed.tookBack();
    else managed.failed(error);
    await note(managed, tools);
    closing.throwIfAborted();
    throw error;
  } finally {
    lock.release();
  }
}

async function issue(
  managed: ManagedCertificate,
  { storage, keyType, clock }: OrderTools,
  signal: AbortSignal,
): Promise<Held> {
  const { names, issuer, solvers, replaces } = managed;
  managed.begun();
  await storage.certificates.note(names, managed.notes);
  const issued = await issuer.issue({ names, keyType, solvers, replaces }, signal);
  const nowMs = clock.now();
  const stored = await storage.certificates.save(names, issued, issuer.name, nowMs);
  return hold(stored, names, nowMs);
}

/** What another process, or an earlier one, has put there, if it is of use. */
async function another(managed: ManagedCertificate, tools: OrderTools): Promise<Held | null> {
  const held = await readHeld(managed, tools);
  if (held === null || held.stored.chain === managed.held?.stored.chain) return null;
  return renewalAt(held.validity, null, 0) > tools.clock.now() ? held : null;
}

/** What the storage has of it; null: nothing, or nothing that can be used, which is logged. */
export async function readHeld(
  { name, names }: ManagedCertificate,
  { storage, clock, log }: OrderTools,
): Promise<Held | null> {
  try {
    const stored = await storage.certificates.read(name);
    return stored && hold(stored, names, clock.now());
  } catch (error) {
    log.warn({ names: names.join(", "), error: messageOf(error) }, "stored certificate not used");
    return null;
  }
}

/** For other processes, and for the next: where the disk takes it. */
async function note(managed: ManagedCertificate, { storage, log }: OrderTools): Promise<void> {
  try {
    await storage.certificates.note(managed.names, managed.notes);
  } catch (error) {
    log.debug({ names: managed.name, error: messageOf(error) }, "attempt not noted");
  }
}
