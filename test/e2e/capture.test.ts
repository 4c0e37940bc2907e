// `proxy capture` between curl and nginx, read by tshark: what Wireshark makes of it is what passed.

import { expect } from "bun:test";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { COMMAND, startProxy } from "../commands/proxy-process.ts";
import { run } from "../support/daemon.ts";
import { startNginx } from "../support/nginx.ts";
import { program, testWith } from "../support/programs.ts";
import { within } from "../support/until.ts";

const SMALL = "hello from nginx\n";
const LARGE_BYTES = 3_000_001;

/** Wireshark leaves checksums alone by default, since network cards compute them after the capture. */
const STRICT = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];

/** @returns lines. */
async function tshark(file: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await run([program("tshark"), "-n", ...STRICT, "-r", file, ...args]);
  return stdout.split("\n").filter((line) => line !== "");
}

/** The values of these fields in each packet that the filter takes. */
async function fields(file: string, filter: string, ...names: string[]): Promise<string[][]> {
  const wanted = names.flatMap((name) => ["-e", name]);
  const lines = await tshark(file, "-Y", filter, "-T", "fields", ...wanted);
  return lines.map((line) => line.split("\t"));
}

/** Nothing is malformed, no checksum is wrong, and the analysis of TCP has nothing to remark. */
async function expectFlawless(file: string): Promise<void> {
  const flaws = "_ws.malformed || _ws.expert.severity >= warning || tcp.analysis.flags";
  const wrong = "tcp.checksum.status == 0 || ip.checksum.status == 0"; // 0: bad
  expect(await tshark(file, "-Y", `${flaws} || ${wrong}`)).toEqual([]);
}

interface Followed {
  up: Buffer;
  down: Buffer;
}

/** A stream as "Follow TCP stream" saves it: lines of hex, those of the second sender indented. */
async function follow(file: string, stream: number): Promise<Followed> {
  const lines = await tshark(file, "-q", "-z", `follow,tcp,raw,${stream}`);
  const data = lines.filter((line) => /^\t?([0-9a-f]{2})+$/.test(line));
  const bytes = (of: string[]): Buffer =>
    Buffer.from(of.map((line) => line.trim()).join(""), "hex");
  return {
    up: bytes(data.filter((line) => !line.startsWith("\t"))),
    down: bytes(data.filter((line) => line.startsWith("\t"))),
  };
}

/** Runs a capture of one connection for each `use` of a URL below it. */
async function captured(
  flags: readonly string[],
  connections: number,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const child = startProxy("capture", ...flags, "-connections", String(connections));
  const [, port] = await child.line(/capturing {2}listen=\S*?(?::(\d+))? target=/);
  await use(Number(port ?? 0));
  const { code, stdout, stderr } = await within("the end of the capture", child.outcome, 20_000);
  expect([code, stdout]).toEqual([0, ""]);
  expect(stderr).not.toMatch(/WARN|ERROR/);
}

const get = (...args: string[]): string[] => [program("curl"), "-sS", "--fail", ...args];

for (const [family, listen, host] of [
  ["IPv4", "127.0.0.1:0", "127.0.0.1"],
  ["IPv6", "[::1]:0", "[::1]"],
  ["IPv4 on a socket of both", ":0", "127.0.0.1"],
] as const) {
  testWith(
    ["nginx", "curl", "tshark"],
    `tshark reads requests and responses, over ${family}`,
    async () => {
      const large = randomBytes(LARGE_BYTES);
      await using server = await startNginx({ small: SMALL, large });
      const file = join(server.folder, "traffic.pcapng");
      const saved = join(server.folder, "saved");
      const target = `127.0.0.1:${server.port}`;
      let port = 0;
      await captured(["-listen", listen, "-target", target, "-write", file], 3, async (at) => {
        port = at;
        const url = `http://${host}:${at}`;
        const { stdout } = await run(get(`${url}/small`, `${url}/small?again`));
        expect(stdout).toBe(SMALL + SMALL);
        await run(get("-o", saved, `${url}/large`));
        const missing = await run([program("curl"), "-sS", "-w", "%{http_code}", `${url}/none`]);
        expect(missing.stdout).toEndWith("404");
      });
      expect(readFileSync(saved).equals(large)).toBe(true);
      await expectFlawless(file);
      const messages = ["tcp.stream", "http.request.uri", "http.response.code"];
      expect(await fields(file, `http && tcp.port == ${port}`, ...messages)).toEqual([
        ["0", "/small", ""],
        ["0", "", "200"],
        ["0", "/small?again", ""],
        ["0", "", "200"],
        ["1", "/large", ""],
        ["1", "", "200"],
        ["2", "/none", ""],
        ["2", "", "404"],
      ]);
      const address = family === "IPv6" ? "ipv6" : "ip";
      const loopback = family === "IPv6" ? "::1" : "127.0.0.1";
      const ends = [`${address}.src`, `${address}.dst`, "frame.comment"];
      expect(await fields(file, "tcp.flags.syn == 1", ...ends)).toEqual(
        [1, 2, 3].flatMap((number) => [
          [loopback, loopback, `connection ${number}, to ${target}`],
          [loopback, loopback, ""],
        ]),
      );
      const { up, down } = await follow(file, 1);
      expect(up.toString()).toMatch(/^GET \/large HTTP\/1\.1\r\n[^]*\r\n\r\n$/);
      const head = down.indexOf("\r\n\r\n") + 4;
      expect(down.subarray(0, head).toString()).toContain(`Content-Length: ${LARGE_BYTES}\r\n`);
      expect(down.subarray(head).equals(large)).toBe(true);
    },
  );
}

