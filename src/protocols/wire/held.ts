// How much this worker holds of what peers have not taken, over all connections, and who is read sparingly while that is a lot.
//
// The runtime reads up to 512 KiB of a socket at once, and what its reader does not take then must be kept. While little is held
// that is the fastest way; once `bytes` has passed WIRE.heldBytes, targets that are asked something are read past the runtime, a
// sip each now and then, so that another stalled reader costs no more than a sip. Called by whatever keeps bytes, and by wires.

import { WIRE } from "../../shared/limits.ts";

/** A wire that the runtime does not read for now. */
export interface Sipper {
  /** Reads a little. @returns whether it is to be asked again. */
  sip(): boolean;
  /** The runtime may read again. */
  gulp(): void;
}

class Held {
  bytes = 0;
  readonly #sippers = new Set<Sipper>();
  #timer: NodeJS.Timeout | null = null;

  get isMuch(): boolean {
    return this.bytes > WIRE.heldBytes;
  }

  add(sipper: Sipper): void {
    this.#sippers.add(sipper);
    this.#timer ??= setInterval(() => this.#tick(), WIRE.sipMs);
  }

  #tick(): void {
    for (const sipper of this.#sippers) if (!sipper.sip()) this.#sippers.delete(sipper);
    if (this.bytes < WIRE.heldBytes / 2) {
      for (const sipper of this.#sippers) sipper.gulp();
      this.#sippers.clear();
    }
    if (this.#sippers.size > 0) return;
    clearInterval(this.#timer!);
    this.#timer = null;
  }
}

/** Of this thread. */
export const HELD = new Held();
