// A plan as the program makes it of a configuration file. For tests that start proxies in their own process.

import { checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";
import { compile } from "../../src/control/compile.ts";
import type { Plan } from "../../src/shared/plan.ts";

type Keys = Readonly<Record<string, unknown>>;

/** On a machine that tests share, every thread may be late; whoever tests that says so. */
const NEVER_LATE = { lag: "off" };

/** @param file keys beside the listeners. @throws ProxyError for what a user would be told. */
export function compiledPlan(protocols: readonly Keys[], file: Keys = {}): Plan {
  const config = { version: "1.0", workers: 1, overload: NEVER_LATE, ...file, protocols };
  const source = parseSource(JSON.stringify(config), "test.yaml"); // JSON is YAML
  const machine = { platform: process.platform, cpus: 1, folder: "/srv", terminal: false };
  return compile(checkSource(source), machine);
}
