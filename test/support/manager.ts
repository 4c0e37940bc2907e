// A stand-in for a service manager, in Python so that it is not ours: keeps what services tell it by datagrams.

import { join } from "node:path";

import { program } from "./programs.ts";
import { until } from "./until.ts";

/** One notification: `READY=1` is { READY: "1" }. */
export type Notification = Readonly<Record<string, string>>;

export class Manager implements AsyncDisposable {
  readonly socket: string;
  readonly notifications: Notification[] = [];
  readonly #process: Bun.Subprocess<"ignore", "pipe", "inherit">;
  #ready = false;

  private constructor(socket: string) {
    this.socket = socket;
    const script = join(import.meta.dir, "notified.py");
    this.#process = Bun.spawn([program("python3"), script, socket], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#read();
  }

  static async start(socket: string): Promise<Manager> {
    const manager = new Manager(socket);
    await until("the manager listens", () => manager.#ready);
    return manager;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const chunk of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#take(JSON.parse(line) as string);
    }
  }

  #take(text: string): void {
    if (text === "ready" && !this.#ready) this.#ready = true;
    else this.notifications.push(Object.fromEntries(text.split("\n").map(splitAtEquals)));
  }

  /** Those that hold this key, in order. */
  of(key: string): Notification[] {
    return this.notifications.filter((each) => key in each);
  }

  /** Waits for the n-th notification that holds this key. */
  async nth(key: string, count: number): Promise<Notification> {
    await until(`notification ${count} of ${key}`, () => this.of(key).length >= count, 30_000);
    return this.of(key)[count - 1]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }
}

function splitAtEquals(line: string): [string, string] {
  const at = line.indexOf("=");
  return [line.slice(0, at), line.slice(at + 1)];
}
