// Waiting for a lock that another process, or another part of this one, may hold. Whoever had to wait finds the folder changed:
// what it knew of it has to be read again. Called by storage.ts.

import { type FileLock, tryLock } from "../../../ffi/file-lock.ts";
import { STORAGE } from "../../../shared/limits.ts";
import { storageError } from "./files.ts";

/**
 * @param path of the lock's file, in a folder that is there.
 * @throws ProxyError ERR_STORAGE; or the signal's reason.
 */
export async function waitForLock(path: string, signal: AbortSignal): Promise<FileLock> {
  for (;;) {
    signal.throwIfAborted();
    const lock = attempt(path);
    if (lock !== null) return lock;
    await rest(signal);
  }
}

function attempt(path: string): FileLock | null {
  try {
    return tryLock(path);
  } catch (error) {
    throw storageError(path, "the lock cannot be taken", error);
  }
}

/** Until it is time to look again, or the signal says so. */
function rest(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, STORAGE.lockPollMs);
    signal.addEventListener("abort", finish);
  });
}
