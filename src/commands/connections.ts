// `proxy connections`: the live connections of a running proxy, all or those that fit, and closing them.

import { type ArgsDef, defineCommand } from "citty";

import { suggest } from "../config/nearest.ts";
import { closed, connections as schema } from "../control/admin/schemas.ts";
import { ProxyError } from "../shared/errors.ts";
import { printableJson } from "../shared/printable.ts";
import { ADMIN_ARGS, adminClient, assertListener, JSON_ARG } from "./admin-place.ts";
import type { Example } from "./help.ts";
import { formatConnections } from "./live/connections-text.ts";
import { roomOf } from "./live/terminal-room.ts";
import { print, styleFor } from "./terminal.ts";

const LIMIT = 100;
/** The most that the API lists. */
const LIMIT_MAX = 10_000;

export const CONNECTIONS_EXAMPLES: readonly Example[] = [
  ["proxy connections -client 192.0.2.", "of clients whose address begins so"],
  ['proxy connections -listener "tcp :5432" -limit 1000', "of one listener, at most a thousand"],
  ["proxy connections close -id 0:17", "the one whose id the list shows"],
  ["proxy connections close -target 10.0.0.3:", "all to this target"],
];

const ARGS = {
  action: { type: "positional", required: false, description: "close; else: list" },
  listener: {
    type: "string",
    valueHint: '"tcp :8080"',
    description: "of this listener: protocol and address as configured",
  },
  client: { type: "string", valueHint: "192.0.2.", description: "how the client's address begins" },
  target: {
    type: "string",
    valueHint: "10.0.0.3:",
    description: "how the target's address begins",
  },
  id: { type: "string", valueHint: "0:17", description: "one connection, as the list names it" },
  limit: {
    type: "string",
    valueHint: String(LIMIT),
    description: `the most that are listed (default: ${LIMIT})`,
  },
  ...ADMIN_ARGS,
  ...JSON_ARG,
} as const satisfies ArgsDef;

export const connections = defineCommand({
  meta: { name: "connections", description: "list and close connections of a running proxy" },
  args: ARGS,
  run: async ({ args }): Promise<number> => {
    const { query, closes, limit } = questionOf(args);
    const client = await adminClient(args);
    const path = "/api/connections";
    if (closes) {
      const { value, text } = await client.get(closed, { method: "DELETE", path, query });
      const { closed: count } = value;
      if (count === 0 && args.listener !== undefined) await assertListener(client, args.listener);
      await print(args.json === true ? printableJson(text.trimEnd()) : told(count));
      return count > 0 ? 0 : 1;
    }
    const { value, text } = await client.get(schema, { path, query: { ...query, limit } });
    const { listener } = args;
    if (value.matching === 0 && listener !== undefined) await assertListener(client, listener);
    const room = roomOf(process.stdout, process.env);
    const shown = (): string =>
      formatConnections(value, Date.now(), room, styleFor(process.stdout));
    await print(args.json === true ? printableJson(text.trimEnd()) : shown());
    return 0;
  },
});

function told(count: number): string {
  if (count === 0) return "no connection fits, none is closed";
  return count === 1 ? "1 connection is closed" : `${count} connections are closed`;
}

interface Question {
  readonly closes: boolean;
  readonly query: Readonly<Record<string, string | undefined>>;
  readonly limit: number;
}

interface Typed {
  readonly action?: string | undefined;
  readonly listener?: string | undefined;
  readonly client?: string | undefined;
  readonly target?: string | undefined;
  readonly id?: string | undefined;
  readonly limit?: string | undefined;
}

/** @throws ProxyError ERR_USAGE */
function questionOf({ action, listener, client, target, id, limit }: Typed): Question {
  const faults: string[] = [];
  const closes = action === "close";
  if (action !== undefined && !closes) {
    faults.push(`unknown action "${action}". ${suggest(action, ["close"])}`);
  }
  const [, worker, number] = /^(\d{1,6}):(\d{1,15})$/.exec(id ?? "") ?? [];
  if (id !== undefined && number === undefined) {
    faults.push(`-id: "${id}" is not one. Write it as proxy connections lists it: 0:17`);
  }
  const isNone = [listener, client, target, id].every((each) => each === undefined);
  if (closes && isNone) {
    faults.push("close which? Write -id, -client, -target or -listener");
  }
  if (limit !== undefined && closes) faults.push("-limit is for the list");
  else if (limit !== undefined && !(/^\d+$/.test(limit) && Number(limit) <= LIMIT_MAX)) {
    faults.push(`-limit: "${limit}" is not a number up to ${LIMIT_MAX}`);
  }
  if (faults.length > 0) throw new ProxyError("ERR_USAGE", faults.join("\n"));
  const query = { listener, client, target, worker, id: number };
  return { closes, query, limit: limit === undefined ? LIMIT : Number(limit) };
}
