// Servers and clients as child processes: a folder of their own, a free port, ended with the test, and their output in the
// error when they fail.

import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { until, within } from "./until.ts";
import { WireServer } from "./wire.ts";

/** Below those that the system gives to whoever asks for any (ip_local_port_range), connections included. */
const PORTS = { first: 20_000, count: 12_000 } as const;
const given = new Set<number>();

/** A port that was free a moment ago, for servers that cannot choose one themselves; each is given once. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (given.has(port)) continue;
    try {
      await using server = await WireServer.listen(undefined, { host: "127.0.0.1", port });
      given.add(port);
      return server.port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "proxy-e2e-"));
  chmodSync(folder, 0o755); // servers that change their user must reach it
  return folder;
}

/** Runs with a new folder, and removes it afterwards. */
export async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether something accepts connections there. */
export function answers(at: { port: number; host: string } | { path: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

export interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. @throws Error with its output if its exit code is not 0. */
export async function run(
  command: readonly string[],
  options: { stdin?: Uint8Array; timeoutMs?: number; env?: Record<string, string> } = {},
): Promise<Output> {
  const child = Bun.spawn([...command], {
    stdin: options.stdin ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
  });
  try {
    const [code, stdout, stderr] = await within(
      command.join(" "),
      Promise.all([
        child.exited,
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]),
      options.timeoutMs ?? 30_000,
    );
    if (code !== 0) throw new Error(`${command.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
    return { code, stdout, stderr };
  } finally {
    child.kill();
  }
}

/** A server that runs until it is disposed of. */
export class Daemon implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  readonly #process: Bun.Subprocess;

  private constructor(process: Bun.Subprocess, folder: string, port: number) {
    this.#process = process;
    this.folder = folder;
    this.port = port;
  }

  /** `127.0.0.1:1234`, for those that listen there. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /**
   * @param command gets a folder for its files and a port that is free.
   * @param options folder: removed at the end; default: a new one. timeoutMs: until it answers; default: 10 s.
   */
  static async start(
    command: (folder: string, port: number) => readonly string[] | Promise<readonly string[]>,
    options: { folder?: string; socket?: string; timeoutMs?: number } = {},
  ): Promise<Daemon> {
    const folder = options.folder ?? temporaryFolder();
    const port = await freePort();
    const argv = await command(folder, port);
    const log = join(folder, "output.log");
    const output = Bun.file(log);
    const child = Bun.spawn([...argv], { stdin: "ignore", stdout: output, stderr: output });
    const daemon = new Daemon(child, folder, port);
    const { socket } = options;
    const at = socket === undefined ? { port, host: "127.0.0.1" } : { path: join(folder, socket) };
    try {
      await until(
        `${argv[0]} answers`,
        async () => {
          if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
          return answers(at);
        },
        options.timeoutMs,
      );
    } catch (error) {
      const said = await Bun.file(log).text();
      await daemon[Symbol.asyncDispose]();
      throw new Error(`${argv.join(" ")} does not start:\n${said}`, { cause: error });
    }
    return daemon;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGINT"); // a fast and orderly stop for all of them, PostgreSQL too
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 5_000);
    await this.#process.exited;
    clearTimeout(timer);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
