// Questions to workers: whoever asks hears from every worker, or that it is gone.

import { expect, test } from "bun:test";

import { Questions } from "../../src/control/questions.ts";
import type { Command } from "../../src/shared/messages.ts";

function worker(index: number): { index: number; heard: Command[]; post(command: Command): void } {
  const heard: Command[] = [];
  return { index, heard, post: (command) => void heard.push(command) };
}

const idOf = (command: Command | undefined): number => (command as Command & { type: "ask" }).id;

test("each answer goes to its question, and a worker that ends settles its own", async () => {
  const questions = new Questions();
  const [first, second] = [worker(0), worker(1)];
  const sockets = questions.ask([first, second], "sockets");
  const alive = questions.ask([second], "alive");
  expect(first.heard).toMatchObject([{ type: "ask", question: "sockets" }]);
  expect(second.heard).toMatchObject([{ question: "sockets" }, { question: "alive" }]);
  questions.answered(idOf(first.heard[0]), [{ key: "tcp :1", fd: 7 }]);
  questions.answered(999, []);
  questions.retire(1);
  expect(await sockets).toEqual([[{ key: "tcp :1", fd: 7 }], null]);
  expect(await alive).toEqual([null]);
  expect(await questions.ask([], "alive")).toEqual([]);
});
