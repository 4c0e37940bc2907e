// The command line as a process: what it prints where, and its exit codes.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { pipe } from "../support/pipe.ts";
import { COMMAND, runProxy } from "./proxy-process.ts";

let folder: string;
let occupied: Server;
let occupiedPort: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "proxy-cli-"));
  occupied = createServer();
  const listening = Promise.withResolvers<void>();
  occupied.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  occupiedPort = (occupied.address() as { port: number }).port;
});
afterAll(() => {
  occupied.close();
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("results go to the standard output with exit code 0", () => {
  test.each(["-version", "--version"])(
    "%s names the versions and the engine that starts here",
    async (flag) => {
      const { code, stdout, stderr } = await runProxy(flag);
      expect(stdout).toMatch(
        /^bun-tunnel \d+\.\d+\.\d+\nbun {7}\d+\.\d+\.\d+\nplatform {2}\w+ \w+\nengine {4}(uring|epoll|bun)\b.*\n$/,
      );
      expect([code, stderr]).toEqual([0, ""]);
    },
  );

  test.each(["-h", "-help", "--help", "help"])("%s prints a page with examples", async (flag) => {
    const { code, stdout, stderr } = await runProxy(flag);
    expect(stdout).toContain("proxy -listen :8080 -target 127.0.0.1:80");
    for (const word of [
      "check",
      "demo",
      "dns-check",
      "doctor",
      "explain URL",
      "schema",
      "-config",
      "-preset",
      "Exit codes",
    ]) {
      expect(stdout).toContain(word);
    }
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(110);
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("a command's help is about the command", async () => {
    const { code, stdout } = await runProxy("check", "-h");
    expect(stdout).toStartWith("proxy check FILE: ");
    expect(code).toBe(0);
  });

  test("schema prints JSON Schema", async () => {
    const { code, stdout, stderr } = await runProxy("schema");
    expect(JSON.parse(stdout)).toMatchObject({ type: "object", required: ["protocols"] });
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("check prints what a valid file means", async () => {
    const path = file(
      "good.yaml",
      'protocols: [{ name: tcp, listen: ":8080", target: "127.0.0.1:80", preset: server }]',
    );
    const { code, stdout, stderr } = await runProxy("check", path);
    expect(stdout).toStartWith(`${path} is valid\n`);
    expect(stdout).toContain("tcp :8080 -> 127.0.0.1:80");
    expect(stdout).toContain("at most 10000");
    expect(stdout).toContain("stops at 2MB, goes on at 1MB");
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("check prints limits and copies where there are any", async () => {
    const path = file(
      "limits.yaml",
      `protocols:
  - name: tcp
    listen: ":8080"
    target: "127.0.0.1:80"
    limits: { bandwidth: 100MB/s, connection_bandwidth: 1536KB/s }
    timeouts: { lifetime: 24h }
    mirror: { target: "127.0.0.1:9999" }
  - { name: tcp, listen: ":8081", target: "127.0.0.1:80" }
`,
    );
    const { code, stdout, stderr } = await runProxy("check", path);
    expect(stdout).toContain("bandwidth     100MB/s, 1536KB/s for each connection\n");
    expect(stdout).toContain("lifetime      reset after 24h\n");
    expect(stdout).toContain("mirror        127.0.0.1:9999 gets a copy of what clients send\n");
    const [, , second] = stdout.split("tcp :");
    expect(second).not.toMatch(/bandwidth|lifetime|mirror/);
    expect([code, stderr]).toEqual([0, ""]);
  });
});

test("check prints what a udp listener means, with all its targets", async () => {
  const path = file(
    "udp.yaml",
    `protocols:
  - name: udp
    listen: ":53"
    targets: ["10.0.0.53:53", { address: "dns.example:53", weight: 2, backup: true }]
    limits: { max_sessions: 500 }
    socket: { receive_buffer: 1MB }
  - { name: udp, listen: ":54", target: "10.0.0.53:53" }
`,
  );
  const { code, stdout } = await runProxy("check", path);
  expect(stdout).toContain(`
udp :53 -> 10.0.0.53:53, dns.example:53
  balance   round_robin
  targets   10.0.0.53:53, dns.example:53 (weight 2, backup)
  sessions  at most 500
  idle      over after 1m
  socket    receive buffer 1MB

udp :54 -> 10.0.0.53:53
  sessions  at most 10000
`);
  expect(code).toBe(0);
});

describe("wrong usage ends with exit code 2 and a reason on the standard error", () => {
  test.each([
    [["-lisen", ":8080", "-target", "a:1"], "proxy: unknown flag -lisen. Did you mean -listen?"],
    [["-listen", ":8080"], "proxy: -target is missing. Write for example -target 127.0.0.1:80"],
    [["-listen", "8080", "-target", "a:1"], '-listen: "8080" is not an address'],
    [["-listen=:0", "-target=a:1", "-protocol=tls"], '-protocol: "tls" needs a certificate. Write'],
    [["-config", "missing.yaml"], "missing.yaml: there is no such file"],
    [["-config", "x", "-listen", ":1"], "proxy: -listen cannot be given together with -config"],
    [["check"], "proxy: FILE is missing"],
    [["chek", "x"], 'proxy: unknown command "chek". Did you mean "check"?'],
    [["demo", "now"], 'proxy: unexpected argument "now"'],
    [["schema", "-listen", ":1"], "proxy: unknown flag -listen"],
  ] as [string[], string][])("%p", async (args, message) => {
    const { code, stdout, stderr } = await runProxy(...args);
    expect(stderr).toStartWith(message);
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("-workers -1 is one error", async () => {
    const { stderr } = await runProxy("-listen", ":0", "-target", "a:1", "-workers", "-1");
    expect(stderr).toBe("-workers: the number -1 is too little. Write at least 1\n");
  });

  test("a command's mistakes point to the command's help", async () => {
    const { stderr } = await runProxy("check");
    expect(stderr).toBe(
      'proxy: FILE is missing. Write proxy check FILE\nRun "proxy check -h" for help.\n',
    );
  });

  test("no arguments at all: the help page", async () => {
    const { code, stdout, stderr } = await runProxy();
    expect(stderr).toContain("proxy demo");
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("a file where a command should be says how to use it", async () => {
    const path = file("plain.yaml", "protocols: []");
    const { code, stderr } = await runProxy(path);
    expect(stderr).toContain(`is a file, not a command. Write proxy -config ${path}`);
    expect(code).toBe(2);
  });

  test("every mistake of a file is on a line of its own, at its place, for check and run alike", async () => {
    const path = file(
      "bad.yaml",
      'log_level: loud\nprotocols:\n  - { name: tcp, listen: 80, target: "a:1" }\n',
    );
    const expected = [
      `${path}:1:12: log_level: the text "loud" is not one of debug, info, warn, error`,
      `${path}:3:26: protocols[0].listen: "80" is not an address: the colon is missing. Write :80 or 127.0.0.1:80`,
      "",
    ].join("\n");
    expect(await runProxy("check", path)).toEqual({ code: 2, stdout: "", stderr: expected });
    expect(await runProxy("-config", path)).toEqual({ code: 2, stdout: "", stderr: expected });
  });

  test.each(["pretty", "json"])(
    "the exit code does not depend on the log's format: %s",
    async (format) => {
      const path = file(
        `missing-${format}.yaml`,
        `log_format: ${format}
protocols:
  - { name: tls, listen: "127.0.0.1:0", target: "127.0.0.1:9", tls: { cert_file: no.pem, key_file: no.pem } }
`,
      );
      const { code, stderr } = await runProxy("-config", path);
      expect(stderr).toContain("no.pem");
      expect(code).toBe(2);
    },
  );
});

describe("output that cannot be written", () => {
  test("a reader that has had enough ends the program silently", async () => {
    const [reader, writer] = pipe();
    closeSync(reader);
    const child = Bun.spawn([...COMMAND, "schema"], { stdio: ["ignore", writer, "pipe"] });
    closeSync(writer);
    expect(await child.stderr.text()).toBe("");
    expect(await child.exited).toBe(0);
  });

  test.skipIf(!existsSync("/dev/full"))("a full disk is one line, and exit code 1", async () => {
    const full = openSync("/dev/full", "w");
    const child = Bun.spawn([...COMMAND, "schema"], { stdio: ["ignore", full, "pipe"] });
    closeSync(full);
    expect(await child.stderr.text()).toMatch(
      /^proxy: the output cannot be written: .*ENOSPC.*\n$/,
    );
    expect(await child.exited).toBe(1);
  });
});

test.skipIf(!existsSync("/dev/zero"))("a file without an end is refused", async () => {
  const { code, stderr } = await runProxy("check", "/dev/zero");
  expect(stderr).toBe("/dev/zero: is larger than 1MB, the most that a configuration may have\n");
  expect(code).toBe(2);
});

test("check names listeners that are disabled", async () => {
  const path = file(
    "some.yaml",
    `protocols:
  - { name: tcp, listen: ":8080", target: "127.0.0.1:80" }
  - { name: tcp, listen: "127.0.0.1:28104", target: "127.0.0.1:80", enabled: false }
`,
  );
  const { stdout } = await runProxy("check", path);
  expect(stdout).toEndWith("\n\ntcp 127.0.0.1:28104: disabled\n");
});

describe("failures at run time end with exit code 1", () => {
  test("an address that is taken is named, with the cure, and nothing else is printed", async () => {
    const address = `127.0.0.1:${occupiedPort}`;
    const { code, stdout, stderr } = await runProxy("-listen", address, "-target", "127.0.0.1:1");
    const line = JSON.parse(stderr) as { level: string; code: string; msg: string };
    expect(line).toMatchObject({ level: "error", code: "ERR_LISTEN" });
    expect(line.msg).toContain(address);
    expect(line.msg).toContain("in use");
    expect([code, stdout]).toEqual([1, ""]);
  });

  test("where the log is for people, the reason is plain text", async () => {
    const address = `127.0.0.1:${occupiedPort}`;
    const args = ["-listen", address, "-target", "127.0.0.1:1", "-log-format", "pretty"];
    const { code, stderr } = await runProxy(...args);
    expect(stderr).toStartWith(`proxy: cannot listen on ${address}`);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(code).toBe(1);
  });

  test("a folder that does not exist for a unix socket", async () => {
    const path = join(folder, "nowhere", "a.sock");
    const { code, stderr } = await runProxy("-listen", `unix:${path}`, "-target", "127.0.0.1:1");
    expect(stderr).toContain(path);
    expect(code).toBe(1);
  });
});
