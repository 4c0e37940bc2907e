// Where listeners listen, as one plan's place is to another's. Pure. Called by listeners.

import type { ListenerPlan } from "../shared/plan.ts";

export function isOnSamePort(
  { listen: one }: ListenerPlan,
  { listen: other }: ListenerPlan,
): boolean {
  return one.kind === "tcp" && other.kind === "tcp" && one.port === other.port;
}
