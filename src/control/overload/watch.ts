// Looks at how strained the process and its threads are, and says from when on new work is turned away. What concerns the
// process is decided here, and stands in shared memory for workers; how late a worker is, it judges itself (l4/strain.ts), and
// this only reads it. Called by the proxy, for as long as it runs.

import { sharedMs } from "../../ffi/clock.ts";
import { Lag } from "../../l4/lag.ts";
import { Shedding } from "../../l4/shedding.ts";
import { Beat } from "../../shared/beat.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { SHEDDING } from "../../shared/limits.ts";
import type { Log } from "../../shared/log.ts";
import type { OverloadPlan } from "../../shared/plan.ts";
import { CONTROL_THREAD, type StrainBoard, threadOf } from "../../shared/strain.ts";
import type { Overload, ProxyHealth } from "../proxy-state.ts";
import type { WorkerHandle } from "../worker-handle.ts";
import { descriptorsMax, memoryHeld, memoryLimit, openDescriptors } from "./usage.ts";
import { OverloadVoice } from "./voice.ts";

export interface WatchOptions {
  readonly log: Log;
  readonly board: StrainBoard;
  /** As it is now: a reload may change it. */
  readonly plan: () => OverloadPlan;
  readonly workers: () => readonly Pick<WorkerHandle, "index" | "kind">[];
  /** Has workers collect their garbage. */
  readonly collect: () => void;
}

export class OverloadWatch {
  readonly #options: WatchOptions;
  readonly #voice: OverloadVoice;
  readonly #lag = new Lag(SHEDDING.lookMs);
  readonly #beat: Beat;
  readonly #memory = new Shedding(SHEDDING.memory);
  readonly #descriptors = new Shedding(SHEDDING.descriptors);
  #memoryBytes = 0;
  #memoryLimitBytes = 0;
  #memoryCeiling = 0;
  #openDescriptors: number | null = null;
  #descriptorsMax: number | null = null;
  #nextLimitMs = 0;
  #nextCollectMs = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#voice = new OverloadVoice(options.log);
    this.#lag.busy(monotonicMs());
    this.#beat = new Beat(SHEDDING.lookMs, () => this.#turn());
  }

  #turn(): number {
    const nowMs = monotonicMs();
    const { board } = this.#options;
    this.#lag.beat(nowMs, false);
    board.setThread(CONTROL_THREAD, sharedMs() + (this.#lag.dueMs - nowMs), this.#lag.worstMs, 0);
    this.#look(nowMs);
    return SHEDDING.lookMs;
  }

  #look(nowMs: number): void {
    const { board, plan } = this.#options;
    const { lagMs, memory, descriptorsShare } = plan();
    board.lagCeilingMs = lagMs;
    if (memory !== null || descriptorsShare > 0) this.#measure(nowMs);
    const limit = this.#memoryLimitBytes;
    this.#memoryCeiling =
      memory === null ? 0 : "bytes" in memory ? memory.bytes : memory.share * limit;
    const memoryPart = this.#memory.look(
      this.#memoryBytes,
      this.#memoryCeiling,
      nowMs,
      limit * SHEDDING.memoryWall,
    );
    const descriptorsCeiling = descriptorsShare * (this.#descriptorsMax ?? 0);
    const open = this.#openDescriptors ?? 0;
    const descriptorsPart = this.#descriptors.look(open, descriptorsCeiling, nowMs);
    board.setProcess(memoryPart, descriptorsPart);
    if (memoryPart > 0 && nowMs >= this.#nextCollectMs) {
      this.#nextCollectMs = nowMs + SHEDDING.collectMs;
      this.#options.collect();
    }
    this.#voice.hear(this.overloads(), nowMs);
  }

  #measure(nowMs: number): void {
    this.#memoryBytes = memoryHeld();
    this.#openDescriptors = openDescriptors();
    this.#descriptorsMax = descriptorsMax(); // workers raise it when they start
    if (nowMs < this.#nextLimitMs) return;
    this.#nextLimitMs = nowMs + SHEDDING.limitMs;
    this.#memoryLimitBytes = memoryLimit();
  }

  /** Why new work is turned away at this moment. */
  overloads(): Overload[] {
    return [...this.#lateWorkers(), ...this.#fullMemory(), ...this.#fewDescriptors()];
  }

  #lateWorkers(): Overload[] {
    const { board, workers } = this.#options;
    const all = workers();
    const late = all.filter(({ index }) => board.lagShare(threadOf(index)) > 0);
    if (late.length === 0) return [];
    const now = sharedMs();
    const worst = Math.max(...late.map(({ index }) => board.lagMs(threadOf(index), now)));
    const names = late.map(({ index }) => index).join(", ");
    const detail = `${late.length === 1 ? "worker" : "workers"} ${names}, ${Math.round(worst)} ms late`;
    // Somebody may have to do with one kind of them only.
    const kinds = new Set(late.map(({ kind }) => kind));
    const isWhole = [...kinds].some((kind) =>
      all.filter((worker) => worker.kind === kind).every((worker) => late.includes(worker)),
    );
    return [{ reason: "lag", detail, partial: !isWhole }];
  }

  #fullMemory(): Overload[] {
    if (this.#memory.share === 0) return [];
    const held = `${megabytes(this.#memoryBytes)} are held`;
    const detail = `${held}, more than ${megabytes(this.#memoryCeiling)}`;
    return [{ reason: "memory", detail, partial: this.#memory.relieved }];
  }

  #fewDescriptors(): Overload[] {
    if (this.#descriptors.share === 0) return [];
    const detail = `${this.#openDescriptors} are open, of ${this.#descriptorsMax}`;
    return [{ reason: "descriptors", detail, partial: false }];
  }

  health(): ProxyHealth {
    const { board, workers } = this.#options;
    const now = sharedMs();
    const lagOf = (thread: number): number => board.lagMs(thread, now);
    return {
      lagMs: {
        control: lagOf(CONTROL_THREAD),
        workers: workers().map(({ index }) => ({ index, lagMs: lagOf(threadOf(index)) })),
      },
      overloaded: this.overloads().map(({ reason }) => reason),
    };
  }

  /** The worker is gone. */
  retire(index: number): void {
    this.#options.board.clear(threadOf(index));
  }

  stop(): void {
    this.#beat.stop();
  }
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MB`;
}
