// The command line's spelling: `-flag value`, `-flag=value` and `--flag` alike, strictly. citty's own parser lets unknown
// flags and missing values pass, so it is handed a line that is already checked and spelled its way (`--flag=value`).

import type { ArgDef, ArgsDef } from "citty";

import { suggest } from "../config/nearest.ts";
import { ProxyError } from "../shared/errors.ts";

export interface Argv {
  /** What citty takes: flags, then `--`, then positional arguments. */
  readonly rawArgs: string[];
  /** -h was asked for; nothing else was checked. */
  readonly help: boolean;
}

const HELP = /^--?(h|help)$/;

/**
 * @throws ProxyError ERR_USAGE with a line for each mistake.
 */
export function parseArgv(words: readonly string[], args: ArgsDef): Argv {
  if (words.some((word) => HELP.test(word))) return { rawArgs: [], help: true };
  const parser = new ArgvParser(args);
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") parser.positionals.push(...rest.splice(0));
    else if (word.startsWith("-") && word !== "-") parser.flag(word, rest);
    else parser.positionals.push(word);
  }
  return { rawArgs: parser.finish(), help: false };
}

class ArgvParser {
  readonly positionals: string[] = [];
  readonly #args: ArgsDef;
  readonly #given = new Set<string>();
  readonly #flags: string[] = [];
  readonly #faults: string[] = [];

  constructor(args: ArgsDef) {
    this.#args = args;
  }

  flag(word: string, rest: string[]): void {
    const [, name = "", value] = /^--?([^=]*)(?:=([^]*))?$/.exec(word) ?? [];
    const definition = Object.hasOwn(this.#args, name) ? this.#args[name] : undefined;
    if (!definition || definition.type === "positional") {
      this.#fault(`unknown flag ${dashed(word.split("=")[0]!)}. ${suggestFlag(name, this.#args)}`);
      // What follows is most likely its value; naming it as a stray argument would only confuse.
      if (value === undefined && rest[0] !== undefined && !rest[0].startsWith("-")) rest.shift();
      return;
    }
    if (this.#given.has(name)) this.#fault(`-${name} is given twice`);
    this.#given.add(name);
    if (definition.type === "boolean") this.#switch(name, value);
    else this.#valued(name, definition, value ?? takeValue(rest));
  }

  /** @throws ProxyError */
  finish(): string[] {
    const wanted = Object.entries(this.#args).filter(([, { type }]) => type === "positional");
    for (const stray of this.positionals.slice(wanted.length)) {
      this.#fault(`unexpected argument "${stray}". Flags begin with a dash: -listen :8080`);
    }
    for (const [name] of wanted.slice(this.positionals.length)) {
      this.#fault(`${name.toUpperCase()} is missing`);
    }
    if (this.#faults.length > 0) throw new ProxyError("ERR_USAGE", this.#faults.join("\n"));
    return [...this.#flags, "--", ...this.positionals];
  }

  #switch(name: string, value: string | undefined): void {
    if (value === undefined || value === "true") this.#flags.push(`--${name}`);
    else if (value !== "false") this.#fault(`-${name} is true or false, not "${value}"`);
  }

  #valued(name: string, definition: ArgDef, value: string | undefined): void {
    if (value === undefined || value === "") {
      const hint = definition.valueHint ?? "value";
      this.#fault(`-${name} needs a value: -${name} ${hint}`);
    } else this.#flags.push(`--${name}=${value}`);
  }

  #fault(message: string): void {
    this.#faults.push(message);
  }
}

/** A word that begins with a dash is the next flag, not a value; `-flag=-value` says otherwise. */
function takeValue(rest: string[]): string | undefined {
  const isFlag = rest[0]?.startsWith("-") === true && rest[0] !== "-";
  return isFlag ? undefined : rest.shift();
}

function dashed(word: string): string {
  return `-${word.replace(/^-+/, "")}`;
}

function suggestFlag(name: string, args: ArgsDef): string {
  const known = Object.keys(args).filter((key) => args[key]!.type !== "positional");
  const dashedNames = [...known, "help"].map((key) => `-${key}`);
  return suggest(`-${name}`, dashedNames, "");
}
