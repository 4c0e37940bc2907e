// A client that waits for its target: the addresses are tried in turn, within the connect timeout over all of them. Created
// by listener.ts, which is told how it ends; the engine's sweep calls `expire`.

import { monotonicMs } from "../clock.ts";
import { type Connection } from "./connection.ts";
import { Attempt, type TargetAddress } from "./dial.ts";
import type { BunListener } from "./listener.ts";

export class Dialing {
  readonly connection: Connection;
  /** Of the attempt that runs: what is left of the timeout, shared evenly with the addresses that are left. */
  deadlineMs = 0;
  readonly #listener: BunListener;
  readonly #targets: readonly TargetAddress[];
  readonly #endMs: number;
  #next = 0;
  #attempt!: Attempt;

  constructor(listener: BunListener, connection: Connection) {
    this.#listener = listener;
    this.connection = connection;
    this.#targets = listener.targets;
    this.#endMs = monotonicMs() + listener.plan.timeouts.connectMs;
    this.#try();
  }

  /** Nothing to wait for any more: connected, refused, or the client is gone. */
  get settled(): boolean {
    const { connected, over, target } = this.connection;
    return over || (connected && !target.handshakes);
  }

  #try(): void {
    const target = this.#targets[this.#next++]!;
    const now = monotonicMs();
    const left = this.#targets.length - this.#next + 1;
    this.deadlineMs = now + (this.#endMs - now) / left;
    const listener = this.#listener;
    this.#attempt = Attempt.start(target, this.connection.target, {
      created: (fd) => {
        if (target.address.kind === "ip") listener.prepareTarget(fd);
      },
      reached: () => {
        this.deadlineMs = this.#endMs; // a handshake of Fast Open may be all that is left, and nobody else is tried
        listener.forward(this.connection, target);
      },
      failed: (errno) => this.#failed(target, errno),
    });
    this.connection.target.attempt = this.#attempt;
  }

  #failed(target: TargetAddress, errno: string): void {
    if (this.connection.over) return;
    const { counters } = this.#listener;
    counters.connectFailed(0);
    if (errno === "EMFILE" || errno === "ENFILE") {
      return this.#listener.refuse(
        this.connection,
        "descriptors",
        `${target.text}: ${errno}`,
        errno,
      );
    }
    const mayGoOn = !this.connection.connected && monotonicMs() < this.#endMs;
    if (this.#next < this.#targets.length && mayGoOn) {
      counters.error(errno); // the last failure is counted as the connection's own
      return this.#try();
    }
    const reason = errno === "ETIMEDOUT" ? "connect_timeout" : "target_down";
    this.#listener.refuse(this.connection, reason, `${target.text}: ${errno}`, errno);
  }

  /** The attempt took its share of time, or its handshake all of it. */
  expire(): void {
    if (!this.connection.connected) this.#attempt.cancel();
    this.#failed(this.#targets[this.#next - 1]!, "ETIMEDOUT");
  }
}
