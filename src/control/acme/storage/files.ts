// Files of the storage: written so that a crash, or a disk that is full, leaves the old content or the new, and never a part;
// every error names the path, the reason and the cure. Called by the parts of the storage, and by whoever keeps files beside.

import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

import { errnoOf, messageOf, ProxyError } from "../../../shared/errors.ts";
import { STORAGE } from "../../../shared/limits.ts";

/** For its owner alone: there are keys in it. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** What a writer that was killed leaves behind; `removeDrafts` knows it by this. */
const DRAFT = ".draft";

let drafts = 0;

/** Makes a folder and those above it, for their owner alone. One that is there stays as it is. @throws ProxyError ERR_STORAGE */
export async function makeFolder(path: string): Promise<void> {
  try {
    const first = await mkdir(path, { recursive: true, mode: FOLDER_MODE });
    if (first !== undefined) await syncFolder(dirname(first));
  } catch (error) {
    throw storageError(path, "the folder cannot be made", error);
  }
}

/**
 * Puts a file there, or another in its place, in one step; readable for its owner alone. When it comes back, the file survives
 * a crash of the machine.
 * @throws ProxyError ERR_STORAGE; what was there before is still there.
 */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const draft = `${path}.${process.pid}-${++drafts}${DRAFT}`;
  try {
    const file = await open(draft, "wx", FILE_MODE);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {}); // the first error is the one to tell of
    throw storageError(path, "the file cannot be written", error);
  }
}

/** Text of a file; null: there is none. @throws ProxyError ERR_STORAGE */
export async function readWhole(path: string): Promise<string | null> {
  let file: FileHandle | null = null;
  try {
    file = await open(path, "r");
    const { size } = await file.stat();
    if (size > STORAGE.fileMaxBytes) {
      const problem = `${path}: the file is too large for what it should be (${size} bytes)`;
      throw new ProxyError("ERR_STORAGE", problem, { cure: "Remove it: it is made again" });
    }
    return await file.readFile("utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return null;
    throw storageError(path, "the file cannot be read", error);
  } finally {
    await file?.close();
  }
}

/** Names in a folder, sorted; none if it is not there. @throws ProxyError ERR_STORAGE */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).toSorted();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw storageError(path, "the folder cannot be read", error);
  }
}

/** A file, or a folder with all that is in it. One that is not there is no error. @throws ProxyError ERR_STORAGE */
export async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
    await syncFolder(dirname(path));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw storageError(path, "it cannot be removed", error);
  }
}

/** What writers that were killed have left in this folder. For the holder of its lock. */
export async function removeDrafts(path: string): Promise<void> {
  const left = (await namesIn(path)).filter((name) => name.endsWith(DRAFT));
  for (const name of left) await remove(join(path, name));
}

/** What renames and new files need to survive a crash of the machine (fsync(2)). Windows has no such call for folders. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

const FULL = ["the disk is full", "Free space there"] as const;
const DENIED = [
  "permission denied",
  "Let the proxy's user read and write it, or name another folder (auto_tls: storage)",
] as const;

const REASONS: Readonly<Record<string, readonly [reason: string, cure: string]>> = {
  ENOSPC: FULL,
  EDQUOT: ["the disk quota is used up", FULL[1]],
  EFBIG: FULL,
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: ["the file system is read-only", "Name another folder (auto_tls: storage)"],
  ENOTDIR: ["a part of the path is no folder", "Name another folder (auto_tls: storage)"],
  EEXIST: ["there is a file where a folder should be", "Name another folder (auto_tls: storage)"],
  EISDIR: ["there is a folder where a file should be", "Remove it"],
  EIO: ["the disk fails", "Look into the system's log, and at the disk"],
  EMFILE: ["the process has too many files open", "Raise its limit of open files"],
};

/** @throws nothing: an error that is complete already is returned as it is. */
export function storageError(path: string, problem: string, cause: unknown): ProxyError {
  if (cause instanceof ProxyError && cause.code === "ERR_STORAGE") return cause;
  const errno = errnoOf(cause);
  const [reason, cure] = REASONS[errno] ?? [messageOf(cause), "Check the folder and its disk"];
  const name = errno in REASONS ? ` (${errno})` : "";
  return new ProxyError("ERR_STORAGE", `${path}: ${problem}: ${reason}${name}`, { cause, cure });
}
