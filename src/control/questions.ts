// What every worker is asked and answers at once: whether it is alive, to begin to accept, for its listening sockets.
// Invariant: each question settles: with the worker's answer, or when the worker is gone. Called by the proxy.

import type { Command, ListeningSocket, Question } from "../shared/messages.ts";

interface Asked {
  readonly index: number;
  post(command: Command): void;
}

interface Waiting {
  readonly worker: number;
  readonly settle: (sockets: readonly ListeningSocket[] | null) => void;
}

export class Questions {
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  /** @returns the answer of each; null of a worker that ended instead. */
  ask(
    workers: readonly Asked[],
    question: Question,
  ): Promise<(readonly ListeningSocket[] | null)[]> {
    return Promise.all(
      workers.map((worker) => {
        const { promise, resolve } = Promise.withResolvers<readonly ListeningSocket[] | null>();
        const id = this.#nextId++;
        this.#waiting.set(id, { worker: worker.index, settle: resolve });
        worker.post({ type: "ask", id, question });
        return promise;
      }),
    );
  }

  answered(id: number, sockets: readonly ListeningSocket[]): void {
    this.#waiting.get(id)?.settle(sockets);
    this.#waiting.delete(id);
  }

  /** The worker is gone. */
  retire(worker: number): void {
    for (const [id, waiting] of this.#waiting) {
      if (waiting.worker !== worker) continue;
      this.#waiting.delete(id);
      waiting.settle(null);
    }
  }
}
