// Keeps certificates: reads what the storage has, orders what is missing, renews, and tells whoever shows them. The proxy and
// the library's AutoManager own one.
//
// Invariant: every certificate always has a time when it is looked at next; the wall clock is looked at at least every
// MANAGER.lookMs, since it is set and machines sleep.

import { MANAGER } from "../../shared/auto-tls-limits.ts";
import type { CertificateKeyType } from "../../shared/auto-tls-plan.ts";
import type { CertificateMaterial } from "../../shared/certificates.ts";
import { messageOf, ProxyError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Secret } from "../../shared/secret.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Issuer, RevocationReason } from "./issuer.ts";
import { ManagedCertificate } from "./managed-certificate.ts";
import { order, type OrderTools } from "./order.ts";
import type { Solver } from "./solver.ts";
import type { CertificateStatus } from "./status.ts";
import type { CertificateStorage } from "./storage.ts";
import { askForWindow, lookAtStored, readStored } from "./upkeep.ts";

export interface ManagerOptions {
  readonly storage: CertificateStorage;
  readonly keyType: CertificateKeyType;
  /** Who may sign these names, in order of preference; at least one. */
  readonly issuersFor: (names: readonly string[]) => readonly Issuer[];
  /** In order of preference. */
  readonly solvers: readonly Solver[];
  readonly log: Log;
  readonly clock?: Clock;
  /** `materials` gives others than before. */
  readonly changed: () => void;
}

export class CertificateManager {
  readonly #options: ManagerOptions;
  readonly #clock: Clock;
  readonly #tools: OrderTools;
  /** By their first name, which the storage knows them by. */
  readonly #byName = new Map<string, ManagedCertificate>();
  readonly #stopping = new AbortController();
  readonly #working = new Set<Promise<void>>();
  /** `stop` has waited for long enough. */
  readonly #late = Promise.withResolvers<void>();
  #running = false;
  #cancelTimer = (): void => {};
  #lookAtMs = 0;
  #lastMs = 0;
  #asking = 0;
  #ordering = 0;

  constructor(options: ManagerOptions) {
    this.#options = options;
    const { storage, keyType, log, clock = systemClock } = options;
    this.#clock = clock;
    this.#tools = { storage, keyType, clock, log };
  }

  /**
   * Reads what the storage has of these; nothing is ordered before `start`. A storage that cannot be used is logged: what can
   * still be read is shown.
   */
  async load(certificates: readonly (readonly string[])[]): Promise<void> {
    try {
      await this.#options.storage.prepare(this.#stopping.signal);
    } catch (error) {
      this.#options.log.error({ error: messageOf(error) }, "certificates cannot be stored");
    }
    await this.#add(certificates);
  }

  /** Orders what is missing, and whatever is due from now on. */
  start(): void {
    this.#running = true;
    this.#lastMs = this.#clock.now();
    this.#lookAtMs = this.#lastMs + MANAGER.storageLookMs;
    this.#tick();
  }

  /** Orders end, and answers of challenges are taken back; what was issued stays. Resolves when that is done. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#cancelTimer();
    this.#stopping.abort(new ProxyError("ERR_CLOSED", "the manager of certificates was stopped"));
    const cancel = this.#clock.after(MANAGER.withdrawMs, this.#late.resolve);
    await Promise.race([Promise.allSettled(this.#working), this.#late.promise]);
    cancel();
  }

  /** `stop` waits for nobody any more. */
  hurry(): void {
    this.#late.resolve();
  }

  /**
   * Keeps these as well. One with a first name that is known takes the other's place, if its names are others.
   * @param certificates one certificate each, with all its names, in lower case.
   */
  async addDomains(certificates: readonly (readonly string[])[]): Promise<void> {
    await this.#add(certificates);
  }

