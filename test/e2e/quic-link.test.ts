// Two proxies make a link: TCP in, QUIC between, TCP out, as two processes with the presets of a client and a server, a token,
// and programs that know of none of it at both ends.

import { expect } from "bun:test";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { type ProxyProcess, startProxy } from "../commands/proxy-process.ts";
import { Authority } from "../support/certificates.ts";
import { Daemon, freePort, run } from "../support/daemon.ts";
import { startNginx } from "../support/nginx.ts";
import { program, testWith } from "../support/programs.ts";
import { until, within } from "../support/until.ts";

/** A link to one server. */
class Link implements AsyncDisposable {
  readonly port: number;
  readonly #middle: number;
  readonly #target: string;
  readonly #authority = new Authority();
  #near!: ProxyProcess;
  #far!: ProxyProcess;

  private constructor(port: number, middle: number, target: string) {
    this.port = port;
    this.#middle = middle;
    this.#target = target;
  }

  static async start(target: string): Promise<Link> {
    const link = new Link(await freePort(), await freePort(), target);
    link.#authority.file("token", `${randomBytes(32).toString("hex")}\n`);
    await link.#startFar();
    const { folder } = link.#authority;
    const quic = { token_file: join(folder, "token") };
    const tls = { ca_file: link.#authority.caFile };
    const address = `quic://127.0.0.1:${link.#middle}`;
    link.#near = await link.#run("near", {
      name: "tcp",
      listen: `127.0.0.1:${link.port}`,
      preset: "client",
      target: { address, tls, quic },
    });
    return link;
  }

  async #startFar(): Promise<void> {
    const { certFile, keyFile } = this.#authority.issue(["IP:127.0.0.1"], { name: "server" });
    this.#far = await this.#run("far", {
      name: "quic",
      listen: `127.0.0.1:${this.#middle}`,
      preset: "server",
      target: this.#target,
      tls: { cert_file: certFile, key_file: keyFile },
      quic: { token_file: join(this.#authority.folder, "token") },
    });
  }

  async #run(name: string, listener: object): Promise<ProxyProcess> {
    const file = join(this.#authority.folder, `${name}.yaml`);
    writeFileSync(file, JSON.stringify({ protocols: [listener] })); // which is YAML
    const child = startProxy("-config", file, "-log-format", "json");
    await child.line(/"msg":"started"/);
    return child;
  }

  /** The middle goes away without a word, and comes back. */
  async restart(): Promise<void> {
    this.#far.kill("SIGKILL");
    await this.#far.outcome;
    await this.#startFar();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const child of [this.#near, this.#far]) {
        child.kill("SIGTERM");
        const { code, stderr } = await within("a proxy's end", child.outcome, 40_000);
        if (code !== 0 || /Warning|"level":"error"/.test(stderr)) {
          throw new Error(`a proxy ended with code ${code}:\n${stderr}`);
        }
      }
    } finally {
      this.#authority[Symbol.dispose]();
    }
  }
}

testWith(
  ["redis-server", "redis-benchmark", "redis-cli", "openssl"],
  "redis over a link, which comes back after its middle was killed",
  async () => {
    await using redis = await Daemon.start((folder, port) => {
      const listen = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder];
      return [program("redis-server"), ...listen, "--save", "", "--appendonly", "no"];
    });
    await using link = await Link.start(`127.0.0.1:${redis.port}`);
    const at = ["-h", "127.0.0.1", "-p", `${link.port}`];
    const load = ["-n", "10000", "-c", "20", "-P", "4", "-d", "100", "-t", "set,get"];
    const { stdout, stderr } = await run([program("redis-benchmark"), ...at, ...load, "--csv"]);
    expect(stderr).not.toContain("Error");
    expect(stdout.split("\n").filter((line) => /^"(SET|GET)/.test(line))).toHaveLength(2);
    const cli = [program("redis-cli"), ...at];
    const value = randomBytes(300_000).toString("base64");
    await run([...cli, "-x", "set", "large"], { stdin: Buffer.from(value) });
    expect((await run([...cli, "get", "large"])).stdout.trim()).toBe(value);
    await link.restart();
    const ask = (): Promise<boolean> =>
      run([...cli, "get", "large"], { timeoutMs: 30_000 }).then(
        (output) => output.stdout.trim() === value,
        () => false,
      );
    await until("the link comes back", ask, 45_000);
  },
  90_000,
);

testWith(["nginx", "curl", "openssl"], "files of nginx for curl over a link", async () => {
  const large = randomBytes(8 * 1024 * 1024);
  await using nginx = await startNginx({ small: "small\n", large });
  await using link = await Link.start(`127.0.0.1:${nginx.port}`);
  const url = `http://127.0.0.1:${link.port}`;
  expect((await run([program("curl"), "-s", `${url}/small`])).stdout).toBe("small\n");
  const file = join(nginx.folder, "copy");
  await run([program("curl"), "-s", "-o", file, `${url}/large`, "--parallel"]);
  expect(Buffer.from(await Bun.file(file).arrayBuffer()).equals(large)).toBe(true);
});

testWith(
  ["iperf3", "openssl"],
  "iperf3 over a link, one way, the other, and in parallel",
  async () => {
    await using server = await Daemon.start((_folder, port) => {
      return [program("iperf3"), "-s", "-B", "127.0.0.1", "-p", `${port}`];
    });
    await using link = await Link.start(`127.0.0.1:${server.port}`);
    const bytes = 32 * 1024 * 1024;
    for (const flags of [[], ["-R"], ["-P", "4"]]) {
      const client = ["-c", "127.0.0.1", "-p", `${link.port}`, "-n", `${bytes}`, "-J", ...flags];
      const { stdout } = await run([program("iperf3"), ...client], { timeoutMs: 60_000 });
      const { end } = JSON.parse(stdout) as { end: { sum_sent: { bytes: number } } };
      expect(end.sum_sent.bytes).toBeGreaterThanOrEqual(bytes);
    }
  },
);
