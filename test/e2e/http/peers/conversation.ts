// How a program on Node.js speaks with its test (test/support/node-peer.ts): one JSON value a line both ways. It ends with the
// test.

import { createInterface } from "node:readline";

export function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** Calls back for each thing that the test says, and ends the program when the test is gone. */
export function listen(heard: (message: Record<string, unknown>) => void): void {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => heard(JSON.parse(line) as Record<string, unknown>));
  lines.on("close", () => {
    process.exitCode = 0;
    process.kill(process.pid, "SIGKILL");
  });
}
