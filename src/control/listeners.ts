// Every listener of the proxy, by slot and by key. A slot is one opening of a listener and never used again; a key is what
// operators know it by. A reload replaces a listener by another with the same key, on the same sockets: clients that are
// there stay with the old one, which is over when the last of them is gone.
//
// Invariant: of each key of the plan one listener is current, and it alone is opened on workers that come up. Called by the
// proxy.

import { formatEndpoint } from "../shared/address.ts";
import type { ListenerStats } from "../shared/counters.ts";
import { ProxyError } from "../shared/errors.ts";
import type { WorkerEvent } from "../shared/messages.ts";
import type { ListenerPlan } from "../shared/plan.ts";
import type { CertificateSource } from "./certificates/certificates.ts";
import type { PlanDiff } from "./diff.ts";
import type { Inheritance } from "./inheritance.ts";
import { joinStats, rememberStats } from "./joined-stats.ts";
import { isOnSamePort } from "./listen-places.ts";
import { Listener, type ListenerOptions, type ListenerSummary } from "./listener.ts";
import type { HandedWishes, TargetWish } from "./target-wishes.ts";
import type { ListedTarget } from "./targets.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export interface ListenersOptions extends ListenerOptions {
  /** Whether a client of this listener is between two workers, where it does not count as active. */
  readonly isUnderWay: (slot: number) => boolean;
  /** The workers of a kind that are alive, in order. */
  readonly workers: (kind: Listener["workerKind"]) => readonly WorkerHandle[];
}

/** Listeners of a new plan that are open and wait for the word to take over. */
export interface Takeover {
  /** From now on clients arrive at the new ones. */
  commit(): void;
  /** The workers have obeyed: nothing more will be heard of clients that the old ones accepted. */
  settle(): void;
  /** The old ones go on as if nothing had been. */
  abandon(): void;
}

export class Listeners {
  readonly #options: ListenersOptions;
  #nextSlot = 0;
  /** By key, in the plan's order. */
  #current = new Map<string, Listener>();
  /** By slot: with those that were replaced or removed, and still have clients. */
  readonly #all = new Map<number, Listener>();
  /** By key: what listeners had counted that are over. */
  readonly #past = new Map<string, ListenerStats>();
  /** Replaced or removed, and closed on every worker. */
  readonly #closed = new Set<Listener>();

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** @throws ProxyError of the first that cannot be opened. */
  async open(plans: readonly ListenerPlan[], inheritance: Inheritance): Promise<void> {
    for (const plan of plans) {
      const listener = this.#create(plan, this.#options);
      this.#current.set(plan.key, listener);
      await this.#start(listener, inheritance);
      listener.tellOpen();
    }
  }

  #create(plan: ListenerPlan, options: ListenerOptions, before?: Listener): Listener {
    const listener = new Listener(this.#nextSlot++, plan, options, before);
    this.#all.set(listener.slot, listener);
    return listener;
  }

