// `proxy targets`: the targets of a running proxy and how they are; taking one out of service, back into it, and its weight.

import { type ArgsDef, defineCommand } from "citty";

import { suggest } from "../config/nearest.ts";
import type { AdminClient } from "../control/admin/client.ts";
import { changedTarget, targets as schema, type TargetState } from "../control/admin/schemas.ts";
import { ProxyError } from "../shared/errors.ts";
import { TARGET_WEIGHT_MAX } from "../shared/limits.ts";
import { printable, printableJson } from "../shared/printable.ts";
import { ADMIN_ARGS, adminClient, assertListener, JSON_ARG } from "./admin-place.ts";
import type { Example } from "./help.ts";
import { formatTargets } from "./live/targets-text.ts";
import { roomOf } from "./live/terminal-room.ts";
import { print, styleFor } from "./terminal.ts";

export const TARGETS_EXAMPLES: readonly Example[] = [
  ["proxy targets", "all, and how they are"],
  ["proxy targets drain 10.0.0.3:80", "no new connections and requests; those under way go on"],
  ["proxy targets disable 10.0.0.3:80", "the same, and those under way are reset"],
  ["proxy targets enable 10.0.0.3:80", "as before"],
  ['proxy targets weight 10.0.0.3:80 5 -listener "http :80"', "of one listener's clients"],
  ["proxy targets weight 10.0.0.3:80 configured", "as the configuration says"],
];

/** What each action makes of a target. */
const STATES = { drain: "draining", enable: "enabled", disable: "disabled" } as const;
const ACTIONS = [...Object.keys(STATES), "weight"];

const ARGS = {
  action: { type: "positional", required: false, description: `${ACTIONS.join(", ")}; else: list` },
  target: {
    type: "positional",
    required: false,
    description: "its address, or its name as configured: all its addresses",
  },
  to: {
    type: "positional",
    required: false,
    description: `of weight: 0 to ${TARGET_WEIGHT_MAX}, or configured`,
  },
  listener: {
    type: "string",
    valueHint: '"tcp :8080"',
    description: "of this listener alone (default: of all that have it)",
  },
  ...ADMIN_ARGS,
  ...JSON_ARG,
} as const satisfies ArgsDef;

export const targets = defineCommand({
  meta: { name: "targets", description: "list, drain and weight targets of a running proxy" },
  args: ARGS,
  run: async ({ args }): Promise<number> => {
    const change = changeOf(args.action, args.target, args.to);
    const client = await adminClient(args);
    const list = (): Promise<{ value: TargetState[]; text: string }> =>
      client.get(schema, { path: "/api/targets", query: { listener: args.listener } });
    if (change === null) {
      const { value, text } = await list();
      const { listener } = args;
      if (value.length === 0 && listener !== undefined) await assertListener(client, listener);
      const room = roomOf(process.stdout, process.env);
      if (args.json === true) await print(printableJson(text.trimEnd()));
      else await print(formatTargets(value, room, styleFor(process.stdout)));
      return 0;
    }
    const target = args.target!;
    const listeners =
      args.listener === undefined ? listenersWith((await list()).value, target) : [args.listener];
    const answers: string[] = [];
    for (const listener of listeners) {
      const reply = await changeTarget(client, listener, target, change);
      if (args.json === true) answers.push(printableJson(reply.text.trimEnd()));
      else answers.push(`${printable(listener)}: ${told(reply.value)}`);
    }
    await print(args.json === true ? `[${answers.join(",")}]` : answers.join("\n"));
    return 0;
  },
});

type ChangedTarget = ReturnType<typeof changedTarget.parse>;

export type TargetChange =
  { readonly state: TargetState["state"] } | { readonly weight: number | null };

/** @throws ProxyError ERR_ADMIN */
export function changeTarget(
  client: AdminClient,
  listener: string,
  target: string,
  change: TargetChange,
): Promise<{ value: ChangedTarget; text: string }> {
  const body = { listener, target, ...change };
  return client.get(changedTarget, { method: "POST", path: "/api/targets", body });
}

/** Of several routes that have it, or addresses of a name, the first is told of. */
function told({ name, state, weight, active, alike }: ChangedTarget): string {
  const open = active === 1 ? "1 connection" : `${active} connections`;
  const others = alike > 1 ? `; the same on ${alike - 1} more of its routes and addresses` : "";
  return `${printable(name)} is ${state}, weight ${weight}, ${open} under way${others}`;
}

/** @throws ProxyError ERR_ADMIN if none has it. */
function listenersWith(all: readonly TargetState[], target: string): string[] {
  const having = all.filter(({ name, configured }) => name === target || configured === target);
  if (having.length > 0) return [...new Set(having.map(({ listener }) => listener))];
  const names = [...new Set(all.map(({ name }) => name))];
  const cure = names.length === 0 ? "There are none" : suggest(target, names);
  throw new ProxyError("ERR_ADMIN", `there is no target ${printable(target)}`, {
    cure: printable(cure),
  });
}

/** null: the list. @throws ProxyError ERR_USAGE */
function changeOf(
  action: string | undefined,
  target: string | undefined,
  value: string | undefined,
): TargetChange | null {
  if (action === undefined) return null;
  const usage = (problem: string): ProxyError => new ProxyError("ERR_USAGE", problem);
  if (!ACTIONS.includes(action)) {
    throw usage(`unknown action "${action}". ${suggest(action, ACTIONS)}`);
  }
  if (target === undefined) throw usage(`which target? Write proxy targets ${action} 10.0.0.3:80`);
  if (action !== "weight") {
    if (value !== undefined) throw usage(`unexpected argument "${value}"`);
    return { state: STATES[action as keyof typeof STATES] };
  }
  if (value === "configured") return { weight: null };
  if (/^\d{1,9}$/.test(value ?? "") && Number(value) <= TARGET_WEIGHT_MAX) {
    return { weight: Number(value) };
  }
  throw usage(`which weight? Write 0 to ${TARGET_WEIGHT_MAX}, or configured`);
}
