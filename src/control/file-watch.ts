// Files that may change at any time, in any of the ways in which they do: written in place, renamed over, or reached through
// symbolic links that are exchanged (Kubernetes, ACME clients). Folders are watched, which tells of the first two and mostly of
// the third; looking again now and then finds the rest. Called for certificates and for the configuration.
//
// Invariant: `changed` is called some time after the last of a series of changes, and not for files that are as they were.

import { type FSWatcher, realpathSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";

import { FILES } from "../shared/limits.ts";

export class FileWatch {
  readonly #paths: readonly string[];
  readonly #changed: () => void;
  readonly #watchers: FSWatcher[] = [];
  readonly #poll: ReturnType<typeof setInterval>;
  /** Of what `changed` was last called for. */
  #signature: string;
  /** A change was seen: how the files were then. */
  #seen = "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param since `signatureOf` them when they were read: a change that came before this is seen, too. Default: now. */
  constructor(paths: readonly string[], changed: () => void, since = signatureOf(paths)) {
    this.#paths = paths;
    this.#changed = changed;
    this.#signature = since;
    this.#watchFolders();
    this.#look();
    this.#poll = setInterval(() => this.#look(), FILES.pollMs);
    this.#poll.unref();
  }

  /** Where files stand, and where their links lead to. What cannot be watched is found by looking. */
  #watchFolders(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    const folders = new Set(
      this.#paths.flatMap((path) => [dirname(path), dirname(realPath(path))]),
    );
    for (const folder of folders) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#look());
        watcher.on("error", () => watcher.close());
        this.#watchers.push(watcher);
      } catch {
        // No such folder, or too many watches (inotify(7)): polling goes on.
      }
    }
  }

  /** Whether a change has come to rest is seen a moment later. */
  #look(): void {
    const signature = signatureOf(this.#paths);
    if (signature === this.#signature && this.#timer === undefined) return;
    this.#seen = signature;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#settle(), FILES.settleMs);
  }

  #settle(): void {
    this.#timer = undefined;
    const signature = signatureOf(this.#paths);
    if (signature !== this.#seen) return this.#look();
    if (signature === this.#signature) return;
    this.#signature = signature;
    this.#watchFolders(); // links may lead elsewhere now
    this.#changed();
  }

  /** The files as they are now are known: no change until they are others. */
  noted(): void {
    this.#signature = signatureOf(this.#paths);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#poll);
    for (const watcher of this.#watchers) watcher.close();
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // it is not there, at the moment
  }
}

/** Changes when a file does, or when what its name leads to is another file (rename, symbolic links). */
export function signatureOf(paths: readonly string[]): string {
  return paths.map(fileSignature).join("\n");
}

function fileSignature(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? "" : `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}
