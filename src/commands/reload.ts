// `proxy reload`: has a running proxy read its configuration again, and tells what came of it. Without an admin listener a
// proxy reloads on SIGHUP, but nobody is told the outcome.

import { defineCommand } from "citty";

import type { AdminClient } from "../control/admin/client.ts";
import { type Changes, reloaded, reloads } from "../control/admin/schemas.ts";
import { ADMIN_CLIENT } from "../shared/admin-limits.ts";
import { ProxyError } from "../shared/errors.ts";
import { printableJson, printableLines } from "../shared/printable.ts";
import { ADMIN_ARGS, adminClient, JSON_ARG } from "./admin-place.ts";
import type { Example } from "./help.ts";
import { formatChanges, formatLast, isNothing } from "./live/changes-text.ts";
import { print, styleFor } from "./terminal.ts";

const SIGNAL =
  "Without an admin listener, kill -HUP with its process id reloads it, and its log has the outcome";

export const RELOAD_EXAMPLES: readonly Example[] = [
  ["proxy reload", "the proxy on 127.0.0.1:9090; exit code 1 if the configuration is not taken"],
  ["proxy reload -config /etc/proxy/proxy.yaml", "where its file says"],
];

export const reload = defineCommand({
  meta: { name: "reload", description: "have a running proxy read its configuration again" },
  args: { ...ADMIN_ARGS, ...JSON_ARG },
  run: async ({ args }): Promise<number> => {
    const client = await adminClient(args, SIGNAL);
    const wish = { method: "POST", path: "/api/reload", timeoutMs: ADMIN_CLIENT.reloadMs } as const;
    const reply = await client.ask(reloaded, wish);
    if (!reply.done) {
      const problem = "the configuration is not taken, the one before goes on";
      // Places in files stand at the beginning of their line, where editors and terminals find them.
      await print(printableLines(reply.reason).join("\n"), 2);
      throw new ProxyError("ERR_ADMIN", problem);
    }
    const { value, text } = reply;
    if (args.json === true) await print(printableJson(text.trimEnd()));
    else await print(await told(client, value));
    return 0;
  },
});

/** Often the proxy has seen the file change before it was asked: then that is what somebody wants to read. */
async function told(client: AdminClient, changes: Changes): Promise<string> {
  const style = styleFor(process.stdout);
  const text = formatChanges(changes, style);
  if (!isNothing(changes)) return text;
  const { value: entries } = await client.get(reloads, { path: "/api/reloads" });
  const last = entries.find(
    ({ taken, changes: those }) => taken && those !== null && !isNothing(those),
  );
  return last === undefined ? text : `${text}\n${formatLast(last, Date.now(), style)}`;
}
