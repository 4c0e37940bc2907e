// The proxy's life: starts workers, opens listeners on them, restarts a worker that crashed, adds their counters up, drains.
// Invariant: a listener that `start` opened stays open on every worker that is alive, until `stop` or `kill`.

import type { SocketAddress } from "../shared/address.ts";
import type { ListenerStats } from "../shared/counters.ts";
import { fromErrorRecord, messageOf, ProxyError } from "../shared/errors.ts";
import { CONTROL } from "../shared/limits.ts";
import type { LiveConnection } from "../shared/live-table.ts";
import { type Log, silentLog } from "../shared/log.ts";
import type { AdoptRequest, WorkerEvent } from "../shared/messages.ts";
import type { EngineName, Plan } from "../shared/plan.ts";
import { logWorkerEvent } from "./events.ts";
import { Listener, type ListenerSummary } from "./listener.ts";
import { type Lookup, systemLookup } from "./resolver.ts";
import { WorkerHandle } from "./worker-handle.ts";

export interface ProxyOptions {
  /** Default: silent. */
  readonly log?: Log;
  /** How names become addresses; default: the system's resolver. */
  readonly lookup?: Lookup;
}

export interface ProxyStats {
  readonly uptimeMs: number;
  /** Workers that crashed and were replaced. */
  readonly workerRestarts: number;
  /** By ListenerPlan.key. */
  readonly listeners: Readonly<Record<string, ListenerStats>>;
}

export interface ProxyConnection extends LiveConnection {
  readonly worker: number;
  /** ListenerPlan.key; empty for an adopted pair. */
  readonly listener: string;
}

export interface PairResult {
  /** From the first descriptor to the second. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

interface PendingPair {
  readonly worker: number;
  readonly taken: PromiseWithResolvers<void>;
  readonly done: PromiseWithResolvers<PairResult>;
}

type State = "running" | "draining" | "ended";

export class Proxy implements AsyncDisposable {
  readonly plan: Plan;
  readonly #log: Log;
  readonly #lookup: Lookup;
  readonly #startedMs = performance.now();
  readonly #workers: (WorkerHandle | undefined)[] = [];
  readonly #listeners: Listener[] = [];
  readonly #pairs = new Map<number, PendingPair>();
  readonly #restartTimers = new Set<NodeJS.Timeout>();
  readonly #restarting = new Set<Promise<void>>();
  #state: State = "running";
  #workerRestarts = 0;
  #nextPair = 1;
  #drained = new Set<WorkerHandle>();
  #onDrained: (() => void) | null = null;
  #resetAtEnd = 0;
  #ending: Promise<{ reset: number }> | null = null;

  private constructor(plan: Plan, options: ProxyOptions) {
    this.plan = plan;
    this.#log = options.log ?? silentLog;
    this.#lookup = options.lookup ?? systemLookup;
  }

  /**
   * Starts workers, resolves names and opens every listener of the plan.
   * @throws ProxyError ERR_LISTEN, ERR_RESOLVE (for a name to listen on), ERR_ENGINE or ERR_WORKER; nothing stays open.
   */
  static async start(plan: Plan, options: ProxyOptions = {}): Promise<Proxy> {
    const proxy = new Proxy(plan, options);
    try {
      await proxy.#start();
    } catch (error) {
      await proxy.kill();
      throw error;
    }
    return proxy;
  }

  /** What runs. */
  get engine(): EngineName {
    return this.#firstWorker().engine;
  }

  /** Why `auto` did not take a faster engine; empty if it took the fastest. */
  get engineReason(): string {
    return this.#firstWorker().engineReason;
  }

  listeners(): ListenerSummary[] {
    return this.#listeners.map((listener) => listener.summary());
  }

  stats(): ProxyStats {
    return {
      uptimeMs: performance.now() - this.#startedMs,
      workerRestarts: this.#workerRestarts,
      listeners: Object.fromEntries(
        this.#listeners.map((listener) => [listener.plan.key, listener.stats()]),
      ),
    };
  }

