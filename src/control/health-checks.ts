// The probes of one listener's targets: each target of a group with `health` is probed at its interval, one probe at a time,
// and a change of what it is held for is logged and told. Called by listener.ts.

import { ProbeResults } from "../l4/probe-results.ts";
import type { ListenerCertificates } from "../shared/certificates.ts";
import type { Log } from "../shared/log.ts";
import type { TargetSlot } from "../shared/messages.ts";
import type { HealthPlan, ListenerPlan } from "../shared/plan.ts";
import { towardsTarget } from "./probe-towards.ts";
import { probe, type Towards } from "./probe.ts";

/** Probes of several targets, and of several proxies, spread themselves over this part of the interval. */
const JITTER = 0.1;

export class HealthChecks {
  readonly #plan: ListenerPlan;
  readonly #log: Log;
  readonly #certificates: () => ListenerCertificates | null;
  readonly #changed: (slot: number, up: boolean) => void;
  readonly #watched = new Map<number, Watched>();

  /** @param certificates of the listener, as they are now; asked before each probe. */
  constructor(
    plan: ListenerPlan,
    log: Log,
    certificates: () => ListenerCertificates | null,
    changed: (slot: number, up: boolean) => void,
  ) {
    this.#plan = plan;
    this.#log = log;
    this.#certificates = certificates;
    this.#changed = changed;
  }

  /** Probes these targets from now on, and no others. */
  update(slots: readonly TargetSlot[]): void {
    for (const [slot, watched] of this.#watched) {
      if (slots.some((target) => target.slot === slot && target.name === watched.name)) continue;
      watched.stop();
      this.#watched.delete(slot);
    }
    for (const target of slots) {
      const { health } = this.#plan.groups[target.group]!;
      if (health === null || this.#watched.has(target.slot)) continue;
      const towards = (): Towards => towardsTarget(this.#plan, target, this.#certificates());
      this.#watched.set(target.slot, new Watched(target, health, towards, this.#tell(target)));
    }
  }

  #tell({ slot, name }: TargetSlot): (up: boolean, detail: string) => void {
    const about = { listener: this.#plan.key, target: name };
    return (up, detail) => {
      if (up) this.#log.info(about, "target is up: its health checks succeed");
      else this.#log.warn({ ...about, detail }, "target is down: its health checks fail");
      this.#changed(slot, up);
    };
  }

  stop(): void {
    this.update([]);
  }
}

class Watched {
  readonly name: string;
  readonly #target: TargetSlot;
  readonly #plan: HealthPlan;
  readonly #towards: () => Towards;
  readonly #results: ProbeResults;
  readonly #changed: (up: boolean, detail: string) => void;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    target: TargetSlot,
    plan: HealthPlan,
    towards: () => Towards,
    changed: (up: boolean, detail: string) => void,
  ) {
    this.name = target.name;
    this.#target = target;
    this.#towards = towards;
    this.#plan = plan;
    this.#changed = changed;
    this.#results = new ProbeResults(1, plan);
    void this.#probe();
  }

  async #probe(): Promise<void> {
    const begin = performance.now();
    const { signal } = this.#stopping;
    const problem = await probe(this.#target.address, this.#plan, signal, this.#towards());
    if (this.#stopping.signal.aborted) return;
    if (this.#results.record(0, problem === null)) this.#changed(problem === null, problem ?? "");
    const jitter = 1 + JITTER * (Math.random() - 0.5);
    const waitMs = Math.max(0, this.#plan.intervalMs * jitter - (performance.now() - begin));
    this.#timer = setTimeout(() => void this.#probe(), waitMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopping.abort();
    clearTimeout(this.#timer);
  }
}
