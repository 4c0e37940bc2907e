// `proxy` without a command: forwards until a signal asks it to stop. Exit code 0 after an orderly stop, 1 when a second
// signal cut it short.

import { defineCommand } from "citty";

import { checkSource } from "../config/check.ts";
import { type Flags, flagSource, refuseListenerFlags, withProcessFlags } from "../config/flags.ts";
import { loadSource } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { compile } from "../control/compile.ts";
import { createLog } from "../control/log.ts";
import { Proxy } from "../control/proxy.ts";
import { ProxyError } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { RUN_ARGS } from "./flags.ts";
import { thisMachine } from "./machine.ts";
import { STOP, type StopSignals, watchStopSignals } from "./stop.ts";
import { wantsColours } from "./terminal.ts";
import { printVersion } from "./version.ts";

export const run = defineCommand({
  meta: { name: "run", description: "forward (the default)" },
  args: RUN_ARGS,
  run: ({ args }): Promise<number> => (args.version ? printVersion() : forward(args)),
});

/** How long the last lines of the log may take: a collector's pause, not a reader that has gone. */
const FLUSH_MS = 1_000;

async function forward(flags: Flags & { config?: string | undefined }): Promise<number> {
  const config = await readConfig(flags);
  const plan = compile(config, thisMachine());
  const log = createLog({ ...plan.log, colours: wantsColours(process.stderr) });
  const signals = watchStopSignals(stopSignals(), signalNotes(log));
  let failure: unknown;
  let code = 1;
  try {
    const proxy = await Proxy.start(plan, { log });
    logStarted(log, proxy);
    code = await stopOnSignal(proxy, log, signals);
  } catch (error) {
    // Whoever collects JSON lines must find the reason among them; a person reads the plain text.
    if (!(error instanceof ProxyError) || plan.log.format !== "json") failure = error;
    else log.error({ code: error.code }, error.message);
  }
  const flushed = await log.flush(FLUSH_MS);
  signals.release();
  if (!flushed) process.exit(code); // a write that nobody takes would keep the process
  if (failure !== undefined) throw failure;
  return code;
}

/** On Windows, SIGHUP is what a console that is being closed sends, some seconds before it ends its programs. */
function stopSignals(): readonly NodeJS.Signals[] {
  return process.platform === "win32" ? [...STOP, "SIGHUP"] : STOP;
}

/** Signals that mean something to other servers. */
function signalNotes(log: Log): Partial<Record<NodeJS.Signals, () => void>> {
  if (process.platform === "win32") return {};
  const ignored = (signal: NodeJS.Signals) => () => log.debug({ signal }, "signal ignored");
  const reload = (): void =>
    log.warn(
      { signal: "SIGHUP" },
      "reload is not available in this version; restart to change the configuration",
    );
  return { SIGHUP: reload, SIGUSR1: ignored("SIGUSR1"), SIGUSR2: ignored("SIGUSR2") };
}

/** @throws ProxyError ERR_USAGE, ERR_CONFIG or ERR_NOT_AVAILABLE. */
export async function readConfig(flags: Flags & { config?: string | undefined }): Promise<Config> {
  if (flags.config === undefined) return checkSource(flagSource(flags));
  refuseListenerFlags(flags);
  return checkSource(withProcessFlags(await loadSource(flags.config), flags));
}

/** The listeners have logged themselves. */
function logStarted(log: Log, { engine, engineReason, plan }: Proxy): void {
  const slower = engineReason === "" ? {} : { slowerBecause: engineReason };
  const which = engine === null ? {} : { engine };
  log.info({ ...which, ...slower, listeners: plan.listeners.length }, "started");
}

async function stopOnSignal(proxy: Proxy, log: Log, signals: StopSignals): Promise<number> {
  const signal = await signals.first;
  const open = proxy.connections().length;
  const timeoutMs = proxy.plan.shutdownTimeoutMs;
  log.info({ signal, connections: open, timeoutMs }, "draining");
  const stopped = proxy.stop();
  const cut = signals.second.then(() => null);
  const result = await Promise.race([stopped, cut]);
  if (result === null) {
    await proxy.kill();
    log.warn({ signal: await signals.second, reset: (await stopped).reset }, "stopped at once");
    return 1;
  }
  if (result.reset > 0) log.warn({ reset: result.reset }, "stopped, connections were left");
  else log.info({ reset: 0 }, "stopped");
  return 0;
}
