// A client that waits for its target: one after the other is tried, as l4/targets.ts chooses them, within the connect timeout
// over all of them. Created by listener.ts, which is told how it ends; the engine's sweep calls `expire`.
//
// Invariant: `#tries` is told of every target that it gave, once.

import type { Attempt as Tries } from "../../l4/targets.ts";
import { monotonicMs } from "../../shared/clock.ts";
import type { Refusal } from "../../shared/messages.ts";
import { isOutOfDescriptors, isShortage } from "../../shared/shortage.ts";
import { type Connection } from "./connection.ts";
import { Attempt, type TargetAddress } from "./dial.ts";
import type { BunListener } from "./listener.ts";

export class Dialing {
  readonly connection: Connection;
  /** Of the attempt that runs: what is left of the timeout, shared evenly with the addresses that are left. */
  deadlineMs = 0;
  readonly #listener: BunListener;
  readonly #tries: Tries<TargetAddress>;
  readonly #endMs: number;
  #attempt!: Attempt;

  constructor(listener: BunListener, connection: Connection, tries: Tries<TargetAddress>) {
    this.#listener = listener;
    this.connection = connection;
    connection.dialing = this;
    this.#tries = tries;
    this.#endMs = monotonicMs() + listener.plan.timeouts.connectMs;
    this.#try("");
  }

  /** Nothing to wait for any more: connected, refused, or the client is gone. */
  get settled(): boolean {
    const { connected, over, target } = this.connection;
    return over || (connected && !target.handshakes);
  }

  /** @param errno of the one before. */
  #try(errno: string): void {
    const tries = this.#tries;
    const before = tries.target;
    const now = monotonicMs();
    const target = tries.next(this.#listener.clientIp(this.connection), now);
    if (target === undefined) {
      if (before === undefined) return this.#listener.lacks(this.connection, tries);
      const reason = isShortage(errno) ? "descriptors" : "target_down";
      return this.#refuse(reason, before.name, errno);
    }
    this.connection.slot = target.slot;
    this.deadlineMs = now + (this.#endMs - now) / tries.left;
    const listener = this.#listener;
    this.#attempt = Attempt.start(target.socket, this.connection.target, {
      created: (fd) => {
        if (target.address.kind === "ip") listener.prepareTarget(fd);
      },
      reached: () => {
        this.deadlineMs = this.#endMs; // a handshake of Fast Open may be all that is left, and nobody else is tried
        const isKnown = !listener.fastopen || !this.connection.target.handshakes;
        if (isKnown) tries.succeeded(monotonicMs());
        listener.forward(this.connection, target.socket);
      },
      failed: (code) => this.#failed(code),
    });
    this.connection.target.attempt = this.#attempt;
  }

  #failed(errno: string): void {
    const { connection } = this;
    if (connection.over) return;
    const { counters } = this.#listener;
    const { name, slot } = this.#tries.target!;
    if (!isShortage(errno)) counters.connectFailed(slot);
    if (isOutOfDescriptors(errno)) return this.#refuse("descriptors", name, errno);
    const now = monotonicMs();
    if (connection.connected) this.#tries.brokeOff(now);
    else {
      if (isShortage(errno)) this.#tries.abandoned();
      else this.#tries.failed(now);
      connection.slot = -1;
    }
    if (connection.connected || now >= this.#endMs) {
      return this.#refuse(errno === "ETIMEDOUT" ? "connect_timeout" : "target_down", name, errno);
    }
    if (this.#tries.left > 0)
      counters.error(errno); // the last failure is counted as the connection's own
    else if (errno === "ETIMEDOUT") return this.#refuse("connect_timeout", name, errno);
    this.#try(errno);
  }

  #refuse(reason: Refusal, name: string, errno: string): void {
    this.#listener.refuse(this.connection, reason, `${name}: ${errno}`, errno);
  }

  /** The client left, or cannot be served: the target that is being tried has nothing to do with it. */
  abandon(): void {
    if (this.connection.slot >= 0) this.#tries.abandoned();
  }

  /** It is connected, and the target has answered. */
  settle(): void {
    if (this.connection.connected) this.#tries.settled(true, monotonicMs());
  }

  /** It was connected, and is over. @param answered something came of the target. */
  end(answered: boolean): void {
    this.#tries.settled(answered, monotonicMs());
  }

  /** The attempt took its share of time, or its handshake all of it. */
  expire(): void {
    if (!this.connection.connected) this.#attempt.cancel();
    this.#failed("ETIMEDOUT");
  }
}
