// The command line as a process of its own, as a user starts it. Tests read what it prints and send it signals.

import { join } from "node:path";

import { within } from "../support/until.ts";

/** PROXY_EXECUTABLE names a compiled executable to test instead of the sources. */
const { PROXY_EXECUTABLE } = process.env;
export const COMMAND = PROXY_EXECUTABLE
  ? [PROXY_EXECUTABLE]
  : [process.execPath, join(import.meta.dir, "../../src/cli.ts")];

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs to the end. */
export async function runProxy(...args: string[]): Promise<Outcome> {
  const child = startProxy(...args);
  return within(`proxy ${args.join(" ")}`, child.outcome, 20_000);
}

/** As `runProxy`, and never as root. */
export async function runUnprivileged(...args: string[]): Promise<Outcome> {
  const script = join(import.meta.dir, "../support/unprivileged-cli.ts");
  return within(`proxy ${args.join(" ")}`, startWith({ script }, ...args).outcome, 20_000);
}

export interface ProxyProcess {
  readonly pid: number;
  /** Resolves when the process has ended and its output is read. */
  readonly outcome: Promise<Outcome>;
  kill(signal: NodeJS.Signals): void;
  /** The first line of either output that fits; rejects if the process ends without one. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
}

export function startProxy(...args: string[]): ProxyProcess {
  return startWith({}, ...args);
}

export interface StartOptions {
  env?: Record<string, string>;
  /** A program that starts it: `systemd-socket-activate` with its arguments. */
  by?: readonly string[];
  /** Instead of the command line: a script of the tests that uses a part of it. */
  script?: string;
}

export function startWith(options: StartOptions, ...args: string[]): ProxyProcess {
  const { env = {}, by = [], script } = options;
  const command = script === undefined ? COMMAND : [process.execPath, script];
  const child = Bun.spawn([...by, ...command, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  const output = { stdout: "", stderr: "" };
  const waiting = new Set<() => void>();
  const read = async (name: "stdout" | "stderr"): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of child[name]) {
      output[name] += decoder.decode(chunk, { stream: true });
      for (const look of waiting) look();
    }
  };
  const outcome = Promise.all([child.exited, read("stdout"), read("stderr")]).then(([code]) => ({
    code: child.signalCode === null ? code : null,
    ...output,
  }));
  return {
    pid: child.pid,
    outcome,
    kill: (signal) => child.kill(signal),
    line(pattern) {
      const found = Promise.withResolvers<RegExpExecArray>();
      const look = (): void => {
        const match = pattern.exec(`${output.stderr}\n${output.stdout}`);
        if (match) found.resolve(match);
      };
      waiting.add(look);
      look();
      void outcome.then((end) =>
        found.reject(new Error(`ended without ${pattern}: ${JSON.stringify(end)}`)),
      );
      return within(`a line like ${pattern}`, found.promise, 20_000).finally(() =>
        waiting.delete(look),
      );
    },
  };
}
