// Where the lines of access logs go: files, one for each path that listeners name, or the standard output. Written without
// blocking (log-writer.ts); lines that a disk or a reader does not take in time are dropped, and the log says how many. A file
// is opened for appending, so that several processes may share it during an upgrade, and anew when asked to (SIGUSR1): a
// rotated file is let go.

import { closeSync, constants, openSync, statSync } from "node:fs";
import { dirname } from "node:path";

import { messageOf, ProxyError } from "../shared/errors.ts";
import { ACCESS_LOG } from "../shared/limits.ts";
import type { Log } from "../shared/log.ts";
import type { WorkerEvent } from "../shared/messages.ts";
import type { ListenerPlan } from "../shared/plan.ts";
import type { Caution } from "./cautions.ts";
import { LogWriter } from "./log-writer.ts";

/** The standard output. */
const STDOUT = "-";
/** Its group may read it, as logrotate and collectors of logs do; it names clients, so nobody else may. */
const MODE = 0o640;
/** How long the end waits for the last lines: a disk that is busy, not one that hangs. */
const FLUSH_MS = 1_000;

/** A path that listeners name. */
class Destination {
  readonly path: string;
  fd: number;
  readonly writer: LogWriter;
  readonly #log: Log;
  #lost = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @throws ProxyError ERR_SYSTEM. */
  constructor(path: string, log: Log) {
    this.path = path;
    this.#log = log;
    this.fd = path === STDOUT ? 1 : openFile(path);
    const lostLine = (count: number): string => {
      this.#addLost(count);
      return ""; // readers of the file expect lines of one kind
    };
    this.writer = new LogWriter(this.fd, lostLine, ACCESS_LOG.bufferMaxBytes);
  }

  /** The first loss is told of at once, those that follow together. */
  #addLost(count: number): void {
    this.#lost += count;
    if (this.#timer !== null) return;
    this.#tellLost();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#lost > 0) this.#addLost(0);
    }, ACCESS_LOG.tellLostMs);
    this.#timer.unref(); // `close` tells the rest
  }

  #tellLost(): void {
    if (this.#lost === 0) return;
    this.#log.warn({ path: this.path, count: this.#lost }, "access log lines were lost");
    this.#lost = 0;
  }

  reopen(): void {
    try {
      const old = this.fd;
      this.fd = openFile(this.path);
      void this.writer.switchTo(this.fd).then(() => closeSync(old));
      this.#log.info({ path: this.path }, "access log opened anew");
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "access log cannot be opened anew");
    }
  }

  async close(): Promise<void> {
    const written = await this.writer.flush(FLUSH_MS);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#lost += this.writer.lost;
    this.#tellLost();
    // A write that is still under way would go to whatever gets the descriptor's number next.
    if (written && this.path !== STDOUT) closeSync(this.fd);
    else if (!written)
      this.#log.warn({ path: this.path }, "access log does not take its last lines");
  }
}

/** Files of a new plan that are open: one of the two is due. */
export interface PreparedLogs {
  commit(): void;
  abandon(): void;
}

export class AccessLogs {
  readonly #log: Log;
  readonly #byPath = new Map<string, Destination>();
  /** By ListenerPlan.key. Those that the plan before had are kept once: their last clients may still be there. */
  #byKey = new Map<string, Destination>();
  #keys: ReadonlySet<string> = new Set();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Opens what is not open yet. @throws ProxyError ERR_SYSTEM if a file cannot be opened, and none is then. */
  prepare(listeners: readonly ListenerPlan[]): PreparedLogs {
    const opened = new Map<string, Destination>();
    const next = new Map<string, Destination>();
    const abandon = (): void => {
      for (const destination of opened.values()) void destination.close();
    };
    try {
      for (const listener of listeners) {
        const path = "accessLog" in listener ? (listener.accessLog?.path ?? null) : null;
        if (path === null) continue;
        let destination = this.#byPath.get(path) ?? opened.get(path);
        if (destination === undefined) {
          opened.set(path, (destination = new Destination(path, this.#log)));
        }
        next.set(listener.key, destination);
      }
    } catch (error) {
      abandon();
      throw error;
    }
    return { commit: () => this.#take(next, opened), abandon };
  }

  #take(next: Map<string, Destination>, opened: ReadonlyMap<string, Destination>): void {
    for (const [path, destination] of opened) this.#byPath.set(path, destination);
    const keys = new Set(next.keys());
    for (const [key, destination] of this.#byKey) {
      if (this.#keys.has(key) && !next.has(key)) next.set(key, destination);
    }
    this.#byKey = next;
    this.#keys = keys;
    const used = new Set(next.values());
    for (const [path, destination] of this.#byPath) {
      if (used.has(destination)) continue;
      this.#byPath.delete(path);
      void destination.close();
    }
  }

  write({ key, bytes, lines }: WorkerEvent & { type: "access_log" }): void {
    this.#byKey.get(key)?.writer.writeLines(bytes, lines);
  }

  /**
   * Opens every file anew, by its path. One that cannot be opened goes on where it was, and the log says why.
   * @returns false if there are none.
   */
  reopen(): boolean {
    const files = [...this.#byPath.values()].filter(({ path }) => path !== STDOUT);
    for (const file of files) file.reopen();
    return files.length > 0;
  }

  /** Writes what there is, and closes the files. */
  async close(): Promise<void> {
    const all = [...this.#byPath.values()];
    this.#byPath.clear();
    this.#byKey.clear();
    await Promise.all(all.map((destination) => destination.close()));
  }
}

/** What would keep access logs from being opened, as far as it can be seen without doing so. For `proxy check`. */
export function accessLogFaults(listeners: readonly ListenerPlan[]): Caution[] {
  return listeners.flatMap((listener) => {
    const path = "accessLog" in listener ? (listener.accessLog?.path ?? null) : null;
    if (path === null || path === STDOUT) return [];
    const message = faultOf(path);
    return message === null ? [] : [{ listener: listener.key, message }];
  });
}

function faultOf(path: string): string | null {
  if (isFolder(path) === true) return `access log ${path}: is a folder. Name a file in it`;
  const folder = dirname(path);
  if (isFolder(folder) !== false) return null;
  return `access log ${path}: there is no folder ${folder} here`;
}

/** null: this user may not know. */
function isFolder(path: string): boolean | null {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    return null;
  }
}

/** O_NONBLOCK for a pipe with a name: without a reader it is an error, and does not stop this thread. Windows has none. */
const FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0);

/** @throws ProxyError ERR_SYSTEM. */
function openFile(path: string): number {
  try {
    return openSync(path, FLAGS, MODE);
  } catch (cause) {
    throw new ProxyError("ERR_SYSTEM", `access log ${path}: ${messageOf(cause)}`, {
      cause,
      cure: "Name a file in a folder that exists and may be written to",
    });
  }
}
