// Certificates for servers of the user's own, of a real authority: Pebble comes to the ports of node:http, node:tls and
// Bun.serve, and clients verify what they are shown.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { createSecureServer } from "node:http2";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer as createTlsServer } from "node:tls";

import {
  AutoManager,
  type AutoManagerConfig,
  type CustomDnsProvider,
  defaultAutoManager,
  ProxyError,
  quickSetup,
} from "../../src/index.ts";
import { compileAutoManager } from "../../src/library/auto-manager-config.ts";
import { freePort } from "../support/daemon.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../support/pebble.ts";
import { findProgram, testWith } from "../support/programs.ts";
import { until, within } from "../support/until.ts";

const acme = (name: string, run: () => Promise<void>): void => testWith(PEBBLE_PROGRAMS, name, run);

let pebble: Pebble;
let httpPort = 0;
let tlsPort = 0;
let storage = "";
const open: AsyncDisposable[] = [];

beforeAll(async () => {
  [httpPort, tlsPort] = [await freePort(), await freePort()];
  if (PEBBLE_PROGRAMS.some((each) => findProgram(each) === null)) return;
  pebble = await Pebble.start({ httpPort, tlsPort });
});
afterAll(() => pebble?.[Symbol.asyncDispose]());
beforeEach(() => void (storage = mkdtempSync(join(tmpdir(), "auto-manager-"))));
afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
  rmSync(storage, { recursive: true, force: true });
});

function managerOf(config: AutoManagerConfig = {}): AutoManager {
  const ca = [{ url: pebble.directory, rootFile: pebble.caFile }, "internal"];
  const said = [config.challenge].flat();
  const ports = {
    ...(said.includes("http-01") && { httpPort }),
    ...(said.includes("tls-alpn-01") && { tlsPort }),
  };
  const manager = new AutoManager({ ca, agreeTerms: true, storage, ...ports, ...config });
  open.push(manager);
  return manager;
}

async function listening<T extends Server | HttpServer>(server: T, port = 0): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, "127.0.0.1", () => resolve());
  await promise;
  open.push({
    async [Symbol.asyncDispose]() {
      server.close();
    },
  });
  return server;
}

const portOf = (server: Server | HttpServer): number => (server.address() as { port: number }).port;

/** What a client that trusts the authority is shown. */
async function shown(port: number, servername: string): Promise<X509Certificate> {
  const { promise, resolve, reject } = Promise.withResolvers<X509Certificate>();
  const ca = await pebble.root();
  const socket = connect({ port, host: "127.0.0.1", servername, ca, ALPNProtocols: ["http/1.1"] });
  socket.once("error", reject);
  socket.once("secureConnect", () => {
    const { raw } = socket.getPeerCertificate();
    socket.destroy();
    resolve(new X509Certificate(raw));
  });
  return within("a handshake", promise, 30_000);
}

acme(
  "a handshake waits for the first certificate, which is proven by the server of node:http",
  async () => {
    const manager = managerOf({ challenge: "http-01" });
    await listening(createHttpServer(manager.httpHandler()), httpPort);
    const server = await listening(createTlsServer(manager.tlsOptions()));
    await manager.addDomains("a.example.com", ["b.example.com", "c.example.com"]);
    expect(manager.domains).toEqual(["a.example.com", "b.example.com", "c.example.com"]);
    const certificate = await shown(portOf(server), "a.example.com");
    expect(certificate.subjectAltName).toBe("DNS:a.example.com");
    expect((await shown(portOf(server), "c.example.com")).subjectAltName).toContain(
      "DNS:b.example.com",
    );
    expect(manager.cacheStatus()["a.example.com"]).toMatchObject({ state: "valid", failures: 0 });
  },
);

