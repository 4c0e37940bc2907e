// Whether listeners could be opened: nobody else has their addresses, and low ports may be bound. Pure. Called by checks.ts.

import { isIP } from "node:net";

import { type Endpoint, formatEndpoint } from "../shared/address.ts";
import type { Plan } from "../shared/plan.ts";
import { type Transport, transportsOf } from "../shared/transports.ts";
import { type Finding, Findings } from "./finding.ts";
import type { BoundSocket, Machine } from "./machine.ts";

/** What is to be bound. */
export interface Opening {
  readonly key: string;
  readonly listen: Endpoint;
  readonly transports: readonly Transport[];
}

/** Every listener, and the admin listener. */
export function openingsOf({ listeners, admin }: Pick<Plan, "listeners" | "admin">): Opening[] {
  const openings = listeners.map((plan): Opening => {
    return { key: plan.key, listen: plan.listen, transports: transportsOf(plan) };
  });
  if (admin === null) return openings;
  const { listen } = admin;
  return [...openings, { key: `admin ${formatEndpoint(listen)}`, listen, transports: ["tcp"] }];
}

export function checkPorts(openings: readonly Opening[], machine: Machine): Finding[] {
  const found = new Findings("ports");
  for (const { key, listen, transports } of openings) {
    if (listen.kind === "unix" || listen.port === 0) continue;
    const { sockets } = machine;
    if (sockets === null) continue;
    const inTheWay = sockets.filter(
      (socket) =>
        transports.includes(socket.transport) &&
        socket.port === listen.port &&
        overlaps(listen.host, socket.host),
    );
    judge(found, key, inTheWay);
  }
  return found.all;
}

function judge(found: Findings, key: string, inTheWay: readonly BoundSocket[]): void {
  const [first] = inTheWay;
  if (first === undefined) return found.ok(`${key}: free`);
  const pids = new Set(inTheWay.map(({ holder }) => holder?.pid ?? 0));
  if (inTheWay.every(({ holder }) => holder?.isProxy === true)) {
    if (pids.size === 1)
      return found.ok(`${key}: served by a proxy that runs, pid ${[...pids][0]}`);
    return found.warning(
      `${key}: ${pids.size} processes of this program have it (pids ${[...pids].join(", ")})`,
      "Unless one of them is being replaced, end all but one",
    );
  }
  const other = inTheWay.find(({ holder }) => holder?.isProxy !== true)!;
  const { transport, host, port, holder } = other;
  const address = formatEndpoint({ kind: "tcp", host, port });
  const who = holder === null ? "somebody else's process" : `${holder.command} (pid ${holder.pid})`;
  found.problem(
    `${key}: taken by ${who}, which has ${address} over ${transport.toUpperCase()}`,
    holder === null
      ? `Find it as root: ss -lnp 'sport = :${port}'. End it, or use another port`
      : "End it, or use another port",
  );
}

/** Whether the system refuses to bind both; a name may be any address. */
function overlaps(listen: string, bound: string): boolean {
  if (listen === "" || listen === "::" || bound === "::") return true;
  if (listen === "localhost")
    return bound === "0.0.0.0" || bound === "::1" || bound.startsWith("127.");
  if (bound === "0.0.0.0") return isIP(listen) !== 6;
  if (listen === "0.0.0.0") return isIP(bound) === 4;
  return listen === bound;
}

export function checkPrivileges(openings: readonly Opening[], machine: Machine): Finding[] {
  const found = new Findings("privileges");
  const { unprivilegedPort, mayBindLow } = machine;
  const low = openings.filter(
    ({ listen }) => listen.kind === "tcp" && listen.port > 0 && listen.port < unprivilegedPort,
  );
  if (low.length === 0) return found.all;
  const names = low.map(({ key }) => key).join(", ");
  if (mayBindLow) found.ok(`this user may listen on ports below ${unprivilegedPort}: ${names}`);
  else {
    found.problem(
      `this user may not listen on ports below ${unprivilegedPort}: ${names}`,
      "Give the service AmbientCapabilities=CAP_NET_BIND_SERVICE, or the executable the capability: " +
        "setcap cap_net_bind_service=+ep FILE",
    );
  }
  return found.all;
}
