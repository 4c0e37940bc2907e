// The configuration's file is edited while `proxy` runs, as operators and Kubernetes do it, and every protocol's connections
// on what did not change live on.

import { expect, test } from "bun:test";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";

import { Authority } from "../support/certificates.ts";
import { freePort, inFolder } from "../support/daemon.ts";
import { until, within } from "../support/until.ts";
import { Wire } from "../support/wire.ts";
import { type ProxyProcess, startProxy } from "./proxy-process.ts";

const RELOADED = "configuration reloaded";
const REFUSED = "configuration not taken, serving on as before";

/** Answers with its name: HTTP to whoever speaks it, else one letter for each letter; and as WebSocket, again and again. */
function named(name: string): Bun.Server<undefined> {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, server) {
      if (server.upgrade(request, { data: undefined })) return undefined;
      return new Response(name);
    },
    websocket: { message: (socket) => void socket.send(name) },
  });
}

interface Change {
  readonly write: (config: object) => void;
  readonly file: string;
}

function configIn(folder: string): Change {
  const file = join(folder, "proxy.yaml");
  return {
    file,
    write(config) {
      writeFileSync(`${file}.new`, stringify(config));
      renameSync(`${file}.new`, file); // as editors do
    },
  };
}

interface Place {
  readonly port: number;
  readonly to: number | undefined;
}

/** A listener of raw TCP. */
function tcp({ port, to }: Place, more: object = {}): object {
  return { name: "tcp", listen: `127.0.0.1:${port}`, target: `127.0.0.1:${to}`, ...more };
}

async function started(file: string): Promise<ProxyProcess> {
  const child = startProxy("-config", file, "-log-format", "json");
  await child.line(/"msg":"started"/);
  return child;
}

async function stop(child: ProxyProcess): Promise<Record<string, unknown>[]> {
  child.kill("SIGTERM");
  const { code, stderr } = await within("the end", child.outcome, 20_000);
  expect(code).toBe(0);
  return stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const textAt = async (url: string): Promise<string> =>
  (await fetch(url, { tls: { rejectUnauthorized: false }, keepalive: false })).text();

async function open(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, { tls: { rejectUnauthorized: false } } as never);
  const opened = Promise.withResolvers<void>();
  socket.addEventListener("open", () => opened.resolve());
  socket.addEventListener("error", () => opened.reject(new Error("no WebSocket")));
  await within("the WebSocket", opened.promise);
  return socket;
}

function says(socket: WebSocket): Promise<string> {
  const answer = Promise.withResolvers<string>();
  socket.addEventListener("message", ({ data }) => answer.resolve(String(data)), { once: true });
  socket.addEventListener("close", () => answer.reject(new Error("the WebSocket was closed")));
  socket.send("?");
  return within("an answer", answer.promise);
}

test(
  "an edited file is taken up, and what did not change notices nothing",
  () =>
    inFolder(async (folder) => {
      using authority = new Authority();
      const { certFile, keyFile } = authority.issue(["localhost"]);
      using a = named("a");
      using b = named("b");
      const [httpPort, tlsPort, tcpPort] = [await freePort(), await freePort(), await freePort()];
      const { file, write } = configIn(folder);
      const target = (port: number | undefined): string => `127.0.0.1:${port}`;
      const config = (http: number | undefined, more: object[] = []): object => ({
        tls: { cert_file: certFile, key_file: keyFile },
        protocols: [
          { name: "http", listen: target(httpPort), target: target(http) },
          { name: "http2", listen: target(tlsPort), target: target(a.port) },
          { name: "tcp", listen: target(tcpPort), target: target(a.port) },
          ...more,
        ],
      });
      write(config(a.port));
      const child = await started(file);
      const kept = await open(`wss://localhost:${tlsPort}/`);
      const old = await open(`ws://127.0.0.1:${httpPort}/`);
      expect([await says(kept), await says(old)]).toEqual(["a", "a"]);

      write(config(b.port));
      await child.line(new RegExp(`"changed":"targets","msg":"listener changed"`));
      await child.line(new RegExp(`"unchanged":2,"msg":"${RELOADED}"`));
      expect(await textAt(`http://127.0.0.1:${httpPort}/`)).toBe("b");
      expect(await textAt(`https://localhost:${tlsPort}/`)).toBe("a");
      expect([await says(kept), await says(old)]).toEqual(["a", "a"]);

      const newPort = await freePort();
      write(config(a.port, [{ name: "tcp", listen: target(newPort), target: target(b.port) }]));
      await child.line(new RegExp(`"added":1.*"msg":"${RELOADED}"`));
      expect(await textAt(`http://127.0.0.1:${newPort}/`)).toBe("b");
      expect(await textAt(`http://127.0.0.1:${httpPort}/`)).toBe("a");

      write(config(a.port));
      await child.line(new RegExp(`"removed":1.*"msg":"${RELOADED}"`));
      await expect(Wire.connect({ host: "127.0.0.1", port: newPort })).rejects.toThrow();
      expect([await says(kept), await says(old)]).toEqual(["a", "a"]);
      kept.close();
      old.close();
      await stop(child);
    }),
  60_000,
);

