// `proxy` as people run it: forwards, logs, drains on a signal.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, existsSync, mkdtempSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { answers } from "../support/daemon.ts";
import { pipe } from "../support/pipe.ts";
import { until, within } from "../support/until.ts";
import { COMMAND, type ProxyProcess, startProxy } from "./proxy-process.ts";

let folder: string;
let echo: Server;
let target: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "proxy-run-"));
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  const listening = Promise.withResolvers<void>();
  echo.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  target = `127.0.0.1:${(echo.address() as { port: number }).port}`;
});
afterAll(() => {
  echo.close();
  rmSync(folder, { recursive: true });
});

/** What a pipe holds when nobody reads it (pipe(7)). */
const PIPE_BYTES = 64 * 1024;

const LISTENING = /"listen":"127\.0\.0\.1:(\d+)".*"msg":"listening"/;

async function listeningPort(child: ProxyProcess): Promise<number> {
  return Number((await child.line(LISTENING))[1]);
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  const connected = Promise.withResolvers<void>();
  socket.once("connect", connected.resolve);
  socket.once("error", connected.reject);
  await within("connecting", connected.promise);
  return socket;
}

function answer(socket: Socket, text: string): Promise<string> {
  const got = Promise.withResolvers<string>();
  socket.once("data", (data) => got.resolve(data.toString()));
  socket.once("error", got.reject);
  socket.write(text);
  return within("an answer", got.promise);
}

function closed(socket: Socket): Promise<void> {
  const end = Promise.withResolvers<void>();
  socket.on("error", () => {}); // a reset is an end too
  socket.once("close", () => end.resolve());
  return within("the end of the connection", end.promise);
}

interface LogLine {
  level: string;
  msg: string;
  [field: string]: unknown;
}

/** Every line of the log must be JSON: whoever collects it has nothing else. */
const logLines = (stderr: string): LogLine[] =>
  stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as LogLine);

