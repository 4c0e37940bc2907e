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
  const wildcards = wideWildcards(plan);
  return plan.listeners.flatMap((listener) => {
    const messages = [
      ...insecureTargets(listener).map(
        (target) =>
          `certificate of ${target} is not verified (insecure_skip_verify): anybody may pose as it`,
      ),
      ...(showsManaged(listener) ? wildcards : []).map(
        (name) =>
          `most clients refuse ${name}, a wildcard right below a top-level domain: name what is below it, or use on_demand`,
      ),
    ];
    return messages.map((message) => ({ listener: listener.key, message }));
  });
}

/** Of the internal authority, which signs them; curl, Node.js and browsers want two labels behind the star, Go does not. */
function wideWildcards({ autoTls }: Plan): string[] {
  const names = autoTls?.certificates.flat() ?? [];
  return [...new Set(names)].filter((name) => /^\*\.[^.]+$/.test(name));
}

function showsManaged(listener: ListenerPlan): boolean {
  return "tls" in listener && listener.tls?.managed === true;
}

function insecureTargets(listener: ListenerPlan): string[] {
  if (listener.protocol === "tcp" || listener.protocol === "udp") return [];
  const targets: readonly SecureTargetPlan[] = listener.groups.flatMap(
    (group): readonly SecureTargetPlan[] => group.targets,
  );
  const insecure = targets.filter(({ tls }) => tls?.insecure === true);
  return [...new Set(insecure.map(({ endpoint }) => formatEndpoint(endpoint)))];
}