test(
  "a mistake changes nothing, is told with its place, and is mended by the next edit",
  () =>
    inFolder(async (folder) => {
      using a = named("a");
      using b = named("b");
      const port = await freePort();
      const { file, write } = configIn(folder);
      const config = (to: number | undefined, wrong: object = {}): object => ({
        protocols: [tcp({ port, to }, wrong)],
      });
      write(config(a.port));
      const child = await started(file);
      write(config(b.port, { targett: "x" }));
      const [line] = await child.line(new RegExp(`.*${REFUSED}.*`));
      expect(line).toContain(`${file}:`);
      expect(line).toContain("targett");
      expect(await textAt(`http://127.0.0.1:${port}/`)).toBe("a");
      write(config(b.port));
      await child.line(new RegExp(`"changed":1.*"msg":"${RELOADED}"`));
      expect(await textAt(`http://127.0.0.1:${port}/`)).toBe("b");
      await stop(child);
    }),
  60_000,
);

test.skipIf(process.platform === "win32")(
  "SIGHUP reads it again, the log level changes at once, and what needs a new process says so",
  () =>
    inFolder(async (folder) => {
      using a = named("a");
      const port = await freePort();
      const { file, write } = configIn(folder);
      const config = (more: object): object => ({
        ...more,
        protocols: [tcp({ port, to: a.port })],
      });
      write(config({}));
      const child = await started(file);
      child.kill("SIGHUP");
      await child.line(/"msg":"configuration read again, nothing is different"/);
      write(config({ log_level: "debug", workers: 7 }));
      await child.line(/"keys":"workers","msg":"these keys take effect with an upgrade/);
      await child.line(new RegExp(`"settings":"log_level","msg":"${RELOADED}"`));
      expect(await textAt(`http://127.0.0.1:${port}/`)).toBe("a");
      await child.line(/"level":"debug".*"msg":"connection open/);
      await stop(child);
    }),
  60_000,
);

test.skipIf(process.platform === "win32")(
  "a folder that is exchanged by a symbolic link, as Kubernetes mounts have it, is one reload",
  () =>
    inFolder(async (folder) => {
      using a = named("a");
      using b = named("b");
      const port = await freePort();
      const put = (version: string, to: number | undefined): void => {
        mkdirSync(join(folder, version));
        const config = {
          protocols: [tcp({ port, to })],
        };
        writeFileSync(join(folder, version, "proxy.yaml"), stringify(config));
        symlinkSync(version, join(folder, "..data.new"));
        renameSync(join(folder, "..data.new"), join(folder, "..data"));
      };
      put("..one", a.port);
      symlinkSync(join("..data", "proxy.yaml"), join(folder, "proxy.yaml"));
      const child = await started(join(folder, "proxy.yaml"));
      put("..two", b.port);
      await until("the other target answers", async () => {
        return (await textAt(`http://127.0.0.1:${port}/`)) === "b";
      });
      const lines = await stop(child);
      expect(lines.filter(({ msg }) => msg === RELOADED)).toHaveLength(1);
    }),
  60_000,
);

test(
  "handshakes and requests go on while the file changes a hundred times a minute",
  () =>
    inFolder(async (folder) => {
      using authority = new Authority();
      const { certFile, keyFile } = authority.issue(["localhost"]);
      using a = named("a");
      using b = named("b");
      const port = await freePort();
      const { file, write } = configIn(folder);
      const config = (to: number | undefined): object => ({
        tls: { cert_file: certFile, key_file: keyFile },
        protocols: [{ name: "http2", listen: `127.0.0.1:${port}`, target: `127.0.0.1:${to}` }],
      });
      write(config(a.port));
      const child = await started(file);
      let done = false;
      const client = async (): Promise<number> => {
        let served = 0;
        for (; !done; served++) {
          expect(["a", "b"]).toContain(await textAt(`https://localhost:${port}/`));
        }
        return served;
      };
      const clients = [client(), client(), client()];
      for (const to of [b, a, b, a, b]) {
        write(config(to.port));
        await until("it is taken up", async () => {
          return (await textAt(`https://localhost:${port}/`)) === (to === a ? "a" : "b");
        });
      }
      done = true;
      const served = await Promise.all(clients);
      expect(served.every((count) => count > 0)).toBe(true);
      await stop(child);
    }),
  60_000,
);
