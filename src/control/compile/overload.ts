// From when on new work is turned away: the keys under `overload`, with their defaults. Pure. Called by compile.ts.

import type { Config } from "../../config/schema.ts";
import { OVERLOAD_DEFAULTS } from "../../shared/limits.ts";
import type { OverloadPlan } from "../../shared/plan.ts";

export function compileOverload({ overload = {} }: Config): OverloadPlan {
  const { lag, memory, descriptors } = overload;
  const { lagMs, memoryShare, descriptorsShare } = OVERLOAD_DEFAULTS;
  return {
    lagMs: lag === undefined ? lagMs : (lag ?? 0),
    memory: memory === undefined ? { share: memoryShare } : memory,
    descriptorsShare: descriptors === undefined ? descriptorsShare : (descriptors ?? 0),
  };
}
