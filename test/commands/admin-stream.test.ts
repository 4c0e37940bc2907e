// The stream of a real process: who may read it, how many at once, and how it ends; every answer against its schema; and that
// no secret of a configuration is told.

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";
import { z } from "zod";

import * as schemas from "../../src/control/admin/schemas.ts";
import { ADMIN } from "../../src/shared/limits.ts";
import { freePort, inFolder } from "../support/daemon.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { type ProxyProcess, startWith } from "./proxy-process.ts";

const TOKEN = "SECRETtoken0123456789abcdef0123456789";

interface Running {
  readonly child: ProxyProcess;
  readonly folder: string;
  readonly admin: string;
  write(file: object): void;
  get(path: string, init?: RequestInit): Promise<Response>;
}

/** @param file of the configuration, beside `admin`. */
async function withProxy(file: object, use: (running: Running) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const admin = `127.0.0.1:${await freePort()}`;
    const path = join(folder, "proxy.yaml");
    writeFileSync(join(folder, "token"), TOKEN);
    const listener = { listen: admin, token_file: join(folder, "token") };
    const write = (given: object): void =>
      writeFileSync(path, stringify({ admin: listener, workers: 1, ...given }));
    write(file);
    const env = { CLOUDFLARE_API_TOKEN: "SECRETcloudflare" };
    const child = startWith({ env }, "-config", path, "-log-format", "json");
    try {
      await child.line(/"msg":"started"/);
      const headers = { authorization: `Bearer ${TOKEN}` };
      const get = (of: string, init?: RequestInit): Promise<Response> =>
        fetch(`http://${admin}${of}`, { headers, keepalive: false, ...init });
      await use({ child, folder, admin, write, get });
    } finally {
      child.kill("SIGTERM");
    }
    expect((await within("the end", child.outcome, 20_000)).code).toBe(0);
  });
}

/** A reader of the stream. */
class Reader {
  readonly #reader: Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel">;
  #text = "";

  constructor(response: Response) {
    this.#reader = response.body!.getReader();
  }

  /** @returns undefined: the stream has ended. */
  async next(): Promise<schemas.Snapshot | undefined> {
    while (!this.#text.includes("\n\n")) {
      const { done, value } = await within("an event", this.#reader.read());
      if (done) return undefined;
      this.#text += Buffer.from(value).toString();
    }
    const [event = "", ...rest] = this.#text.split("\n\n");
    this.#text = rest.join("\n\n");
    const [name, data = ""] = event.split("\n");
    expect(name).toBe("event: snapshot");
    return strict(schemas.snapshot, JSON.parse(data.slice("data: ".length)));
  }

  leave(): Promise<void> {
    return this.#reader.cancel();
  }
}

/** Nothing is told that the schema does not have. */
function strict<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const parsed = schema.parse(value);
  expect(value as never).toEqual(parsed as never);
  return parsed;
}

async function withEcho(use: (running: Running, port: number) => Promise<void>): Promise<void> {
  await using echo = await WireServer.echo();
  const [port, web] = [await freePort(), await freePort()];
  const target = `127.0.0.1:${echo.port}`;
  const protocols = [
    { name: "tcp", listen: `127.0.0.1:${port}`, target },
    { name: "http", listen: `127.0.0.1:${web}`, target: "127.0.0.1:1" },
  ];
  await withProxy({ protocols }, async (running) => {
    await fetch(`http://127.0.0.1:${web}/`, { keepalive: false });
    await use(running, port);
  });
}

test("a stream tells everything once a second, and what is told fits its schema", async () => {
  await withEcho(async ({ get }, port) => {
    const wire = await Wire.connect({ host: "127.0.0.1", port });
    await wire.write("abc");
    expect(await wire.readBytes(3)).toBe("abc");
    const response = await get("/api/stream");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = new Reader(response);
    const first = (await reader.next())!;
    expect(first.connections).toMatchObject({ matching: 1, connections: [{ bytesUp: 3 }] });
    expect(first.targets.map(({ state }) => state)).toEqual(["enabled", "enabled"]);
    expect(first.reloads).toMatchObject([{ cause: "start", taken: true }]);
    expect(first.process.memoryBytes).toBeGreaterThan(0);
    const second = (await reader.next())!;
    expect(second.timeMs).toBeGreaterThan(first.timeMs);
    await reader.leave();
    wire.destroy();
  });
}, 30_000);

test("every answer fits its schema and has nothing besides", async () => {
  await withEcho(async ({ get }, port) => {
    const wire = await Wire.connect({ host: "127.0.0.1", port });
    await wire.write("a");
    await wire.readBytes(1);
    const answers: Record<string, z.ZodType> = {
      "/api/status": schemas.status,
      "/api/listeners": schemas.listeners,
      "/api/targets": schemas.targets,
      "/api/connections": schemas.connections,
      "/api/certificates": schemas.certificates,
      "/api/config": schemas.config,
      "/api/events": schemas.events,
      "/api/reloads": schemas.reloads,
    };
    const read = async (path: string): Promise<unknown> => (await get(path)).json();
    for (const [path, schema] of Object.entries(answers)) strict(schema, await read(path));
    const [listener] = (await read("/api/listeners")) as schemas.ListenerState[];
    const target = listener!.targets[0]!.name;
    const post = async (path: string, body?: object): Promise<Response> =>
      get(path, {
        method: "POST",
        headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
        body: body === undefined ? null : JSON.stringify(body),
      });
    const drained = await post("/api/targets", {
      listener: listener!.key,
      target,
      state: "draining",
      weight: 7,
    });
    expect(strict(schemas.changedTarget, await drained.json())).toMatchObject({
      name: target,
      state: "draining",
      weight: 7,
      alike: 1,
    });
    expect((await (await get("/readyz")).text()).trimEnd().split("\n")).toEqual([
      "ready",
      `warning: target ${target} of ${listener!.key} is draining`,
      `warning: no target of ${listener!.key} serves: ${target} is draining`,
    ]);
    const unknown = await post("/api/targets", { listener: listener!.key, target: "x", weight: 1 });
    expect([unknown.status, await unknown.json()]).toEqual([
      404,
      { error: `no such target. Targets of ${listener!.key}: ${target}` },
    ]);
    expect((await post("/api/targets", { listener: listener!.key, target })).status).toBe(400);
    strict(schemas.reloaded, await (await post("/api/reload")).json());
    strict(
      schemas.closed,
      await (
        await get("/api/connections?worker=0", {
          method: "DELETE",
          headers: { authorization: `Bearer ${TOKEN}` },
        })
      ).json(),
    );
    wire.destroy();
  });
}, 30_000);

