// The file that names the process that serves. It is there as long as one does, at an upgrade too: the successor's replaces
// it in one step, and of the processes that end, the last one removes it. Called by the run command.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

import { messageOf, ProxyError } from "../shared/errors.ts";

export class PidFile {
  readonly #path: string;
  readonly #text = `${process.pid}\n`;
  #left = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws ProxyError ERR_SYSTEM */
  write(): void {
    const draft = `${this.#path}.${process.pid}`;
    try {
      writeFileSync(draft, this.#text);
      renameSync(draft, this.#path);
    } catch (cause) {
      rmSync(draft, { force: true });
      const problem = `the pid file cannot be written: ${messageOf(cause)}`;
      throw new ProxyError("ERR_SYSTEM", problem, {
        cause,
        cure: "Choose a folder that the proxy may write to",
      });
    }
  }

  /** A successor is about to replace it, or has done so: there is to be no moment without one. */
  leave(): void {
    this.#left = true;
  }

  remove(): void {
    if (this.#left) return;
    try {
      if (readFileSync(this.#path, "utf8") === this.#text) rmSync(this.#path);
    } catch {
      // Somebody else removed it, or its folder: it is gone, as it should be.
    }
  }
}

/** @throws ProxyError ERR_USAGE if it names no process. */
export function readPidFile(path: string): number {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new ProxyError("ERR_USAGE", `the pid file cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
  const pid = Number(text.trim());
  if (Number.isSafeInteger(pid) && pid > 0) return pid;
  throw new ProxyError("ERR_USAGE", `${path} is not a pid file: it does not hold one number`);
}
