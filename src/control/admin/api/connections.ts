// Live connections, to look for and to reset: /api/connections. Called by api.ts.

import type { z } from "zod";

import type { ConnectionFilter, FoundConnections } from "../../live-connections.ts";
import type { ProxyConnection } from "../../proxy.ts";
import type { Subject } from "../health.ts";
import * as schemas from "../schemas.ts";
import { operation, type Operations, refusal } from "./operation.ts";

export function connectionOperations(subject: Subject): Operations {
  const find = (filter: ConnectionFilter, limit: number): FoundConnections =>
    subject.proxy?.live.find(filter, limit) ?? { matching: 0, connections: [] };
  return {
    "/api/connections": {
      GET: operation(
        { summary: "Live connections.", query: schemas.listFilter, answers: schemas.connections },
        ({ query: { limit, ...filter } }) => {
          const { matching, connections } = find(filter, limit);
          return { matching, connections: connections.map(shown) };
        },
      ),
      DELETE: operation(
        { summary: "Resets connections.", query: schemas.filter, answers: schemas.closed },
        ({ query }) => {
          if (Object.keys(query).length === 0) {
            return refusal(400, "say which: listener, client, target, or worker and id");
          }
          const { connections } = find(query, Infinity);
          for (const { worker, id } of connections) subject.proxy?.disconnect(worker, id);
          return { closed: connections.length };
        },
      ),
    },
  };
}

export function shown(
  connection: ProxyConnection,
): z.input<typeof schemas.connections>["connections"][number] {
  const { worker, id, listener, client, target, startedMs, activeMs, bytesUp, bytesDown } =
    connection;
  return { worker, id, listener, client, target, startedMs, activeMs, bytesUp, bytesDown };
}
