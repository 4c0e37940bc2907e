// The data plane's threads: as many of each kind as the plan says, of the kinds that its listeners need. Each has a place by its
// index (worker-slot.ts), in which it is replaced after a crash. Called by the proxy.

import { availableParallelism } from "node:os";

import { ProxyError } from "../shared/errors.ts";
import { LoadBoard } from "../shared/load.ts";
import type { Log } from "../shared/log.ts";
import type { WorkerKind } from "../shared/messages.ts";
import type { ListenerPlan, Plan } from "../shared/plan.ts";
import { StrainBoard } from "../shared/strain.ts";
import { inTurns } from "./in-turns.ts";
import { keyLogPath } from "./key-log.ts";
import { kindFor } from "./listener.ts";
import type { WorkerHandle, WorkerOrder } from "./worker-handle.ts";
import { type SlotHandlers, WorkerSlot } from "./worker-slot.ts";

const KINDS: readonly WorkerKind[] = ["relay", "gateway"];

export class Workers {
  /** Of each kind. Only Linux spreads clients over several sockets on one address; elsewhere one worker serves all. */
  readonly count: number;
  readonly loads: LoadBoard;
  readonly strain: StrainBoard;
  readonly #load: SharedArrayBuffer;
  readonly #strain: SharedArrayBuffer;
  readonly #plan: Plan;
  readonly #log: Log;
  readonly #handlers: (index: number) => SlotHandlers;
  readonly #slots: WorkerSlot[] = [];
  /** For gateway workers, whenever they come up. */
  #keyLogPath: string | null = null;
  #traceConnections: boolean;

  /** @param plan of which engine, workers and ring are what every worker is started with. */
  constructor(plan: Plan, log: Log, handlers: (index: number) => SlotHandlers) {
    this.count = process.platform === "linux" ? plan.workers : 1;
    this.#load = LoadBoard.create(this.count * KINDS.length);
    this.loads = new LoadBoard(this.#load);
    this.#strain = StrainBoard.create(1 + this.count * KINDS.length);
    this.strain = new StrainBoard(this.#strain);
    this.#plan = plan;
    this.#traceConnections = plan.log.level === "debug";
    this.#log = log;
    this.#handlers = handlers;
  }

  /**
   * Of the kinds that these need and of which there are none yet.
   * @throws ProxyError of the first that does not come up; all of them are as they were then.
   */
  async start(listeners: readonly ListenerPlan[]): Promise<void> {
    const wanted = new Set(listeners.map(kindFor));
    // Without any listener there is an engine all the same: it adopts pairs.
    if (listeners.length === 0 && this.#slots.length === 0) wanted.add("relay");
    const missing = KINDS.filter((kind) => wanted.has(kind) && !this.#has(kind));
    if (missing.includes("gateway")) this.#keyLogPath = keyLogPath(process.env, this.#log);
    const before = this.#slots.length;
    const slots = missing.flatMap((kind) =>
      Array.from({ length: this.count }, () => this.#create(kind)),
    );
    const starts = slots.map((slot) => () => slot.start());
    try {
      // Where there are more of them than CPUs, all at once would use up the time that each has to come up.
      await inTurns(starts, availableParallelism());
    } catch (error) {
      // A later plan that needs them tries again.
      this.#slots.splice(before);
      await Promise.all(slots.map((slot) => slot.end()));
      throw error;
    }
  }

  #create(kind: WorkerKind): WorkerSlot {
    const index = this.#slots.length;
    const { engine, ring } = this.#plan;
    const common = { index, traceConnections: this.#traceConnections, strain: this.#strain };
    const order: WorkerOrder =
      kind === "relay"
        ? { kind, ...common, engine, ring, load: this.#load }
        : { kind, ...common, keyLogPath: this.#keyLogPath };
    const slot = new WorkerSlot(order, this.#log, this.#handlers(index));
    this.#slots.push(slot);
    return slot;
  }

  #has(kind: WorkerKind): boolean {
    return this.#slots.some((slot) => slot.kind === kind);
  }

  /** Whether workers tell of every connection. */
  trace(on: boolean): void {
    this.#traceConnections = on;
    for (const worker of this.alive()) this.brief(worker);
  }

  /** What has changed since it was told how to start. */
  brief(worker: WorkerHandle): void {
    worker.post({ type: "trace", on: this.#traceConnections });
  }

  /** undefined while none is in its place. */
  at(index: number): WorkerHandle | undefined {
    return this.#slots[index]?.worker;
  }

  /** @param kind of these alone. */
  alive(kind?: WorkerKind): WorkerHandle[] {
    const alive = this.#slots.map((slot) => slot.worker).filter((worker) => worker !== undefined);
    return kind === undefined ? alive : alive.filter((worker) => worker.kind === kind);
  }

  /** undefined where no listener needs one. @throws ProxyError ERR_STATE if there should be one and there is none. */
  firstRelay(): WorkerHandle | undefined {
    const [worker] = this.alive("relay");
    if (worker === undefined && this.#has("relay")) {
      throw new ProxyError("ERR_STATE", "no worker is running");
    }
    return worker;
  }

  /** Those that crash from now on are not replaced. */
  close(): void {
    for (const slot of this.#slots) slot.close();
  }

  /** Settles when no thread is left, or none that anybody can reach. */
  async end(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.end()));
  }
}