  /** Keeps them no more; the storage still has them. @param names the first of each. */
  removeDomains(names: readonly string[]): void {
    const removed = names.map((name) => this.#remove(name));
    if (removed.includes(true)) this.#options.changed();
  }

  /** Keeps these no more, as far as they were obtained on demand. */
  release(names: readonly string[]): void {
    this.removeDomains(names.filter((name) => this.#byName.get(name)?.onDemand === true));
  }

  /**
   * Adds a certificate for one name that is kept until `release`, and waits until it is there.
   * @param permit whether it may be ordered, if the storage does not have it: throws if not, and then nothing was added.
   * @throws what `permit` threw, or ProxyError of the first attempt, after which others may follow.
   */
  async obtain(name: string, permit: () => Promise<void>): Promise<void> {
    const known = this.#byName.get(name);
    const managed = known ?? this.#create([name], true);
    if (known === undefined) {
      await readStored(managed, this.#tools);
      try {
        if (managed.shown === null) await permit();
      } catch (error) {
        this.#remove(name);
        throw error;
      }
      managed.work = null;
      if (managed.shown !== null) this.#options.changed();
      this.#tick();
    }
    if (managed.shown !== null) return;
    const { nextAttemptMs, lastFailure } = managed.status();
    if (lastFailure !== null && nextAttemptMs > this.#clock.now() && !managed.isOrdering) {
      throw tooSoon(managed, nextAttemptMs);
    }
    await this.#waitFor(managed);
  }

  /**
   * Renews and waits for it.
   * @param names the first of each; null: all.
   * @param force also those that are not due.
   * @throws ProxyError of the first that failed, when all have ended.
   */
  async renew(names: readonly string[] | null, force: boolean): Promise<void> {
    const chosen = names?.map((name) => this.#find(name)) ?? [...this.#byName.values()];
    const nowMs = this.#clock.now();
    const waits = chosen
      .filter((managed) => force || managed.dueMs() <= nowMs || managed.isOrdering)
      .map((managed) => {
        if (force && !managed.isOrdering) managed.want();
        return this.#waitFor(managed);
      });
    const failed = (await Promise.allSettled(waits)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }

  /**
   * Revokes a certificate, which is shown until the next one, ordered at once, has come.
   * @throws ProxyError ERR_STATE if there is none; ERR_ISSUE; ERR_STORAGE
   */
  async revoke(name: string, reason: RevocationReason): Promise<void> {
    const managed = this.#find(name);
    const question = managed.question();
    if (question === null) {
      const cure = "Only a certificate of one of the authorities that are asked can be revoked";
      throw new ProxyError("ERR_STATE", `there is no certificate for ${name} to revoke`, { cure });
    }
    const { storage } = this.#options;
    const { signal } = this.#stopping;
    const lock = await storage.lockCertificate(managed.name, signal);
    try {
      await question.issuer.revoke(question.chain, reason, signal);
      await storage.certificates.remove(managed.name);
    } finally {
      lock.release();
    }
    managed.disown();
    this.#options.log.info({ names: managed.names.join(", ") }, "certificate revoked");
    this.#tick();
  }

  status(): CertificateStatus[] {
    return [...this.#byName.values()].map((managed) => managed.status());
  }

  /** Everything that can be shown, in the order in which it was added. */
  materials(): CertificateMaterial<Secret>[] {
    return [...this.#byName.values()].flatMap(({ shown }) => (shown === null ? [] : [shown]));
  }

  /** First names and names of those that nothing can be shown of. */
  missing(): (readonly string[])[] {
    return [...this.#byName.values()]
      .filter(({ shown }) => shown === null)
      .map(({ names }) => names);
  }

  /** What is shown to a client that asks for this name; null: nothing covers it. */
  materialFor(name: string): CertificateMaterial<Secret> | null {
    const parent = `*${name.slice(name.indexOf("."))}`;
    const all = this.materials();
    const covering = (wanted: string) => all.find(({ names }) => names.includes(wanted));
    return this.#byName.get(name)?.shown ?? covering(name) ?? covering(parent) ?? null;
  }

  /** @throws ProxyError ERR_STATE */
  #find(name: string): ManagedCertificate {
    const managed =
      this.#byName.get(name) ??
      [...this.#byName.values()].find(({ names }) => names.includes(name));
    if (managed !== undefined) return managed;
    throw new ProxyError("ERR_STATE", `${name} is not among the certificates that are kept`);
  }

  async #add(certificates: readonly (readonly string[])[]): Promise<void> {
    const added: ManagedCertificate[] = [];
    for (const names of certificates) {
      const before = this.#byName.get(names[0]!);
      if (before !== undefined && Bun.deepEquals(before.names, names)) continue;
      this.#remove(names[0]!);
      added.push(this.#create(names, false));
    }
    const queue = [...added];
    const read = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        await readStored(next, this.#tools);
        next.work = null;
      }
    };
    await Promise.all(Array.from({ length: MANAGER.readsAtOnce }, read));
    if (added.some(({ shown }) => shown !== null)) this.#options.changed();
    this.#tick();
  }

  /** Nothing is ordered while there is `work`: the storage has to be looked into first. */
  #create(names: readonly string[], onDemand: boolean): ManagedCertificate {
    const { issuersFor, solvers, log } = this.#options;
    const clock = this.#clock;
    const issuers = issuersFor(names);
    const managed = new ManagedCertificate({ names, issuers, solvers, onDemand, clock, log });
    managed.work = new AbortController();
    this.#byName.set(managed.name, managed);
    return managed;
  }

  /** @returns whether it was shown. */
  #remove(name: string): boolean {
    const managed = this.#byName.get(name);
    if (managed === undefined) return false;
    this.#byName.delete(name);
    const gone = new ProxyError("ERR_CLOSED", `${name} is kept no more`);
    managed.work?.abort(gone);
    for (const waiter of managed.waiters.splice(0)) waiter.reject(gone);
    return managed.shown !== null;
  }

  #waitFor(managed: ManagedCertificate): Promise<void> {
    const waiter = Promise.withResolvers<void>();
    managed.waiters.push(waiter);
    this.#tick();
    return waiter.promise;
  }

  /** Begins what is due, as far as there is room, and sets the timer for what comes next. */
  #tick(): void {
    if (!this.#running) return;
    this.#cancelTimer();
    const nowMs = this.#clock.now();
    this.#heedClock(nowMs);
    const idle = [...this.#byName.values()].filter(({ work }) => work === null);
    const due = idle.filter((managed) => managed.dueMs() <= nowMs);
    // A client waits for what is ordered on demand.
    due.sort((a, b) => Number(b.onDemand) - Number(a.onDemand) || a.dueMs() - b.dueMs());
    for (const managed of due.slice(0, Math.max(0, MANAGER.ordersAtOnce - this.#ordering))) {
      this.#begin(managed, () => this.#order(managed));
    }
    for (const managed of idle) {
      if (this.#asking >= MANAGER.ordersAtOnce) break;
      if (managed.work !== null || managed.askDueMs() > nowMs) continue;
      this.#begin(managed, () => this.#ask(managed));
    }
    if (nowMs >= this.#lookAtMs) {
      this.#lookAtMs = nowMs + MANAGER.storageLookMs;
      this.#track(this.#look());
    }
    // What is due already begins when something else has ended.
    const times = idle.flatMap((managed) => [managed.dueMs(), managed.askDueMs()]);
    const next = Math.min(this.#lookAtMs, ...times.filter((time) => time > nowMs));
    const waitMs = Math.min(next - nowMs, MANAGER.lookMs);
    this.#cancelTimer = this.#clock.after(waitMs, () => this.#tick());
  }

  /** What was to come in an hour is not to come in a day because the clock was wrong. */
  #heedClock(nowMs: number): void {
    const byMs = this.#lastMs - nowMs;
    this.#lastMs = nowMs;
    if (byMs <= MANAGER.lookMs) return;
    for (const managed of this.#byName.values()) managed.setBack(byMs);
    this.#lookAtMs -= byMs;
  }

  #begin(managed: ManagedCertificate, work: () => Promise<void>): void {
    managed.work = new AbortController();
    this.#track(
      work().finally(() => {
        managed.work = null;
        this.#tick();
      }),
    );
  }

  #track(work: Promise<void>): void {
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }

  #closingOf(managed: ManagedCertificate): AbortSignal {
    return AbortSignal.any([managed.work!.signal, this.#stopping.signal]);
  }

  /** Never rejects. */
  async #order(managed: ManagedCertificate): Promise<void> {
    managed.isOrdering = true;
    this.#ordering++;
    try {
      const held = await order(managed, this.#tools, this.#closingOf(managed));
      if (held === null) throw tooSoon(managed, managed.dueMs());
      if (managed.obtained(held)) this.#options.changed();
      for (const waiter of managed.waiters.splice(0)) waiter.resolve();
    } catch (error) {
      for (const waiter of managed.waiters.splice(0)) waiter.reject(error);
    }
    this.#ordering--;
    managed.isOrdering = false;
  }

  /** Never rejects. */
  async #ask(managed: ManagedCertificate): Promise<void> {
    this.#asking++;
    await askForWindow(managed, this.#tools, this.#closingOf(managed));
    this.#asking--;
  }

  /** Whether another process has put something into the storage, or taken it out. Never rejects. */
  async #look(): Promise<void> {
    let isChanged = false;
    for (const managed of this.#byName.values()) {
      if (!this.#running) return;
      if (managed.work === null)
        isChanged = (await lookAtStored(managed, this.#tools)) || isChanged;
    }
    if (isChanged) this.#options.changed();
    this.#tick();
  }
}

function tooSoon({ names }: ManagedCertificate, nextMs: number): ProxyError {
  const when = new Date(nextMs).toISOString();
  const problem = `no certificate for ${names.join(", ")}: attempts failed, and the next is due at ${when}`;
  return new ProxyError("ERR_ISSUE", problem);
}
