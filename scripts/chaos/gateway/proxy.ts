// The process under test: the program as a user starts it, whose workers can be made to throw. Run by subject.ts as
// `bun proxy.ts -config FILE`; what it is told over IPC it answers with the same number.

import { Worker } from "node:worker_threads";

import { main } from "../../../src/commands/main.ts";
import type { Command } from "../../../src/shared/messages.ts";

export interface Order {
  readonly id: number;
  readonly do: "crash" | "collect";
  /** Of gateway workers that live: the index of the one to crash. */
  readonly which: number;
}

/** Gateway workers, oldest first. */
const alive = new Set<Worker>();
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (this: Worker, message: unknown): void {
  const command = message as Command;
  if (command.type === "open" && isGateway(command) && !alive.has(this)) {
    alive.add(this);
    this.once("exit", () => alive.delete(this));
  }
  post.call(this, message);
};

function isGateway(command: Command & { type: "open" }): boolean {
  const relayed: string = command.request.listener.protocol;
  return relayed !== "tcp";
}

process.on("message", ({ id, do: what, which }: Order) => {
  if (what === "collect") {
    Bun.gc(true);
    for (const worker of alive) post.call(worker, { type: "collect" } satisfies Command);
  } else {
    const victim = [...alive][which % alive.size];
    if (victim !== undefined) post.call(victim, { type: "no such command" });
  }
  process.send!(id);
});
process.on("disconnect", () => process.exit(3));

process.exit(await main(process.argv.slice(2)));
