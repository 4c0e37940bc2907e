// Which engine runs here. `auto` takes the fastest that works and says why a faster one does not.

import { messageOf, ProxyError } from "../shared/errors.ts";
import type { EngineChoice, EngineName } from "../shared/plan.ts";
import { BunEngine } from "./bun/engine.ts";
import type { Engine, EngineHost } from "./engine.ts";
import { EpollEngine } from "./epoll/engine.ts";
import { UringEngine } from "./uring/engine.ts";

type Factory = (host: EngineHost) => Engine;

/** What `auto` tries, fastest first. A factory throws ProxyError ERR_ENGINE with the reason where its engine cannot run. */
const ENGINES: readonly (readonly [EngineName, Factory])[] = [
  ["uring", (host) => UringEngine.create(host)],
  ["epoll", (host) => EpollEngine.create(host)],
  ["bun", (host) => new BunEngine(host)],
];

export function pickEngine(
  choice: EngineChoice,
  host: EngineHost,
): { engine: Engine; reason: string } {
  const reasons: string[] = [];
  for (const [name, create] of ENGINES) {
    if (choice !== "auto" && choice !== name) continue;
    try {
      return { engine: create(host), reason: reasons.join("; ") };
    } catch (error) {
      if (choice === name) throw error;
      reasons.push(`${name}: ${messageOf(error)}`);
    }
  }
  throw new ProxyError("ERR_ENGINE", `engine "${choice}" is not available in this version`, {
    cure: `Use ${ENGINES.map(([name]) => name).join(", ")} or auto`,
  });
}
