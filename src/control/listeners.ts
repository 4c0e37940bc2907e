// Every listener of the proxy, by slot and by key. A slot is one opening of a listener and never used again; a key is what
// operators know it by. Called by the proxy.

import type { ListenerStats } from "../shared/counters.ts";
import type { Log } from "../shared/log.ts";
import type { WorkerEvent } from "../shared/messages.ts";
import type { ListenerPlan } from "../shared/plan.ts";
import type { Certificates } from "./certificates/certificates.ts";
import type { Inheritance } from "./inheritance.ts";
import { Listener, type ListenerSummary } from "./listener.ts";
import type { Lookup } from "./resolver.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export interface ListenersOptions {
  readonly log: Log;
  readonly lookup: Lookup;
  readonly certificates: Certificates;
  /** Several workers serve one address. */
  readonly reusePort: boolean;
  /** The workers of a kind that are alive, in order. */
  readonly workers: (kind: Listener["workerKind"]) => readonly WorkerHandle[];
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #bySlot: Listener[] = [];

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** @throws ProxyError of the first that cannot be opened. */
  async open(plans: readonly ListenerPlan[], inheritance: Inheritance): Promise<void> {
    const { log, lookup, certificates, reusePort, workers } = this.#options;
    for (const plan of plans) {
      const slot = this.#bySlot.length;
      const listener = new Listener(slot, plan, reusePort, log, lookup, certificates);
      this.#bySlot.push(listener);
      await listener.start(workers(listener.workerKind), inheritance);
    }
  }

  /** Wherever one is missing: on workers that came up, and on one that takes over. */
  reopen(): void {
    for (const listener of this.#bySlot) {
      for (const worker of this.#options.workers(listener.workerKind)) {
        void listener.keepOpenOn(worker);
      }
    }
  }

  /** Settles when all that this worker is to serve is open on it. Never rejects. */
  async openOn(worker: WorkerHandle): Promise<void> {
    const own = this.#bySlot.filter(({ workerKind }) => workerKind === worker.kind);
    await Promise.all(own.map((listener) => listener.keepOpenOn(worker)));
  }

  /** Empty for none: an adopted pair. */
  keyOf(slot: number): string {
    return this.#bySlot[slot]?.plan.key ?? "";
  }

  /** Those that it was opened on. It may be closed meanwhile: they still serve its clients. */
  workersOf(slot: number): WorkerHandle[] {
    return this.#bySlot[slot]?.openWorkers() ?? [];
  }

  summaries(): ListenerSummary[] {
    return this.#bySlot.map((listener) => listener.summary());
  }

  stats(): Record<string, ListenerStats> {
    return Object.fromEntries(
      this.#bySlot.map((listener) => [listener.plan.key, listener.stats()]),
    );
  }

  answered(worker: number, answer: WorkerEvent & { type: "opened" | "open_failed" }): void {
    this.#bySlot[answer.slot]?.answered(worker, answer);
  }

  certificatesChanged(key: string): void {
    for (const listener of this.#bySlot)
      if (listener.plan.key === key) listener.certificatesChanged();
  }

  /** A worker is gone. */
  retire(worker: number): void {
    for (const listener of this.#bySlot) listener.retire(worker);
  }

  /** Another process accepts on the sockets of these. */
  leaveFiles(keys: ReadonlySet<string>): void {
    for (const listener of this.#bySlot) if (keys.has(listener.plan.key)) listener.leaveFile();
  }

  /** Opens none any more. */
  close(): void {
    for (const listener of this.#bySlot) listener.close();
  }

  /** After the workers are gone. */
  stop(): void {
    for (const listener of this.#bySlot) listener.stop();
  }
}
