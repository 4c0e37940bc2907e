// Live connections, to look for and to reset: /api/connections. Called by api.ts.

import type { z } from "zod";

import type { ProxyConnection } from "../../proxy.ts";
import type { Subject } from "../health.ts";
import * as schemas from "../schemas.ts";
import { operation, type Operations, refusal } from "./operation.ts";

export function connectionOperations(subject: Subject): Operations {
  const connections = (): ProxyConnection[] => subject.proxy?.connections() ?? [];
  return {
    "/api/connections": {
      GET: operation(
        { summary: "Live connections.", query: schemas.listFilter, answers: schemas.connections },
        ({ query: { limit, ...filter } }) => {
          const fitting = connections().filter((each) => fits(each, filter));
          return { matching: fitting.length, connections: fitting.slice(0, limit).map(shown) };
        },
      ),
      DELETE: operation(
        { summary: "Resets connections.", query: schemas.filter, answers: schemas.closed },
        ({ query }) => {
          if (Object.keys(query).length === 0) {
            return refusal(400, "say which: listener, client, target, or worker and id");
          }
          const fitting = connections().filter((each) => fits(each, query));
          for (const { worker, id } of fitting) subject.proxy?.disconnect(worker, id);
          return { closed: fitting.length };
        },
      ),
    },
  };
}

function fits(connection: ProxyConnection, filter: z.output<typeof schemas.filter>): boolean {
  const { listener, client, target, worker, id } = filter;
  return (
    (listener === undefined || connection.listener === listener) &&
    (client === undefined || connection.client.startsWith(client)) &&
    (target === undefined || connection.target.startsWith(target)) &&
    (worker === undefined || connection.worker === worker) &&
    (id === undefined || (worker !== undefined && connection.id === id))
  );
}

function shown(
  connection: ProxyConnection,
): z.input<typeof schemas.connections>["connections"][number] {
  const { worker, id, listener, client, target, startedMs, activeMs, bytesUp, bytesDown } =
    connection;
  return { worker, id, listener, client, target, startedMs, activeMs, bytesUp, bytesDown };
}
