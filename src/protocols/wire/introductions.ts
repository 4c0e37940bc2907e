// Clients that say who they are before anything else, by a PROXY header in clear: looked at without being read by the runtime,
// so that what follows is the wire's from its first byte. Almost always the header is there when its client is accepted;
// otherwise its socket is paused and looked at again and again, ever less often. Called by plain.ts.
//
// Invariant: each client's `done` is called once, unless it was cancelled.

import type { RelaySocket, SocketEvents } from "../../engine/bun/connection.ts";
import {
  ENDED,
  hasEnded,
  NOTHING_YET,
  peekFirst,
  skipFirst,
} from "../../engine/bun/first-bytes.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { FIRST_BYTES } from "../../shared/limits.ts";
import type { Peer } from "../live-rows.ts";

/** Of one client. */
export interface Introduction {
  /** When to call `expired` (shared/clock.ts). */
  readonly deadlineMs: number;
  /** @param bytes all that have come. @returns null: more are needed. */
  take(bytes: Uint8Array): Introduced | IntroductionError | null;
  /** It has ended without more. */
  ended(): IntroductionError;
  expired(): IntroductionError;
}

export interface Introduced {
  /** Who the client is. */
  readonly peer: Peer;
  /** How many bytes said so. */
  readonly bytes: number;
}

/** A client that did not say who it is. `code` as of Admission.leave. */
export class IntroductionError extends Error {
  override readonly name = "IntroductionError";
  readonly code: string;

  constructor(code: string) {
    super(`the client did not say who it is: ${code}`);
    this.code = code;
  }
}

type Done = (result: Introduced | IntroductionError) => void;

export class Introductions {
  readonly #waiting = new Set<Waiting>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** @param done may be called before this returns. The socket is not paused then, but for a failure. */
  begin(socket: RelaySocket, fd: number, introduction: Introduction, done: Done): void {
    const waiting = new Waiting(socket, fd, introduction, (result) => {
      this.#waiting.delete(waiting);
      done(result);
    });
    if (waiting.look(monotonicMs())) return;
    waiting.pause();
    this.#waiting.add(waiting);
    this.#arm();
  }

  #arm(): void {
    if (this.#timer !== null || this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => this.#lookAtAll(), FIRST_BYTES.lookMinMs);
  }

  #lookAtAll(): void {
    this.#timer = null;
    const now = monotonicMs();
    for (const waiting of this.#waiting) if (now >= waiting.nextMs) waiting.look(now);
    this.#arm();
  }

  /** Nobody waits for those that are left any more: they are reset. */
  abort(): void {
    for (const waiting of this.#waiting) waiting.cancel();
    this.#waiting.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** A client, and what its socket tells meanwhile. */
class Waiting implements SocketEvents {
  nextMs = 0;
  readonly #startedMs = monotonicMs();
  readonly #socket: RelaySocket;
  readonly #fd: number;
  readonly #introduction: Introduction;
  readonly #done: Done;
  #paused = false;
  #over = false;

  constructor(socket: RelaySocket, fd: number, introduction: Introduction, done: Done) {
    this.#socket = socket;
    this.#fd = fd;
    this.#introduction = introduction;
    this.#done = done;
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
    this.#socket.data = this;
  }

  /** @returns whether it is decided. */
  look(now: number): boolean {
    const result = this.#result(now);
    if (result === null) {
      const { lookMinMs, lookMaxMs } = FIRST_BYTES;
      const rest = (now - this.#startedMs) / 4;
      this.nextMs = now + Math.min(Math.max(rest, lookMinMs), lookMaxMs);
      return false;
    }
    this.#over = true;
    if (!(result instanceof IntroductionError)) {
      skipFirst(this.#fd, result.bytes);
      if (this.#paused) this.#socket.resume();
    }
    this.#done(result);
    return true;
  }

  #result(now: number): Introduced | IntroductionError | null {
    // Asked first: what came before its end is seen then. The end itself stands behind bytes that only a whole header takes away.
    const hasNoMore = this.#paused && hasEnded(this.#fd);
    const bytes = peekFirst(this.#fd);
    if (bytes === ENDED) return this.#introduction.ended();
    if (typeof bytes === "string" && bytes !== NOTHING_YET) return new IntroductionError(bytes);
    const result = typeof bytes === "string" ? null : this.#introduction.take(bytes);
    if (result !== null) return result;
    if (hasNoMore) return this.#introduction.ended();
    return now >= this.#introduction.deadlineMs ? this.#introduction.expired() : null;
  }

  cancel(): void {
    this.#over = true;
    this.#socket.terminate();
  }

  close(error: (Error & { code?: string }) | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#done(new IntroductionError(error?.code ?? "end"));
  }

  /** Nothing is read of a socket that is paused. */
  receive(): void {}
  flush(): void {}
  receiveFin(): void {}
}