acme(
  "the server of node:tls proves its names itself, and hands its sockets to node:http",
  async () => {
    const manager = managerOf({ challenge: "tls-alpn-01" });
    const web = createHttpServer((request, response) => response.end(`path ${request.url}`));
    await listening(
      createTlsServer(manager.tlsOptions(), (socket) => {
        socket.on("error", () => socket.destroy());
        web.emit("connection", socket);
      }),
      tlsPort,
    );
    await manager.addDomains("a.example.com");
    await manager.getCertificate("a.example.com");
    const ca = await pebble.root();
    const answer = await fetch(`https://127.0.0.1:${tlsPort}/x`, {
      headers: { host: "a.example.com" },
      tls: { ca, serverName: "a.example.com", checkServerIdentity: () => undefined },
    });
    expect(await answer.text()).toBe("path /x");
  },
);

acme(
  "without a server on the port, one is opened for as long as the authority may come",
  async () => {
    const manager = managerOf({
      domains: ["a.example.com"],
      challenge: ["tls-alpn-01", "http-01"],
    });
    const { cert, names } = await manager.getCertificate("a.example.com");
    expect([new X509Certificate(cert).subjectAltName, names]).toEqual([
      "DNS:a.example.com",
      ["a.example.com"],
    ]);
    await listening(createHttpServer(), tlsPort);
  },
);

acme("a port that another program has is named, and the next challenge is tried", async () => {
  await listening(createHttpServer(), httpPort);
  const manager = managerOf({ challenge: "http-01" });
  await manager.addDomains("a.example.com");
  const failed = await manager.getCertificate("a.example.com").catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(ProxyError);
  expect(String(failed)).toContain(
    `no listener answers on port ${httpPort}, and none can be opened for the challenge: another program listens there`,
  );
  const other = managerOf({
    challenge: ["http-01", "tls-alpn-01"],
    storage: join(storage, "other"),
  });
  await other.addDomains("b.example.com");
  await other.getCertificate("b.example.com").catch(() => {});
  await until(
    "another challenge has been tried",
    () => other.cacheStatus()["b.example.com"]?.state === "valid",
  );
});

acme("Bun.serve answers the challenge, and is told when there are other certificates", async () => {
  const manager = managerOf({ challenge: "http-01" });
  const changed = Promise.withResolvers<void>();
  manager.onChange(changed.resolve);
  await using _clear = Bun.serve({ port: httpPort, fetch: manager.fetchHandler() });
  await manager.addDomains("a.example.com");
  await within("a change", changed.promise, 30_000);
  await using server = Bun.serve({
    port: 0,
    tls: manager.bunTls(),
    fetch: () => new Response("hi"),
  });
  expect((await shown(server.port!, "a.example.com")).subjectAltName).toBe("DNS:a.example.com");
});

acme("what is renewed is shown to new handshakes, also of node:http2", async () => {
  const manager = managerOf({ domains: ["a.example.com"], challenge: "http-01" });
  const server = await listening(
    createSecureServer({ ...manager.tlsOptions(["h2", "http/1.1"]), allowHTTP1: true }),
  );
  const before = await shown(portOf(server), "a.example.com");
  await manager.renewAll();
  expect((await shown(portOf(server), "a.example.com")).serialNumber).toBe(before.serialNumber);
  await manager.renewAll({ force: true });
  expect((await shown(portOf(server), "a.example.com")).serialNumber).not.toBe(before.serialNumber);
});

acme("a certificate that is revoked is replaced", async () => {
  const manager = managerOf({ domains: ["a.example.com"], challenge: "http-01" });
  const { cert } = await manager.getCertificate("a.example.com");
  const { serialNumber } = new X509Certificate(cert);
  await manager.revoke("A.example.com.", "keyCompromise");
  expect(await pebble.status(serialNumber)).toMatchObject({ Status: "Revoked" });
  const isOther = async (): Promise<boolean> =>
    (await manager.getCertificate("a.example.com")).cert !== cert;
  await until("another certificate is there", isOther);
});

acme("what is in the folder is used by the next manager, without an order", async () => {
  const first = managerOf({ domains: ["a.example.com"], challenge: "http-01" });
  const { cert } = await first.getCertificate("a.example.com");
  await first.close();
  const second = managerOf({ domains: ["a.example.com"], challenge: "http-01" });
  expect((await second.getCertificate("a.example.com")).cert).toBe(cert);
  second.removeDomains("a.example.com");
  expect(second.domains).toEqual([]);
  const gone = await second.getCertificate("a.example.com").catch((error: unknown) => error);
  expect(gone).toMatchObject({ code: "ERR_STATE", cure: 'Call addDomains("a.example.com") first' });
});

