// The worker threads of the proxies in this process, seen where commands are posted to them: tests make one throw, or do
// something just before a listener is opened. Called by tests of crashes.

import { spyOn } from "bun:test";
import { Worker } from "node:worker_threads";

import type { Command, OpenRequest } from "../../src/shared/messages.ts";

export class Threads implements Disposable {
  /** In the order in which they were first spoken to; whether they live or not. */
  readonly all: Worker[] = [];
  /** Called before each `open` is posted. */
  onOpen: ((thread: Worker, request: OpenRequest) => void) | null = null;
  /** Called before any command is posted. */
  onPost: ((thread: Worker, command: Command) => void) | null = null;
  /** Commands to it are kept back, as if it hung in a system call. */
  hung: Worker | null = null;
  readonly #keptBack: Command[] = [];
  readonly #alive = new Set<Worker>();
  readonly #post = Worker.prototype.postMessage;
  readonly #restore: () => void;

  constructor() {
    const note = (thread: Worker, command: Command): boolean => {
      if (!this.all.includes(thread)) {
        this.all.push(thread);
        this.#alive.add(thread);
        thread.once("exit", () => this.#alive.delete(thread));
      }
      this.onPost?.(thread, command);
      if (command.type === "open") this.onOpen?.(thread, command.request);
      if (thread === this.hung) this.#keptBack.push(command);
      return thread !== this.hung;
    };
    const post = this.#post;
    const spy = spyOn(Worker.prototype, "postMessage").mockImplementation(function (
      this: Worker,
      message: unknown,
    ) {
      if (note(this, message as Command)) post.call(this, message);
    });
    this.#restore = () => spy.mockRestore();
  }

  /** How many of them run. */
  get alive(): number {
    return this.#alive.size;
  }

  /** The thread that hung reads its mailbox again. Not for a thread that blocks: it would have to be woken. */
  release(): void {
    for (const command of this.#keptBack.splice(0)) this.#post.call(this.hung, command);
    this.hung = null;
  }

  /** Makes a thread throw when it reads its mailbox next: a thread that blocks must be woken. */
  crash(thread: Worker): void {
    this.#post.call(thread, { type: "no such command" });
  }

  [Symbol.dispose](): void {
    this.#restore();
  }
}
