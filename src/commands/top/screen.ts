// The terminal while `proxy top` has it: the alternate screen, no cursor, keys as they are typed. What was there comes back
// however it ends, by a bug of ours, too. Called by the session.

import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { writeAll } from "../terminal.ts";

const OUT = 1;
/** A terminal that is held (ctrl-S) takes nothing, and must not keep the process. */
const SETTLE_MS = 500;
// The alternate screen; no cursor; lines do not wrap, whatever the terminal thinks of a character's width.
const ENTER = "\u001B[?1049h\u001B[?25l\u001B[?7l\u001B[2J";
const LEAVE = "\u001B[?7h\u001B[?25h\u001B[?1049l";
// Terminals that know it show the picture when it is whole.
const BEGIN = "\u001B[?2026h\u001B[H";
const END = "\u001B[J\u001B[?2026l";

export class Screen {
  #entered = false;
  #leaving = false;
  #writing: Promise<unknown> | null = null;
  #waiting: readonly string[] | null = null;
  readonly #atExit = (): void => this.#restore();

  enter(): void {
    if (this.#entered) return;
    this.#entered = true;
    process.on("exit", this.#atExit);
    if (process.stdin.isTTY) process.stdin.setRawMode(true);
    this.#say(ENTER);
  }

  /** What is being drawn comes first: it would land on the screen that comes back. */
  async leave(): Promise<void> {
    this.#leaving = true;
    this.#waiting = null;
    const settled = Promise.allSettled([this.#writing]);
    await Promise.race([settled, sleep(SETTLE_MS, undefined, { ref: false })]);
    this.#leaving = false;
    this.#restore();
  }

  /** A terminal that is slower than what it is to show leaves pictures out. Rejects if there is no terminal any more. */
  async draw(lines: readonly string[]): Promise<void> {
    if (!this.#entered || this.#leaving) return;
    this.#waiting = lines;
    if (this.#writing !== null) return;
    try {
      while (this.#waiting !== null) {
        const text: string = this.#waiting.map((line) => `\u001B[2K${line}`).join("\r\n");
        this.#waiting = null;
        this.#writing = writeAll(`${BEGIN}${text}${END}`, OUT);
        await this.#writing;
      }
    } finally {
      this.#writing = null;
    }
  }

  #restore(): void {
    if (!this.#entered) return;
    this.#entered = false;
    process.off("exit", this.#atExit);
    this.#say(LEAVE);
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
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
