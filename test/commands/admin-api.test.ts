// The API of the admin listener of a real process: what it tells, what can be done by it, and that its document describes it.

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";

import { logLevel, status as statusSchema } from "../../src/control/admin/schemas.ts";
import { freePort, inFolder } from "../support/daemon.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { type ProxyProcess, startProxy } from "./proxy-process.ts";

interface Running {
  readonly child: ProxyProcess;
  readonly port: number;
  /** The configuration's file is this from here on. */
  write(more: object): void;
  ask(method: string, path: string, body?: unknown): Promise<[status: number, answer: unknown]>;
}

/** A listener in front of an echo server. */
async function withProxy(use: (running: Running) => Promise<void>): Promise<void> {
  await using echo = await WireServer.echo();
  await inFolder(async (folder) => {
    const [port, adminPort] = [await freePort(), await freePort()];
    const file = join(folder, "proxy.yaml");
    const write = (more: object): void => {
      const protocols = [
        { name: "tcp", listen: `127.0.0.1:${port}`, target: `127.0.0.1:${echo.port}`, ...more },
      ];
      writeFileSync(file, stringify({ admin: { listen: `127.0.0.1:${adminPort}` }, protocols }));
    };
    write({});
    const child = startProxy("-config", file, "-log-format", "json");
    try {
      await child.line(/"msg":"started"/);
      const ask: Running["ask"] = async (method, path, body) => {
        const init = {
          method,
          keepalive: false,
          headers: { "content-type": "application/json" },
          body: body === undefined ? null : JSON.stringify(body),
        };
        const answer = await fetch(`http://127.0.0.1:${adminPort}${path}`, init);
        return [answer.status, await answer.json()];
      };
      await use({ child, port, write, ask });
    } finally {
      child.kill("SIGTERM");
    }
    expect((await within("the end", child.outcome, 20_000)).code).toBe(0);
  });
}

test(
  "status, listeners and certificates are told",
  () =>
    withProxy(async ({ child, port, ask }) => {
      const [status, answer] = await ask("GET", "/api/status");
      expect(status).toBe(200);
      expect(answer).toMatchObject({ pid: child.pid, phase: "serving", ready: true, reasons: [] });
      expect((await ask("GET", "/api/listeners"))[1]).toMatchObject([
        {
          key: `tcp 127.0.0.1:${port}`,
          addresses: [`127.0.0.1:${port}`],
          bytes: { up: 0, down: 0 },
        },
      ]);
      expect(await ask("GET", "/api/certificates")).toEqual([200, { managed: [], files: [] }]);
    }),
  30_000,
);

test(
  "connections are listed, found and closed, each by itself",
  () =>
    withProxy(async ({ port, ask }) => {
      const wires = [
        await Wire.connect({ host: "127.0.0.1", port }),
        await Wire.connect({ host: "127.0.0.1", port }),
      ];
      for (const wire of wires) await wire.write("abc");
      for (const wire of wires) expect(await wire.readBytes(3)).toBe("abc");
      const client = `127.0.0.1:${wires[0]!.socket.localPort}`;
      const [, found] = await ask("GET", `/api/connections?client=${client}`);
      expect(found).toMatchObject({
        matching: 1,
        connections: [{ client, bytesUp: 3, bytesDown: 3 }],
      });
      expect((await ask("GET", "/api/connections?limit=1"))[1]).toMatchObject({
        matching: 2,
        connections: [{}],
      });
      expect((await ask("GET", "/api/connections?listener=tcp"))[1]).toMatchObject({ matching: 0 });
      expect((await ask("DELETE", "/api/connections"))[0]).toBe(400);
      expect((await ask("DELETE", "/api/connections?clinet=1"))[0]).toBe(400);
      // As a script writes it whose variable has no value: neither everybody nor worker 0 is meant.
      for (const query of [
        "client=",
        "target=",
        "worker=",
        "worker=&id=",
        "listener=tcp&client=",
      ]) {
        const [status, told] = await ask("DELETE", `/api/connections?${query}`);
        expect([query, status]).toEqual([query, 400]);
        expect(told).toMatchObject({ error: expect.stringContaining("is empty") });
      }
      expect(await ask("DELETE", `/api/connections?client=${client}`)).toEqual([
        200,
        { closed: 1 },
      ]);
      await within("the reset", wires[0]!.closed);
      await wires[1]!.write("def");
      await until("the other lives", () => wires[1]!.received === 6);
      wires[1]!.destroy();
    }),
  30_000,
);

