// The process that this one is to replace: it started this one with its listening sockets and serves until it hears that we
// do. The other side is successor.ts. Called by the run command.

import { closeSync, read, writeSync } from "node:fs";

import { closeOnExec, peerProcess } from "../ffi/inherited.ts";
import type { InheritedSocket } from "./inheritance.ts";
import { CHANNEL_FD, type Hello, type Legacy, type Report, UPGRADE_ENV } from "./successor.ts";

export class Predecessor {
  readonly pid: number;
  readonly sockets: readonly InheritedSocket[];
  #open = true;

  private constructor({ parent, listeners }: Legacy) {
    this.pid = parent;
    const keys = listeners.flatMap(([key, sockets]) => new Array<string>(sockets).fill(key));
    this.sockets = keys.map((key, i) => ({
      fd: CHANNEL_FD + 1 + i,
      key,
      name: "predecessor",
      worker: null,
    }));
    closeOnExec(CHANNEL_FD);
    this.#tell({ pid: process.pid });
  }

  /** @returns undefined if this process was started by anybody else. */
  static fromEnvironment(
    env: Readonly<Record<string, string | undefined>>,
  ): Predecessor | undefined {
    const text = env[UPGRADE_ENV];
    if (text === undefined || process.platform !== "linux") return undefined;
    const legacy = parse(text);
    // A copy of the variable that went elsewhere means nothing: only the predecessor has made this channel.
    const channel = peerProcess(CHANNEL_FD);
    return legacy?.parent === channel ? new Predecessor(legacy) : undefined;
  }

  /** This process serves. Resolves when the predecessor has heard it, or is gone: we are in charge from then on. */
  async succeeded(taken: readonly number[]): Promise<void> {
    this.#tell({ taken });
    if (!this.#open) return;
    const heard = Promise.withResolvers<void>();
    read(CHANNEL_FD, Buffer.alloc(1), 0, 1, null, () => heard.resolve());
    await heard.promise;
    this.#close();
  }

  /** This process ends, and the predecessor goes on. Nothing happens once `succeeded` has resolved. */
  failed(reason: string): void {
    this.#tell({ failed: reason });
    this.#close();
  }

  #tell(report: Hello | Report): void {
    if (!this.#open) return;
    try {
      writeSync(CHANNEL_FD, `${JSON.stringify(report)}\n`);
    } catch {
      this.#close(); // it is gone
    }
  }

  #close(): void {
    if (this.#open) closeSync(CHANNEL_FD);
    this.#open = false;
  }
}

function parse(text: string): Legacy | undefined {
  try {
    return JSON.parse(text) as Legacy;
  } catch {
    return undefined; // somebody else's variable
  }
}
