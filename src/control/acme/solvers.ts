// How names are proven: one solver for each challenge of the plan, in its order. Called by whoever owns a manager.

import type { AutoTlsPlan } from "../../shared/auto-tls-plan.ts";
import type { Log } from "../../shared/log.ts";
import { Dns01Solver, logDns01Steps } from "./dns-01.ts";
import type { Solver } from "./solver.ts";

export function composeSolvers({ challenges, dns }: AutoTlsPlan, log: Log): Solver[] {
  return challenges.flatMap((type) => {
    switch (type) {
      case "dns-01":
        return [new Dns01Solver({ plan: dns, tell: logDns01Steps(log) })];
      case "http-01":
      case "tls-alpn-01":
        return [];
    }
  });
}
