// A proxy in a process of its own, for tests that count its memory, descriptors or CPU time or send it signals. Run as
// `bun relay-process.ts PLAN` with the plan as JSON by relay-child.ts, which it answers over the runtime's IPC channel.

import { Proxy } from "../../src/control/proxy.ts";
import type { Plan } from "../../src/shared/plan.ts";
import type { ChildAnswer, ChildQuestion } from "./relay-child.ts";

function tell(answer: ChildAnswer): void {
  process.send!(answer);
}

const warnings: string[] = [];
const note = (_fields: object, message: string): void => void warnings.push(message);
const proxy = await Proxy.start(JSON.parse(process.argv[2]!) as Plan, {
  log: { debug: () => {}, info: () => {}, warn: note, error: note },
});

process.on("message", (question: ChildQuestion) => {
  if (question === "collect") Bun.gc(true);
  tell({
    type: "state",
    stats: Object.values(proxy.stats().listeners)[0]!,
    rows: proxy.connections().length,
    warnings,
  });
});

process.on("SIGTERM", async () => {
  const { reset } = await proxy.stop();
  tell({ type: "stopped", reset });
  process.disconnect!();
  process.exit(0);
});

tell({ type: "ready", bound: proxy.listeners()[0]!.bound[0]! });
