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

export interface ArgvOptions {
  /** The command's name, for what it should have been; none for the flags of `proxy` itself. */
  readonly command?: string;
  /** Flags that may be given several times: their values become lines of one. */
  readonly repeatable?: readonly string[];
}

/**
 * @throws ProxyError ERR_USAGE with a line for each mistake.
 */
export function parseArgv(
  words: readonly string[],
  args: ArgsDef,
  options: ArgvOptions = {},
): Argv {
  if (words.some((word) => HELP.test(word))) return { rawArgs: [], help: true };
  const parser = new ArgvParser(args, options);
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") parser.literal(rest.splice(0));
    else if (word.startsWith("-") && word !== "-") parser.flag(word, rest);
    else parser.positionals.push(word);
  }
  return { rawArgs: parser.finish(), help: false };
}

class ArgvParser {
  readonly positionals: string[] = [];
  readonly #args: ArgsDef;
  readonly #options: ArgvOptions;
  readonly #given = new Set<string>();
  readonly #lines = new Map<string, string>();
  readonly #flags: string[] = [];
  readonly #faults: string[] = [];

  constructor(args: ArgsDef, options: ArgvOptions) {
    this.#args = args;
    this.#options = options;
  }

  /** What follows `--`. */
  literal(words: readonly string[]): void {
    this.positionals.push(...words);
    const flag = words.find((word) => word.startsWith("-") && word !== "-");
    if (flag !== undefined && this.#wanted().length === 0) {
      this.#fault(`after "--", "${flag}" is not read as a flag. Remove the "--"`);
      this.positionals.length = 0;
    }
  }

  flag(word: string, rest: string[]): void {
    const [, name = "", value] = /^--?([^=]*)(?:=([^]*))?$/.exec(word) ?? [];
    const definition = Object.hasOwn(this.#args, name) ? this.#args[name] : undefined;
    if (!definition || definition.type === "positional") {
      const spelled = word.split("=")[0]!;
      this.#fault(`unknown flag ${spelled}. ${this.#cure(name, value ?? rest[0])}`);
      // What follows is most likely its value; naming it as a stray argument would only confuse.
      if (value === undefined && rest[0] !== undefined && !rest[0].startsWith("-")) rest.shift();
      return;
    }
    const isRepeatable = this.#options.repeatable?.includes(name) === true;
    if (this.#given.has(name) && !isRepeatable) this.#fault(`-${name} is given twice`);
    this.#given.add(name);
    if (definition.type === "boolean") this.#switch(name, value);
    else this.#valued(name, definition, value ?? takeValue(rest));
  }

  /** @throws ProxyError */
  finish(): string[] {
    const wanted = this.#wanted();
    for (const stray of this.positionals.slice(wanted.length)) {
      this.#fault(`unexpected argument "${stray}". Flags begin with a dash: -listen :8080`);
    }
    // Most likely a wrong flag has taken it.
    const needed = wanted.filter((name) => this.#args[name]!.required !== false);
    const absent = this.#faults.length > 0 ? [] : needed.slice(this.positionals.length);
    for (const name of absent) {
      const { command } = this.#options;
      const cure = command === undefined ? "" : `. Write proxy ${command} ${name.toUpperCase()}`;
      this.#fault(`${name.toUpperCase()} is missing${cure}`);
    }
    if (this.#faults.length > 0) throw new ProxyError("ERR_USAGE", this.#faults.join("\n"));
    const joined = [...this.#lines].map(([name, lines]) => `--${name}=${lines}`);
    return [...this.#flags, ...joined, "--", ...this.positionals];
  }

  /** Names of the positional arguments. */
  #wanted(): string[] {
    return Object.keys(this.#args).filter((name) => this.#args[name]!.type === "positional");
  }

  /** What to write instead of an unknown flag. */
  #cure(name: string, value: string | undefined): string {
    const { command } = this.#options;
    const flags = Object.keys(this.#args).filter((key) => this.#args[key]!.type !== "positional");
    const [wanted] = this.#wanted();
    if (flags.length === 0 && command !== undefined && wanted !== undefined) {
      const plain = value === undefined || value.startsWith("-") ? wanted.toUpperCase() : value;
      return `${command} takes no flags. Write proxy ${command} ${plain}`;
    }
    const dashed = [...flags, "help"].map((key) => `-${key}`);
    return suggest(`-${name.replace(/^-+/, "")}`, dashed, "");
  }

  #switch(name: string, value: string | undefined): void {
    if (value === undefined || value === "true") this.#flags.push(`--${name}`);
    else if (value !== "false") this.#fault(`-${name} is true or false, not "${value}"`);
  }

  #valued(name: string, definition: ArgDef, value: string | undefined): void {
    if (value === undefined || value === "") {
      const hint = definition.valueHint ?? "value";
      this.#fault(`-${name} needs a value: -${name} ${hint}`);
    } else if (this.#options.repeatable?.includes(name) === true) {
      const before = this.#lines.get(name);
      this.#lines.set(name, before === undefined ? value : `${before}\n${value}`);
    } else this.#flags.push(`--${name}=${value}`);
  }

  #fault(message: string): void {
    this.#faults.push(message);
  }
}

/** A word that begins with a dash is the next flag, not a value, unless it is a number; `-flag=-value` says otherwise. */
function takeValue(rest: string[]): string | undefined {
  const isFlag = rest[0]?.startsWith("-") === true && rest[0] !== "-" && !/^-\d/.test(rest[0]);
  return isFlag ? undefined : rest.shift();
}
