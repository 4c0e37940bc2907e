// One worker as the control plane sees it: a thread, its mailbox, and the descriptor that wakes it. A thread that
// blocks in a system call reads its mailbox only when woken, so every command is followed by a write to its eventfd.

import { closeSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";

import { fromErrorRecord, messageOf, ProxyError } from "../shared/errors.ts";
import { CONTROL } from "../shared/limits.ts";
import { LiveTable } from "../shared/live-table.ts";
import type {
  Command,
  GatewayInit,
  RelayInit,
  WorkerEvent,
  WorkerInit,
  WorkerKind,
} from "../shared/messages.ts";
import type { EngineName } from "../shared/plan.ts";

// In a compiled executable every entry point lies in one folder, and is found by its name as it was given to the build.
const ENTRIES = Bun.isStandaloneExecutable
  ? { relay: "./worker.ts", gateway: "./gateway.ts" }
  : {
      relay: new URL("../worker.ts", import.meta.url),
      gateway: new URL("../gateway.ts", import.meta.url),
    };

/** eventfd(2) adds the 8-byte integer that is written to it. */
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** What is asked of a worker. */
export type WorkerOrder = Omit<RelayInit, "givenUp"> | Omit<GatewayInit, "givenUp">;

export class WorkerHandle {
  readonly kind: WorkerKind;
  /** Over workers of both kinds. */
  readonly index: number;
  /** Of a relay worker; a gateway worker says what its sockets are. */
  readonly engine: EngineName;
  readonly engineReason: string;
  readonly live: LiveTable;
  /** Settles when the thread is gone or given up, with null after an orderly end and the reason otherwise; never rejects. */
  readonly exited: Promise<ProxyError | null>;
  readonly #givenUp: Int32Array;
  readonly #giveUp: (error: ProxyError) => void;
  readonly #worker: Worker;
  readonly #wakeFd: number;
  #alive = true;

  private constructor(
    init: WorkerInit,
    worker: Worker,
    exit: PromiseWithResolvers<ProxyError | null>,
    ready: WorkerEvent & { type: "ready" },
  ) {
    this.kind = init.kind;
    this.index = init.index;
    this.#givenUp = new Int32Array(init.givenUp);
    this.engine = ready.engine;
    this.engineReason = ready.reason;
    this.live = new LiveTable(ready.live);
    this.exited = exit.promise;
    this.#giveUp = exit.resolve;
    this.#worker = worker;
    this.#wakeFd = ready.wakeFd;
    worker.once("exit", () => this.#release());
  }

  /** False as soon as the thread is gone or given up. */
  get alive(): boolean {
    return this.#alive;
  }

  /** It was given up because it did not end. */
  get hung(): boolean {
    return this.#givenUp[0] === 1;
  }

  /**
   * @param onEvent gets any event but `ready` and `start_failed`.
   * @param abandon aborted: does not wait any longer. A thread that comes up after all is ended.
   * @throws ProxyError ERR_ENGINE if no engine can run as asked, ERR_WORKER if the thread does not come up.
   */
  static start(
    asked: WorkerOrder,
    onEvent: (event: WorkerEvent) => void,
    abandon: AbortSignal,
  ): Promise<WorkerHandle> {
    const init: WorkerInit = { ...asked, givenUp: new SharedArrayBuffer(4) };
    const worker = new Worker(ENTRIES[init.kind], {
      workerData: init,
      name: `${init.kind}-${init.index}`,
    });
    const start = Promise.withResolvers<WorkerHandle>();
    const exit = Promise.withResolvers<ProxyError | null>();
    const failed = (reason: string, cause?: unknown): ProxyError =>
      new ProxyError("ERR_WORKER", `worker ${init.index}${reason}`, { cause });
    let failure: ProxyError | null = null;
    let ended = false;
    let onEventLoop = false;
    const giveUp = (): void => {
      failure = failed(" did not become ready");
      start.reject(failure);
      void worker.terminate();
    };
    const timer = setTimeout(giveUp, CONTROL.startTimeoutMs);
    abandon.addEventListener("abort", giveUp);
    const settled = (): void => {
      clearTimeout(timer);
      abandon.removeEventListener("abort", giveUp);
    };
    void start.promise.then(settled, settled);
    worker.on("message", (event: WorkerEvent) => {
      if (event.type === "ready") {
        onEventLoop = event.wakeFd < 0;
        const handle = new WorkerHandle(init, worker, exit, event);
        if (failure === null) start.resolve(handle);
        else handle.end(); // too late: nobody waits for it any more
      } else if (event.type === "start_failed") failure = fromErrorRecord(event.error);
      else {
        if (event.type === "ended") ended = true;
        onEvent(event);
        // Where the runtime connects, it cannot give up: one attempt would keep the thread as long as the kernel tries.
        if (ended && onEventLoop) void worker.terminate();
      }
    });
    worker.on("error", (cause) => (failure = failed(`: ${messageOf(cause)}`, cause)));
    worker.on("exit", (code) => {
      const error = failure ?? failed(` ended with code ${code}`);
      start.reject(error);
      exit.resolve(ended && failure === null ? null : error);
    });
    return start.promise;
  }

  /** The eventfd belongs to this side: a worker that closed it could make `post` write into another descriptor. */
  #release(): void {
    this.#alive = false;
    if (this.#wakeFd >= 0) closeSync(this.#wakeFd);
  }

  /**
   * Resets what is left and ends the thread. One that hangs, in a system call that does not return, is given up after a
   * while: it does not keep the process any more, and should it ever read its mailbox, it obeys nothing but the end.
   */
  end(): void {
    if (!this.#alive) return;
    this.post({ type: "end" });
    const timer = setTimeout(() => {
      this.#alive = false;
      Atomics.store(this.#givenUp, 0, 1);
      this.#worker.unref();
      const problem = `worker ${this.index} did not end within ${CONTROL.endTimeoutMs} ms`;
      this.#giveUp(new ProxyError("ERR_WORKER", problem));
    }, CONTROL.endTimeoutMs);
    this.#worker.once("exit", () => clearTimeout(timer));
  }

  /** Posts a command and wakes the thread. A command to a thread that is gone is dropped: `ended` was or will be called. */
  post(command: Command): void {
    if (!this.#alive) return;
    this.#worker.postMessage(command);
    if (this.#wakeFd >= 0) writeSync(this.#wakeFd, ONE);
  }
}
