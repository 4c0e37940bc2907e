// What starts this program again. Called by the run command at its start: later the file may have been replaced, and a link
// may point elsewhere, and that is what an upgrade is to start.

import { realpathSync } from "node:fs";
import { resolve } from "node:path";

/** The same words as the process was started with. */
export function ownCommand(): string[] {
  return [...ownStart(), ...process.argv.slice(2)];
}

/** Without flags: the executable, or the runtime and the script. */
export function ownStart(): string[] {
  const script = Bun.isStandaloneExecutable ? [] : [...process.execArgv, process.argv[1]!];
  return [ownProgram(), ...script];
}

/** As it was called, and not what a link led to, if that still is the same file. */
function ownProgram(): string {
  const { argv0, execPath } = process;
  const called = argv0.includes("/") ? resolve(argv0) : Bun.which(argv0);
  return called !== null && isSameFile(called, execPath) ? called : execPath;
}

function isSameFile(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false; // one of them is not there
  }
}
