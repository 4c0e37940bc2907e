// The keys of a connection for whoever decrypts captures of it (NSS key log). quiche writes them to a file, which has no
// name as soon as it is open here. Called by endpoints and by what connects, where somebody asked for it.

import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Connection } from "./binding.ts";

/** Of one handshake: five lines of less than two hundred bytes. */
const READ_BYTES = 4_096;

export class KeyLog {
  readonly #fd: number;
  readonly #log: (line: string) => void;
  readonly #bytes = Buffer.alloc(READ_BYTES);
  #rest = "";

  constructor(native: Connection, log: (line: string) => void) {
    this.#log = log;
    const folder = mkdtempSync(join(tmpdir(), "proxy-keys-"));
    const path = join(folder, "keys");
    native.setKeylog(path);
    this.#fd = openSync(path, "r");
    rmSync(folder, { recursive: true });
  }

  /** Tells of the lines that came. */
  read(): void {
    const length = readSync(this.#fd, this.#bytes, 0, READ_BYTES, null);
    if (length === 0) return;
    const lines = (this.#rest + this.#bytes.toString("latin1", 0, length)).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#log(line);
  }

  close(): void {
    this.read();
    closeSync(this.#fd);
  }
}
