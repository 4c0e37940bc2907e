// A configuration that is refused for something outside of its file: it is tried again by itself until it can be had, is told of
// once, and anew when somebody changes it.

import { expect, test } from "bun:test";
import { copyFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";

import { Authority } from "../support/certificates.ts";
import { freePort, inFolder } from "../support/daemon.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";
import { type ProxyProcess, startProxy } from "./proxy-process.ts";

type Keys = Readonly<Record<string, unknown>>;

/** A proxy with one listener, and others that its file gets later. */
class Stage {
  readonly folder: string;
  readonly #file: string;
  readonly #admin: string;
  readonly #first: Keys;

  private constructor(folder: string, admin: string, first: Keys) {
    this.folder = folder;
    this.#file = join(folder, "proxy.yaml");
    this.#admin = admin;
    this.#first = first;
  }

  static async in(folder: string): Promise<Stage> {
    const [admin, port] = [await freePort(), await freePort()];
    const first = { name: "tcp", listen: `127.0.0.1:${port}`, target: "127.0.0.1:1" };
    return new Stage(folder, `127.0.0.1:${admin}`, first);
  }

  write(...more: Keys[]): void {
    const config = { admin: { listen: this.#admin }, protocols: [this.#first, ...more] };
    writeFileSync(`${this.#file}.new`, stringify(config));
    renameSync(`${this.#file}.new`, this.#file);
  }

  async start(): Promise<ProxyProcess> {
    this.write();
    const child = startProxy("-config", this.#file, "-log-format", "json");
    await child.line(/"msg":"started"/);
    return child;
  }

  async ready(): Promise<[number, string]> {
    const answer = await fetch(`http://${this.#admin}/readyz`, { keepalive: false });
    return [answer.status, await answer.text()];
  }

  /** How many reloads were refused, as the API has it. */
  async refused(): Promise<number> {
    const answer = await fetch(`http://${this.#admin}/api/reloads`, { keepalive: false });
    const reloads = (await answer.json()) as { taken: boolean }[];
    return reloads.filter(({ taken }) => !taken).length;
  }
}

async function stop(child: ProxyProcess): Promise<string[]> {
  child.kill("SIGTERM");
  const { code, stderr } = await within("the end", child.outcome, 20_000);
  expect(code).toBe(0);
  return stderr.split("\n").filter((line) => line.startsWith("{"));
}

const NOT_TAKEN = /"msg":"configuration not taken/;

test(
  "an address that is taken is had as soon as it is free, and all that time one line tells of it",
  () =>
    inFolder(async (folder) => {
      const stage = await Stage.in(folder);
      const child = await stage.start();
      const other = await WireServer.listen();
      const can = { name: "http", listen: "127.0.0.1:0", target: "127.0.0.1:2" };
      stage.write(can, { name: "tcp", listen: other.target, target: "127.0.0.1:2" });
      const [line] = await child.line(/.*configuration not taken.*/);
      expect(line).toContain(other.target);
      const [status, text] = await stage.ready();
      expect(status).toBe(503);
      expect(text).toContain("It is tried again by itself");
      await other[Symbol.asyncDispose]();
      await child.line(/"msg":"the configuration can be taken now"/);
      await child.line(/"added":2.*"msg":"configuration reloaded"/);
      expect(await stage.ready()).toEqual([200, "ready\n"]);
      expect(await stage.refused()).toBe(1);
      const lines = await stop(child);
      expect(lines.filter((each) => NOT_TAKEN.test(each))).toHaveLength(1);
      expect(
        lines.filter((each) => /"protocol":"http".*"msg":"listening"/.test(each)),
      ).toHaveLength(1);
    }),
  60_000,
);

test(
  "a certificate that is not there yet is waited for",
  () =>
    inFolder(async (folder) => {
      using authority = new Authority();
      const { certFile, keyFile } = authority.issue(["a.example"]);
      const tls = { cert_file: join(folder, "cert.pem"), key_file: join(folder, "key.pem") };
      const stage = await Stage.in(folder);
      const child = await stage.start();
      stage.write({ name: "tls", listen: "127.0.0.1:0", target: "127.0.0.1:2", tls });
      await child.line(/"reason":"[^"]*cert\.pem.*It is tried again by itself/);
      copyFileSync(keyFile, tls.key_file);
      copyFileSync(certFile, tls.cert_file);
      await child.line(/"added":1.*"msg":"configuration reloaded"/);
      await stop(child);
    }),
  60_000,
);

test(
  "a change of the file is taken at once, and what was wrong before is not tried any more",
  () =>
    inFolder(async (folder) => {
      const stage = await Stage.in(folder);
      const child = await stage.start();
      await using other = await WireServer.listen();
      stage.write({ name: "tcp", listen: other.target, target: "127.0.0.1:2" });
      await child.line(NOT_TAKEN);
      stage.write({ name: "tcp", listen: "127.0.0.1:0", targett: "127.0.0.1:2" });
      const [line] = await child.line(/.*targett.*configuration not taken.*/);
      expect(line).not.toContain("tried again");
      stage.write();
      await child.line(/"msg":"the configuration is right again"/);
      await until("it is ready", async () => (await stage.ready())[0] === 200);
      await stop(child);
    }),
  60_000,
);
