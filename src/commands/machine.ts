// What a plan depends on besides the configuration, read from the machine that this process runs on.

import { availableParallelism } from "node:os";

import type { Machine } from "../control/compile.ts";

export function thisMachine(): Machine {
  return {
    platform: process.platform,
    cpus: availableParallelism(),
    folder: process.cwd(),
    terminal: process.stderr.isTTY === true,
  };
}
