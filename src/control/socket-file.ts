// The file of a unix listener: removed when the listener has ended, if it still is the one that was made for it. Called by
// listener.ts.

import { lstatSync, rmSync } from "node:fs";

import type { Endpoint } from "../shared/address.ts";

export class SocketFile {
  readonly #path: string | null;
  #inode: number | undefined;

  constructor(listen: Endpoint) {
    this.#path = listen.kind === "unix" ? listen.path : null;
  }

  /** It was made just now. */
  note(): void {
    if (this.#path !== null) this.#inode = inodeOf(this.#path) ?? this.#inode;
  }

  /** It is somebody else's to remove. */
  leave(): void {
    this.#inode = undefined;
  }

  remove(): void {
    if (this.#path === null || this.#inode === undefined) return;
    if (inodeOf(this.#path) === this.#inode) rmSync(this.#path, { force: true });
  }
}

function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino;
}
