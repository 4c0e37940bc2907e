// The process that this one is to replace: it started this one with its listening sockets and serves until it hears that we
// do. The other side is successor.ts. Called by the run command.

import { closeSync, read, writeSync } from "node:fs";

import { closeOnExec, peerProcess } from "../ffi/inherited.ts";
import type { InheritedSocket } from "./inheritance.ts";
import {
  CHANNEL_FD,
  type Hello,
  type LastWord,
  type Legacy,
  type Report,
  UPGRADE_ENV,
} from "./successor.ts";
import type { HandedWishes } from "./target-wishes.ts";

const PART_BYTES = 16 * 1024;

export class Predecessor {
  readonly pid: number;
  readonly sockets: readonly InheritedSocket[];
  /** What operators wanted of its targets when this process was started. */
  readonly wishes: HandedWishes;
  #open = true;

  private constructor({ parent, listeners, wishes = [] }: Legacy) {
    this.pid = parent;
    this.wishes = wishes;
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

  /**
   * This process serves. Resolves when the predecessor has heard it, or is gone: we are in charge from then on.
   * @returns its last word; null if it had none.
   */
  async succeeded(taken: readonly number[]): Promise<LastWord | null> {
    this.#tell({ taken });
    if (!this.#open) return null;
    const said: Buffer[] = [];
    for (let part = await readPart(); part.length > 0; part = await readPart()) said.push(part);
    this.#close();
    const line = Buffer.concat(said).toString();
    return line.endsWith("\n") ? (JSON.parse(line) as LastWord) : null;
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

/** @returns no bytes at the end; a predecessor that was killed is gone, too. */
function readPart(): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const bytes = Buffer.alloc(PART_BYTES);
  read(CHANNEL_FD, bytes, 0, PART_BYTES, null, (_, count) =>
    resolve(bytes.subarray(0, count ?? 0)),
  );
  return promise;
}

function parse(text: string): Legacy | undefined {
  try {
    return JSON.parse(text) as Legacy;
  } catch {
    return undefined; // somebody else's variable
  }
}