test("a stream is for those who may ask, is bounded in number, and leaves room for others", async () => {
  await withEcho(async ({ get, admin }) => {
    expect((await get("/api/stream", { headers: {} })).status).toBe(401);
    expect((await get(`/api/stream?token=${TOKEN}`, { headers: {} })).status).toBe(401);
    expect((await get("/api/stream", { headers: { host: "evil.example" } })).status).toBe(421);
    expect(await (await get("/api/stream", { method: "HEAD" })).text()).toBe("");
    const readers: Reader[] = [];
    for (let i = 0; i < ADMIN.streamsMax; i++) readers.push(new Reader(await get("/api/stream")));
    for (const reader of readers) expect(await reader.next()).toBeDefined();
    const refused = await get("/api/stream");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
    expect((await get("/livez")).status).toBe(200);
    expect((await fetch(`http://${admin}/livez`, { keepalive: false })).status).toBe(200);
    await readers.pop()!.leave();
    await until("there is room again", async () => {
      const response = await get("/api/stream");
      if (response.status === 200) readers.push(new Reader(response));
      return response.status === 200;
    });
    for (const reader of readers) await reader.leave();
  });
}, 30_000);

test("streams end cleanly when the token changes, the listener moves, and the proxy stops", async () => {
  await withEcho(async ({ get, folder, write, child, admin }, port) => {
    const rest = async (reader: Reader): Promise<void> => {
      while ((await reader.next()) !== undefined);
    };
    const first = new Reader(await get("/api/stream"));
    await first.next();
    writeFileSync(join(folder, "token"), `${TOKEN}2`);
    await child.line(/new admin token/);
    await rest(first);
    const headers = { authorization: `Bearer ${TOKEN}2` };
    const second = new Reader(await get("/api/stream", { headers }));
    await second.next();
    const moved = { listen: `127.0.0.1:${await freePort()}`, token_file: join(folder, "token") };
    const protocols = [{ name: "tcp", listen: `127.0.0.1:${port}`, target: "127.0.0.1:1" }];
    write({ admin: moved, protocols });
    await rest(second);
    const at = `http://${moved.listen}/api/stream`;
    const third = new Reader(await fetch(at, { headers, keepalive: false }));
    await third.next();
    await expect(fetch(`http://${admin}/livez`, { keepalive: false })).rejects.toThrow();
    child.kill("SIGTERM");
    await rest(third);
  });
}, 30_000);

test("no secret of the configuration is told, nor of one that is refused", async () => {
  await inFolder(async (keys) => {
    const hmac = join(keys, "hmac");
    writeFileSync(hmac, "U0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVU");
    const [port, plain] = [await freePort(), await freePort()];
    const fields = {
      request: { set: { authorization: "Bearer SECRETbearer" }, add: { "x-key": "SECRETkey" } },
      response: { add: { "set-cookie": "id=SECRETcookie" } },
    };
    const http = {
      name: "http",
      listen: `127.0.0.1:${port}`,
      headers: fields,
      routes: [
        { match: { path: "/a", headers: { "x-key": "SECRETmatch" } }, target: "127.0.0.1:1" },
        {
          match: { path: "/b" },
          target: "127.0.0.1:1",
          health: { type: "http", path: "/h?token=SECRETprobe" },
        },
      ],
    };
    const tls = { name: "http2", listen: `127.0.0.1:${plain}`, target: "127.0.0.1:1" };
    const auto = {
      agree_terms: true,
      email: "a@example.com",
      storage: join(keys, "certificates"),
      domains: ["secret.example.com"],
      challenge: ["dns-01"],
      dns_provider: "cloudflare",
      ca: [{ url: "https://127.0.0.1:1/dir", eab: { key_id: "kid", hmac_key_file: hmac } }],
    };
    const file = { protocols: [http, tls], auto_tls: auto };
    await withProxy(file, async ({ get, write, child }) => {
      const bad = "https://user:SECRETpassword@127.0.0.1:1/dir?key=SECRETquery";
      write({ ...file, auto_tls: { ...auto, ca: [{ ...auto.ca[0], url: bad }] } });
      await child.line(/configuration not taken/);
      const told: string[] = [];
      for (const path of ["config", "events", "reloads", "status", "certificates"]) {
        told.push(await (await get(`/api/${path}`)).text());
      }
      told.push(await (await get("/readyz")).text());
      const reader = new Reader(await get("/api/stream"));
      told.push(JSON.stringify(await reader.next()));
      await reader.leave();
      const all = told.join("\n");
      expect(all).toContain("authorization: [secret]");
      expect(all).toContain("https://[secret]@127.0.0.1:1/dir?…");
      expect(all).not.toMatch(/SECRET|U0VDUkVU/);
    });
  });
}, 30_000);
