// Finds the command, hands it a checked command line, and turns whatever is thrown into a message and an exit code.
// Called by cli.ts.
import { existsSync } from "node:fs";

import { type ArgsDef, type CommandDef, runCommand } from "citty";

import { suggest } from "../config/nearest.ts";
import { type ErrorCode, ProxyError } from "../shared/errors.ts";
import { parseArgv } from "./argv.ts";
import { check } from "./check.ts";
import { demo } from "./demo.ts";
import { commandHelp, mainHelp } from "./help.ts";
import { run } from "./run.ts";
import { schema } from "./schema.ts";
import { print, styleFor } from "./terminal.ts";

// Each command's arguments have types of their own, which only the command itself needs.
type AnyCommand = CommandDef<any>;
const COMMANDS: Record<string, AnyCommand> = { run, check, demo, schema };

/** Wrong flags or configuration, as opposed to failures at run time. */
const USAGE_CODES: readonly ErrorCode[] = ["ERR_USAGE", "ERR_CONFIG", "ERR_NOT_AVAILABLE"];

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
    if (error.code === "ERR_USAGE") console.error('Run "proxy -h" for help.');
    return USAGE_CODES.includes(error.code) ? 2 : 1;
  }
}

async function dispatch(words: readonly string[]): Promise<number> {
  const [first] = words;
  if (first === undefined) {
    process.stderr.write(`${mainHelp(described(), styleFor(process.stderr))}\n`);
    return 2;
  }
  const named = first.startsWith("-") ? undefined : first;
  if (named === "help") return help(undefined);
  const command = findCommand(named);
  const argv = parseArgv(named === undefined ? words : words.slice(1), argsOf(command));
  if (argv.help) return help(named);
  const { result } = await runCommand(command, { rawArgs: argv.rawArgs });
  return result as number;
}

/** @throws ProxyError ERR_USAGE */
function findCommand(name: string | undefined): AnyCommand {
  if (name === undefined) return run;
  if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name]!;
  if (existsSync(name)) {
    throw new ProxyError(
      "ERR_USAGE",
      `"${name}" is a file, not a command. Write proxy -config ${name}`,
    );
  }
  const known = Object.keys(COMMANDS);
  throw new ProxyError("ERR_USAGE", `unknown command "${name}". ${suggest(name, known)}`);
}

function help(name: string | undefined): number {
  const style = styleFor(process.stdout);
  const command = described().find((candidate) => candidate.name === name);
  const page =
    command === undefined || name === "run"
      ? mainHelp(described(), style)
      : commandHelp(command, style);
  print(page);
  return 0;
}

function described(): { name: string; description: string; args: ArgsDef }[] {
  return Object.entries(COMMANDS).map(([name, command]) => {
    const meta = command.meta as { description: string };
    return { name, description: meta.description, args: argsOf(command) };
  });
}

/** Ours are plain objects, none of citty's lazy forms. */
function argsOf(command: AnyCommand): ArgsDef {
  return (command.args ?? {}) as ArgsDef;
}
