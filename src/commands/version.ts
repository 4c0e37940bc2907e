// `proxy -version`: name and versions, and the engine that really starts here.

import manifest from "../../package.json" with { type: "json" };
import { Proxy } from "../control/proxy.ts";
import { messageOf } from "../shared/errors.ts";
import type { Plan } from "../shared/plan.ts";
import { print } from "./terminal.ts";

const EMPTY_PLAN: Plan = {
  engine: "auto",
  workers: 1,
  shutdownTimeoutMs: 0,
  log: { level: "error", format: "json" },
  listeners: [],
};

/** `bun-tunnel 0.1.0` */
export const NAME_AND_VERSION = `${manifest.name} ${manifest.version}`;

export async function printVersion(): Promise<number> {
  print(NAME_AND_VERSION);
  print(`bun       ${Bun.version}`);
  print(`platform  ${process.platform} ${process.arch}`);
  try {
    await using proxy = await Proxy.start(EMPTY_PLAN);
    const reason = proxy.engineReason === "" ? "" : ` (${proxy.engineReason})`;
    print(`engine    ${proxy.engine}${reason}`);
    return 0;
  } catch (error) {
    print(`engine    none: ${messageOf(error)}`);
    return 1;
  }
}
