// `proxy -version`: name and versions, and the engine that really starts here.

import manifest from "../../package.json" with { type: "json" };
import { Proxy } from "../control/proxy.ts";
import { messageOf } from "../shared/errors.ts";
import { RING_DEFAULTS } from "../shared/limits.ts";
import { NO_OVERLOAD, type Plan } from "../shared/plan.ts";
import { print } from "./terminal.ts";

const EMPTY_PLAN: Plan = {
  engine: "auto",
  workers: 1,
  shutdownTimeoutMs: 0,
  shutdownDelayMs: 0,
  overload: NO_OVERLOAD,
  autoTls: null,
  admin: null,
  ring: RING_DEFAULTS,
  log: { level: "error", format: "json" },
  listeners: [],
};

/** `bun-tunnel 0.1.0` */
export const NAME_AND_VERSION = `${manifest.name} ${manifest.version}`;

export async function printVersion(): Promise<number> {
  const { name, reason } = await tryEngine();
  const engine =
    name === null ? `none: ${reason}` : `${name}${reason === "" ? "" : ` (${reason})`}`;
  await print(`${NAME_AND_VERSION}
bun       ${Bun.version}
platform  ${process.platform} ${process.arch}
engine    ${engine}`);
  return name === null ? 1 : 0;
}

/** Which engine starts here, and why no faster one does; null: none does, for this reason. */
export async function tryEngine(): Promise<{ name: string | null; reason: string }> {
  try {
    await using proxy = await Proxy.start(EMPTY_PLAN);
    return { name: proxy.engine, reason: proxy.engineReason };
  } catch (error) {
    return { name: null, reason: messageOf(error) };
  }
}
