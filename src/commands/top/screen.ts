// The terminal while `proxy top` has it: the alternate screen, no cursor, keys as they are typed. What was there comes back
// however it ends, by a bug of ours, too. Called by the session.

import { writeSync } from "node:fs";

import { writeAll } from "../terminal.ts";

const OUT = 1;
// The alternate screen; no cursor; lines do not wrap, whatever the terminal thinks of a character's width.
const ENTER = "\u001B[?1049h\u001B[?25l\u001B[?7l\u001B[2J";
const LEAVE = "\u001B[?7h\u001B[?25h\u001B[?1049l";
// Terminals that know it show the picture when it is whole.
const BEGIN = "\u001B[?2026h\u001B[H";
const END = "\u001B[J\u001B[?2026l";

export class Screen {
  #entered = false;
  #writing = false;
  #waiting: readonly string[] | null = null;
  readonly #leave = (): void => this.leave();

  enter(): void {
    if (this.#entered) return;
    this.#entered = true;
    process.on("exit", this.#leave);
    if (process.stdin.isTTY) process.stdin.setRawMode(true);
    this.#say(ENTER);
  }

  leave(): void {
    if (!this.#entered) return;
    this.#entered = false;
    this.#waiting = null;
    process.off("exit", this.#leave);
    this.#say(LEAVE);
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
  }

  /** A terminal that is slower than what it is to show leaves pictures out. Rejects if there is no terminal any more. */
  async draw(lines: readonly string[]): Promise<void> {
    this.#waiting = lines;
    if (this.#writing) return;
    this.#writing = true;
    try {
      while (this.#entered && this.#waiting !== null) {
        const text = this.#waiting.map((line) => `\u001B[2K${line}`).join("\r\n");
        this.#waiting = null;
        await writeAll(`${BEGIN}${text}${END}`, OUT);
      }
    } finally {
      this.#writing = false;
    }
  }

  /** At once, since the process may be about to end. */
  #say(text: string): void {
    try {
      writeSync(OUT, text);
    } catch {
      // The terminal is gone, and with it whatever is to be restored.
    }
  }
}
