// Loads a Node-API addon so that the calling thread has it to itself: code, static variables and all. A shared object is
// loaded once in a process however many threads ask for it (dlopen(3)), which is right only if its static variables can be
// shared. The loader knows a file by its name and inode, so that a copy is another shared object.
// Called by protocols/quic/quiche/binding.ts, which says why.

import {
  closeSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openLibc } from "./libc.ts";
import { addressOf, pinnedBytes } from "./memory.ts";

/** memfd_create(2) */
const MFD_CLOEXEC = 1;
/** Of a mask of CPUs: the kernel wants at least one bit for each that it could have (sched_setaffinity(2)). */
const CPU_MASK_BYTES = 1_024;
const DIRECTORY_PREFIX = "proxy-addon-";
/** Older directories of other processes are no longer being made. */
const LEFT_BEHIND_MS = 60 * 60 * 1_000;

/**
 * Some 3 ms for 3 MB, which stay: an image is never unloaded, also if its thread ends. Call it once in a thread.
 * @param file the addon's, also one that an executable carries. @returns what the addon exports.
 * @throws Error of node:fs, or of the loader
 */
export function loadOwnImage(file: string): unknown {
  const bytes = readFileSync(file);
  if (process.platform !== "linux") return loadFromDirectory(bytes);
  return onOneCpu(() => loadFromMemory(bytes) ?? loadFromDirectory(bytes));
}

/**
 * From memory: nothing has to be writable, and no file system allow execution. The descriptor stays open, since the loader
 * knows images by names, and the name has the descriptor's number in it.
 * @returns null: no such file can be made or loaded here.
 */
function loadFromMemory(bytes: Uint8Array): unknown {
  const descriptor = memoryFile();
  if (descriptor < 0) return null;
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
    return open(`/proc/self/fd/${descriptor}`);
  } catch {
    // Without /proc, or where memory must not be executed. If a file cannot be loaded either, that error is told.
    closeSync(descriptor);
    return null;
  }
}

/** @returns -1: there is none, for which an old C library or a filter of system calls is the reason. */
function memoryFile(): number {
  try {
    // int memfd_create(const char *name, unsigned int flags)
    const { memfd_create } = openLibc({
      memfd_create: { args: ["ptr", "u32"], returns: "i32" },
    });
    return memfd_create(addressOf(Buffer.from("addon\0")), MFD_CLOEXEC);
  } catch {
    return -1; // glibc has it since 2.27
  }
}

function loadFromDirectory(bytes: Uint8Array): unknown {
  if (process.platform === "win32") removeLeftBehind();
  const directory = mkdtempSync(join(tmpdir(), DIRECTORY_PREFIX));
  try {
    const file = join(directory, "addon.node");
    writeFileSync(file, bytes, { mode: 0o700 });
    return open(file);
  } finally {
    // Windows keeps a file that is loaded: the next process removes it.
    if (process.platform !== "win32") rmSync(directory, { recursive: true, force: true });
  }
}

function removeLeftBehind(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(DIRECTORY_PREFIX)) continue;
    const directory = join(tmpdir(), name);
    try {
      const age = Date.now() - statSync(directory).mtimeMs;
      if (age > LEFT_BEHIND_MS) rmSync(directory, { recursive: true });
    } catch {
      // Loaded by a process that runs, or removed by another one just now.
    }
  }
}

function open(file: string): unknown {
  const module = { exports: {} };
  process.dlopen(module, file);
  return module.exports;
}

/**
 * Runs it while this thread may use one CPU alone: a library that starts a thread for each CPU at load then starts one, and
 * not as many for each image.
 */
function onOneCpu<T>(run: () => T): T {
  // int sched_getaffinity(pid_t pid, size_t cpusetsize, cpu_set_t *mask), and sched_setaffinity alike; pid 0: this thread
  const { sched_getaffinity, sched_setaffinity } = openLibc({
    sched_getaffinity: { args: ["i32", "u32", "ptr"], returns: "i32" },
    sched_setaffinity: { args: ["i32", "u32", "ptr"], returns: "i32" },
  });
  const [before, one] = [pinnedBytes(CPU_MASK_BYTES), pinnedBytes(CPU_MASK_BYTES)];
  if (sched_getaffinity(0, CPU_MASK_BYTES, addressOf(before)) < 0) return run();
  const first = before.findIndex((byte) => byte !== 0);
  one[first] = before[first]! & -before[first]!; // its lowest bit
  sched_setaffinity(0, CPU_MASK_BYTES, addressOf(one));
  try {
    return run();
  } finally {
    sched_setaffinity(0, CPU_MASK_BYTES, addressOf(before));
  }
}
