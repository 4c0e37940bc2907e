// What a listener binds. Called by whoever looks at plans without carrying them out.

import type { ListenerPlan } from "./plan.ts";

export type Transport = "tcp" | "udp";

/** http3 both, unless its port over TCP is somebody else's. */
export function transportsOf(plan: ListenerPlan): readonly Transport[] {
  switch (plan.protocol) {
    case "udp":
    case "quic":
      return ["udp"];
    case "http3":
      return plan.h3?.tcp === true ? ["udp", "tcp"] : ["udp"];
    default:
      return ["tcp"];
  }
}
