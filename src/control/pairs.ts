// Pairs of connected sockets that workers relay for their caller: who waits for what of which pair. Invariant: both promises of
// a pair settle, at the latest when its worker is gone. Called by the proxy.

import { fromErrorRecord, ProxyError } from "../shared/errors.ts";
import type { LiveTable } from "../shared/live-table.ts";
import type { AdoptRequest, WorkerEvent } from "../shared/messages.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export interface PairResult {
  /** From the first descriptor to the second. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** A pair that was given to a worker. */
export interface Adoption {
  /** The worker holds duplicates of both descriptors. */
  readonly taken: Promise<void>;
  readonly done: Promise<PairResult>;
  /** What it has moved so far, also after its end, whatever that was. */
  moved(): PairResult;
}

interface PendingPair {
  readonly worker: number;
  /** Its worker's, which outlives the worker. */
  readonly live: LiveTable | undefined;
  /** Its id there; -1 until the worker has it. */
  connection: number;
  /** When it was last looked at, or at its end. */
  moved: PairResult;
  readonly taken: PromiseWithResolvers<void>;
  readonly done: PromiseWithResolvers<PairResult>;
}

export class Pairs {
  readonly #pairs = new Map<number, PendingPair>();
  #next = 1;

  /** @param worker undefined: nobody can take it, so both promises are rejected. */
  adopt(worker: WorkerHandle | undefined, request: AdoptRequest): Adoption {
    const id = this.#next++;
    const pair: PendingPair = {
      worker: worker?.index ?? -1,
      live: worker?.live,
      connection: -1,
      moved: { bytesUp: 0, bytesDown: 0 },
      taken: Promise.withResolvers<void>(),
      done: Promise.withResolvers<PairResult>(),
    };
    pair.done.promise.catch(() => {}); // whoever awaits `taken` alone must not crash on `done`
    if (worker === undefined) {
      const error = new ProxyError("ERR_STATE", "the proxy is not running");
      pair.taken.reject(error);
      pair.done.reject(error);
    } else {
      this.#pairs.set(id, pair);
      worker.post({ type: "adopt", id, request });
    }
    const moved = (): PairResult =>
      (pair.moved = pair.live?.bytesOf(pair.connection) ?? pair.moved);
    return { taken: pair.taken.promise, done: pair.done.promise, moved };
  }

  adopted({ id, connection, error }: WorkerEvent & { type: "adopted" }): void {
    if (error !== null) return this.#fail(id, fromErrorRecord(error));
    const pair = this.#pairs.get(id);
    if (pair === undefined) return;
    pair.connection = connection;
    pair.taken.resolve();
  }

  closed({ id, bytesUp, bytesDown, error }: WorkerEvent & { type: "pair_closed" }): void {
    const pair = this.#pairs.get(id);
    if (pair === undefined) return;
    pair.moved = { bytesUp, bytesDown };
    if (error !== null) return this.#fail(id, fromErrorRecord(error));
    pair.done.resolve(pair.moved);
    this.#pairs.delete(id);
  }

  /** The worker of this index is gone. @param error null after an orderly end. */
  retire(worker: number, error: ProxyError | null): void {
    for (const [id, pair] of this.#pairs) {
      if (pair.worker !== worker) continue;
      this.#fail(id, error ?? new ProxyError("ERR_CLOSED", "the proxy ended"));
    }
  }

  #fail(id: number, error: ProxyError): void {
    const pair = this.#pairs.get(id);
    pair?.taken.reject(error);
    pair?.done.reject(error);
    this.#pairs.delete(id);
  }
}
