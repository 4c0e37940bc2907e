// Certificates at the first handshake of a name: whether there may be one, and how many are ordered. Called for each name that
// clients wait for (wanted.ts).
//
// Invariant: whatever names clients make up, `ask` is asked asksAtOnce times at once, and no more is ordered than the
// plan allows.

import { ON_DEMAND_DECISIONS as LIMITS } from "../../shared/auto-tls-limits.ts";
import type { OnDemandPlan } from "../../shared/auto-tls-plan.ts";
import { isCertificateName } from "../../shared/certificate-names.ts";
import { messageOf, ProxyError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { printableUrl } from "../../shared/secret.ts";
import type { Clock } from "./clock.ts";
import type { CertificateManager } from "./manager.ts";

export interface OnDemandOptions {
  readonly plan: OnDemandPlan;
  readonly manager: CertificateManager;
  readonly clock: Clock;
  readonly log: Log;
  /** There is a certificate, and listeners have it. */
  readonly granted: (name: string) => void;
  readonly denied: (name: string) => void;
}

export class OnDemand {
  readonly #options: OnDemandOptions;
  /** Those that were obtained, by when they were last asked for. */
  readonly #kept = new Set<string>();
  readonly #deciding = new Set<string>();
  /** Until when a name is not asked about again, in the order of asking. */
  readonly #refused = new Map<string, number>();
  /** When orders were allowed, the last of them. */
  #orders: number[] = [];
  #asking = 0;
  #closed = false;
  /** When a line was written that clients cause by names that they make up, and how many were not since then. */
  readonly #said = new Map<string, { readonly atMs: number; others: number }>();

  constructor(options: OnDemandOptions) {
    this.#options = options;
  }

  /** A client waits. @param name in lower case, a host name. */
  wanted(name: string): void {
    if (this.#deciding.has(name)) return;
    this.#deciding.add(name);
    void this.#decide(name).finally(() => this.#deciding.delete(name));
  }

  close(): void {
    this.#closed = true;
  }

  /** Never rejects. */
  async #decide(name: string): Promise<void> {
    const { manager, log, granted, denied } = this.#options;
    try {
      if (!isCertificateName(name)) throw new NotAllowed("no certificate can have such a name");
      await this.#obtain(name);
      if (this.#closed) return;
      this.#keep(name);
      granted(name);
    } catch (error) {
      if (this.#closed) return;
      this.#kept.delete(name);
      manager.release([name]);
      if (!(error instanceof NotAllowed)) {
        this.#refuse(name, LIMITS.failedMs);
        const fields = { name, error: messageOf(error) };
        if (error instanceof TooMany) this.#warnSeldom(fields, "no certificate on demand");
        else log.warn(fields, "no certificate on demand");
      } else log.debug({ name, reason: error.message }, "no certificate on demand");
      denied(name);
    }
  }

  /** Another challenge, or authority, that is tried a moment later is waited for. */
  async #obtain(name: string): Promise<void> {
    const { manager, clock } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await manager.obtain(name, () => this.#permit(name));
      } catch (error) {
        const status = manager.status().find(({ names }) => names[0] === name);
        const soon = clock.now() + LIMITS.nextAttemptMs;
        if (status === undefined || status.nextAttemptMs > soon || attempt > LIMITS.attempts) {
          throw error;
        }
        await until(clock, status.nextAttemptMs);
      }
    }
  }

  /** @throws NotAllowed */
  async #permit(name: string): Promise<void> {
    const { plan, clock } = this.#options;
    const nowMs = clock.now();
    if ((this.#refused.get(name) ?? 0) > nowMs) throw new NotAllowed("refused a moment ago");
    if (!plan.domains.some((pattern) => fits(name, pattern)) && !(await this.#ask(name))) {
      this.#refuse(name, LIMITS.refusedMs);
      throw new NotAllowed("not allowed");
    }
    this.#orders = this.#orders.filter((atMs) => atMs > nowMs - plan.intervalMs);
    if (this.#orders.length >= plan.orders) {
      throw new TooMany(`${plan.orders} certificates on demand were ordered already`);
    }
    this.#orders.push(nowMs);
  }

  /** @returns whether it said 200. What goes wrong is no. */
  async #ask(name: string): Promise<boolean> {
    const { plan } = this.#options;
    if (plan.ask === null) return false;
    if (this.#asking >= LIMITS.asksAtOnce) throw new NotAllowed("too many names are asked about");
    this.#asking++;
    try {
      const url = new URL(plan.ask);
      url.searchParams.set("domain", name);
      const signal = AbortSignal.timeout(LIMITS.askMs);
      const answer = await fetch(url, { redirect: "manual", signal, keepalive: true });
      await answer.body?.cancel();
      return answer.status === 200;
    } catch (error) {
      const fields = { name, ask: printableUrl(plan.ask), error: messageOf(error) };
      this.#warnSeldom(fields, "nobody says whether a name is allowed");
      return false;
    } finally {
      this.#asking--;
    }
  }

  #warnSeldom(fields: object, message: string): void {
    const { clock, log } = this.#options;
    const atMs = clock.now();
    const last = this.#said.get(message);
    if (last !== undefined && Math.abs(atMs - last.atMs) < LIMITS.saidMs) {
      last.others++;
      return;
    }
    this.#said.set(message, { atMs, others: 0 });
    const others = last?.others ?? 0;
    log.warn({ ...fields, ...(others > 0 && { others }) }, message);
  }

  #refuse(name: string, forMs: number): void {
    this.#refused.delete(name);
    this.#refused.set(name, this.#options.clock.now() + forMs);
    for (const [oldest] of this.#refused) {
      if (this.#refused.size <= LIMITS.refusedMax) break;
      this.#refused.delete(oldest);
    }
  }

  /** The storage has those that go: they are back with the next client that asks. */
  #keep(name: string): void {
    this.#kept.delete(name);
    this.#kept.add(name);
    const beyond = [...this.#kept].slice(0, -this.#options.plan.maxCertificates);
    for (const each of beyond) this.#kept.delete(each);
    this.#options.manager.release(beyond);
  }
}

/** By what is configured: nothing went wrong. */
class NotAllowed extends ProxyError {
  constructor(reason: string) {
    super("ERR_ISSUE", reason);
  }
}

class TooMany extends ProxyError {
  constructor(problem: string) {
    super("ERR_ISSUE", problem, {
      cure: "Raise auto_tls.on_demand.rate if that many names are yours",
    });
  }
}

/** A wildcard stands for one label. */
function fits(name: string, pattern: string): boolean {
  if (!pattern.startsWith("*.")) return name === pattern;
  return name.slice(name.indexOf(".")) === pattern.slice(1);
}

function until(clock: Clock, atMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  clock.after(Math.max(0, atMs - clock.now()), resolve);
  return promise;
}
