// What happens to requests between curl and a backend: what the backend is told of its client, where requests are sent and
// where not, and what is in the access log, also when it is rotated.

import { expect, test } from "bun:test";
import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

import { curlCommand, type Way, WAYS } from "../../support/curl.ts";
import { run, temporaryFolder } from "../../support/daemon.ts";
import { type Gateway, type GatewayOptions, withGateway } from "../../support/gateway.ts";
import { testWith } from "../../support/programs.ts";
import { until } from "../../support/until.ts";

const PROGRAMS = ["curl", "openssl"] as const;

interface Echo {
  path: string;
  headers: Record<string, string>;
}

/** A backend that answers with what it was asked. */
async function withEcho(
  keys: (target: string) => Readonly<Record<string, unknown>>,
  options: GatewayOptions,
  use: (gateway: Gateway) => Promise<void>,
): Promise<void> {
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const { pathname, search } = new URL(request.url);
      return Response.json({
        path: pathname + search,
        headers: Object.fromEntries(request.headers),
      });
    },
  });
  await withGateway(keys(`127.0.0.1:${server.port}`), options, use);
}

async function ask(way: Way, gateway: Gateway, path: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(
    curlCommand(way, gateway, path, "--path-as-is", "--no-fail-with-body", ...args),
  );
  return stdout;
}

for (const way of WAYS) {
  testWith(PROGRAMS, `a backend is told who its client is, whatever that says (${way.name})`, () =>
    withEcho(
      (target) => ({ target, forwarded: { rfc7239: true } }),
      {},
      async (gateway) => {
        const lies = [
          "X-Forwarded-For: 10.0.0.1",
          "X_Forwarded_For: 10.0.0.1",
          "X.Real.IP: 10.0.0.1",
          "Forwarded: for=10.0.0.1",
          "Proxy: evil:80",
          "X-Request-Id: mine",
        ];
        const said = await ask(way, gateway, "/a/../b?c", ...lies.flatMap((lie) => ["-H", lie]));
        const { headers } = JSON.parse(said) as Echo;
        expect(headers).toMatchObject({
          "x-forwarded-for": "127.0.0.1",
          "x-real-ip": "127.0.0.1",
          "x-forwarded-proto": way.name.includes("TLS") ? "https" : "http",
          forwarded: expect.stringMatching(
            /^for=127\.0\.0\.1;host="(127\.0\.0\.1|localhost):\d+";proto=https?$/,
          ),
          "x-request-id": expect.stringMatching(/^[0-9a-f]{32}$/),
        });
        expect(said).not.toContain("10.0.0.1");
        expect(headers["proxy"]).toBeUndefined();
      },
    ),
  );
}

const [way] = WAYS;
const secure = WAYS.find(({ name }) => name === "HTTP/2 over TLS")!;

testWith(PROGRAMS, "no way to write a path leads past the rule for it", () =>
  withEcho(
    (target) => ({
      routes: [
        { match: { path: "/admin/*" }, redirect: { to: "https://elsewhere.example", status: 302 } },
        {
          match: { path: "/v1/*" },
          rewrite: { strip_prefix: "/v1", add_prefix: "/tenant" },
          target,
        },
      ],
      target,
    }),
    { complains: true },
    async (gateway) => {
      const status = async (path: string): Promise<string> =>
        (await ask(way!, gateway, path, "-o", "/dev/null", "-w", "%{http_code}")).trim();
      for (const path of [
        "/admin",
        "/admin/x",
        "//admin/x",
        "/./admin/x",
        "/%61dmin/x",
        "/x/../admin/x",
        "/x/%2e%2E/admin/",
      ]) {
        expect([path, await status(path)]).toEqual([path, "302"]);
      }
      for (const path of [
        "/%2fadmin/x",
        "/x/..%2fadmin/x",
        "/x/..;/admin/x",
        "/admin%00",
        "/v1/..%2fother",
        "/../x",
      ]) {
        expect([path, await status(path)]).toEqual([path, "400"]);
      }
      const seen = async (path: string): Promise<string> =>
        (JSON.parse(await ask(way!, gateway, path)) as Echo).path;
      expect(await seen("/v1/a%2Fb?c=/../d")).toBe("/tenant/a%2Fb?c=/../d");
      expect(await seen("/%76%31")).toBe("/tenant");
      expect(await seen("/other/%7Ea")).toBe("/other/%7Ea");
    },
  ),
);

const jsonLines = (path: string): Record<string, unknown>[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

testWith(
  PROGRAMS,
  "every request is in the access log once, also when the log is rotated",
  async () => {
    const folder = temporaryFolder();
    const log = join(folder, "access.log");
    const file = { access_log: log };
    await withEcho(
      (target) => ({ target }),
      { file },
      async (gateway) => {
        for (let i = 0; i < 3; i++)
          await ask(way!, gateway, `/first/${i}`, "-A", 'quo"te\\', "-e", "https://r.example/");
        await until("the lines are there", () => jsonLines(log).length === 3);
        renameSync(log, `${log}.1`);
        gateway.kill("SIGUSR1");
        await gateway.line(/access log opened anew/);
        await ask(way!, gateway, "/second?\xff", "-d", "12345", "-H", "Accept: application/json");
        await ask(secure, gateway, "/third");
      },
    );
    const [first, ...others] = jsonLines(`${log}.1`);
    expect(first).toMatchObject({
      client: "127.0.0.1",
      method: "GET",
      path: "/first/0",
      protocol: "HTTP/1.1",
      status: 200,
      bytes_in: 0,
      user_agent: 'quo"te\\',
      referer: "https://r.example/",
      request_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      target: expect.stringContaining("127.0.0.1:"),
    });
    expect(others.map(({ path }) => path)).toEqual(["/first/1", "/first/2"]);
    for (const name of ["duration_ms", "connect_ms", "head_ms"]) expect(first![name]).toBeNumber();
    // The last lines are written when the proxy ends.
    const [second, third] = jsonLines(log);
    expect(second).toMatchObject({
      method: "POST",
      bytes_in: 5,
      path: expect.stringContaining("/second?"),
    });
    expect(third).toMatchObject({ path: "/third", protocol: "HTTP/2.0", tls: "TLSv1.3" });
    rmSync(folder, { recursive: true });
  },
);

testWith(PROGRAMS, "the combined format goes to the standard output", () =>
  withEcho(
    (target) => ({ routes: [{ match: { path: "/here" }, target }] }),
    { file: { access_log: "-", access_log_format: "combined" }, complains: true },
    async (gateway) => {
      const error = await ask(way!, gateway, "/nowhere", "-H", "Accept: application/json");
      expect(JSON.parse(error)).toEqual({ status: 404, error: "Not Found" });
      const [line] = await gateway.line(/^127\.0\.0\.1 - - \[.*\n/m);
      expect(line).toMatch(/ - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:[\d:]{8} \+0000\] /);
      expect(line).toMatch(/ "GET \/nowhere HTTP\/1\.1" 404 \d+ "-" "curl\/[\d.]+"\n$/);
    },
  ),
);

test("a path of the access log that cannot be opened is said before anything listens", async () => {
  const file = { access_log: "/nowhere/at/all.log" };
  const started = withGateway({ target: "127.0.0.1:1" }, { file }, () => Promise.resolve());
  await expect(started).rejects.toThrow("Name a file in a folder that exists");
});
