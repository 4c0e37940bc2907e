// A circuit breaker for tests: two failures in a row open it for a minute, and one client finds out.

import type { BreakerPlan } from "../../src/shared/plan.ts";

export function breakerPlan(more: Partial<BreakerPlan> = {}): BreakerPlan {
  return {
    failures: 2,
    errorRate: 0,
    minimum: 20,
    windowMs: 1_000,
    openMs: 60_000,
    maxOpenMs: 60_000,
    probes: 1,
    statuses: [],
    refuses: true,
    ...more,
  };
}
