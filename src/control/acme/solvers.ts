// How names are proven: one solver for each challenge of the plan, in its order. Called by whoever owns a manager.

import type { AutoTlsPlan } from "../../shared/auto-tls-plan.ts";
import type { Log } from "../../shared/log.ts";
import { Dns01Solver, logDns01Steps } from "./dns-01.ts";
import { Http01Solver } from "./http-01.ts";
import type { ChallengeHost } from "./presenter.ts";
import type { Solver } from "./solver.ts";
import { TlsAlpn01Solver } from "./tls-alpn-01.ts";

/** @param host whose listeners answer. */
export function composeSolvers(
  { challenges, dns, httpPort, tlsPort }: AutoTlsPlan,
  host: ChallengeHost,
  log: Log,
): Solver[] {
  return challenges.map((type) => {
    switch (type) {
      case "dns-01":
        return new Dns01Solver({ plan: dns, tell: logDns01Steps(log) });
      case "http-01":
        return new Http01Solver(host, httpPort);
      case "tls-alpn-01":
        return new TlsAlpn01Solver(host, tlsPort);
    }
  });
}
