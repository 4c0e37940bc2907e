// What an operator should know of a plan that is carried out all the same: a line for each. Pure. Called by the commands that
// run and check a configuration.

import { formatEndpoint } from "../shared/address.ts";
import type { SecureTargetPlan } from "../shared/http-plan.ts";
import type { ListenerPlan, Plan } from "../shared/plan.ts";

export interface Caution {
  /** ListenerPlan.key. */
  readonly listener: string;
  readonly message: string;
}

export function cautions(plan: Plan): Caution[] {
  return plan.listeners.flatMap((listener) =>
    insecureTargets(listener).map((target) => ({
      listener: listener.key,
      message: `certificate of ${target} is not verified (insecure_skip_verify): anybody may pose as it`,
    })),
  );
}

function insecureTargets(listener: ListenerPlan): string[] {
  if (listener.protocol === "tcp" || listener.protocol === "udp") return [];
  const targets: readonly SecureTargetPlan[] = listener.groups.flatMap(
    (group): readonly SecureTargetPlan[] => group.targets,
  );
  const insecure = targets.filter(({ tls }) => tls?.insecure === true);
  return [...new Set(insecure.map(({ endpoint }) => formatEndpoint(endpoint)))];
}
