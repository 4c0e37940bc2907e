// A program in a terminal of its own: what it shows is kept as a screen, as far as `proxy top` draws one, and keys are typed.

import { readFileSync } from "node:fs";

import { COMMAND } from "../commands/proxy-process.ts";
import { until, within } from "./until.ts";

/** Of c_lflag (termios(3)). */
const ICANON = 0x2;
const ECHO = 0x8;

export interface TerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Record<string, string>;
}

export class TerminalProgram implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  readonly #terminal: Bun.Terminal;
  readonly #over = Promise.withResolvers<void>();
  #output = "";

  /** @param words after `proxy`. */
  constructor(words: readonly string[], options: TerminalOptions = {}) {
    const { columns = 80, rows = 24, env = {} } = options;
    const decoder = new TextDecoder();
    // As its controlling terminal: otherwise it hears of no other size.
    this.#child = Bun.spawn([...COMMAND, ...words], {
      terminal: {
        cols: columns,
        rows,
        exit: () => this.#over.resolve(),
        data: (_, bytes) => void (this.#output += decoder.decode(bytes, { stream: true })),
      },
      env: { ...process.env, TERM: "xterm", LANG: "C.UTF-8", LC_ALL: "", NO_COLOR: "1", ...env },
    });
    this.#terminal = this.#child.terminal!;
  }

  /** All that it has written. */
  get output(): string {
    return this.#output;
  }

  /** The lines of the last whole picture. */
  get screen(): string[] {
    const pictures = this.#output.match(/\u001B\[\?2026h[^]*?\u001B\[\?2026l/g) ?? [];
    return (pictures.at(-1) ?? "")
      .split(/\r*\n/)
      .map((line) => line.replace(/\u001B\[[?0-9]*[a-zA-Z]/g, ""));
  }

  /** Waits until the screen fits. */
  async shows(what: RegExp): Promise<void> {
    try {
      await until(`a screen with ${what}`, () => what.test(this.screen.join("\n")), 15_000);
    } catch (error) {
      const seen = `${this.screen.join("\n")}\n${JSON.stringify(this.#output.slice(-2_000))}`;
      throw new Error(`${String(error)}:\n${seen}`, { cause: error });
    }
  }

  type(keys: string): void {
    this.#terminal.write(keys);
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Linux only. */
  get isStopped(): boolean {
    return /\) T /.test(readFileSync(`/proc/${this.#child.pid}/stat`, "utf8"));
  }

  /** Whether keys are shown and come by the line, as a shell has it. */
  get isCooked(): boolean {
    const { localFlags } = this.#terminal;
    return (localFlags & ECHO) !== 0 && (localFlags & ICANON) !== 0;
  }

  /** @returns its exit code, when all that it wrote has been read. */
  async ended(): Promise<number> {
    const code = await within("the program ends", this.#child.exited, 15_000);
    await within("the end of its output", this.#over.promise);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    this.#terminal.close();
  }
}