testWith(["nginx", "curl", "tshark"], "tshark reads what passed over unix sockets", async () => {
  await using server = await startNginx({ small: SMALL });
  const file = join(server.folder, "traffic.pcapng");
  const listen = join(server.folder, "listen.sock");
  const target = `unix:${join(server.folder, "http.sock")}`;
  const flags = ["-listen", `unix:${listen}`, "-target", target, "-write", file];
  await captured(flags, 2, async () => {
    for (let i = 0; i < 2; i++) {
      const { stdout } = await run(get("--unix-socket", listen, "http://any.host/small"));
      expect(stdout).toBe(SMALL);
    }
  });
  await expectFlawless(file);
  const answers = await fields(file, "http.response", "tcp.stream", "ip.src", "ip.dst");
  expect(answers).toEqual([
    ["0", "192.0.2.2", "192.0.2.1"],
    ["1", "192.0.2.2", "192.0.2.1"],
  ]);
  const [[comment]] = (await fields(file, "frame.comment", "frame.comment")) as [[string]];
  expect(comment).toBe(`connection 1, from a client of unix:${listen}, to ${target}`);
});

testWith(
  ["nginx", "curl", "tshark"],
  "a live reader of -write - sees packets as they pass",
  async () => {
    await using server = await startNginx({ small: SMALL });
    const target = `127.0.0.1:${server.port}`;
    const flags = ["capture", "-listen", "127.0.0.1:0", "-target", target, "-write", "-"];
    const proxy = Bun.spawn([...COMMAND, ...flags], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, NO_COLOR: "1" },
    });
    const log = proxy.stderr.getReader();
    const { value } = await within("the first line", log.read());
    const [, port] = /listen=127\.0\.0\.1:(\d+)/.exec(Buffer.from(value!).toString())!;
    const live = [
      "-l",
      "-n",
      "-i",
      "-",
      "-Y",
      "http.response",
      "-T",
      "fields",
      "-e",
      "http.file_data",
    ];
    const reader = Bun.spawn([program("tshark"), ...live], {
      stdin: proxy.stdout,
      stdout: "pipe",
      stderr: "ignore",
    });
    try {
      const { stdout } = await run(get(`http://127.0.0.1:${port}/small`));
      expect(stdout).toBe(SMALL);
      const shown = await within("tshark's line", reader.stdout.getReader().read(), 20_000);
      // As text or as hex, depending on its version.
      const line = Buffer.from(shown.value!).toString().trim();
      expect([SMALL.trim(), `${SMALL.trim()}\\n`, Buffer.from(SMALL).toString("hex")]).toContain(
        line,
      );
      proxy.kill("SIGINT");
      expect(await within("the end of the capture", proxy.exited)).toBe(0);
      await within("the end of tshark", reader.exited); // the capture has ended in order
    } finally {
      proxy.kill("SIGKILL");
      reader.kill("SIGKILL");
    }
  },
);

testWith(["curl", "tshark"], "a reset is the one remark that tshark has", async () => {
  await using server = await startNginx({ small: SMALL });
  const file = join(server.folder, "traffic.pcapng");
  writeFileSync(file, "an older file");
  const flags = ["-listen", "127.0.0.1:0", "-target", "127.0.0.1:1", "-force", "-write", file];
  const child = startProxy("capture", ...flags, "-connections", "1");
  const [, port] = await child.line(/listen=127\.0\.0\.1:(\d+)/);
  await run([program("curl"), "-sS", `http://127.0.0.1:${port}/`]).then(
    () => expect.unreachable(),
    () => {},
  );
  const { code, stderr } = await child.outcome;
  expect(code).toBe(0);
  expect(stderr).toMatch(/WARN: target down .*127\.0\.0\.1:1: ECONNREFUSED/);
  expect(
    await fields(file, "_ws.expert.severity >= warning", "tcp.flags.reset", "frame.comment"),
  ).toEqual([["1", expect.stringContaining("cannot connect to 127.0.0.1:1: ECONNREFUSED")]]);
});