describe("run", () => {
  test("forwards what the flags say, and ends in order on SIGTERM with exit code 0", async () => {
    const child = startProxy("-protocol", "tcp", "-listen", "127.0.0.1:0", "-target", target);
    const socket = await open(await listeningPort(child));
    expect(await answer(socket, "hello")).toBe("hello");
    socket.end();
    await closed(socket);
    child.kill("SIGTERM");
    const { code, stdout, stderr } = await child.outcome;
    expect([code, stdout]).toEqual([0, ""]);
    const lines = logLines(stderr);
    expect(lines.map(({ msg }) => msg)).toEqual(["listening", "started", "draining", "stopped"]);
    expect(lines.at(-1)).toMatchObject({ level: "info", reset: 0 });
  });

  test("forwards what a file says, with flags over it", async () => {
    const path = join(folder, "two.yaml");
    writeFileSync(
      path,
      `log_level: error
workers: 1
protocols:
  - { name: tcp, listen: "127.0.0.1:0", target: "${target}" }
  - { name: tcp, listen: "unix:${join(folder, "in.sock")}", target: "${target}" }
  - { name: tcp, listen: "127.0.0.1:0", target: "${target}", enabled: false }
`,
    );
    const child = startProxy("-config", path, "-log-level", "info", "-engine", "bun");
    await child.line(/"msg":"started"/);
    const socket = connect({ path: join(folder, "in.sock") });
    expect(await answer(socket, "by file")).toBe("by file");
    socket.end();
    await closed(socket);
    child.kill("SIGINT");
    const { code, stderr } = await child.outcome;
    expect(code).toBe(0);
    const lines = logLines(stderr);
    expect(lines.filter(({ msg }) => msg === "listening")).toHaveLength(2);
    expect(lines.find(({ msg }) => msg === "started")).toMatchObject({
      engine: "bun",
      listeners: 2,
    });
  });

  test("a drain waits for open connections, and refuses new ones", async () => {
    const child = startProxy("-listen", "127.0.0.1:0", "-target", target);
    const port = await listeningPort(child);
    const socket = await open(port);
    expect(await answer(socket, "before")).toBe("before");
    child.kill("SIGTERM");
    expect((await child.line(/"connections":(\d+).*"msg":"draining"/))[1]).toBe("1");
    expect(await answer(socket, "while draining")).toBe("while draining");
    socket.end();
    await closed(socket);
    const { code, stderr } = await child.outcome;
    expect(code).toBe(0);
    expect(logLines(stderr).at(-1)).toMatchObject({ msg: "stopped", reset: 0 });
  });

  test("connections that outlive shutdown_timeout are reset, and the log counts them", async () => {
    const path = join(folder, "short.yaml");
    writeFileSync(
      path,
      `shutdown_timeout: 100ms\nprotocols: [{ name: tcp, listen: "127.0.0.1:0", target: "${target}" }]`,
    );
    const child = startProxy("-config", path);
    const socket = await open(await listeningPort(child));
    expect(await answer(socket, "stay")).toBe("stay");
    const end = closed(socket);
    child.kill("SIGTERM");
    await end;
    const { code, stderr } = await child.outcome;
    expect(code).toBe(0);
    expect(logLines(stderr).at(-1)).toMatchObject({
      level: "warn",
      reset: 1,
      msg: "stopped, connections were left",
    });
  });

  test("a second signal ends at once with exit code 1", async () => {
    const child = startProxy("-listen", "127.0.0.1:0", "-target", target);
    const socket = await open(await listeningPort(child));
    expect(await answer(socket, "stay")).toBe("stay");
    const end = closed(socket);
    child.kill("SIGINT");
    await child.line(/"msg":"draining"/);
    child.kill("SIGINT");
    await end;
    const { code, stderr } = await child.outcome;
    expect(code).toBe(1);
    expect(logLines(stderr).at(-1)).toMatchObject({ msg: "stopped at once", reset: 1 });
  });

  test("SIGQUIT drains too", async () => {
    const child = startProxy("-listen", "127.0.0.1:0", "-target", target);
    await child.line(/"msg":"started"/);
    child.kill("SIGQUIT");
    const { code, stderr } = await child.outcome;
    expect(code).toBe(0);
    expect(logLines(stderr).at(-1)).toMatchObject({ msg: "stopped", reset: 0 });
  });

  test("signals of other programs' habits are told of, and end nothing", async () => {
    const child = startProxy("-listen", "127.0.0.1:0", "-target", target, "-log-level", "debug");
    const socket = await open(await listeningPort(child));
    await child.line(/"msg":"started"/);
    child.kill("SIGHUP");
    await child.line(/"level":"info".*"msg":"configuration read again, nothing is different"/);
    child.kill("SIGUSR1");
    await child.line(/"level":"debug".*"signal":"SIGUSR1","msg":"signal ignored"/);
    expect(await answer(socket, "still there")).toBe("still there");
    socket.end();
    await closed(socket);
    child.kill("SIGTERM");
    expect((await child.outcome).code).toBe(0);
  });

  test("a log that nobody reads keeps neither connections nor signals waiting", async () => {
    const [reader, writer] = pipe();
    writeSync(writer, Buffer.alloc(PIPE_BYTES)); // as if a reader had stopped long ago
    const path = join(folder, "unread.sock");
    const args = ["-listen", `unix:${path}`, "-target", target, "-log-level", "debug"];
    const child = Bun.spawn([...COMMAND, ...args], { stdio: ["ignore", "ignore", writer] });
    await until("the listener", () => answers({ path })); // the file is there a little earlier
    const socket = connect({ path });
    expect(await answer(socket, "unseen")).toBe("unseen");
    socket.end();
    await closed(socket);
    child.kill("SIGTERM");
    expect(await within("the end of the proxy", child.exited)).toBe(0);
    expect(existsSync(path)).toBe(false);
    closeSync(reader);
    closeSync(writer);
  });

  test("-log-format pretty and -log-level rule the log", async () => {
    const args = ["-listen", "127.0.0.1:0", "-target", target, "-log-format", "pretty"];
    const child = startProxy(...args);
    await child.line(/ INFO: started {2}engine=\w+/);
    child.kill("SIGTERM");
    expect((await child.outcome).code).toBe(0);
  });
});
