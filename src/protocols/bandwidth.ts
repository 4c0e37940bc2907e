// Limits of bandwidth in a gateway worker: one pacer (l4/pacer.ts) for the clients of all its listeners that have such limits,
// and the wires that wait for it. Costs nothing where no listener has any. Created by src/gateway.ts; called by admission.ts.

import { PaceTimer } from "../engine/bun/pace-timer.ts";
import { type Pace, type PaceLimits, Pacer } from "../l4/pacer.ts";
import type { LiveTable } from "../shared/live-table.ts";
import { PacedWire } from "./wire/paced.ts";
import type { Watermarks, Wire } from "./wire/wire.ts";

export class Bandwidth {
  readonly #pacer: Pacer;
  readonly #timer: PaceTimer;
  readonly #wires = new Map<number, PacedWire>();

  /** @param clock that all workers share. */
  constructor({ generation }: LiveTable, clock: () => number) {
    this.#pacer = new Pacer({
      resume: (direction) => this.#wires.get(direction >>> 1)?.resumed(direction),
      generation,
      clock,
      waiting: () => this.#timer.arm(),
    });
    this.#timer = new PaceTimer(() => this.#pacer);
  }

  /** null: the listener has no limit. @param shared as of OpenRequest.bandwidth. */
  of(limits: Partial<PaceLimits>, shared: SharedArrayBuffer | null): Pace | null {
    const { bytesPerSecond = 0, connectionBytesPerSecond = 0 } = limits;
    return this.#pacer.add({ bytesPerSecond, connectionBytesPerSecond }, shared);
  }

  /** Of a listener that is over. */
  forget(pace: Pace | null): void {
    this.#pacer.remove(pace);
  }

  /** @param row of its client. */
  paced(wire: Wire, row: number, pace: Pace, marks: Watermarks): Wire {
    pace.begin(row);
    const paced = new PacedWire(wire, pace, row, marks, () => this.#wires.delete(row));
    this.#wires.set(row, paced);
    return paced;
  }

  /** The worker ends. */
  stop(): void {
    this.#timer.stop();
  }
}
