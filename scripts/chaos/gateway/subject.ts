// The proxy under test as chaos sees it: a process of its own, its admin listener, and what it writes to its log.

import { appendFileSync } from "node:fs";
import { join } from "node:path";

import type {
  Connections,
  ListenerState,
  Status,
  TargetState,
} from "../../../src/control/admin/schemas.ts";
import type { TargetMode } from "../../../src/shared/messages.ts";
import { within } from "../../../test/support/until.ts";
import type { Journal } from "./journal.ts";
import type { Order } from "./proxy.ts";

const HUNG_MS = 30_000;
/** What a crash that was ordered says. */
const ORDERED = "no such command";
/** What is said of a file that is not taken. */
const REFUSED = "configuration not taken";

interface LogLine {
  readonly level: string;
  readonly msg: string;
}

export class Subject {
  readonly #process: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly #journal: Journal;
  readonly #admin: string;
  readonly #logFile: string;
  readonly #answered = new Map<number, () => void>();
  readonly #started = Promise.withResolvers<void>();
  /** Settles when its log is read to the end. */
  readonly #read: Promise<void>;
  #orders = 0;
  /** Reloads that are to be refused, and whose lines have not come yet. */
  #refusals = 0;
  #ending = false;
  crashes = 0;

  private constructor(file: string, adminPort: number, journal: Journal, logFile: string) {
    const script = join(import.meta.dir, "proxy.ts");
    this.#journal = journal;
    this.#logFile = logFile;
    this.#admin = `http://127.0.0.1:${adminPort}`;
    this.#process = Bun.spawn([process.execPath, script, "-config", file, "-log-format", "json"], {
      stdio: ["ignore", "ignore", "pipe"],
      ipc: (id: number) => this.#answered.get(id)?.(),
    });
    this.#read = this.#readLog();
    this.#started.promise.catch(() => {}); // who starts it is told, too
    void this.#watchEnd();
  }

  /** @param logFile for its log; empty: none. */
  static async start(
    file: string,
    adminPort: number,
    journal: Journal,
    logFile: string,
  ): Promise<Subject> {
    const subject = new Subject(file, adminPort, journal, logFile);
    try {
      await within("the proxy serves", subject.#started.promise, HUNG_MS);
    } catch (error) {
      subject.kill();
      await subject.#read;
      throw new Error([(error as Error).message, ...journal.violations].join("\n"), {
        cause: error,
      });
    }
    return subject;
  }

  get pid(): number {
    return this.#process.pid;
  }

  status(): Promise<Status> {
    return this.#ask("/api/status");
  }

  listeners(): Promise<ListenerState[]> {
    return this.#ask("/api/listeners");
  }

  targets(): Promise<TargetState[]> {
    return this.#ask("/api/targets");
  }

  connections(limit: number): Promise<Connections> {
    return this.#ask(`/api/connections?limit=${limit}`);
  }

  disconnect(worker: number, id: number): Promise<unknown> {
    return this.#ask(`/api/connections?worker=${worker}&id=${id}`, { method: "DELETE" });
  }

  /** Obeyed by every worker once it settles. */
  setTarget(listener: string, target: string, state: TargetMode): Promise<unknown> {
    const body = JSON.stringify({ listener, target, state });
    const headers = { "content-type": "application/json" };
    return this.#ask("/api/targets", { method: "POST", body, headers });
  }

  /** @returns null if it was taken, otherwise why not. @param isBad it is to be refused, and the log to say so. */
  async reload(isBad = false): Promise<string | null> {
    if (isBad) this.#refusals++;
    const response = await this.#fetch("/api/reload", { method: "POST" });
    const { error } = (await response.json()) as { error?: string };
    return response.ok ? null : `${response.status} ${error}`;
  }

  crash(which: number): Promise<void> {
    this.crashes++;
    return this.#order("crash", which);
  }

  collect(): Promise<void> {
    return this.#order("collect", 0);
  }

  /** In order. @returns the exit code. */
  async stop(): Promise<number> {
    this.#ending = true;
    this.#process.kill("SIGTERM");
    const code = await within("the proxy stops", this.#process.exited, HUNG_MS);
    await this.#read;
    return code;
  }

  kill(): void {
    this.#ending = true;
    this.#process.kill("SIGKILL");
  }

  async #watchEnd(): Promise<void> {
    const code = await this.#process.exited;
    this.#started.reject(new Error(`the proxy ended with code ${code} before it served`));
    if (!this.#ending) this.#journal.violate(`the proxy ended with code ${code}`);
  }

  #order(what: Order["do"], which: number): Promise<void> {
    const id = this.#orders++;
    const answered = Promise.withResolvers<void>();
    this.#answered.set(id, answered.resolve);
    this.#process.send({ id, do: what, which } satisfies Order);
    return within(what, answered.promise, HUNG_MS).finally(() => this.#answered.delete(id));
  }

  async #fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return within(path, fetch(this.#admin + path, init), HUNG_MS);
  }

  async #ask<T>(path: string, init?: RequestInit): Promise<T> {
    const response = await this.#fetch(path, init);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async #readLog(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#process.stderr) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      if (this.#logFile !== "")
        appendFileSync(this.#logFile, lines.map((line) => `${line}\n`).join(""));
      for (const line of lines) this.#judge(line);
    }
    if (rest !== "") this.#judge(rest);
  }

  #judge(text: string): void {
    let line: LogLine;
    try {
      line = JSON.parse(text) as LogLine;
    } catch {
      // The runtime's own words: of a crash, or of a rejection that nobody handled.
      if (text.trim() !== "") this.#journal.violate(`on standard error: ${text}`);
      return;
    }
    if (line.msg === "started") this.#started.resolve();
    if (this.#refusals > 0 && line.msg.startsWith(REFUSED)) {
      this.#refusals--;
      return;
    }
    if (line.level === "error" && !text.includes(ORDERED)) this.#journal.violate(`logged: ${text}`);
    if (line.level === "warn") this.#journal.count(`warned: ${line.msg}`);
  }
}
