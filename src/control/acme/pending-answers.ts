// The answers to challenges that are pending: what every gateway worker is told, and what listeners that are opened for a
// challenge (temporary-listener.ts) answer with. Solvers add and remove; the proxy owns it, and tells workers that come up later.
//
// Invariant: who was told "held" can have any gateway worker asked: messages are in order, so a worker that answers a question
// has taken the set that went before.

import type { ChallengeAnswer } from "../../shared/challenges.ts";
import { ProxyError } from "../../shared/errors.ts";
import { CHALLENGES } from "../../shared/limits.ts";
import type { Command } from "../../shared/messages.ts";
import type { Questions } from "../questions.ts";

/** A gateway worker. */
interface Holder {
  readonly index: number;
  post(command: Command): void;
}

/** Has opened a listener for these answers alone, and does without it while the proxy opens its own. */
export interface TemporaryHolder {
  /** Settles when its listener is closed, if it is on one of these ports. @returns to be disposed of when the others are open. */
  makeWay(ports: ReadonlySet<number>): Promise<Disposable>;
}

export class PendingAnswers {
  readonly #workers: () => readonly Holder[];
  readonly #questions: Questions;
  readonly #answers = new Set<ChallengeAnswer>();
  readonly #holders = new Set<TemporaryHolder>();
  #sending: Promise<void> | null = null;

  /** @param workers gateway workers that are up. */
  constructor(workers: () => readonly Holder[], questions: Questions) {
    this.#workers = workers;
    this.#questions = questions;
  }

  get all(): ReadonlySet<ChallengeAnswer> {
    return this.#answers;
  }

  /**
   * Settles when every gateway worker holds it.
   * @throws ProxyError ERR_CHALLENGE if too many are pending.
   */
  async add(answer: ChallengeAnswer): Promise<void> {
    if (this.#answers.size >= CHALLENGES.pendingMax) {
      throw new ProxyError("ERR_CHALLENGE", `${CHALLENGES.pendingMax} challenges are pending`, {
        cure: "Try again when some of them are over",
      });
    }
    this.#answers.add(answer);
    await this.#send();
  }

  /** Nobody waits for workers here: an answer that is given a moment longer does no harm. */
  remove(answer: ChallengeAnswer): void {
    if (this.#answers.delete(answer)) void this.#send();
  }

  /** Somebody needs a listener just for this, until `leave`. */
  enter(holder: TemporaryHolder): void {
    this.#holders.add(holder);
  }

  leave(holder: TemporaryHolder): void {
    this.#holders.delete(holder);
  }

  /** The proxy opens listeners on these ports. @returns to be disposed of when they are open, or will not be. */
  async makeWay(ports: ReadonlySet<number>): Promise<Disposable> {
    const ways = await Promise.all([...this.#holders].map((holder) => holder.makeWay(ports)));
    return {
      [Symbol.dispose]: () => {
        for (const way of ways) way[Symbol.dispose]();
      },
    };
  }

  /** A worker came up: it is told before it is given a listener. */
  tell(worker: Holder): void {
    if (this.#answers.size > 0) worker.post(this.#command());
  }

  /** What is added in one turn of the event loop goes out together. */
  #send(): Promise<void> {
    this.#sending ??= this.#sendSoon();
    return this.#sending;
  }

  async #sendSoon(): Promise<void> {
    await Promise.resolve();
    this.#sending = null;
    const workers = this.#workers();
    for (const worker of workers) worker.post(this.#command());
    await this.#questions.ask(workers, "alive");
  }

  #command(): Command {
    return { type: "challenges", answers: [...this.#answers] };
  }
}
