// `proxy` without a command: forwards until a signal asks it to stop or a successor has taken over. Exit code 0 after an
// orderly stop, 1 when a second signal cut it short.

import { defineCommand } from "citty";

import { checkSource } from "../config/check.ts";
import { type Flags, flagSource, refuseListenerFlags, withProcessFlags } from "../config/flags.ts";
import { loadSource } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { Admin } from "../control/admin/admin.ts";
import { pause } from "../control/backoff.ts";
import { cautions } from "../control/cautions.ts";
import { compile } from "../control/compile.ts";
import { signatureOf } from "../control/file-watch.ts";
import { createLog, type ProcessLog } from "../control/log.ts";
import { type Origin, takeOrigin } from "../control/origin.ts";
import { PidFile } from "../control/pid-file.ts";
import { Proxy } from "../control/proxy.ts";
import type { ReloadCause } from "../control/reload-log.ts";
import type { ReloadOutcome } from "../control/reload-outcome.ts";
import { type ReadFile, Reloader } from "../control/reloader.ts";
import type { ServiceManager } from "../control/systemd.ts";
import { markReplaced, Upgrader } from "../control/upgrade.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { LogLevel, Plan } from "../shared/plan.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { RUN_ARGS } from "./flags.ts";
import { thisMachine } from "./machine.ts";
import { formatPlan } from "./plan-text.ts";
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

type RunFlags = Flags & { config?: string | undefined; "pid-file"?: string | undefined };

async function forward(flags: RunFlags): Promise<number> {
  const origin = takeOrigin();
  try {
    return await serve(flags, origin);
  } catch (error) {
    origin.predecessor?.failed(messageOf(error));
    throw error;
  }
}

async function serve(flags: RunFlags, origin: Origin): Promise<number> {
  const file = watched(flags.config);
  const config = await readConfig(flags);
  const plan = compile(config, thisMachine());
  const log = createLog({ ...plan.log, colours: wantsColours(process.stderr) });
  for (const { listener, message } of cautions(plan)) log.warn({ listener }, message);
  logTerms(plan, config, flags, log);
  const { manager, command, env } = origin;
  const upgrader = new Upgrader({
    log,
    command,
    env,
    orphan: manager.present,
    async began() {
      manager.reloading("upgrading");
      await reloader.hold();
    },
    failed(reason) {
      manager.ready(`upgrade failed, serving on: ${reason}`);
      reloader.release();
    },
  });
  let serving: Proxy | undefined;
  const reopenLogs = (): boolean => serving?.reopenLogs() === true;
  const admin = new Admin(log, {
    reload: () => reload("api"),
    describe: formatPlan,
    file: file?.path ?? null,
    setLevel: (level) => setLevel(level, log, serving),
  });
  const reloader = new Reloader({
    log,
    admin,
    read: async () => compile(await readConfig(flags), thisMachine()),
    file,
    setLevel: (level) => log.setLevel(level),
    began: () => manager.reloading("reloading the configuration"),
    ended: (status) => manager.ready(status),
  });
  const reload = (cause: ReloadCause): Promise<ReloadOutcome> => {
    serving?.reloadCertificates();
    return reloader.reload(cause);
  };
  const notes = signalNotes(log, upgrader, { reopenLogs, reload: () => reload("signal") });
  const signals = watchStopSignals(stopSignals(), notes);
  const pidFile = flags["pid-file"] === undefined ? undefined : new PidFile(flags["pid-file"]);
  const around: Around = { manager, pidFile, log, reloader, admin };
  let failure: unknown;
  let code: number;
  try {
    await admin.start(plan.admin, origin.predecessor !== undefined);
    const proxy = await Proxy.start(plan, { log, inheritance: origin.inheritance });
    serving = proxy;
    admin.serve(proxy);
    await begin(proxy, origin, pidFile, log);
    upgrader.serve(proxy);
    reloader.serve(proxy);
    code = await end(proxy, upgrader, signals, around);
  } catch (error) {
    origin.predecessor?.failed(messageOf(error));
    code = exitCodeOf(error);
    failure = untold(error, plan, log);
  }
  leave(around);
  const flushed = await log.flush(FLUSH_MS);
  signals.release();
  if (!flushed) process.exit(code); // a write that nobody takes would keep the process
  if (failure !== undefined) throw failure;
  return code;
}

/**
 * Whoever collects JSON lines must find the reason among them; a person reads the plain text.
 * @returns what is still to be told, undefined if it is told.
 */
function untold(error: unknown, { log: { format } }: Plan, log: Log): unknown {
  if (!(error instanceof ProxyError) || format !== "json") return error;
  log.error({ code: error.code }, error.message);
  return undefined;
}

/** Before it is read, so that no change of it is missed. */
function watched(path: string | undefined): ReadFile | null {
  return path === undefined ? null : { path, since: signatureOf([path]) };
}

/** Workers tell of connections only if somebody wants to read it. */
function setLevel(level: LogLevel, log: ProcessLog, proxy: Proxy | undefined): void {
  log.setLevel(level);
  proxy?.trace(level === "debug");
}

