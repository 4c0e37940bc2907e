// The copy of what one client sends, on a socket of its own. What that does not take waits here, as far as the listener's high
// watermark; beyond that the copy is cut off with a reset, and what follows is counted as dropped. The connection that is
// copied never waits for it. What the mirror answers is thrown away. Created by listener.ts, swept by engine.ts.
//
// Invariants: while there is a queue the socket is not connected, or takes no bytes; a copy that lacks a byte ends there.

import { monotonicMs } from "../../shared/clock.ts";
import type { CounterWriter } from "../../shared/counters.ts";
import { errnoOf } from "../../shared/errors.ts";
import { RELAY } from "../../shared/limits.ts";
import { type Connection, type Mirrored, type RelaySocket } from "./connection.ts";
import { Attempt, type AttemptSide, type TargetAddress } from "./dial.ts";

/** Where the copies of a listener go. */
export interface MirrorTarget {
  readonly counters: CounterWriter;
  readonly connectMs: number;
  /** What a copy may hold. */
  readonly queueBytes: number;
  /** Before connect(2); Linux only. */
  prepare(fd: number): void;
  /** Empty while the name has not resolved. */
  addresses: readonly TargetAddress[];
  /** Which of them is used: the next one after a failure. */
  at: number;
  warn(message: string): void;
}

/** The copies of an engine that are not over. */
export interface Mirrors {
  /** @param timeoutMs `expire` is to be called within an eighth of this after its deadline. */
  add(mirror: Mirror, timeoutMs: number): void;
  remove(mirror: Mirror): void;
}

/** Of a connection whose mirror has no address. */
class NoMirror implements Mirrored {
  readonly #counters: CounterWriter;

  constructor(counters: CounterWriter) {
    this.#counters = counters;
  }

  copy(chunk: Uint8Array): void {
    this.#counters.mirrorDropped(chunk.length);
  }

  end(): void {}

  connectionEnded(): void {}
}

export class Mirror implements AttemptSide, Mirrored {
  socket: RelaySocket | null = null;
  /** When it is given up. */
  deadlineMs: number;
  readonly #target: MirrorTarget;
  readonly #mirrors: Mirrors;
  readonly #address: TargetAddress;
  readonly #attempt: Attempt;
  #queue: Uint8Array[] = [];
  #queued = 0;
  /** The client's bytes have all come. */
  #complete = false;
  #finSent = false;
  #over = false;

  private constructor(target: MirrorTarget, address: TargetAddress, mirrors: Mirrors) {
    this.#target = target;
    this.#address = address;
    this.#mirrors = mirrors;
    this.deadlineMs = monotonicMs() + target.connectMs;
    mirrors.add(this, Math.min(target.connectMs, RELAY.mirrorLingerMs));
    this.#attempt = Attempt.start(address, this, {
      created: (fd) => target.prepare(fd),
      reached: () => {
        if (!this.#complete) this.deadlineMs = Infinity;
        this.flush();
      },
      failed: (errno) => this.#unreachable(errno),
    });
  }

  /** @returns null if nobody knows where to. */
  static start(target: MirrorTarget, mirrors: Mirrors): Mirror | null {
    const address = target.addresses[target.at % target.addresses.length];
    return address === undefined ? null : new Mirror(target, address, mirrors);
  }

  /** Bytes that the client has sent. */
  copy(chunk: Uint8Array): void {
    const { counters, queueBytes } = this.#target;
    if (this.#over) return counters.mirrorDropped(chunk.length);
    const written = this.#queued === 0 && this.socket !== null ? this.#write(chunk) : 0;
    if (written < 0) return counters.mirrorDropped(chunk.length); // and it is over
    if (written === chunk.length) return;
    const rest = chunk.subarray(written);
    if (this.#queued + rest.length > queueBytes) {
      counters.mirrorDropped(rest.length);
      return this.#lose("does not keep up");
    }
    this.#queue.push(rest);
    this.#queued += rest.length;
  }

  /** @returns how many bytes the socket took; negative if the copy is over. */
  #write(chunk: Uint8Array): number {
    const written = this.socket!.write(chunk);
    if (written < 0 && !this.#over) this.#lose("EPIPE");
    if (written > 0) this.#target.counters.mirrored(written);
    return this.#over ? Math.min(written, -1) : written;
  }

  /** The client has sent its FIN, and all of its bytes were handed over. */
  end(): void {
    if (this.#complete || this.#over) return;
    this.#complete = true;
    this.deadlineMs = monotonicMs() + RELAY.mirrorLingerMs;
    this.#sendFin();
  }

  #sendFin(): void {
    if (this.#over || this.#finSent || !this.#complete) return;
    if (this.#queued > 0 || this.socket === null) return;
    this.#finSent = true;
    this.socket.shutdown();
  }

  /** The connection is over. A client that did not end in order is not made to look as if it had. */
  connectionEnded(): void {
    if (!this.#complete) this.#finish(true);
  }

  /** It took too long. */
  expire(): void {
    if (this.socket === null) this.#unreachable("ETIMEDOUT");
    else this.#finish(true);
  }

  abandon(): void {
    this.#finish(true);
  }

  #unreachable(errno: string): void {
    if (this.#over) return;
    const target = this.#target;
    const { length } = target.addresses;
    if (target.addresses[target.at % length] === this.#address) {
      target.at = (target.at + 1) % length;
    }
    this.#lose(errno);
  }

  #lose(reason: string): void {
    const { text } = this.#address;
    if (!this.#finSent) {
      this.#target.warn(`mirror ${text}: ${reason}; what is not copied is counted as dropped`);
    }
    this.#finish(true);
  }

  /** What is queued is dropped. */
  #finish(reset: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#target.counters.mirrorDropped(this.#queued);
    this.#queue = [];
    this.#queued = 0;
    if (reset) {
      this.#attempt.cancel();
      this.socket?.terminate();
    }
    this.#mirrors.remove(this);
  }

  /** What the mirror answers. */
  receive(): void {}

  flush(): void {
    while (this.#queue.length > 0 && !this.#over) {
      const chunk = this.#queue[0]!;
      const written = this.#write(chunk);
      if (written < 0) return;
      this.#queued -= written;
      if (written < chunk.length) {
        this.#queue[0] = chunk.subarray(written);
        return;
      }
      this.#queue.shift();
    }
    this.#sendFin();
  }

  /** It may read on all the same. */
  receiveFin(): void {}

  close(error: Error | undefined): void {
    if (this.#over) return;
    if (error === undefined && this.#finSent) this.#finish(false);
    else this.#lose(error === undefined ? "ECONNRESET" : errnoOf(error));
  }
}

/** A connection has reached its target. */
export function startMirror(
  target: MirrorTarget,
  mirrors: Mirrors,
  connection: Connection,
): Mirrored {
  const mirror = Mirror.start(target, mirrors) ?? new NoMirror(target.counters);
  const { pending } = connection.target; // what the client has sent before
  if (pending !== null) mirror.copy(pending);
  return mirror;
}
