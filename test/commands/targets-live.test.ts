// Targets of a real process, drained, disabled and enabled over the API under traffic: listeners over TLS and QUIC, where a
// client's connection has many streams. Nobody fails, nobody new goes there once the API has answered, and what is under way
// goes on, or is cut.

import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";

import { changedTarget } from "../../src/control/admin/schemas.ts";
import { Authority } from "../support/certificates.ts";
import { freePort, inFolder } from "../support/daemon.ts";
import { answersOf, type Place, type Talk, talkTo } from "../support/reload-clients.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";
import { startProxy } from "./proxy-process.ts";

const KINDS = ["tls", "http2", "http3", "quic"] as const;
type Kind = (typeof KINDS)[number];

const authority = new Authority();
afterAll(() => authority[Symbol.dispose]());
const issued = authority.issue(["a.example"]);

interface Target extends AsyncDisposable {
  readonly address: string;
}

/** Answers all that comes with its name: requests, messages of WebSockets, or what a stream brings. */
async function startTarget(name: string, kind: Kind): Promise<Target> {
  if (kind === "tls" || kind === "quic") {
    const server = await WireServer.listen((wire) => {
      wire.onData(() => void wire.write(name));
      void wire.ending.then(() => wire.end());
    });
    return { address: server.target, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  }
  const web = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(name)),
    websocket: { message: (socket) => void socket.send(name) },
  });
  return { address: `127.0.0.1:${web.port}`, [Symbol.asyncDispose]: () => web.stop(true) };
}

interface Scene {
  readonly kind: Kind;
  readonly place: Place;
  /** The names of those that a few new connections, with a stream or two requests each, came to. */
  seen(): Promise<Set<string>>;
  /** Settles when the API has answered. */
  want(address: string, state: "enabled" | "draining" | "disabled"): Promise<void>;
}

async function withProxy(
  kind: Kind,
  targets: readonly string[],
  use: (scene: Scene) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const [port, admin] = [await freePort(), `127.0.0.1:${await freePort()}`];
    const file = join(folder, "proxy.yaml");
    const listen = `127.0.0.1:${port}`;
    const tls = { cert_file: issued.certFile, key_file: issued.keyFile };
    const protocols = [{ name: kind, listen, targets, tls }];
    const overload = { lag: "off" };
    const settings = { admin: { listen: admin }, workers: 2, shutdown_timeout: "1s", overload };
    writeFileSync(file, stringify({ ...settings, protocols }));
    const child = startProxy("-config", file, "-log-format", "json");
    try {
      await child.line(/"msg":"started"/);
      const place = { host: "127.0.0.1", port, path: "", ca: authority.ca };
      await use({
        kind,
        place,
        async seen() {
          const all: string[] = [];
          for (let i = 0; i < 8; i++) all.push(...(await answersOf(kind, place)).split(" "));
          return new Set(all);
        },
        async want(address, state) {
          const body = JSON.stringify({ listener: `${kind} ${listen}`, target: address, state });
          const init = { method: "POST", body, keepalive: false };
          const answer = await fetch(`http://${admin}/api/targets`, init);
          expect(answer.status).toBe(200);
          expect(changedTarget.parse(await answer.json())).toMatchObject({ name: address, state });
        },
      });
      child.kill("SIGTERM");
      expect((await within("the end", child.outcome, 20_000)).code).toBe(0);
    } finally {
      child.kill("SIGKILL");
    }
  });
}

/** A stream that stays, to each of both. */
async function oneOfEach({ kind, place }: Scene): Promise<{ a: Talk; b: Talk }> {
  const held: Record<string, Talk> = {};
  while (held.a === undefined || held.b === undefined) {
    const talk = await talkTo(kind, place);
    const name = await talk.ask();
    if (held[name] === undefined) held[name] = talk;
    else talk.end();
  }
  return { a: held.a, b: held.b };
}

for (const kind of KINDS) {
  test(`${kind}: a target is drained, disabled and enabled under traffic, and nobody fails`, async () => {
    await using a = await startTarget("a", kind);
    await using b = await startTarget("b", kind);
    await withProxy(kind, [a.address, b.address], async (scene) => {
      const held = await oneOfEach(scene);
      let over = false;
      const heard: string[] = [];
      const traffic = Array.from({ length: 2 }, async () => {
        while (!over) heard.push(await answersOf(kind, scene.place));
      });
      await scene.want(a.address, "draining");
      expect(await scene.seen()).toEqual(new Set(["b"]));
      expect(await held.a.ask()).toBe("a");
      await scene.want(a.address, "enabled");
      await until("it is back", async () => (await scene.seen()).has("a"));
      over = true;
      await Promise.all(traffic); // of whom none has failed
      expect(new Set(heard.flatMap((text) => text.split(" ")))).toEqual(new Set(["a", "b"]));

      await scene.want(a.address, "disabled");
      await expect(held.a.ask()).rejects.toThrow("cut off");
      expect(await held.b.ask()).toBe("b");
      expect(await scene.seen()).toEqual(new Set(["b"]));
      await scene.want(a.address, "enabled");
      await until("it is back again", async () => (await scene.seen()).has("a"));
      for (const talk of Object.values(held)) talk.end();
    });
  }, 60_000);
}