describe("without an authority", () => {
  test("names that nobody signs are signed by this machine", async () => {
    await using manager = new AutoManager({ storage });
    await manager.addDomains("service-a.internal", "*.apps.internal", "10.0.0.1");
    const { cert, key } = await manager.getCertificate("x.apps.internal");
    expect(new X509Certificate(cert).subjectAltName).toBe("DNS:*.apps.internal");
    expect(key).toStartWith("-----BEGIN PRIVATE KEY-----");
    await manager.getCertificate("10.0.0.1");
    expect(manager.cacheStatus()["10.0.0.1"]!.authority).toBe("internal");
    await manager.addDomains("Service-A.internal.", "b.internal");
    expect(manager.domains.slice(2)).toEqual(["10.0.0.1", "b.internal"]);
  });

  test("mistakes are told of in the words of the library", async () => {
    const messageFor = (config: object): string => {
      try {
        return String(new AutoManager({ storage, ...config }));
      } catch (error) {
        return (error as ProxyError).message;
      }
    };
    expect(messageFor({ domains: ["example.com"] })).toBe(
      "agreeTerms: is missing. Read the terms (https://letsencrypt.org/repository/) and write agreeTerms: true",
    );
    expect(messageFor({ agreeTerms: true, domains: ["*.example.com"] })).toStartWith(
      'domains[0]: "*.example.com" is a wildcard, which only dns-01 proves. Write dnsProvider: ',
    );
    expect(messageFor({ agreeTerms: true, useDNS01: true })).toStartWith(
      "challenge: dns-01 needs dnsProvider: ",
    );
    expect(messageFor({ agreeTerms: true, emial: "a@example.com" })).toBe(
      'emial: unknown key. Did you mean "email"?',
    );
    expect(messageFor({ agreeTerms: true, dnsProvider: "route53", dns: { ttl: 0.5 } })).toStartWith(
      "dns.ttl: ",
    );
  });

  test("an authority may be exchanged, and names be added and removed, before anything is asked", async () => {
    await using manager = new AutoManager({ agreeTerms: true, storage });
    expect(() => manager.useZeroSSL()).toThrow(
      "email: is missing: zerossl makes accounts for an address",
    );
    expect(manager.useStaging().useProduction()).toBe(manager);
    const wrong = await manager.addDomains("https://example.com").catch((error: unknown) => error);
    expect(wrong).toMatchObject({ code: "ERR_USAGE" });
    expect(manager.domains).toEqual([]);
    await manager.close();
    expect(manager.addDomains("localhost")).rejects.toMatchObject({ code: "ERR_STATE" });
  });

  test("a DNS provider of one's own proves wildcards, and goes by its own name", async () => {
    const dnsProvider: CustomDnsProvider = {
      name: "ours",
      add: async (name, value) => ({ name, value, zone: "example.com", id: "1" }),
      remove: async () => {},
      find: async () => [],
    };
    const config = { agreeTerms: true, storage, dnsProvider };
    expect(compileAutoManager(config, ["*.example.com"])).toMatchObject({
      certificates: [["*.example.com"]],
      challenges: ["dns-01", "http-01", "tls-alpn-01"],
      dns: { provider: "ours" },
    });
    await using manager = new AutoManager({ ...config, useDNS01: true });
    expect(manager.domains).toEqual([]);
  });

  test("the short forms agree to the terms", async () => {
    const before = process.cwd();
    process.chdir(storage);
    try {
      await using manager = await quickSetup("ops@example.com", "service-a.internal");
      expect(manager.domains).toEqual(["service-a.internal"]);
      await using other = defaultAutoManager("ops@example.com");
      expect(other.useZeroSSL().domains).toEqual([]);
    } finally {
      process.chdir(before);
    }
  });
});