/** In a file, auto_tls says agree_terms; the short forms mean it, which somebody should be told. */
function logTerms({ autoTls }: Plan, { options }: Config, flags: Flags, log: Log): void {
  const short = options?.auto_tls === true ? "options.auto_tls" : "-auto-tls";
  const isMeant = short !== "-auto-tls" || flags["auto-tls"] === true;
  if (!isMeant || autoTls === null || autoTls.authorities.length === 0) return;
  const authorities = autoTls.authorities.map(({ name }) => name).join(", ");
  log.info({ authorities }, `${short} agrees to the terms of service of these authorities`);
}

/** Every listener serves: whoever waits for that is told, and nobody else before. */
async function begin(
  proxy: Proxy,
  { manager, predecessor, inheritance }: Origin,
  pidFile: PidFile | undefined,
  log: Log,
): Promise<void> {
  logStarted(log, proxy);
  const lastWord = await predecessor?.succeeded(inheritance.taken);
  if (lastWord != null) proxy.wishes.takeWishes(lastWord.wishes);
  try {
    pidFile?.write();
  } catch (error) {
    if (predecessor === undefined) {
      await proxy.kill();
      throw error;
    }
    log.error({ error: messageOf(error) }, "serving without a pid file"); // nobody else serves any more
  }
  manager.ready(servingText(proxy));
  manager.watch(() => proxy.answers());
}

function servingText({ plan, engine }: Proxy): string {
  const count = plan.listeners.length;
  return `forwarding on ${count} listener${count === 1 ? "" : "s"}, engine ${engine}`;
}

/** On Windows, SIGHUP is what a console that is being closed sends, some seconds before it ends its programs. */
function stopSignals(): readonly NodeJS.Signals[] {
  return process.platform === "win32" ? [...STOP, "SIGHUP"] : STOP;
}

interface Reloads {
  /** @returns false if there are no files to open anew. */
  reopenLogs(): boolean;
  /** The configuration and certificates. */
  reload(): Promise<ReloadOutcome>;
}

/** Signals that mean something to other servers. */
function signalNotes(
  log: Log,
  upgrader: Upgrader,
  { reopenLogs, reload }: Reloads,
): Partial<Record<NodeJS.Signals, () => void>> {
  if (process.platform === "win32") return {};
  const reopen = (): void => {
    if (!reopenLogs()) log.debug({ signal: "SIGUSR1" }, "signal ignored");
  };
  return { SIGHUP: () => void reload(), SIGUSR1: reopen, SIGUSR2: () => upgrader.request() };
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

/** Whom the process is known to besides its clients. */
interface Around {
  readonly manager: ServiceManager;
  readonly pidFile: PidFile | undefined;
  readonly log: Log;
  readonly reloader: Reloader;
  readonly admin: Admin;
}

/** Nobody is told any more. */
function leave({ manager, pidFile, reloader, admin }: Around): void {
  admin.stop();
  manager.unwatch();
  reloader.stop();
  pidFile?.remove();
}

/** Serves until a signal asks for the end, or another process has taken over. */
async function end(
  proxy: Proxy,
  upgrader: Upgrader,
  signals: StopSignals,
  { manager, pidFile, log, reloader, admin }: Around,
): Promise<number> {
  const cause = await Promise.race([signals.first, upgrader.replaced]);
  upgrader.close();
  reloader.stop();
  const { shutdownDelayMs: delayMs, shutdownTimeoutMs: timeoutMs } = proxy.plan;
  if (typeof cause === "string") {
    admin.drain();
    if (delayMs > 0) {
      manager.stopping("clients are still taken");
      log.info({ signal: cause, delayMs }, "not ready, clients are still taken");
      await delay(delayMs, signals.second);
    }
    const connections = proxy.connections().length;
    manager.stopping(`draining ${connections} connections`);
    log.info({ signal: cause, connections, timeoutMs }, "draining");
    return drain(proxy, log, signals, signals.second);
  }
  const connections = proxy.connections().length;
  admin.letGo();
  manager.unwatch();
  pidFile?.leave();
  markReplaced();
  proxy.handOn(cause.keys);
  log.info({ successor: cause.pid, connections, timeoutMs }, "replaced, draining");
  void signals.first.then((signal) => log.info({ signal }, "draining already"));
  // A manager that stops the service tells all its processes twice, and it means no hurry.
  const hurry = manager.present ? new Promise<never>(() => {}) : signals.second;
  return drain(proxy, log, signals, hurry);
}

/** Whoever sends clients here asks /readyz, and has this long to notice. */
async function delay(ms: number, hurry: Promise<unknown>): Promise<void> {
  const hurrying = new AbortController();
  void hurry.then(() => hurrying.abort());
  await pause(ms, hurrying.signal);
}

async function drain(
  proxy: Proxy,
  log: Log,
  signals: StopSignals,
  hurry: Promise<unknown>,
): Promise<number> {
  const stopped = proxy.stop();
  const cut = hurry.then(() => null);
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
