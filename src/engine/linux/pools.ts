// Pipes and buffers by their size: listeners whose watermarks are alike share them. Called by the engine, which makes profiles of
// them; a pool goes when no profile that is in use has it.

import { BufferPool, PipePool } from "./holders.ts";
import type { Profile } from "./profile.ts";

/** What a profile has of its listener's buffers. */
export type Sizes = Pick<Profile, "copyBytes" | "highBytes" | "lowBytes" | "pipes" | "buffers">;

export class Pools {
  readonly #pipes = new Map<number, PipePool>();
  readonly #buffers = new Map<number, BufferPool>();

  sizes(copyBytes: number, highBytes: number, lowBytes: number): Sizes {
    let pipes = this.#pipes.get(highBytes);
    if (pipes === undefined) this.#pipes.set(highBytes, (pipes = new PipePool(highBytes)));
    let buffers = this.#buffers.get(copyBytes);
    if (buffers === undefined) this.#buffers.set(copyBytes, (buffers = new BufferPool(copyBytes)));
    return { copyBytes, highBytes, lowBytes, pipes, buffers };
  }

  /** Closes what none of these has. */
  keepOnly(used: readonly Sizes[]): void {
    for (const [bytes, pool] of this.#pipes) {
      if (used.some(({ pipes }) => pipes === pool)) continue;
      pool.close();
      this.#pipes.delete(bytes);
    }
    for (const [bytes, pool] of this.#buffers) {
      if (used.every(({ buffers }) => buffers !== pool)) this.#buffers.delete(bytes);
    }
  }

  close(): void {
    for (const pool of this.#pipes.values()) pool.close();
  }
}
