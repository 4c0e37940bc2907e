// Finds the command, hands it a checked command line, and turns whatever is thrown into a message and an exit code.
// Called by cli.ts.

import { existsSync } from "node:fs";

import { type ArgsDef, type CommandDef, runCommand } from "citty";

import { suggest } from "../config/nearest.ts";
import { ProxyError } from "../shared/errors.ts";
import { parseArgv } from "./argv.ts";
import { CAPTURE_EXAMPLES } from "./capture-flags.ts";
import { capture } from "./capture.ts";
import { certificates, CERTIFICATES_EXAMPLES } from "./certificates.ts";
import { check } from "./check.ts";
import { connections, CONNECTIONS_EXAMPLES } from "./connections.ts";
import { demo, DEMO_EXAMPLES } from "./demo.ts";
import { DNS_CHECK_EXAMPLES } from "./dns-check-flags.ts";
import { dnsCheck } from "./dns-check.ts";
import { doctor, DOCTOR_EXAMPLES } from "./doctor.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { explain, EXPLAIN_EXAMPLES } from "./explain.ts";
import { commandHelp, type Example, mainHelp } from "./help.ts";
import { reload, RELOAD_EXAMPLES } from "./reload.ts";
import { run } from "./run.ts";
import { schema } from "./schema.ts";
import { SERVICE_EXAMPLES } from "./service-flags.ts";
import { service } from "./service.ts";
import { status, STATUS_EXAMPLES } from "./status.ts";
import { targets, TARGETS_EXAMPLES } from "./targets.ts";
import { print, styleFor } from "./terminal.ts";
import { top, TOP_EXAMPLES } from "./top.ts";
import { trust, TRUST_EXAMPLES } from "./trust.ts";
import { upgrade } from "./upgrade.ts";

interface Command {
  readonly name: string;
  readonly description: string;
  readonly args: ArgsDef;
  /** For its help page. */
  readonly examples: readonly Example[];
  /** Flags that may be given several times. */
  readonly repeatable: readonly string[];
  /** @returns the exit code. */
  start(rawArgs: string[]): Promise<number>;
}

const RUN = entry(run);
const COMMANDS = [
  RUN,
  entry(capture, CAPTURE_EXAMPLES),
  entry(certificates, CERTIFICATES_EXAMPLES),
  entry(check),
  entry(connections, CONNECTIONS_EXAMPLES),
  entry(demo, DEMO_EXAMPLES),
  entry(dnsCheck, DNS_CHECK_EXAMPLES),
  entry(doctor, DOCTOR_EXAMPLES),
  entry(explain, EXPLAIN_EXAMPLES, ["header"]),
  entry(reload, RELOAD_EXAMPLES),
  entry(schema),
  entry(service, SERVICE_EXAMPLES),
  entry(status, STATUS_EXAMPLES),
  entry(targets, TARGETS_EXAMPLES),
  entry(top, TOP_EXAMPLES),
  entry(trust, TRUST_EXAMPLES),
  entry(upgrade),
];

/** Our definitions are plain objects, none of citty's lazy forms, and their `run` returns the exit code. */
function entry<T extends ArgsDef>(
  command: CommandDef<T>,
  examples: readonly Example[] = [],
  repeatable: readonly string[] = [],
): Command {
  const { name, description } = command.meta as { name: string; description: string };
  return {
    name,
    description,
    args: command.args as ArgsDef,
    examples,
    repeatable,
    start: async (rawArgs) => (await runCommand(command, { rawArgs })).result as number,
  };
}

/** @returns the exit code: 0 fine, 1 runtime failure, 2 bad usage or configuration. */
export async function main(words: readonly string[]): Promise<number> {
  try {
    return await dispatch(words);
  } catch (error) {
    if (!(error instanceof ProxyError)) {
      console.error(error); // a bug: its stack is what helps
      return 1;
    }
    // Places in files stand at the beginning of their line, where editors and terminals find them.
    const prefix =
      error.code === "ERR_CONFIG" || error.code === "ERR_NOT_AVAILABLE" ? "" : "proxy: ";
    for (const line of error.message.split("\n")) console.error(prefix + line);
    if (error.code === "ERR_USAGE") {
      const command = COMMANDS.find(({ name }) => name === words[0] && name !== RUN.name);
      const page = command === undefined ? "proxy -h" : `proxy ${command.name} -h`;
      console.error(`Run "${page}" for help.`);
    }
    return exitCodeOf(error);
  }
}

async function dispatch(words: readonly string[]): Promise<number> {
  const [first] = words;
  if (first === undefined) {
    await print(mainHelp(COMMANDS, styleFor(process.stderr)), 2);
    return 2;
  }
  if (first === "help") return await help(RUN);
  const flagsAlone = first.startsWith("-");
  const command = flagsAlone ? RUN : findCommand(first);
  const argv = parseArgv(
    flagsAlone ? words : words.slice(1),
    command.args,
    command === RUN ? {} : { command: command.name, repeatable: command.repeatable },
  );
  return argv.help ? help(command) : command.start(argv.rawArgs);
}

/** @throws ProxyError ERR_USAGE */
function findCommand(name: string): Command {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  if (existsSync(name)) {
    throw new ProxyError("ERR_USAGE", `"${name}" is a file, not a command`, {
      cure: `Write proxy -config ${name}`,
    });
  }
  const known = COMMANDS.map((candidate) => candidate.name);
  throw new ProxyError("ERR_USAGE", `unknown command "${name}". ${suggest(name, known)}`);
}

async function help(command: Command): Promise<number> {
  const style = styleFor(process.stdout);
  await print(command === RUN ? mainHelp(COMMANDS, style) : commandHelp(command, style));
  return 0;
}
