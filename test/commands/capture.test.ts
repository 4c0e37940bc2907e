// `proxy capture` as people run it: what it shows and writes, and that forwarding survives whatever becomes of that.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { followStreams, readPcapng } from "../capture/read-pcapng.ts";
import { within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { COMMAND, type ProxyProcess, runProxy, startProxy } from "./proxy-process.ts";

let folder: string;
let echo: WireServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "proxy-capture-"));
  echo = await WireServer.echo();
});
afterAll(async () => {
  await echo[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function start(...flags: string[]): ProxyProcess {
  return startProxy("capture", "-listen", "127.0.0.1:0", "-target", echo.target, ...flags);
}

async function portOf(child: ProxyProcess): Promise<number> {
  return Number((await child.line(/INFO: capturing {2}listen=127\.0\.0\.1:(\d+)/))[1]);
}

/** Sends text to the echo and waits for it to come back before it ends both directions. */
async function exchange(port: number, text: string): Promise<void> {
  const client = await Wire.connect({ host: "127.0.0.1", port });
  const answer = client.readBytes(Buffer.byteLength(text));
  await client.write(text);
  expect(Buffer.from(await within("the echo", answer), "latin1").toString()).toBe(text);
  client.end();
  expect(await within("the end", client.ending)).toBe("fin");
}

describe("what is shown", () => {
  test("text: a line for each event on the standard output, with the bytes escaped", async () => {
    const child = start("-connections", "2");
    const port = await portOf(child);
    await exchange(port, "one \x1b[1m\r\ntwo");
    await exchange(port, "ping\n");
    const { code, stdout, stderr } = await child.outcome;
    const time = /^\d\d:\d\d:\d\d\.\d{3} /gm;
    const plain = stdout.replaceAll(time, "").replaceAll(/\d+\.\d ms/g, "N ms");
    expect(plain.replaceAll(/127\.0\.0\.1:\d+/g, "ADDRESS")).toBe(String.raw`#1 opened by ADDRESS
#1 connected to ADDRESS after N ms
#1 -> 13 B
  one \x1b[1m\r\n
  two
#1 <- 13 B
  one \x1b[1m\r\n
  two
#1 -> FIN
#1 <- FIN
#1 closed after N ms, 13 B up, 13 B down
#2 opened by ADDRESS
#2 connected to ADDRESS after N ms
#2 -> 5 B  ping\n
#2 <- 5 B  ping\n
#2 -> FIN
#2 <- FIN
#2 closed after N ms, 5 B up, 5 B down
`);
    expect(stdout).toContain(`#1 connected to ${echo.target} after `);
    expect(stderr).toMatch(/INFO: capture complete {2}connections=2\n$/);
    expect(code).toBe(0);
  });

  test("-hex: offset, hex and ASCII; -max-bytes cuts, and says so", async () => {
    const child = start("--hex", "-max-bytes=18", "-connections", "1");
    await exchange(await portOf(child), "0123456789abcdef\x00\xff rest"); // \xff has two bytes in UTF-8
    const { stdout } = await child.outcome;
    expect(stdout).toContain(` #1 -> 24 B
  00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|
  00000010  00 c3                                             |..|
  ... and 6 B more (-max-bytes 0 shows all)
`);
  });

  test("a target that is down is shown once, with the reason", async () => {
    const flags = ["-listen", "127.0.0.1:0", "-target", "127.0.0.1:1", "-connections", "1"];
    const child = startProxy("capture", ...flags);
    const client = await Wire.connect({ host: "127.0.0.1", port: await portOf(child) });
    expect(await within("the end", client.ending)).toBe("ECONNRESET");
    const { code, stdout, stderr } = await child.outcome;
    expect(stdout).toMatch(/#1 <- RST {2}cannot connect to 127\.0\.0\.1:1: ECONNREFUSED/);
    expect(stderr).not.toContain("ECONNREFUSED");
    expect(code).toBe(0);
  });
});

describe("the file", () => {
  test("a signal ends it in order, with everything that has passed", async () => {
    const path = join(folder, "signal.pcapng");
    const child = start("-write", path);
    const port = await portOf(child);
    await exchange(port, "hello");
    child.kill("SIGINT");
    const { code, stdout, stderr } = await child.outcome;
    const { packets, description } = readPcapng(readFileSync(path));
    const { client, proxy, ends } = followStreams(packets);
    expect([String(client), String(proxy)]).toEqual(["hello", "hello"]);
    expect(ends).toEqual(["client FIN", "proxy FIN"]);
    expect(description).toBe(`127.0.0.1:${port} -> ${echo.target}`);
    const { size, mode } = statSync(path);
    expect(mode & 0o777).toBe(0o600);
    expect(stderr).toMatch(/INFO: capture complete {2}connections=1 write=\S+ bytes=(\d+)\n$/);
    expect(stderr).toContain(`bytes=${size}\n`);
    expect([code, stdout]).toEqual([0, ""]);
  });

  test("a connection that is open is waited for; a second signal resets it, and the file says so", async () => {
    const path = join(folder, "second.pcapng");
    const child = start("-write", path);
    const client = await Wire.connect({ host: "127.0.0.1", port: await portOf(child) });
    const answer = client.readBytes(4);
    await client.write("stay");
    expect(await within("the echo", answer)).toBe("stay");
    child.kill("SIGTERM");
    await child.line(/INFO: waiting for open connections.*signal=SIGTERM connections=1/);
    child.kill("SIGTERM");
    expect(await within("the end", client.ending)).toBe("ECONNRESET");
    const { code, stderr } = await child.outcome;
    expect(stderr).toMatch(/WARN: connections were reset {2}reset=1/);
    expect(code).toBe(1);
    const { packets } = readPcapng(readFileSync(path));
    expect(followStreams(packets).ends).toEqual(["proxy RST"]);
    expect(packets.at(-1)!.comments).toEqual(["the capture was stopped"]);
  });

  test("one that is there is kept, and -force replaces it", async () => {
    const path = join(folder, "kept.pcapng");
    writeFileSync(path, "precious");
    const address = ["-listen", "127.0.0.1:0", "-target", echo.target];
    const { code, stderr } = await runProxy("capture", ...address, "-write", path);
    expect(stderr).toStartWith(
      `proxy: -write: ${path} exists. Write to another file, or add -force`,
    );
    expect([code, readFileSync(path, "utf8")]).toEqual([2, "precious"]);
    const child = start("-write", path, "-force", "-connections", "1");
    await exchange(await portOf(child), "new");
    expect((await child.outcome).code).toBe(0);
    expect(String(followStreams(readPcapng(readFileSync(path)).packets).client)).toBe("new");
  });

  test("one that cannot be written is named with the reason, and nothing is forwarded", async () => {
    const address = ["-listen", "127.0.0.1:0", "-target", echo.target];
    const before = echo.accepted;
    for (const [path, reason] of [
      [join(folder, "nowhere", "a.pcapng"), "its folder does not exist (ENOENT)"],
      ["/dev/full", "no space left on the device (ENOSPC)"],
    ] as const) {
      const { code, stdout, stderr } = await runProxy("capture", ...address, "-write", path);
      expect(stderr).toStartWith(`proxy: ${path} cannot be written: ${reason}`);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
      expect([code, stdout]).toEqual([1, ""]);
    }
    expect(echo.accepted).toBe(before);
  });

  test("an address that is taken leaves no file, and an old one as it was", async () => {
    const path = join(folder, "untouched.pcapng");
    const taken = ["-listen", `127.0.0.1:${echo.port}`, "-target", "127.0.0.1:1"];
    const { code, stderr } = await runProxy("capture", ...taken, "-write", path);
    expect(stderr).toContain(`cannot listen on 127.0.0.1:${echo.port}: EADDRINUSE`);
    expect([code, existsSync(path)]).toEqual([1, false]);
    writeFileSync(path, "old");
    await runProxy("capture", ...taken, "-write", path, "-force");
    expect(readFileSync(path, "utf8")).toBe("old");
  });
});

describe("forwarding survives its capture", () => {
  /** A shell that allows files of so many blocks of 512 bytes, so that a write fails as on a full disk. */
  const limited = (blocks: number): string[] => [
    "sh",
    "-c",
    `trap "" XFSZ; ulimit -f ${blocks}; exec "$0" "$@"`,
  ];

  test.skipIf(process.platform !== "linux")(
    "a disk that fills up is told of once; the file ends with a whole packet, and bytes go on",
    async () => {
      const path = join(folder, "full.pcapng");
      const flags = ["capture", "-listen", "127.0.0.1:0", "-target", echo.target, "-write", path];
      const command = [...limited(64), ...COMMAND, ...flags];
      const child = Bun.spawn(command, {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
        env: { ...process.env, NO_COLOR: "1" },
      });
      const reader = child.stderr.getReader();
      const first = await within("the first line", reader.read());
      const [, port] = /listen=127\.0\.0\.1:(\d+)/.exec(Buffer.from(first.value!).toString())!;
      const text = "0123456789".repeat(800);
      for (let i = 0; i < 5; i++) await exchange(Number(port), text);
      child.kill("SIGTERM");
      expect(await within("the end", child.exited)).toBe(1);
      let stderr = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        stderr += Buffer.from(part.value).toString();
      }
      expect(
        stderr.match(/ERROR: the capture has ended, forwarding goes on without it/g),
      ).toHaveLength(1);
      expect(stderr).toContain(`${path} cannot be written: it would be larger than a file may be`);
      expect(stderr).toMatch(/INFO: stopped {2}connections=5/);
      const { packets } = readPcapng(readFileSync(path));
      expect(packets.length).toBeGreaterThan(5);
      expect(statSync(path).size).toBeLessThanOrEqual(64 * 512);
    },
  );

  test("a reader that has seen enough does not end it", async () => {
    const flags = ["capture", "-listen", "127.0.0.1:0", "-target", echo.target];
    const child = Bun.spawn([...COMMAND, ...flags], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, NO_COLOR: "1" },
    });
    const reader = child.stderr.getReader();
    const first = await within("the first line", reader.read());
    const [, port] = /listen=127\.0\.0\.1:(\d+)/.exec(Buffer.from(first.value!).toString())!;
    await child.stdout.cancel();
    for (let i = 0; i < 3; i++) await exchange(Number(port), `unseen ${i}`);
    const second = await within("the second line", reader.read());
    expect(Buffer.from(second.value!).toString()).toContain("its reader has gone (EPIPE)");
    child.kill("SIGTERM");
    expect(await within("the end", child.exited)).toBe(0);
  });
});

describe("usage", () => {
  test("the help page has every flag and examples", async () => {
    const { code, stdout, stderr } = await runProxy("capture", "-h");
    expect(stdout).toStartWith("proxy capture: forward, and show what passes");
    for (const word of ["-listen", "-target", "-write", "-force", "-hex", "-max-bytes"]) {
      expect(stdout).toContain(`  ${word} `);
    }
    expect(stdout).toContain("-connections");
    expect(stdout).toContain("-write - | wireshark -k -i -");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(110);
    expect([code, stderr]).toEqual([0, ""]);
  });

  const GOOD = ["-listen", "127.0.0.1:0", "-target", "127.0.0.1:1"];
  test.each([
    [["-wirte", "x"], "proxy: unknown flag -wirte. Did you mean -write?"],
    [["-target", "a:1"], "proxy: -listen is missing. Write for example -listen :8080"],
    [["-listen", "8080", "-target", "a:1"], '-listen: "8080" is not an address'],
    [[...GOOD, "-force"], "proxy: -force has no effect without -write"],
    [[...GOOD, "-hex", "-write", "x"], "proxy: -hex has no effect together with -write: a pcapng"],
    [[...GOOD, "-max-bytes", "1", "-write", "x"], "proxy: -max-bytes has no effect together with"],
    [[...GOOD, "-force", "-write", "-"], "proxy: -force has no effect on the standard output"],
    [[...GOOD, "-max-bytes", "much"], 'proxy: -max-bytes: "much" is not a size. Write a number of'],
    [[...GOOD, "-connections", "0"], 'proxy: -connections: "0" is not a number of them. Write'],
    [[...GOOD, "traffic.pcapng"], 'proxy: unexpected argument "traffic.pcapng"'],
  ] as [string[], string][])("%p is refused with exit code 2", async (flags, message) => {
    const { code, stdout, stderr } = await runProxy("capture", ...flags);
    expect(stderr).toStartWith(message);
    expect([code, stdout]).toEqual([2, ""]);
  });
});
