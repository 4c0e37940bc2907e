// `proxy service`: makes the proxy a service of this system, takes it back, and tells how it is. What is written and run is shown
// before; a file that somebody changed stays as it is.

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";

import { defineCommand } from "citty";

import { checkFiles } from "../control/certificates/check.ts";
import { compile } from "../control/compile.ts";
import { ownStart } from "../control/own-command.ts";
import {
  hiddenPath,
  isReadableByService,
  systemdCautions,
  usesLowPorts,
} from "../control/service/facts.ts";
import { askStatus, probe, runShown } from "../control/service/run.ts";
import {
  readServiceFile,
  removeServiceFile,
  seal,
  stateOf,
  writeServiceFile,
} from "../control/service/seal.ts";
import type { ServiceManager, ServicePlace, ServiceSpec } from "../control/service/service.ts";
import { type Command, formatCommand } from "../control/trust/stores.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import type { Plan } from "../shared/plan.ts";
import { thisMachine } from "./machine.ts";
import { readConfig } from "./run.ts";
import {
  type Action,
  callOf,
  checkAction,
  defaultConfig,
  managerOf,
  placeOf,
  SERVICE_ARGS,
  type ServiceFlags,
  within,
} from "./service-flags.ts";
import { installText, statusJson, statusText, uninstallText } from "./service-text.ts";
import { print, styleFor } from "./terminal.ts";

export const service = defineCommand({
  meta: {
    name: "service",
    description: "run as a service of this system: install, uninstall, status",
  },
  args: SERVICE_ARGS,
  run: async ({ args }): Promise<number> => {
    const action = checkAction(args.action ?? "", args);
    const place = placeOf(args);
    const context: Context = { flags: args, place, manager: managerOf(process.platform, args) };
    if (action === "status") return status(context);
    if (args["dry-run"] !== true) demandRoot(action, context);
    return action === "install" ? install(context) : uninstall(context);
  },
});

interface Context {
  readonly flags: ServiceFlags;
  readonly place: ServicePlace;
  readonly manager: ServiceManager;
}

/** Windows refuses by itself, and says so. @throws ProxyError ERR_SYSTEM */
function demandRoot(action: Action, { flags, place }: Context): void {
  if (place.scope === "user" || place.root !== null || place.uid === 0) return;
  if (process.platform === "win32") return;
  const call = callOf(action, flags);
  throw new ProxyError("ERR_SYSTEM", "services of the system belong to root", {
    cure: `Run sudo ${call}, or add -user for a service of your own session, or -dry-run to see what it would do`,
  });
}

async function install(context: Context): Promise<number> {
  const { flags, place, manager } = context;
  const { spec, cautions } = await specOf(context);
  const { encoding } = manager;
  const path = within(place, manager.path(place));
  const file = { path, encoding, text: seal(manager.text(spec, place), manager.comment) };
  const before = readServiceFile(file);
  const state = stateOf(before);
  if (flags.force !== true) refuseOthers(state, path, context);
  const commands = manager.start(place, manager.workingFolder(spec));
  const same = before === file.text;
  if (flags["dry-run"] !== true) await probe(manager, place);
  const notes = manager.notes(spec);
  await print(
    installText({ file, state, same, commands, cautions, notes }, styleFor(process.stdout)),
  );
  if (!(await wanted(flags, "Write this, and start the service?"))) return 0;
  const ran = place.root === null && before !== null && (await askStatus(manager, place)).running;
  if (!same) writeServiceFile(file);
  await runAll(commands);
  const call = `proxy service status${place.scope === "user" ? " -user" : ""}${named(place)}`;
  if (place.root !== null) await print("\nIt starts when that system does.");
  else await print(`\nIt runs. "${call}" says how it is; the log: ${manager.logs(place)}`);
  if (ran && !same) {
    const restart = formatCommand(manager.restart(place));
    await print(`It ran before, and what the file changes is not in effect yet: ${restart}`);
  }
  return 0;
}

function named({ name }: ServicePlace): string {
  return name === "proxy" ? "" : ` -name ${name}`;
}

interface Found {
  readonly spec: ServiceSpec;
  readonly cautions: readonly string[];
}

