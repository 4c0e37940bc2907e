// Processes that the benchmark starts: each is ended by its own handle, also when a measurement fails. Called by the
// backends, the peers and the measurements.

import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";

export type Child = Bun.Subprocess<"pipe", "pipe", "pipe">;

/** A server whose output goes to a file: no one reads it while it runs, and a full pipe would block it. */
export interface Server {
  child: Bun.Subprocess;
  logPath: string;
}

const children = new Set<Bun.Subprocess>();
const GRACE_MS = 3_000;
const POLL_MS = 10;

export function startChild(command: string[], env: Record<string, string> = {}): Child {
  const child = Bun.spawn(command, {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...env },
  });
  return registered(child);
}

export function startServer(
  command: string[],
  logPath: string,
  env: Record<string, string> = {},
): Server {
  const log = Bun.file(logPath);
  const child = Bun.spawn(command, {
    stdin: "ignore",
    stdout: log,
    stderr: log,
    env: { ...process.env, ...env },
  });
  return { child: registered(child), logPath };
}

function registered<C extends Bun.Subprocess>(child: C): C {
  children.add(child);
  void child.exited.then(() => children.delete(child));
  return child;
}

/** SIGTERM, then SIGKILL for what does not end. */
export async function endChild(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  await child.exited;
  clearTimeout(timer);
}

export async function endAllChildren(): Promise<void> {
  await Promise.all([...children].map(endChild));
}

/** Runs a program to its end. @throws if that takes longer than `timeoutMs`. */
export async function tryChild(
  command: string[],
  timeoutMs: number,
  env: Record<string, string> = {},
): Promise<{ code: number; output: string; errors: string }> {
  const child = startChild(command, env);
  child.stdin.end();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(timer);
  if (late) throw new Error(`${command.join(" ")}: not finished after ${timeoutMs} ms`);
  return { code, output, errors };
}

/** Runs a program to its end. @returns its standard output. @throws if it fails or takes longer than `timeoutMs`. */
export async function runChild(
  command: string[],
  timeoutMs: number,
  env: Record<string, string> = {},
): Promise<string> {
  const { code, output, errors } = await tryChild(command, timeoutMs, env);
  if (code === 0) return output;
  throw new Error(`${command.join(" ")}: exit code ${code}\n${errors}${output}`);
}

/** The first line of a child's standard output. */
export async function firstLine(child: Child): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout.values({ preventCancel: true })) {
    text += decoder.decode(chunk, { stream: true });
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  throw new Error(`ended before its first line: ${text}${await new Response(child.stderr).text()}`);
}

const given = new Set<number>();

/**
 * A port that no one listens on now, and that was not given to another child before: several start at once. If
 * another process takes it first, the one that needs it fails to start.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await unboundPort();
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}

function unboundPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        resolve(typeof address === "object" && address !== null ? address.port : 0),
      );
    });
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** Waits until a foreign program listens: there is no event to wait for, so it is tried until it answers. */
export async function untilAccepts(server: Server, port: number, timeoutMs: number): Promise<void> {
  const { child, logPath } = server;
  const deadline = Date.now() + timeoutMs;
  while (!(await accepts(port))) {
    if (child.exitCode !== null) {
      const said = readFileSync(logPath, "utf8").trim();
      throw new Error(`ended with exit code ${child.exitCode}: ${said}`);
    }
    if (Date.now() > deadline) throw new Error(`does not listen after ${timeoutMs} ms`);
    await Bun.sleep(POLL_MS);
  }
}
