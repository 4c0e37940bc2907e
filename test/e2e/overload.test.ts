// Overload of a real process, by real load: what it holds, how late it is and what it has open go beyond a ceiling, new work is
// turned away, probes and the log say why, and all of it is over when the load is.

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";

import { type ProxyProcess, startWith } from "../commands/proxy-process.ts";
import { freePort, inFolder } from "../support/daemon.ts";
import { Talk } from "../support/http-proxy.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const MIB = 1024 * 1024;
const LINUX = process.platform === "linux";

interface Running {
  readonly child: ProxyProcess;
  readonly http: number;
  readonly tcp: number;
  /** Of /readyz. */
  ready(): Promise<{ status: number; text: string }>;
  /** One request on a connection of its own. */
  ask(): Promise<{ status: number; retryAfter: string | null }>;
}

/** @param keys of the listener of HTTP. @param by a program that starts it. */
async function withProxy(
  ceilings: object,
  target: string,
  use: (running: Running) => Promise<void>,
  keys: object = {},
  by: readonly string[] = [],
): Promise<void> {
  await inFolder(async (folder) => {
    const [http, tcp, admin] = [await freePort(), await freePort(), await freePort()];
    const file = join(folder, "proxy.yaml");
    const protocols = [
      { name: "http", listen: `127.0.0.1:${http}`, target, ...keys },
      { name: "tcp", listen: `127.0.0.1:${tcp}`, target },
    ];
    const off = { lag: "off", memory: "off", descriptors: "off" };
    const listen = `127.0.0.1:${admin}`;
    const config = { workers: 1, overload: { ...off, ...ceilings }, admin: { listen }, protocols };
    writeFileSync(file, stringify(config));
    const child = startWith({ by }, "-config", file, "-log-format", "json");
    await child.line(/"msg":"started"/);
    const ready = async () => {
      const answer = await fetch(`http://${listen}/readyz`);
      return { status: answer.status, text: await answer.text() };
    };
    const ask = async () => {
      const headers = { connection: "close" };
      const answer = await fetch(`http://127.0.0.1:${http}/`, { headers });
      await answer.text();
      return { status: answer.status, retryAfter: answer.headers.get("retry-after") };
    };
    try {
      await use({ child, http, tcp, ready, ask });
    } finally {
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      const { code } = await within("the end", child.outcome, 20_000);
      expect(code).toBe(0);
    }
  });
}

function echoing(): Promise<WireServer> {
  return WireServer.listen((wire) => {
    wire.onData((chunk) => void wire.write(chunk));
    void wire.ending.then(() => wire.end());
  });
}

/** @returns a client that an echo serves, or how it was refused. */
async function attempt(port: number): Promise<Wire | string> {
  try {
    const talk = new Talk(await Wire.connect({ host: "127.0.0.1", port }));
    const heard = talk.hear("?").then(
      () => talk.wire,
      () => "nothing was heard",
    );
    await talk.say("?");
    return await Promise.race([heard, talk.wire.ending]);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "?";
  }
}

const RECOVERY_MS = 40_000;

describe("a process is overloaded", () => {
  test("by the memory that clients make it hold, and is not when they are gone", async () => {
    const big = new Uint8Array(64 * MIB);
    using backend = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: ({ url }) => new Response(url.endsWith("/big") ? big : "small"),
    });
    const keys = { backpressure: { high_watermark: "64MB" } };
    const target = `127.0.0.1:${backend.port}`;
    await withProxy(
      { memory: "192MB" },
      target,
      async ({ child, http, ready, ask }) => {
        expect(await ready()).toMatchObject({ status: 200 });
        expect(await ask()).toMatchObject({ status: 200 });
        const stalled: Wire[] = [];
        for (let i = 0; i < 4; i++) {
          const wire = await Wire.connect({ host: "127.0.0.1", port: http });
          wire.socket.pause();
          await wire.write("GET /big HTTP/1.1\r\nhost: a.example\r\n\r\n");
          stalled.push(wire);
        }
        await until("it is not ready", async () => (await ready()).status === 503);
        expect((await ready()).text).toMatch(/^overloaded by memory: \d+ MB are held/m);
        await until("a request is turned away", async () => {
          const { status, retryAfter } = await ask();
          return status === 503 && retryAfter === "2";
        });
        for (const wire of stalled) wire.reset();
        await until("it is ready", async () => (await ready()).status === 200, RECOVERY_MS);
        expect(await ask()).toMatchObject({ status: 200 });
        await child.line(/"reason":"memory".*"msg":"overloaded, new work is turned away"/);
        await child.line(/"reason":"memory","forMs":\d+,"msg":"overload is over"/);
      },
      keys,
    );
  }, 90_000);

  test.if(LINUX)(
    "by descriptors, and keeps some for those who ask how it is",
    async () => {
      await using server = await echoing();
      const by = ["sh", "-c", 'ulimit -n 256; exec "$0" "$@"'];
      await withProxy(
        { descriptors: "60%" },
        server.target,
        async ({ tcp, ready }) => {
          const clients: Wire[] = [];
          await until("clients are refused", async () => {
            const outcome = await attempt(tcp);
            if (typeof outcome !== "string") clients.push(outcome);
            return typeof outcome === "string";
          });
          await until("it is not ready", async () => (await ready()).status === 503);
          expect((await ready()).text).toMatch(
            /^overloaded by descriptors: \d+ are open, of 256$/m,
          );
          for (const client of clients) client.reset();
          await until("it is ready", async () => (await ready()).status === 200, RECOVERY_MS);
          const after = await attempt(tcp);
          expect(after).toBeInstanceOf(Wire);
          (after as Wire).reset();
        },
        {},
        by,
      );
    },
    90_000,
  );

  test.if(LINUX)(
    "by being late, in each worker that is, and not when it is in time again",
    async () => {
      await using server = await echoing();
      await withProxy({ lag: "200ms" }, server.target, async ({ child, tcp, ready }) => {
        const talk = new Talk(await Wire.connect({ host: "127.0.0.1", port: tcp }));
        const turn = async (): Promise<void> => {
          child.kill("SIGSTOP");
          await Bun.sleep(600);
          child.kill("SIGCONT");
          await talk.say("?");
          await talk.hear("?");
          await Bun.sleep(60);
        };
        await turn();
        for (let client = await attempt(tcp); client instanceof Wire; client = await attempt(tcp)) {
          client.reset();
          await turn();
        }
        expect(await ready()).toMatchObject({ status: 503 });
        expect((await ready()).text).toMatch(/overloaded by lag: workers? [01, ]+, \d+ ms late/);
        await talk.say("!");
        await talk.hear("!");
        await until("it is ready", async () => (await ready()).status === 200, RECOVERY_MS);
        await child.line(/"reason":"lag","forMs":\d+,"msg":"overload is over"/);
        const after = await attempt(tcp);
        expect(after).toBeInstanceOf(Wire);
        (after as Wire).reset();
        talk.wire.end();
      });
    },
    90_000,
  );
});
