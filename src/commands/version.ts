// `proxy -version`: name and versions, and the engine that really starts here.

import manifest from "../../package.json" with { type: "json" };
import { Proxy } from "../control/proxy.ts";
import { messageOf } from "../shared/errors.ts";
import { RING_DEFAULTS } from "../shared/limits.ts";
import type { Plan } from "../shared/plan.ts";
import { print } from "./terminal.ts";

const EMPTY_PLAN: Plan = {
  engine: "auto",
  workers: 1,
  shutdownTimeoutMs: 0,
  autoTls: null,
  admin: null,
  ring: RING_DEFAULTS,
  log: { level: "error", format: "json" },
  listeners: [],
};

/** `bun-tunnel 0.1.0` */
export const NAME_AND_VERSION = `${manifest.name} ${manifest.version}`;

export async function printVersion(): Promise<number> {
  const { code, engine } = await tryEngine();
  await print(`${NAME_AND_VERSION}
bun       ${Bun.version}
platform  ${process.platform} ${process.arch}
engine    ${engine}`);
  return code;
}

async function tryEngine(): Promise<{ code: number; engine: string }> {
  try {
    await using proxy = await Proxy.start(EMPTY_PLAN);
    const reason = proxy.engineReason === "" ? "" : ` (${proxy.engineReason})`;
    return { code: 0, engine: `${proxy.engine}${reason}` };
  } catch (error) {
    return { code: 1, engine: `none: ${messageOf(error)}` };
  }
}
