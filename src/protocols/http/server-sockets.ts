// Which sockets a listener of HTTP has: in clear or TLS. Called by listener.ts.

import type { HttpPlan } from "../../shared/http-plan.ts";
import type { Visit } from "../admission.ts";
import type { WireListenOptions, WireServer } from "../wire/open.ts";
import { listenPlain } from "../wire/plain.ts";

export type Listen = (options: WireListenOptions<Visit>) => WireServer;

export function listenerFor(_plan: HttpPlan): Listen {
  return (options) => listenPlain(options);
}
