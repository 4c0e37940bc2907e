// Exclusive locks between processes that no crash leaves behind: the system takes them back when their holder ends, however it
// ends. flock(2) on Linux and macOS; on Windows, a file that is open and shared with nobody. A lock belongs to one call of
// `tryLock`: the same process does not get it twice. Called by the control plane.

import { dlopen, read } from "bun:ffi";
import { closeSync, openSync } from "node:fs";

import { ProxyError } from "../shared/errors.ts";
import { EAGAIN, EINTR, errnoText } from "./errno.ts";
import { errno as linuxErrno, openLibc } from "./libc.ts";
import { addressOf, pinnedBytes } from "./memory.ts";

export interface FileLock {
  /** Gives it back; a second call does nothing. */
  release(): void;
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/** EWOULDBLOCK of macOS's sys/errno.h. */
const EAGAIN_DARWIN = 35;

interface Flock {
  flock(fd: number, operation: number): number;
  /** Of the call just made. */
  errno(): number;
  readonly heldByAnother: number;
  textOf(error: number): string;
}

const FLOCK = {
  // int flock(int fd, int operation)
  flock: { args: ["i32", "i32"], returns: "i32" },
} as const;

function openFlock(): Flock {
  if (process.platform !== "darwin") {
    const { flock } = openLibc(FLOCK);
    return { flock, errno: linuxErrno, heldByAnother: EAGAIN, textOf: errnoText };
  }
  const { flock, __error: location } = dlopen("libSystem.B.dylib", {
    ...FLOCK,
    // int *__error(void): the calling thread's errno
    __error: { args: [], returns: "ptr" },
  }).symbols;
  const errno = (): number => read.i32(location()!, 0);
  return { flock, errno, heldByAnother: EAGAIN_DARWIN, textOf: (error) => `errno ${error}` };
}

let flock: Flock | null = null;

/**
 * @param path of a file that is made, for its owner alone, if it is not there. It stays: to remove a file that somebody may be
 * about to lock would give two the lock.
 * @returns null: somebody else holds it.
 * @throws the runtime's error of opening the file; ProxyError ERR_SYSTEM where the file system knows no locks.
 */
export function tryLock(path: string): FileLock | null {
  return process.platform === "win32" ? tryLockWindows(path) : tryFlock(path);
}

function tryFlock(path: string): FileLock | null {
  flock ??= openFlock();
  const fd = openSync(path, "a", 0o600);
  let error = 0;
  do {
    error = flock.flock(fd, LOCK_EX | LOCK_NB) < 0 ? flock.errno() : 0;
  } while (error === EINTR);
  if (error === 0) return heldUntil(() => closeSync(fd));
  closeSync(fd);
  if (error === flock.heldByAnother) return null;
  const problem = `${path} cannot be locked: ${flock.textOf(error)}`;
  throw new ProxyError("ERR_SYSTEM", problem, { cure: "Use a folder of a local file system" });
}

const GENERIC_READ_WRITE = 0xc0000000;
const OPEN_ALWAYS = 4;
const FILE_ATTRIBUTE_NORMAL = 0x80;
const INVALID_HANDLE_VALUE = -1n;

const KERNEL32 = {
  // HANDLE CreateFileW(LPCWSTR, DWORD access, DWORD share, LPSECURITY_ATTRIBUTES, DWORD creation, DWORD flags, HANDLE)
  CreateFileW: { args: ["ptr", "u32", "u32", "ptr", "u32", "u32", "i64"], returns: "i64" },
  // BOOL CloseHandle(HANDLE)
  CloseHandle: { args: ["i64"], returns: "i32" },
} as const;

let kernel32: ReturnType<typeof dlopen<typeof KERNEL32>>["symbols"] | null = null;

function tryLockWindows(path: string): FileLock | null {
  kernel32 ??= dlopen("kernel32.dll", KERNEL32).symbols;
  const { CreateFileW, CloseHandle } = kernel32;
  const name = Buffer.from(`${path}\0`, "utf16le");
  const bytes = pinnedBytes(name.length);
  bytes.set(name);
  const handle = CreateFileW(
    addressOf(bytes),
    GENERIC_READ_WRITE,
    0,
    null,
    OPEN_ALWAYS,
    FILE_ATTRIBUTE_NORMAL,
    0n,
  );
  if (handle !== INVALID_HANDLE_VALUE) return heldUntil(() => void CloseHandle(handle));
  // A folder that is missing or closed to us is an error; only a file that another process has open is not.
  try {
    closeSync(openSync(path, "a"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
  }
  return null;
}

function heldUntil(close: () => void): FileLock {
  let held = true;
  return {
    release() {
      if (held) close();
      held = false;
    },
  };
}
