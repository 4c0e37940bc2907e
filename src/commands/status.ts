// `proxy status`: how a running proxy is, with the reasons first why it is not ready. Exit code 1 then, for scripts.

import { defineCommand } from "citty";

import { listeners, status as schema } from "../control/admin/schemas.ts";
import { printableJson } from "../shared/printable.ts";
import { ADMIN_ARGS, adminClient, JSON_ARG } from "./admin-place.ts";
import type { Example } from "./help.ts";
import { formatStatus } from "./live/status-text.ts";
import { roomOf } from "./live/terminal-room.ts";
import { print, styleFor } from "./terminal.ts";

export const STATUS_EXAMPLES: readonly Example[] = [
  ["proxy status", "the proxy on 127.0.0.1:9090; exit code 1 if it is not ready"],
  ["proxy status -config /etc/proxy/proxy.yaml -json", "where its file says, for programs"],
];

export const status = defineCommand({
  meta: { name: "status", description: "how a running proxy is" },
  args: { ...ADMIN_ARGS, ...JSON_ARG },
  run: async ({ args }): Promise<number> => {
    const client = await adminClient(args);
    const { value, text } = await client.get(schema, { path: "/api/status" });
    if (args.json === true) await print(printableJson(text.trimEnd()));
    else {
      const told = (await client.get(listeners, { path: "/api/listeners" })).value;
      const room = roomOf(process.stdout, process.env);
      const { address } = client;
      const shown = { address, status: value, listeners: told };
      await print(formatStatus(shown, room, styleFor(process.stdout)));
    }
    return value.ready ? 0 : 1;
  },
});
