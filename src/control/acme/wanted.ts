// Names that clients ask for in handshakes and that no certificate covers, of listeners with `onDemand`: from workers, where
// those handshakes wait, to whoever decides about them (the manager), and what is decided back. A name that gets a certificate
// needs no word to workers: the handshakes go on when their listener gets it.
//
// Invariant: a name is told once until it is denied or granted, or nobody can wait for it any more, however many workers ask.

import { monotonicMs } from "../../shared/clock.ts";
import { ON_DEMAND } from "../../shared/limits.ts";
import type { Command } from "../../shared/messages.ts";

/** @param name in lower case, a host name. To be answered by `deny` or `granted`, soon: the client waits. */
export type WantedHandler = (name: string) => void;

export class WantedCertificates {
  #handler: WantedHandler | null = null;
  readonly #workers: () => readonly { post(command: Command): void }[];
  /** Until when clients wait, in the order of asking. */
  readonly #asked = new Map<string, number>();

  /** @param workers gateway workers that are up. */
  constructor(workers: () => readonly { post(command: Command): void }[]) {
    this.#workers = workers;
  }

  /** null: nobody decides, and every name is denied. Another one is told what is waited for, as nobody else will decide it. */
  set handler(handler: WantedHandler | null) {
    this.#handler = handler;
    if (handler === null) return;
    const now = monotonicMs();
    for (const [name, untilMs] of this.#asked) if (untilMs > now) handler(name);
  }

  ask(name: string): void {
    if (this.#handler === null) return this.deny(name);
    const now = monotonicMs();
    for (const [old, untilMs] of this.#asked) {
      if (untilMs > now) break;
      this.#asked.delete(old);
    }
    if (this.#asked.has(name)) return;
    this.#asked.set(name, now + ON_DEMAND.waitMs);
    this.#handler(name);
  }

  /** There will be no certificate: handshakes that wait for it fail, and so do those of the next moments. */
  deny(name: string): void {
    this.#asked.delete(name);
    for (const worker of this.#workers()) worker.post({ type: "certificate_denied", name });
  }

  /** Called when its certificate was handed to the listeners. */
  granted(name: string): void {
    this.#asked.delete(name);
  }
}
