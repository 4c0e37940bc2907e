// One place for a worker: whoever is in it crashes, another takes the place, ever more slowly if that goes on.
// Invariant: one flow of restarts, so at most one worker at a time is in the place. Called by the proxy, one for each index.

import { messageOf, type ProxyError } from "../shared/errors.ts";
import { CONTROL } from "../shared/limits.ts";
import type { Log } from "../shared/log.ts";
import type { WorkerEvent, WorkerKind } from "../shared/messages.ts";
import { backoffMs, pause } from "./backoff.ts";
import { WorkerHandle, type WorkerOrder } from "./worker-handle.ts";

/** How long `end` waits for a replacement that is starting: ten times what it takes on a busy machine. */
const STARTING_MS = 1_000;

export interface SlotHandlers {
  /** Any event of a worker but `ready` and `start_failed`. */
  event(event: WorkerEvent): void;
  /** The worker is gone; `restarts` says whether another follows. `error` is null after an orderly end. */
  gone(error: ProxyError | null, restarts: boolean): void;
  /** Another worker is in the place. */
  replaced(worker: WorkerHandle): void;
}

export class WorkerSlot {
  readonly #init: WorkerOrder;
  readonly #log: Log;
  readonly #handlers: SlotHandlers;
  /** No worker is replaced any more. */
  readonly #closing = new AbortController();
  /** A worker that does not come up is not waited for any more. */
  readonly #abandoning = new AbortController();
  #worker: WorkerHandle | undefined;
  #startedMs = 0;
  /** Crashes and failed starts in a row. */
  #failures = 0;
  #kept: Promise<void> = Promise.resolve();

  constructor(init: WorkerOrder, log: Log, handlers: SlotHandlers) {
    this.#init = init;
    this.#log = log;
    this.#handlers = handlers;
  }

  get kind(): WorkerKind {
    return this.#init.kind;
  }

  /** The worker that is up, if one is. */
  get worker(): WorkerHandle | undefined {
    return this.#worker?.alive === true ? this.#worker : undefined;
  }

  /** @throws ProxyError ERR_ENGINE or ERR_WORKER if the first worker does not come up; then there is nothing to end. */
  async start(): Promise<void> {
    this.#kept = this.#keep(await this.#launch());
  }

  /** A worker that crashes from now on is not replaced; the one that is up goes on. */
  close(): void {
    this.#closing.abort();
  }

  /** Ends the worker. Settles when no thread is left, or none that anybody can reach: one that hangs is given up. */
  async end(): Promise<void> {
    this.close();
    this.#worker?.end();
    const timer = setTimeout(() => this.#abandoning.abort(), STARTING_MS);
    await this.#kept;
    clearTimeout(timer);
  }

  async #launch(): Promise<WorkerHandle> {
    this.#startedMs = performance.now();
    const worker = await WorkerHandle.start(
      this.#init,
      (event) => this.#handlers.event(event),
      this.#abandoning.signal,
    );
    // The proxy ended while this worker came up: it has nothing to do, and nobody else knows of it.
    if (this.#closing.signal.aborted) worker.end();
    else this.#worker = worker;
    return worker;
  }

  async #keep(first: WorkerHandle): Promise<void> {
    for (let worker: WorkerHandle | undefined = first; worker !== undefined;) {
      const { index } = this.#init;
      const error = await worker.exited;
      this.#worker = undefined;
      const restarts = error !== null && !this.#closing.signal.aborted;
      this.#handlers.gone(error, restarts);
      if (!restarts) {
        const what = worker.hung ? "worker hangs, ending without it" : "worker crashed";
        if (error !== null) this.#log.error({ worker: index, error: error.message }, what);
        return;
      }
      if (performance.now() - this.#startedMs >= CONTROL.restartCalmMs) this.#failures = 0;
      const delayMs = backoffMs(this.#failures);
      this.#log.error(
        { worker: index, error: error.message, delayMs },
        "worker crashed, starting another",
      );
      worker = await this.#replace();
    }
  }

  /** Tries until another worker is up or the proxy ends. */
  async #replace(): Promise<WorkerHandle | undefined> {
    while (true) {
      await pause(backoffMs(this.#failures++), this.#closing.signal);
      if (this.#closing.signal.aborted) return undefined;
      try {
        const worker = await this.#launch();
        if (this.#worker === worker) this.#handlers.replaced(worker);
        return worker;
      } catch (error) {
        const { index } = this.#init;
        this.#log.error({ worker: index, error: messageOf(error) }, "worker did not come back");
      }
    }
  }
}
