// The test's end of uring-worker.ts: one listener of the io_uring engine in a thread of its own, over a ring whose sizes and
// faults the test decides, and what must be back at rest when nothing happens: rows and buffers.

import { closeSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";

import { formatSocketAddress, type SocketAddress } from "../../src/shared/address.ts";
import { createCounters } from "../../src/shared/counters.ts";
import { LiveTable } from "../../src/shared/live-table.ts";
import type { Command, TargetSlot, WorkerEvent } from "../../src/shared/messages.ts";
import type { RingPlan } from "../../src/shared/plan.ts";
import { type ListenerOptions, listenerPlan } from "./plan.ts";
import { wireAddress } from "./relay.ts";
import { until, within } from "./until.ts";
import { Wire, type WireAddress } from "./wire.ts";

/** Indices into `gauges`: receive buffers that are with a direction; calls after which the completion queue was full. */
export const GAUGE_TAKEN = 0;
export const GAUGE_FULL = 1;
const GAUGES = 2;

export interface UringInit {
  readonly ring: RingPlan;
  readonly sqEntries: number;
  readonly cqEntries: number;
  readonly gauges: SharedArrayBuffer;
  /** See Faults in fault-kernel.ts; null: none. */
  readonly faults: SharedArrayBuffer | null;
}

export interface UringOptions {
  readonly ring: RingPlan;
  readonly sqEntries: number;
  readonly cqEntries: number;
  readonly faults?: SharedArrayBuffer;
  /** In the order in which they are tried. */
  readonly targets: readonly SocketAddress[];
}

function targetSlot(address: SocketAddress, slot: number): TargetSlot {
  const name = formatSocketAddress(address);
  const share = { weight: 1, backup: false, up: true, mode: "enabled", addedMs: 0 } as const;
  return { slot, group: 0, index: 0, address, name, ...share };
}

const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

export class UringRelay implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #gauges = new Int32Array(new SharedArrayBuffer(GAUGES * 4));
  readonly #exited = Promise.withResolvers<void>();
  readonly #waiting = new Map<WorkerEvent["type"], (event: WorkerEvent) => void>();
  #failure: Error | null = null;
  #wakeFd = -1;
  #live!: LiveTable;
  #bound!: SocketAddress;

  private constructor(options: UringOptions) {
    const { ring, sqEntries, cqEntries, faults = null } = options;
    const gauges = this.#gauges.buffer as unknown as SharedArrayBuffer;
    const workerData: UringInit = { ring, sqEntries, cqEntries, gauges, faults };
    this.#worker = new Worker(new URL("./uring-worker.ts", import.meta.url), { workerData });
    this.#worker.on("message", (event: WorkerEvent) => this.#waiting.get(event.type)?.(event));
    this.#worker.on("error", (error: Error) => (this.#failure = error));
    this.#worker.on("exit", () => {
      this.#failure ??= new Error("the worker has ended");
      this.#exited.resolve();
    });
  }

  static async start(options: UringOptions, listener: ListenerOptions): Promise<UringRelay> {
    const relay = new UringRelay(options);
    const ready = await relay.#next("ready");
    relay.#wakeFd = ready.wakeFd;
    relay.#live = new LiveTable(ready.live);
    const plan = listenerPlan(listener);
    const { listen } = plan;
    relay.#post({
      type: "open",
      request: {
        listener: plan,
        slot: 0,
        binds: [listen.kind === "unix" ? listen : { kind: "ip", host: "127.0.0.1", port: 0 }],
        targets: options.targets.map((address, slot) => targetSlot(address, slot)),
        targetSlots: options.targets.length,
        counters: createCounters(options.targets.length),
        active: new SharedArrayBuffer(4),
        clients: null,
        accepts: null,
        bandwidth: null,
        certificates: null,
        mirror: [],
        reusePort: false,
        exclusive: false,
        beside: false,
        endpoint: false,
        sharedFds: [],
        inherited: [],
        keep: false,
        quiet: false,
        replaces: [],
      },
    });
    const opened = await relay.#next("opened");
    relay.#bound = opened.bound[0]!;
    for (const fd of opened.fds) closeSync(fd);
    return relay;
  }

  #next<T extends WorkerEvent["type"]>(type: T): Promise<WorkerEvent & { type: T }> {
    const event = new Promise<WorkerEvent & { type: T }>((resolve) =>
      this.#waiting.set(type, (got) => resolve(got as WorkerEvent & { type: T })),
    );
    const gone = this.#exited.promise.then(() => Promise.reject(this.#failure));
    gone.catch(() => {});
    return within(type, Promise.race([event, gone]));
  }

  #post(command: Command): void {
    this.#worker.postMessage(command);
    writeSync(this.#wakeFd, ONE);
  }

  get address(): WireAddress {
    return wireAddress(this.#bound);
  }

  connect(): Promise<Wire> {
    return Wire.connect(this.address);
  }

  /** @throws Error why the worker is gone. */
  assertAlive(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Connections. */
  get rows(): number {
    return this.#live.read().length;
  }

  /** Bytes that were delivered so far to the targets of each connection. */
  get delivered(): number[] {
    return this.#live.read().map(({ bytesUp }) => bytesUp);
  }

  /** Receive buffers that are with a direction. */
  get taken(): number {
    return Atomics.load(this.#gauges, GAUGE_TAKEN);
  }

  /** How often the completion queue was full. */
  get timesFull(): number {
    return Atomics.load(this.#gauges, GAUGE_FULL);
  }

  /** Waits until no connection is left and no receive buffer with any. */
  async atRest(): Promise<void> {
    await until("rows and buffers are back", () => {
      this.assertAlive();
      return this.rows === 0 && Atomics.load(this.#gauges, GAUGE_TAKEN) === 0;
    }).catch((cause: unknown) => {
      const buffers = Atomics.load(this.#gauges, GAUGE_TAKEN);
      throw new Error(`${this.rows} rows, ${buffers} buffers are left`, { cause });
    });
  }

  /** Tells `key` to stop listening and waits for the last connection. */
  async drain(): Promise<void> {
    const drained = this.#next("drained");
    this.#post({ type: "drain" });
    await drained;
  }

  /** Resets what is left, in order; disposal alone ends a thread that may hang. @returns how many connections were reset. */
  async end(): Promise<number> {
    const ended = this.#next("ended");
    this.#post({ type: "end" });
    const { connections } = await ended;
    await this.#exited.promise;
    return connections;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#failure === null) {
      void this.#worker.terminate();
      if (this.#wakeFd >= 0) writeSync(this.#wakeFd, ONE); // it ends when its system call does
      await within("the worker ends", this.#exited.promise, 1_000).catch(() => {});
    }
    if (this.#wakeFd >= 0) closeSync(this.#wakeFd);
    this.#wakeFd = -1;
  }
}
