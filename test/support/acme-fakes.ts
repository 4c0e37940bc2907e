// A clock that tests move, an authority without a network, and a solver that only counts: what the manager of certificates is
// tested against.

import type { Clock } from "../../src/control/acme/clock.ts";
import type {
  IssuedCertificate,
  Issuer,
  IssueRequest,
  RenewalWindow,
} from "../../src/control/acme/issuer.ts";
import type { Solver } from "../../src/control/acme/solver.ts";
import { exportKey, makeKeys, signCertificate } from "../../src/control/acme/x509.ts";
import type { ChallengeType } from "../../src/shared/auto-tls-plan.ts";

/** Stands still until it is moved. */
export class FakeClock implements Clock {
  #nowMs: number;
  readonly #timers = new Set<{ atMs: number; call: () => void }>();
  /** Of every choice. */
  luck = 0.5;

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, call: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, call };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  chance(): number {
    return this.luck;
  }

  /** The wall clock is set: timers, which are not, stay as far off as they were. */
  set(nowMs: number): void {
    for (const timer of this.#timers) timer.atMs += nowMs - this.#nowMs;
    this.#nowMs = nowMs;
  }

  /** Time passes at once, as after a machine slept; then timers that are due are called, once. */
  move(ms: number): void {
    this.#nowMs += ms;
    for (const timer of Array.from(this.#timers)) {
      if (timer.atMs > this.#nowMs || !this.#timers.delete(timer)) continue;
      timer.call();
    }
  }
}

/** Issues whatever it is asked, unless it is told otherwise. */
export class FakeIssuer implements Issuer {
  readonly name: string;
  readonly #clock: Clock;
  readonly requests: IssueRequest[] = [];
  readonly revoked: string[] = [];
  /** Of what it issues. */
  lifetimeMs = 90 * 86_400_000;
  window: RenewalWindow | null = null;
  /** What it does before it issues: throws, or waits. */
  before: (request: IssueRequest, signal: AbortSignal) => Promise<void> | void = () => {};

  constructor(clock: Clock, name = "fake") {
    this.#clock = clock;
    this.name = name;
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<IssuedCertificate> {
    this.requests.push(request);
    await this.before(request, signal);
    signal.throwIfAborted();
    const keys = await makeKeys("p256");
    const subject = { organization: "test", commonName: this.name };
    const notBeforeMs = this.#clock.now() - 3_600_000;
    const notAfterMs = this.#clock.now() + this.lifetimeMs;
    const { names } = request;
    const contents = { subject, publicKey: keys.publicKey, names, notBeforeMs, notAfterMs };
    const chain = await signCertificate(contents, { subject, keys });
    return { chain, key: await exportKey(keys) };
  }

  async renewalWindow(): Promise<RenewalWindow | null> {
    return this.window;
  }

  async revoke(chain: string): Promise<void> {
    this.revoked.push(chain);
  }
}

/** Of this type, for every name but those given. */
export function fakeSolver(
  type: ChallengeType,
  unfit: (name: string) => boolean = () => false,
): Solver {
  return {
    type,
    unfit: (name) => (unfit(name) ? `${name} cannot be proven by ${type}` : null),
    present: async () => {},
    withdraw: async () => {},
  };
}
