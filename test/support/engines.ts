// The engines that this machine can run: the contract suite runs once for each of them.

import { describe } from "bun:test";

import type { EngineName } from "../../src/shared/plan.ts";

export const ENGINES: readonly EngineName[] =
  process.platform === "linux" ? ["epoll", "bun"] : ["bun"];

/** Declares the same tests for every engine. */
export function forEveryEngine(declare: (engine: EngineName) => void): void {
  for (const engine of ENGINES) describe(`engine ${engine}`, () => declare(engine));
}
