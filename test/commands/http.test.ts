// The proxy as a process that speaks TLS and HTTP: what flags and files ask for is what clients meet, and what is in the log.

import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { Authority } from "../support/certificates.ts";
import { startProxy } from "./proxy-process.ts";

const authority = new Authority();
afterAll(() => authority[Symbol.dispose]());
const { certFile, keyFile, cert, key } = authority.issue(["localhost", "IP:127.0.0.1"]);

/** Answers with the path that it is asked for. */
async function serve(server: Server) {
  server.on("request", (request, response) => void response.end(request.url));
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function ask(
  url: string,
): Promise<{ status: number; location: string | null; text: string }> {
  // A connection that is kept open would be waited for by the proxy that passes its bytes on.
  const headers = { connection: "close" };
  const answer = await fetch(url, { headers, redirect: "manual", tls: { ca: authority.ca } });
  return {
    status: answer.status,
    location: answer.headers.get("location"),
    text: await answer.text(),
  };
}

const LISTENING = /"listen":"127\.0\.0\.1:(\d+)"/;

test.each([
  ["http", "http", []],
  ["http2", "https", ["-cert", certFile, "-key", keyFile]],
  ["tls", "https", ["-cert", certFile, "-key", keyFile]],
] as const)("-protocol %s serves %s", async (protocol, scheme, files) => {
  await using backend = await serve(createServer());
  const flags = ["-protocol", protocol, "-target", backend.address, "-workers", "1"];
  const proxy = startProxy(...flags, "-listen", "127.0.0.1:0", ...files);
  const [, port] = await proxy.line(LISTENING);
  await proxy.line(/"started"/);
  expect(await ask(`${scheme}://127.0.0.1:${port}/path?x=1`)).toEqual({
    status: 200,
    location: null,
    text: "/path?x=1",
  });
  proxy.kill("SIGTERM");
  expect((await proxy.outcome).code).toBe(0);
});

test("a listener that only redirects needs no target, and none is logged", async () => {
  const file = join(authority.folder, "redirect.yaml");
  writeFileSync(
    file,
    `workers: 1
protocols: [{ name: http, listen: "127.0.0.1:0", redirect: { to: "https://{host}:8443" } }]
`,
  );
  const proxy = startProxy("-config", file);
  const [, port] = await proxy.line(LISTENING);
  await proxy.line(/"started"/);
  const { status, location } = await ask(`http://127.0.0.1:${port}/a?b=c`);
  expect([status, location]).toEqual([308, "https://127.0.0.1:8443/a?b=c"]);
  proxy.kill("SIGTERM");
  const { code, stderr } = await proxy.outcome;
  expect([code, /"target"/.test(stderr)]).toEqual([0, false]);
});

test("a target that is not verified is served, with a warning in the log", async () => {
  await using backend = await serve(createSecureServer({ cert, key }));
  const file = join(authority.folder, "insecure.yaml");
  writeFileSync(
    file,
    `workers: 1
protocols:
  - name: http
    listen: "127.0.0.1:0"
    target: { address: "https://${backend.address}", tls: { insecure_skip_verify: true } }
`,
  );
  const proxy = startProxy("-config", file);
  const [, port] = await proxy.line(LISTENING);
  await proxy.line(/"started"/);
  expect((await ask(`http://127.0.0.1:${port}/secret`)).text).toBe("/secret");
  proxy.kill("SIGTERM");
  const { code, stderr } = await proxy.outcome;
  const warnings = stderr.split("\n").filter((line) => line.includes('"level":"warn"'));
  expect(code).toBe(0);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain(`certificate of ${backend.address} is not verified`);
});