  #start(
    listener: Listener,
    inheritance: Inheritance,
    leaving: readonly Listener[] = [],
  ): Promise<void> {
    return listener.start(this.#options.workers(listener.workerKind), inheritance, leaving);
  }

  /**
   * Opens what a new plan adds and changes, on the sockets that there are, and leaves everything else as it is.
   * @param inheritance sockets of the listeners that are changed and removed; quiet.
   * @param certificates of the new plan.
   * @throws ProxyError of the first that cannot be opened; nothing has changed then.
   */
  async prepare(
    plans: readonly ListenerPlan[],
    { changed, added, removed }: PlanDiff,
    inheritance: Inheritance,
    certificates: CertificateSource,
  ): Promise<Takeover> {
    const options = { ...this.#options, certificates };
    const opened = new Map<string, Listener>();
    const leaving = removed.map(({ key }) => this.#current.get(key)!);
    const abandon = (): void => {
      for (const listener of opened.values()) {
        listener.retireFor(false);
        listener.forget();
        this.#all.delete(listener.slot);
      }
    };
    try {
      for (const plan of [...changed.map(({ after }) => after), ...added]) {
        const before = this.#current.get(plan.key);
        const listener = this.#create(plan, options, before);
        opened.set(plan.key, listener);
        const replaced =
          before === undefined ? [...leaving, ...this.#closed] : [before, ...leaving];
        await this.#start(listener, inheritance, replaced).catch((error: unknown) => {
          throw inTheWay(error, plan, leaving);
        });
      }
    } catch (error) {
      abandon();
      throw error;
    }
    let replaced: readonly Listener[] = [];
    return {
      commit: () => (replaced = this.#take(plans, opened)),
      settle: () => {
        for (const listener of replaced) this.#closed.add(listener);
        this.forget();
      },
      abandon,
    };
  }

  /** @returns those that are not current any more. */
  #take(plans: readonly ListenerPlan[], opened: ReadonlyMap<string, Listener>): Listener[] {
    const before = this.#current;
    const current = (key: string): Listener => opened.get(key) ?? before.get(key)!;
    this.#current = new Map(plans.map(({ key }) => [key, current(key)]));
    for (const listener of opened.values()) listener.tellOpen();
    // A listener that was removed has its UDP sockets until its last session is over, and reads from them.
    for (const listener of this.#closed) if (opened.has(listener.plan.key)) listener.handOn();
    const replaced = [...before.values()].filter(
      (listener) => this.#current.get(listener.plan.key) !== listener,
    );
    for (const listener of replaced) listener.retireFor(this.#current.has(listener.plan.key));
    return replaced;
  }

  /** Those that were replaced, and whose last client is gone. Called whenever a client of theirs may have been the last. */
  forget(): void {
    for (const listener of this.#closed) {
      const { slot, plan } = listener;
      const { key } = plan;
      const stats = listener.stats();
      if (stats.active > 0 || this.#options.isUnderWay(slot)) continue;
      this.#closed.delete(listener);
      this.#all.delete(slot);
      listener.forget();
      if (this.#current.has(key)) this.#past.set(key, rememberStats(stats, this.#past.get(key)));
    }
    for (const key of this.#past.keys()) if (!this.#current.has(key)) this.#past.delete(key);
  }

  /** Wherever one is missing: on workers that came up, and on one that takes over. */
  reopen(): void {
    for (const listener of this.#current.values()) {
      for (const worker of this.#options.workers(listener.workerKind)) {
        void listener.keepOpenOn(worker);
      }
    }
  }

  /** Settles when all that this worker is to serve is open on it. Never rejects. */
  async openOn(worker: WorkerHandle): Promise<void> {
    const own = [...this.#current.values()].filter(({ workerKind }) => workerKind === worker.kind);
    await Promise.all(own.map((listener) => listener.keepOpenOn(worker)));
  }

  /** Empty for none: an adopted pair. */
  keyOf(slot: number): string {
    return this.#all.get(slot)?.plan.key ?? "";
  }

  /** Those that it was opened on. It may be closed meanwhile: they still serve its clients. */
  workersOf(slot: number): WorkerHandle[] {
    return this.#all.get(slot)?.openWorkers() ?? [];
  }

  summaries(): ListenerSummary[] {
    return [...this.#current.values()].map((listener) => listener.summary());
  }

  /** Of the plan's listeners, by key. */
  targets(): Map<string, ListedTarget[]> {
    return new Map([...this.#current].map(([key, listener]) => [key, listener.targets.list()]));
  }

  /** Those that were replaced are told too: they have connections. @returns false: the current one has no such target. */
  wish(key: string, target: string, wish: TargetWish): boolean {
    const known = this.#current.get(key)?.targets.wish(target, wish) ?? false;
    const about = { listener: key, target, ...wish };
    if (known) this.#options.log.info(about, "an operator has set a target");
    for (const listener of this.#all.values()) {
      if (listener.plan.key === key && this.#current.get(key) !== listener) {
        listener.targets.wish(target, wish);
      }
    }
    return known;
  }

  /** What operators want of targets, for a successor. */
  wishes(): HandedWishes {
    const all = [...this.#current].map(([key, { targets }]) => [key, targets.wishes()] as const);
    return all.filter(([, wishes]) => wishes.length > 0);
  }

  /** What operators wanted of the process before this one when it let go, which is all that they want. */
  takeWishes(handed: HandedWishes): void {
    const byKey = new Map(handed);
    for (const [key, { targets }] of this.#current) targets.takeWishes(byKey.get(key) ?? []);
  }

  /** Of the plan's listeners, with what those before them counted. */
  stats(): Record<string, ListenerStats> {
    this.forget();
    const sums = new Map([...this.#current].map(([key, listener]) => [key, listener.stats()]));
    const add = (key: string, more: ListenerStats): void => {
      const sum = sums.get(key);
      if (sum !== undefined) sums.set(key, joinStats(sum, more));
    };
    for (const [key, past] of this.#past) add(key, past);
    for (const listener of this.#all.values()) {
      const { key } = listener.plan;
      if (this.#current.get(key) !== listener) add(key, listener.stats());
    }
    return Object.fromEntries(sums);
  }

  answered(
    worker: number,
    answer: WorkerEvent & { type: "opened" | "open_failed" | "over" },
  ): void {
    if (answer.type === "over") this.forget();
    else this.#all.get(answer.slot)?.answered(worker, answer);
  }

  certificatesChanged(key: string): void {
    this.#current.get(key)?.certificatesChanged();
  }

  /** A worker is gone. */
  retire(worker: number): void {
    for (const listener of this.#all.values()) listener.retire(worker);
    this.forget();
  }

  /** Another process accepts on the sockets of these. @returns their slots. */
  leaveFiles(keys: ReadonlySet<string>): number[] {
    const left = [...this.#current.values()].filter(({ plan }) => keys.has(plan.key));
    for (const listener of left) listener.leaveFile();
    return left.map(({ slot }) => slot);
  }

  /** Opens none any more. */
  close(): void {
    for (const listener of this.#all.values()) listener.close();
  }

  /** After the workers are gone. */
  stop(): void {
    for (const listener of this.#all.values()) listener.stop();
  }
}

/** The port is one that a listener has which the same reload removes: it lets go of it when this one is open, not before. */
function inTheWay(error: unknown, plan: ListenerPlan, leaving: readonly Listener[]): unknown {
  if (!(error instanceof ProxyError) || !error.message.includes("(EADDRINUSE)")) return error;
  const own = leaving.find((each) => isOnSamePort(each.plan, plan));
  if (own === undefined) return error;
  const address = formatEndpoint(plan.listen);
  const problem = `cannot listen on ${address}: "${own.plan.key}" has the port until this is open (EADDRINUSE)`;
  const cure =
    "Remove that one with a reload of its own, and add this one with the next; or restart";
  return new ProxyError("ERR_LISTEN", problem, { cause: error, cure });
}
