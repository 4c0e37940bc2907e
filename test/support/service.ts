// `proxy` as a service that is upgraded: several processes one after another, of which a pid file names the one in charge, and
// all of which write to the same log.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import {
  type Outcome,
  type ProxyProcess,
  type StartOptions,
  startWith,
} from "../commands/proxy-process.ts";
import { until, within } from "./until.ts";

/** A new process on a machine that is busy with others' work. */
const UPGRADE_MS = 30_000;

export class Service implements AsyncDisposable {
  /** The first process; its output is that of all. */
  readonly first: ProxyProcess;
  readonly #pidFile: string;
  /** Those that were in charge: a test that fails ends them all. */
  readonly #pids = new Set<number>();
  #stopped = false;

  private constructor(first: ProxyProcess, pidFile: string) {
    this.first = first;
    this.#pidFile = pidFile;
  }

  /** @param folder for the pid file. */
  static start(folder: string, ...flags: string[]): Promise<Service> {
    return Service.startWith({}, folder, ...flags);
  }

  static async startWith(
    options: StartOptions,
    folder: string,
    ...flags: string[]
  ): Promise<Service> {
    const pidFile = join(folder, "proxy.pid");
    const first = startWith(options, ...flags, "-pid-file", pidFile, "-log-format", "json");
    const service = new Service(first, pidFile);
    await within(
      "the start",
      Promise.race([
        until("the pid file", () => existsSync(pidFile), UPGRADE_MS),
        first.outcome.then((outcome) => {
          throw new Error(`it ended: ${outcome.stderr}`);
        }),
      ]),
      UPGRADE_MS,
    );
    return service;
  }

  /** The process in charge. */
  get pid(): number {
    return Number(readFileSync(this.#pidFile, "utf8"));
  }

  /** The port of the first listener. */
  async port(): Promise<number> {
    const [, port] = await this.first.line(/"listen":"[^"]*:(\d+)".*"msg":"listening"/);
    return Number(port);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** SIGUSR2, and waits until another process is in charge. @returns that process. */
  async upgrade(): Promise<number> {
    const before = this.pid;
    this.#pids.add(before);
    this.signal("SIGUSR2");
    await until("another process is in charge", () => this.pid !== before, UPGRADE_MS);
    return this.pid;
  }

  /** Ends the process in charge. @returns what all of them have written, and the first one's exit code. */
  async stop(): Promise<Outcome> {
    this.#stopped = true;
    this.signal("SIGTERM");
    return within("the stop", this.first.outcome, UPGRADE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopped) return;
    this.first.kill("SIGKILL");
    if (existsSync(this.#pidFile)) this.#pids.add(this.pid);
    for (const pid of this.#pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    await within("the end", this.first.outcome, UPGRADE_MS);
  }
}
