// `proxy check FILE`: every mistake of a configuration file, or the plan that it means.

import { defineCommand } from "citty";

import { accessLogFaults } from "../control/access-logs.ts";
import { checkAutoTlsFiles, missingCredentials } from "../control/acme/check-files.ts";
import { readToken } from "../control/admin/token.ts";
import { type Caution, cautions } from "../control/cautions.ts";
import { checkFiles } from "../control/certificates/check.ts";
import { compile } from "../control/compile.ts";
import type { AutoTlsPlan } from "../shared/auto-tls-plan.ts";
import { thisMachine } from "./machine.ts";
import { formatPlan } from "./plan-text.ts";
import { readConfig } from "./run.ts";
import { print } from "./terminal.ts";

export const check = defineCommand({
  meta: { name: "check", description: "check a configuration file and print what it means" },
  args: {
    file: { type: "positional", description: "the configuration file" },
  },
  run: async ({ args }): Promise<number> => {
    const config = await readConfig({ config: args.file });
    const disabled = config.protocols.filter((entry) => entry.enabled === false);
    const plan = compile(config, thisMachine());
    if (plan.admin !== null) readToken(plan.admin);
    const found = [
      ...cautions(plan),
      ...accessLogFaults(plan.listeners),
      ...checkFiles(plan, Date.now()),
      ...(await checkAutoTls(plan.autoTls)),
    ];
    const warnings = found.map(({ listener, message }) => `warning: ${listener}: ${message}`);
    const parts = [`${args.file} is valid`, ...warnings, "", formatPlan(plan, disabled)];
    await print(parts.join("\n"));
    return 0;
  },
});

/** @throws ProxyError ERR_CERTIFICATE */
async function checkAutoTls(plan: AutoTlsPlan | null): Promise<Caution[]> {
  if (plan === null) return [];
  const missing = await missingCredentials(plan);
  const messages = checkAutoTlsFiles(plan, Date.now());
  if (missing !== null) messages.push(missing);
  return messages.map((message) => ({ listener: "auto_tls", message }));
}
