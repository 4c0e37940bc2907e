// `proxy top`: a running proxy, live in the terminal. Where the output is no terminal, or with -n, its pictures are printed one
// after another, and there are no keys.

import { defineCommand } from "citty";

import type { AdminClient } from "../control/admin/client.ts";
import type { Snapshot } from "../control/admin/schemas.ts";
import { ProxyError } from "../shared/errors.ts";
import { ADMIN_ARGS, adminClient } from "./admin-place.ts";
import type { Example } from "./help.ts";
import { roomOf } from "./live/terminal-room.ts";
import { type Style, styleFor, writeAll } from "./terminal.ts";
import { readingOf } from "./top/reading.ts";
import { Session } from "./top/session.ts";
import { picture } from "./top/view.ts";

export const TOP_EXAMPLES: readonly Example[] = [
  ["proxy top", "the proxy on 127.0.0.1:9090; q ends it, ? tells the keys"],
  ["proxy top -n 1 -config proxy.yaml", "one picture after a second, for scripts and files"],
];

export const top = defineCommand({
  meta: { name: "top", description: "traffic, targets and connections of a running proxy, live" },
  args: {
    n: {
      type: "string",
      valueHint: "1",
      description: "print so many pictures, one a second, and end (default: 1 without a terminal)",
    },
    ...ADMIN_ARGS,
  },
  run: async ({ args }): Promise<number> => {
    if (args.n !== undefined && !/^[1-9]\d{0,8}$/.test(args.n)) {
      throw new ProxyError("ERR_USAGE", `-n: "${args.n}" is not a number of pictures`);
    }
    const client = await adminClient(args);
    const { width, unicode } = roomOf(process.stdout, process.env);
    const style = styleFor(process.stdout);
    const isTerminal = process.stdout.isTTY && process.env["TERM"] !== "dumb";
    if (args.n === undefined && isTerminal) await new Session(client, { unicode, style }).run();
    else await pictures(client, Number(args.n ?? 1), { columns: width, unicode, style });
    return 0;
  },
});

async function pictures(
  client: AdminClient,
  count: number,
  look: { columns: number; unicode: boolean; style: Style },
): Promise<void> {
  const ended = new AbortController();
  let before: Snapshot | null = null;
  let left = count;
  for await (const snapshot of client.snapshots(ended.signal)) {
    // Rates need two.
    if (before !== null) {
      const lines = picture(readingOf(before, snapshot), { ...look, address: client.address });
      const isRead = await writeAll(`${left < count ? "\n" : ""}${lines.join("\n")}\n`);
      if (--left === 0 || !isRead) break;
    }
    before = snapshot;
  }
  ended.abort();
}
