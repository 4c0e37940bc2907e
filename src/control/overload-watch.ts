// Looks at how strained the process and its threads are. Called by the proxy, for as long as it runs.

import { sharedMs } from "../ffi/clock.ts";
import { Lag } from "../l4/lag.ts";
import { Beat } from "../shared/beat.ts";
import { monotonicMs } from "../shared/clock.ts";
import { CONTROL_THREAD, type StrainBoard, threadOf } from "../shared/strain.ts";
import type { ProxyHealth } from "./proxy-state.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export class OverloadWatch {
  readonly #board: StrainBoard;
  readonly #lag = new Lag();
  readonly #beat: Beat;

  constructor(board: StrainBoard) {
    this.#board = board;
    this.#lag.busy(monotonicMs());
    this.#beat = new Beat(() => this.#look());
  }

  #look(): void {
    const nowMs = monotonicMs();
    this.#lag.beat(nowMs, false);
    const dueMs = sharedMs() + (this.#lag.dueMs - nowMs);
    this.#board.setThread(CONTROL_THREAD, dueMs, this.#lag.worstMs, 0);
  }

  health(workers: readonly Pick<WorkerHandle, "index">[]): ProxyHealth {
    const now = sharedMs();
    const lagOf = (thread: number): number => this.#board.lagMs(thread, now);
    return {
      lagMs: {
        control: lagOf(CONTROL_THREAD),
        workers: workers.map(({ index }) => ({ index, lagMs: lagOf(threadOf(index)) })),
      },
      overloaded: [],
    };
  }

  /** The worker is gone. */
  retire(index: number): void {
    this.#board.clear(threadOf(index));
  }

  stop(): void {
    this.#beat.stop();
  }
}
