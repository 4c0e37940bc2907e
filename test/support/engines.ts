// The engines that this machine can run: the contract suite runs once for each of them.

import { describe } from "bun:test";

import { KernelRing } from "../../src/engine/uring/kernel-ring.ts";
import { messageOf } from "../../src/shared/errors.ts";
import type { EngineName } from "../../src/shared/plan.ts";

export const ENGINES: readonly EngineName[] =
  process.platform === "linux"
    ? [...(hasUring() ? ["uring" as const] : []), "epoll", "bun"]
    : ["bun"];

/** Containers often forbid io_uring: said, not counted as skipped, since nothing could be installed for it. */
function hasUring(): boolean {
  try {
    new KernelRing(8, 16).close();
    return true;
  } catch (error) {
    process.stderr.write(`the engine uring is not tested: ${messageOf(error)}\n`);
    return false;
  }
}

/** Declares the same tests for every engine. */
export function forEveryEngine(declare: (engine: EngineName) => void): void {
  for (const engine of ENGINES) describe(`engine ${engine}`, () => declare(engine));
}
