// Probes of targets that are spoken to over TLS: as the listener's own requests, with its authorities, names and certificates.

import { afterAll, describe, expect, test } from "bun:test";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TlsOptions } from "node:tls";

import { checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";
import { readCertificates, tlsPlaces } from "../../src/control/certificates/files.ts";
import { compile } from "../../src/control/compile.ts";
import { towardsTarget } from "../../src/control/probe-towards.ts";
import { probe } from "../../src/control/probe.ts";
import { revealed } from "../../src/shared/certificates.ts";
import { HEALTH_DEFAULTS } from "../../src/shared/limits.ts";
import { Authority } from "../support/certificates.ts";

const authority = new Authority();
afterAll(() => authority[Symbol.dispose]());

const HEALTH = { ...HEALTH_DEFAULTS, type: "http", path: "/ready" } as const;
const never = new AbortController().signal;

/** Answers every request that comes about, and keeps its Host. */
async function httpsServer(options: TlsOptions) {
  const hosts: (string | undefined)[] = [];
  const server = createServer(options, (request, response) => {
    hosts.push(request.headers.host);
    response.writeHead(200).end();
  });
  server.on("tlsClientError", () => {}); // what a client makes of a certificate is its own affair
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  return {
    hosts,
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** What the only target of this listener is found to be. */
function probeOf(listener: string, target: string, port: number): Promise<string | null> {
  const text = `protocols: [{ name: ${listener}, listen: ":1", target: ${target} }]`;
  const top = `tls: { cert_file: "${files.certFile}", key_file: "${files.keyFile}" }\n`;
  const source = parseSource(listener === "tls" ? `${top}${text}` : text, "f");
  const machine = { platform: "linux", cpus: 1, folder: "/srv", terminal: false } as const;
  const plan = compile(checkSource(source), machine).listeners[0]!;
  const certificates = revealed(readCertificates(tlsPlaces(plan)!, Date.now()).value);
  const towards = towardsTarget(plan, { group: 0, index: 0 }, certificates);
  return probe({ kind: "ip", host: "127.0.0.1", port }, HEALTH, never, towards);
}

const files = authority.issue(["app.example"]);
const trusted = `ca_file: "${authority.caFile}"`;

/** An `https` target of this name with these keys of `tls`; it is at 127.0.0.1, whatever the name. */
async function probed(host: string, tls: string, options: TlsOptions = {}) {
  await using server = await httpsServer({ ...options, cert: files.cert, key: files.key });
  const target = `{ address: "https://${host}:${server.port}", tls: { ${tls} } }`;
  const result = await probeOf("http", target, server.port);
  return { result, host: server.hosts[0]?.replace(String(server.port), "PORT") };
}

describe("a target over TLS", () => {
  test("is asked by its name, if its certificate is for it", async () => {
    const well = { result: null, host: "app.example:PORT" };
    expect(await probed("app.example", trusted)).toEqual(well);
    expect(await probed("app.example", "insecure_skip_verify: true")).toEqual(well);
    const named = await probed("127.0.0.1", `${trusted}, server_name: app.example`);
    expect(named).toEqual({ result: null, host: "127.0.0.1:PORT" });
  });

  test("is down if its certificate is another's, or of an unknown authority", async () => {
    for (const [host, tls] of [
      ["app.example", ""],
      ["other.example", trusted],
      ["127.0.0.1", trusted],
    ] as const) {
      const { result, host: asked } = await probed(host, tls);
      expect([host, result === null, asked]).toEqual([host, false, undefined]);
    }
  });

  test("is shown the certificate that it asks for", async () => {
    const mutual = { requestCert: true, rejectUnauthorized: true, ca: authority.ca };
    const own = `cert_file: "${files.certFile}", key_file: "${files.keyFile}"`;
    const shown = await probed("app.example", `${trusted}, ${own}`, mutual);
    expect(shown).toEqual({ result: null, host: "app.example:PORT" });
    expect((await probed("app.example", trusted, mutual)).result).not.toBeNull();
  });
});

test("a target of a tls listener is probed over TLS if it is spoken to so", async () => {
  await using server = await httpsServer({ cert: files.cert, key: files.key });
  const target = `{ address: "app.example:${server.port}", tls: { ${trusted} } }`;
  expect(await probeOf("tls", target, server.port)).toBeNull();
  expect(server.hosts).toHaveLength(1);
});
