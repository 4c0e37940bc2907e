// One listener over all workers: where it is bound, what its target resolves to, and its counters. Workers come and go;
// the address, once bound, stays the same, and what a worker counted outlives it.

import { lstatSync, rmSync } from "node:fs";

import { formatEndpoint, formatSocketAddress, type SocketAddress } from "../shared/address.ts";
import { addCounters, createCounters, emptyStats, type ListenerStats } from "../shared/counters.ts";
import { fromErrorRecord, ProxyError } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { WorkerEvent } from "../shared/messages.ts";
import type { ListenerPlan } from "../shared/plan.ts";
import { AddressWatch, type Lookup, resolveOnce } from "./resolver.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export interface ListenerSummary {
  readonly key: string;
  /** With the ports that the system chose. */
  readonly bound: readonly SocketAddress[];
}

type Answer = WorkerEvent & { type: "opened" | "open_failed" };

/** What one worker holds of this listener. */
interface Share {
  readonly worker: WorkerHandle;
  readonly counters: SharedArrayBuffer;
  fds: readonly number[];
}

/** One target for each listener so far; its addresses count together. */
const TARGETS = 1;

export class Listener {
  readonly plan: ListenerPlan;
  readonly #slot: number;
  readonly #reusePort: boolean;
  readonly #log: Log;
  readonly #lookup: Lookup;
  readonly #shares = new Map<number, Share>();
  readonly #answers = new Map<number, (answer: Answer) => void>();
  /** One Int32: connections open over all workers. */
  readonly #active = new SharedArrayBuffer(4);
  readonly #retired = emptyStats(TARGETS);
  #bound: readonly SocketAddress[] = [];
  #watch: AddressWatch | undefined;
  #socketFile: { path: string; inode: number } | undefined;

  constructor(slot: number, plan: ListenerPlan, reusePort: boolean, log: Log, lookup: Lookup) {
    this.plan = plan;
    this.#slot = slot;
    this.#reusePort = reusePort && plan.listen.kind === "tcp";
    this.#log = log;
    this.#lookup = lookup;
  }

  /** Opens on the first worker, which makes sure that the address is free, then on the others. @throws ProxyError */
  async start(workers: readonly WorkerHandle[]): Promise<void> {
    this.#watch = await AddressWatch.start(this.plan.target, {
      changed: (targets) => this.#targetsChanged(targets),
      log: this.#log,
      about: { listener: this.plan.key, target: formatEndpoint(this.plan.target) },
      lookup: this.#lookup,
    });
    for (const worker of workers) await this.openOn(worker, workers);
    this.#log.info(
      {
        protocol: this.plan.protocol,
        listen: this.#bound.map(formatSocketAddress).join(", "),
        target: formatEndpoint(this.plan.target),
      },
      "listening",
    );
  }

  /** Opens on one worker: the first, one more, or one that replaces a worker that crashed. @throws ProxyError */
  async openOn(worker: WorkerHandle, alive: readonly WorkerHandle[]): Promise<void> {
    const others = [...this.#shares.values()].filter((share) => alive.includes(share.worker));
    const sharedFds = others.find((share) => share.fds.length > 0)?.fds ?? [];
    const first = this.#bound.length === 0;
    const shareable = this.#reusePort || sharedFds.length > 0;
    if (!first && !shareable && others.length > 0) return; // one acceptor, and it is alive
    const binds = first ? await resolveOnce(this.plan.listen, this.#lookup) : this.#bound;
    const share: Share = { worker, counters: createCounters(TARGETS), fds: [] };
    const answer = Promise.withResolvers<Answer>();
    this.#answers.set(worker.index, answer.resolve);
    this.#shares.set(worker.index, share);
    worker.post({
      type: "open",
      request: {
        listener: this.plan,
        slot: this.#slot,
        binds,
        targets: this.#watch?.current ?? [],
        counters: share.counters,
        active: this.#active,
        reusePort: this.#reusePort,
        exclusive: first,
        sharedFds: this.#reusePort ? [] : sharedFds,
      },
    });
    const gone = worker.exited.then(() => {
      throw new ProxyError("ERR_WORKER", `worker ${worker.index} ended while opening a listener`);
    });
    const opened = await Promise.race([answer.promise, gone]);
    this.#answers.delete(worker.index);
    if (opened.type === "open_failed") {
      this.#shares.delete(worker.index);
      throw fromErrorRecord(opened.error);
    }
    share.fds = opened.fds;
    if (first) this.#bound = opened.bound;
    this.#noteSocketFile();
  }

  answered(worker: number, answer: Answer): void {
    this.#answers.get(worker)?.(answer);
  }

  /** A worker is gone: what it counted stays, what it held open is not open any more. */
  retire(worker: number): void {
    const share = this.#shares.get(worker);
    if (share === undefined) return;
    this.#shares.delete(worker);
    const own = emptyStats(TARGETS);
    addCounters(own, share.counters);
    Atomics.sub(new Int32Array(this.#active), 0, own.active);
    addCounters(this.#retired, share.counters);
    this.#retired.active -= own.active;
    this.#retired.targets.forEach((target, i) => (target.active -= own.targets[i]!.active));
  }

  summary(): ListenerSummary {
    return { key: this.plan.key, bound: this.#bound };
  }

  stats(): ListenerStats {
    const sum = structuredClone(this.#retired);
    for (const share of this.#shares.values()) addCounters(sum, share.counters);
    return sum;
  }

  /** After the workers are gone: stops watching names and removes the socket file, if it still is ours. */
  stop(): void {
    this.#watch?.stop();
    const file = this.#socketFile;
    if (file !== undefined && inodeOf(file.path) === file.inode) rmSync(file.path, { force: true });
  }

  #targetsChanged(targets: readonly SocketAddress[]): void {
    const addresses = targets.map(formatSocketAddress);
    this.#log.info({ listener: this.plan.key, addresses }, "target has new addresses");
    for (const { worker } of this.#shares.values()) {
      worker.post({ type: "targets", key: this.plan.key, targets });
    }
  }

  #noteSocketFile(): void {
    const { listen } = this.plan;
    if (listen.kind !== "unix") return;
    const inode = inodeOf(listen.path);
    if (inode !== undefined) this.#socketFile = { path: listen.path, inode };
  }
}

function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino;
}
