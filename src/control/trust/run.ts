// Runs the commands of stores, each shown before it runs. One store that fails keeps the others from nothing. Called by
// commands/trust.ts.

import { messageOf, ProxyError } from "../../shared/errors.ts";
import { programPath } from "./machine.ts";
import { type Command, formatCommand, type Store, type TrustedRoot } from "./stores.ts";

/**
 * @param show gets each command's line before it runs.
 * @throws ProxyError ERR_SYSTEM with a line for each store that failed.
 */
export async function changeStores(
  stores: readonly Store[],
  action: "install" | "uninstall",
  root: TrustedRoot,
  show: (line: string) => Promise<void>,
): Promise<void> {
  const failures: string[] = [];
  for (const store of stores) {
    try {
      if (action === "uninstall" && !(await has(store, root))) continue;
      for (const command of store[action](root)) {
        await show(formatCommand(command));
        await runLoudly(command);
      }
    } catch (error) {
      failures.push(`${store.name}: ${messageOf(error)}`);
    }
  }
  if (failures.length > 0) throw new ProxyError("ERR_SYSTEM", failures.join("\n"));
}

async function has(store: Store, root: TrustedRoot): Promise<boolean> {
  const lookup = store.lookup(root);
  return lookup === null || (await run(lookup, "ignore")) === 0;
}

async function runLoudly(command: Command): Promise<void> {
  const code = await run(command, "inherit");
  if (code === 0) return;
  const problem = `${formatCommand(command)}: ended with exit code ${code}, for the reason printed above`;
  throw new ProxyError("ERR_SYSTEM", problem);
}

async function run({ words, stdin }: Command, output: "inherit" | "ignore"): Promise<number> {
  const [name = "", ...args] = words;
  const path = programPath(name);
  if (path === null) throw new ProxyError("ERR_SYSTEM", `the program ${name} is not installed`);
  const child = Bun.spawn([path, ...args], {
    stdin: stdin === null ? "ignore" : Bun.file(stdin),
    stdout: output,
    stderr: output,
  });
  return child.exited;
}