  connections(): ProxyConnection[] {
    return this.#workers.flatMap((worker) =>
      worker === undefined
        ? []
        : worker.live.read().map((connection) => ({
            ...connection,
            worker: worker.index,
            listener: this.#listeners[connection.slot]?.plan.key ?? "",
          })),
    );
  }

  /** Resets one connection, named as in `connections()`. Nothing happens if it is over. */
  disconnect(worker: number, id: number): void {
    this.#workers[worker]?.post({ type: "disconnect", id });
  }

  /**
   * Relays between two connected stream descriptors of this process until both directions have ended. The caller closes
   * its own descriptors once `taken` has resolved: the worker holds duplicates by then.
   */
  adopt(
    fds: readonly [number, number],
    options: Omit<AdoptRequest, "fds">,
  ): { taken: Promise<void>; done: Promise<PairResult> } {
    const id = this.#nextPair++;
    const worker = this.#workers.find((candidate) => candidate !== undefined);
    const pair = {
      worker: worker?.index ?? -1,
      taken: Promise.withResolvers<void>(),
      done: Promise.withResolvers<PairResult>(),
    };
    pair.done.promise.catch(() => {}); // whoever awaits `taken` alone must not crash on `done`
    if (worker === undefined || this.#state !== "running") {
      const error = new ProxyError("ERR_STATE", "the proxy is not running");
      pair.taken.reject(error);
      pair.done.reject(error);
    } else {
      this.#pairs.set(id, pair);
      worker.post({ type: "adopt", id, request: { fds, ...options } });
    }
    return { taken: pair.taken.promise, done: pair.done.promise };
  }

  /**
   * Closes the listeners, waits for connections to finish, and resets those that are left.
   * @param timeoutMs default: the plan's shutdown timeout.
   * @returns how many connections were reset.
   */
  stop(timeoutMs: number = this.plan.shutdownTimeoutMs): Promise<{ reset: number }> {
    if (this.#state === "running") {
      this.#state = "draining";
      this.#ending = this.#drain(timeoutMs).then(() => this.#end());
    }
    return this.#ending ?? Promise.resolve({ reset: 0 });
  }

  /** Resets every connection and ends at once, also while `stop` waits. */
  async kill(): Promise<void> {
    if (this.#state === "running") {
      this.#state = "draining";
      this.#ending = this.#end();
    } else this.#onDrained?.();
    await this.#ending;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async #start(): Promise<void> {
    // Only Linux spreads connections over several sockets on one address; elsewhere one worker accepts for all.
    const count = process.platform === "linux" ? this.plan.workers : 1;
    const starts = Array.from({ length: count }, (_, index) => this.#startWorker(index));
    const failed = (await Promise.allSettled(starts)).find((start) => start.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    for (const [slot, listenerPlan] of this.plan.listeners.entries()) {
      const listener = new Listener(slot, listenerPlan, count > 1, this.#log, this.#lookup);
      this.#listeners.push(listener);
      await listener.start(this.#aliveWorkers());
    }
  }

  async #startWorker(index: number): Promise<void> {
    const startedMs = performance.now();
    const handle: WorkerHandle = await WorkerHandle.start(
      { index, engine: this.plan.engine, traceConnections: this.plan.log.level === "debug" },
      {
        event: (event) => this.#handle(index, event),
        ended: (error) => this.#workerEnded(index, handle, error, performance.now() - startedMs),
      },
    );
    this.#workers[index] = handle;
  }

  #handle(index: number, event: WorkerEvent): void {
    switch (event.type) {
      case "opened":
      case "open_failed":
        this.#listeners.find((listener) => listener.plan.key === event.key)?.answered(index, event);
        break;
      case "adopted":
        if (event.error === null) this.#pairs.get(event.id)?.taken.resolve();
        else this.#failPair(event.id, fromErrorRecord(event.error));
        break;
      case "pair_closed":
        if (event.error !== null) this.#failPair(event.id, fromErrorRecord(event.error));
        else {
          const { bytesUp, bytesDown } = event;
          this.#pairs.get(event.id)?.done.resolve({ bytesUp, bytesDown });
          this.#pairs.delete(event.id);
        }
        break;
      case "drained": {
        const worker = this.#workers[index];
        if (worker !== undefined) this.#drained.add(worker);
        this.#checkDrained();
        break;
      }
      case "ended":
        this.#resetAtEnd += event.connections;
        break;
      default:
        logWorkerEvent(this.#log, index, event);
    }
  }

  #failPair(id: number, error: ProxyError): void {
    const pair = this.#pairs.get(id);
    pair?.taken.reject(error);
    pair?.done.reject(error);
    this.#pairs.delete(id);
  }

  #workerEnded(
    index: number,
    handle: WorkerHandle | undefined,
    error: ProxyError | null,
    livedMs: number,
  ): void {
    if (handle !== undefined && this.#workers[index] === handle) this.#workers[index] = undefined;
    for (const listener of this.#listeners) listener.retire(index);
    for (const [id, pair] of this.#pairs) {
      if (pair.worker === index)
        this.#failPair(id, error ?? new ProxyError("ERR_CLOSED", "the proxy ended"));
    }
    this.#checkDrained();
    if (this.#state !== "running" || error === null) return;
    this.#workerRestarts++;
    this.#log.error({ worker: index, error: error.message }, "worker crashed, starting another");
    this.#restart(index, livedMs >= CONTROL.restartCalmMs ? 0 : this.#workerRestarts - 1);
  }

  /** Brings a worker back with its listeners; tries again, ever more slowly, until it comes up or the proxy ends. */
  #restart(index: number, failures: number): void {
    const delay =
      failures === 0
        ? 0
        : Math.min(CONTROL.restartDelayMs * 2 ** Math.min(failures, 20), CONTROL.restartDelayMaxMs);
    const timer = setTimeout(() => {
      this.#restartTimers.delete(timer);
      const restarting = this.#bringBack(index, failures);
      this.#restarting.add(restarting);
      void restarting.finally(() => this.#restarting.delete(restarting));
    }, delay);
    this.#restartTimers.add(timer);
  }

  async #bringBack(index: number, failures: number): Promise<void> {
    try {
      await this.#startWorker(index);
      const worker = this.#workers[index];
      if (worker === undefined) return; // crashed again: its own end restarts it
      for (const listener of this.#listeners) {
        if (this.#state !== "running") break;
        await listener.openOn(worker, this.#aliveWorkers());
      }
      if (this.#state === "running") this.#log.info({ worker: index }, "worker is back");
      else await this.#dismiss(worker);
    } catch (error) {
      this.#log.error({ worker: index, error: messageOf(error) }, "worker did not come back");
      if (this.#state === "running" && this.#workers[index] === undefined) {
        this.#restart(index, failures + 1);
      }
    }
  }

  /** The proxy ended while this worker came up: it has nothing to do, and nobody else knows of it. */
  async #dismiss(worker: WorkerHandle): Promise<void> {
    worker.post({ type: "end" });
    await worker.exited;
  }

  async #drain(timeoutMs: number): Promise<void> {
    const drained = Promise.withResolvers<void>();
    this.#onDrained = drained.resolve;
    for (const timer of this.#restartTimers) clearTimeout(timer);
    for (const worker of this.#aliveWorkers()) worker.post({ type: "drain" });
    this.#checkDrained();
    const timer = setTimeout(drained.resolve, timeoutMs);
    await drained.promise;
    clearTimeout(timer);
  }

  #checkDrained(): void {
    if (this.#aliveWorkers().every((worker) => this.#drained.has(worker))) this.#onDrained?.();
  }

  async #end(): Promise<{ reset: number }> {
    for (const timer of this.#restartTimers) clearTimeout(timer);
    await Promise.all(this.#restarting);
    const workers = this.#aliveWorkers();
    for (const worker of workers) worker.post({ type: "end" });
    await Promise.all(workers.map((worker) => worker.exited));
    for (const listener of this.#listeners) listener.stop();
    this.#state = "ended";
    return { reset: this.#resetAtEnd };
  }

  #aliveWorkers(): WorkerHandle[] {
    return this.#workers.filter((worker) => worker !== undefined);
  }

  #firstWorker(): WorkerHandle {
    const worker = this.#workers.find((candidate) => candidate !== undefined);
    if (worker === undefined) throw new ProxyError("ERR_STATE", "no worker is running");
    return worker;
  }
}

export type { ListenerSummary, SocketAddress };