/** @throws ProxyError if the configuration is wrong, or would be for a service. */
async function specOf({ flags, place, manager }: Context): Promise<Found> {
  const { scope, name, root } = place;
  const config = resolve(flags.config ?? defaultConfig(process.platform, place));
  const file = within(place, config);
  if (!existsSync(file)) {
    throw new ProxyError("ERR_USAGE", `there is no configuration ${file}`, {
      cure: "Write one, or say which: -config FILE",
    });
  }
  const command = flags.executable === undefined ? ownStart() : [resolve(flags.executable)];
  const folder = manager.workingFolder({ name, scope, config });
  const plan = compile(await readConfig({ config: file }), { ...thisMachine(), folder });
  const spec: ServiceSpec = {
    name,
    scope,
    command,
    config,
    lowPorts: usesLowPorts(plan),
    shutdownMs: plan.shutdownDelayMs + plan.shutdownTimeoutMs,
  };
  if (root !== null) return { spec, cautions: [] };
  const hidden = hiddenFault(spec);
  if (hidden !== null && flags["dry-run"] !== true) throw hidden; // otherwise there is something to be shown
  checkService(spec, plan, folder);
  const folders = { scope, name, working: folder };
  const isLinux = process.platform === "linux";
  const cautions = isLinux ? systemdCautions(plan, folders, isReadableByService) : [];
  return { spec, cautions: hidden === null ? cautions : [hidden.message, ...cautions] };
}

/** What the unit keeps from the service; null: nothing. */
function hiddenFault({ scope, command, config }: ServiceSpec): ProxyError | null {
  if (process.platform !== "linux" || scope !== "system") return null;
  const hidden = hiddenPath([...command, config]);
  if (hidden === null) return null;
  const problem = `the service does not see ${hidden}, nor anything else there`;
  const cure = "Put the executable into /usr/local/bin, and the configuration into /etc/proxy";
  return new ProxyError("ERR_USAGE", problem, { cure });
}

/** @throws ProxyError ERR_USAGE, ERR_CERTIFICATE */
function checkService({ command }: ServiceSpec, plan: Plan, folder: string): void {
  const missing = command.find((word) => word.includes("/") && !existsSync(word));
  if (missing !== undefined) throw new ProxyError("ERR_USAGE", `there is no program ${missing}`);
  try {
    // From where the service will run: that is where relative paths begin.
    checkFiles(plan, Date.now());
  } catch (cause) {
    if (!(cause instanceof ProxyError)) throw cause;
    throw new ProxyError(cause.code, messageOf(cause), {
      cause,
      cure: `The service runs in ${folder}, where paths begin that are not absolute`,
    });
  }
}

/** @throws ProxyError ERR_STATE */
function refuseOthers(state: ReturnType<typeof stateOf>, path: string, { place }: Context): void {
  if (state === "absent" || state === "ours") return;
  const problem =
    state === "edited"
      ? `${path} was changed since it was installed`
      : `${path} was not written by proxy service install`;
  const dropIn =
    process.platform === "linux" ? `Put changes into systemctl edit ${place.name}; ` : "";
  throw new ProxyError("ERR_STATE", problem, { cure: `${dropIn}-force goes on all the same` });
}

async function uninstall(context: Context): Promise<number> {
  const { flags, place, manager } = context;
  const path = within(place, manager.path(place));
  const text = readServiceFile({ path, encoding: manager.encoding });
  if (text === null) {
    await print(`${path} is not there: nothing is installed`);
    return 0;
  }
  if (flags.force !== true) refuseOthers(stateOf(text), path, context);
  if (flags["dry-run"] !== true) await probe(manager, place);
  const before = manager.stop(place);
  const after = manager.forget(place);
  await print(uninstallText({ path, before, after }, styleFor(process.stdout)));
  if (!(await wanted(flags, "Stop the service, and remove this?"))) return 0;
  await runAll(before);
  removeServiceFile({ path });
  await runAll(after);
  const config = manager.configOf(text);
  const { name, scope } = place;
  const folder = manager.workingFolder({ name, scope, config: config ?? path });
  const candidates = config === null ? [folder] : [config, folder];
  const dropIns = `${path}.d`; // of systemctl edit
  const left = [...candidates.map((each) => within(place, each)), dropIns].filter((each) =>
    existsSync(each),
  );
  await print(left.length === 0 ? "Nothing is left." : `Left as they are: ${left.join(", ")}`);
  return 0;
}

async function runAll(commands: readonly Command[]): Promise<void> {
  for (const command of commands) await runShown(command);
}

/** Says so if nothing is to be done. */
async function wanted(flags: ServiceFlags, question: string): Promise<boolean> {
  if (flags["dry-run"] !== true && (await agreed(flags, question))) return true;
  await print("\nNothing was done.");
  return false;
}

/** Asks on a terminal only. */
async function agreed(flags: ServiceFlags, question: string): Promise<boolean> {
  if (flags.yes === true || process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
    return true;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const closed = new Promise<string>((done) => terminal.once("close", () => done("")));
    const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

async function status({ flags, place, manager }: Context): Promise<number> {
  await probe(manager, place);
  const found = await askStatus(manager, place);
  const title = `${place.name} of ${manager.name}`;
  const text =
    flags.json === true
      ? statusJson(found)
      : statusText(title, manager.path(place), found, styleFor(process.stdout));
  await print(text);
  return found.running ? 0 : 1;
}
