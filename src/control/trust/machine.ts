// What this machine has of stores of authorities: programs, folders, and the databases of browsers. Called by
// commands/trust.ts.

import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { type Machine, NSS_FOLDERS, nssStore, type Store } from "./stores.ts";

/** Where Linux keeps programs that users have not in their PATH. */
const SYSTEM_PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin";

export function programPath(name: string): string | null {
  return Bun.which(name, { PATH: `${process.env.PATH ?? ""}:${SYSTEM_PROGRAMS}` });
}

export function trustMachine(): Machine {
  return {
    platform: process.platform,
    hasProgram: (name) => programPath(name) !== null,
    hasFolder: isFolder,
  };
}

/** Who sits in front of the machine. */
export interface Person {
  readonly home: string;
  /** Set if this process runs for somebody else, by sudo(8). */
  readonly user: string | null;
}

/** @param env sudo(8) names in SUDO_USER who called it. */
export function person(env: NodeJS.ProcessEnv, isRoot: boolean): Person {
  const user = env.SUDO_USER;
  const home = isRoot && user !== undefined && user !== "root" ? homeOf(user) : null;
  return home === null ? { home: homedir(), user: null } : { home, user: user! };
}

/** passwd(5): name:password:uid:gid:comment:home:shell. */
function homeOf(user: string): string | null {
  try {
    const line = readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((each) => each.startsWith(`${user}:`));
    return line?.split(":")[5] ?? null;
  } catch {
    return null; // no such file on this system: its users are found otherwise, and whoever runs this is asked
  }
}

/** The databases of that person's browsers that are there. */
export function browserStores({ home, user }: Person): Store[] {
  const folders = NSS_FOLDERS.flatMap((pattern) => {
    const glob = new Bun.Glob(`${pattern}/cert9.db`);
    const found = glob.scanSync({ cwd: home, dot: true, onlyFiles: true });
    return [...found].toSorted().map((path) => join(home, path, ".."));
  });
  return folders.map((folder) => nssStore(folder, user));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