test(
  "a reload answers with what was different, or with what is wrong",
  () =>
    withProxy(async ({ port, write, ask }) => {
      write({ limits: { max_connections: 7 } });
      const [status, diff] = await ask("POST", "/api/reload");
      expect(status).toBe(200);
      // The file's change may have been seen first: then nothing is different any more.
      const { changed } = diff as { changed: object[] };
      if (changed.length > 0)
        expect(changed).toEqual([{ listener: `tcp 127.0.0.1:${port}`, parts: ["limits"] }]);
      write({ limits: { max_connections: "many" } });
      const [refused, answer] = await ask("POST", "/api/reload");
      expect(refused).toBe(422);
      expect((answer as { error: string }).error).toContain("protocols[0].limits.max_connections");
      expect((await ask("GET", "/api/reload"))[0]).toBe(405);
    }),
  30_000,
);

test(
  "the log level changes at once, only to one that there is, and until the next reload",
  () =>
    withProxy(async ({ child, port, ask }) => {
      expect((await ask("POST", "/api/log-level", { level: "loud" }))[0]).toBe(400);
      expect((await ask("POST", "/api/log-level"))[0]).toBe(400);
      expect((await ask("POST", "/api/log-level", { level: "debug", for: "1m" }))[0]).toBe(400);
      const level = "debug";
      const shown = async (): Promise<string> =>
        statusSchema.parse((await ask("GET", "/api/status"))[1]).logLevel;
      expect(await shown()).toBe("info");
      const [status, answer] = await ask("POST", "/api/log-level", { level });
      expect(status).toBe(200);
      expect(logLevel.parse(answer)).toEqual({ level });
      const wire = await Wire.connect({ host: "127.0.0.1", port });
      await child.line(/"level":"debug".*"msg":"connection open/);
      wire.destroy();
      expect((await ask("POST", "/api/log-level", { level: "error" }))[0]).toBe(200);
      expect(await shown()).toBe("error");
      expect((await ask("POST", "/api/reload"))[0]).toBe(200);
      expect(await shown()).toBe("info");
      await child.line(/"level":"info".*"msg":"configuration read again/);
    }),
  30_000,
);

test(
  "the OpenAPI document has every path with its schemas",
  () =>
    withProxy(async ({ ask }) => {
      const [status, document] = await ask("GET", "/api/openapi.json");
      expect(status).toBe(200);
      const { openapi, paths } = document as {
        openapi: string;
        paths: Record<string, Record<string, object>>;
      };
      expect(openapi).toBe("3.1.0");
      expect(Object.keys(paths).toSorted()).toEqual([
        "/api/certificates",
        "/api/config",
        "/api/connections",
        "/api/events",
        "/api/listeners",
        "/api/log-level",
        "/api/reload",
        "/api/reloads",
        "/api/status",
        "/api/stream",
        "/api/targets",
      ]);
      expect(Object.keys(paths["/api/connections"]!)).toEqual(["get", "delete"]);
      const schema = JSON.stringify(paths["/api/log-level"]!.post);
      expect(schema).toContain('"enum":["debug","info","warn","error"]');
      for (const [path, methods] of Object.entries(paths)) {
        if (methods.get === undefined || path === "/api/stream") continue;
        expect([path, (await ask("GET", path))[0]]).toEqual([path, 200]);
      }
    }),
  30_000,
);
