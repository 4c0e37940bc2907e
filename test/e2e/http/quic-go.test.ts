// HTTP/3 by quic-go's client, which nobody here wrote, at an http3 listener; behind it a server of Node's.

import { afterAll, expect } from "bun:test";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { Authority, type Issued } from "../../support/certificates.ts";
import { GoPeer } from "../../support/go-peer.ts";
import { HttpProxy } from "../../support/http-proxy.ts";
import { NodePeer } from "../../support/node-peer.ts";
import { testWith } from "../../support/programs.ts";
import { until } from "../../support/until.ts";
import { WireServer } from "../../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
const SECOND = authority.issue(["b.example"]);
const TRUST = ["-ca", authority.caFile];
afterAll(() => authority[Symbol.dispose]());

const TIMEOUT_MS = 120_000;
const WAIT_MS = 60_000;
const LARGE_BYTES = 32_000_000;

class Backend implements AsyncDisposable {
  readonly #server: Server;
  /** Paths of requests and answers that ended before their end. */
  readonly aborted: string[] = [];
  /** Bytes of bodies that never end, by path. */
  readonly begun: string[] = [];

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<Backend> {
    const backend = new Backend();
    const listening = Promise.withResolvers<void>();
    backend.#server.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    return backend;
  }

  get target(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url!;
    response.on("close", () => {
      if (!response.writableFinished) this.aborted.push(path);
    });
    request.on("error", () => {}); // `close` says it
    if (path === "/echo") request.pipe(response);
    else if (path === "/endless") response.write("begun");
    else if (path === "/unfinished") request.on("data", (part) => this.begun.push(String(part)));
    else if (path === "/trailers") answerTrailers(request, response);
    else response.end(JSON.stringify({ path, ...about(request) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** What of its head tests look at. */
function about({ headers }: IncomingMessage): object {
  return { early: headers["early-data"] ?? null };
}

function answerTrailers(request: IncomingMessage, response: ServerResponse): void {
  let body = "";
  request.on("data", (part) => (body += String(part)));
  request.on("end", () => {
    response.writeHead(200, { trailer: "x-answer" });
    response.write(JSON.stringify({ body, trailers: request.trailers }));
    response.addTrailers({ "x-answer": "def" });
    response.end();
  });
}

interface Stage {
  readonly backend: Backend;
  readonly proxy: HttpProxy;
}

const files = ({ certFile, keyFile }: Issued): object => ({
  cert_file: certFile,
  key_file: keyFile,
});

function h3Test(
  name: string,
  use: (stage: Stage) => Promise<void>,
  tls: object = files(OWN),
  keys: object = {},
): void {
  const run = async (): Promise<void> => {
    await using backend = await Backend.start();
    await using proxy = await HttpProxy.start({
      name: "http3",
      target: backend.target,
      tls,
      timeouts: { handshake: "60s" },
      ...keys,
    });
    await use({ backend, proxy });
  };
  testWith(["quic-peer", "openssl"], name, run, TIMEOUT_MS);
}

const addressOf = ({ address }: HttpProxy): string =>
  `127.0.0.1:${(address as { port: number }).port}`;
const at = ({ proxy }: Stage): string => addressOf(proxy);

const doing = (stage: Stage, action: string, ...flags: string[]): GoPeer =>
  new GoPeer("h3", ...TRUST, "-name", "a.example", "-do", action, ...flags, at(stage));

const AFTER = { status: 200, body: '{"path":"/after","early":null}' };

h3Test("trailers pass both ways", async (stage) => {
  await using peer = doing(stage, "trailers");
  const { status, body, trailers } = await peer.says();
  expect({ status, trailers }).toEqual({ status: 200, trailers: { "X-Answer": ["def"] } });
  expect(JSON.parse(String(body))).toEqual({ body: "a body", trailers: { "x-sum": "abc" } });
  expect(await peer.says()).toMatchObject(AFTER);
});

h3Test("an answer that a client wants no more of ends at its backend", async (stage) => {
  await using peer = doing(stage, "cancel");
  expect(await peer.says()).toEqual({ first: "begun" });
  expect(await peer.says()).toEqual({ cancelled: true });
  await until("the backend's end", () => stage.backend.aborted.includes("/endless"), WAIT_MS);
  peer.goOn();
  expect(await peer.says()).toMatchObject(AFTER);
});

h3Test("a body that a client breaks off is broken off at its backend", async (stage) => {
  await using peer = doing(stage, "break");
  await until("the beginning", () => stage.backend.begun.includes("begun"), WAIT_MS);
  peer.goOn();
  await until("the backend's end", () => stage.backend.aborted.includes("/unfinished"), WAIT_MS);
  peer.goOn();
  expect(await peer.says()).toMatchObject(AFTER);
});

testWith(
  ["quic-peer", "openssl", "node"],
  "a WebSocket is opened by extended CONNECT (RFC 9220)",
  async () => {
    await using server = await NodePeer.start<{ http1: number }>(
      new URL("./peers/ws-server.ts", import.meta.url),
    );
    const { http1 } = await server.says();
    const target = `127.0.0.1:${http1}`;
    await using proxy = await HttpProxy.start({ name: "http3", target, tls: files(OWN) });
    const flags = [...TRUST, "-name", "a.example", "-do", "websocket"];
    await using peer = new GoPeer("h3", ...flags, addressOf(proxy));
    expect(await peer.says()).toEqual({ extended: true });
    expect(await peer.says()).toEqual({ status: 200, opcode: 1, text: "hello" });
  },
  TIMEOUT_MS,
);

h3Test("a large body goes there and back, whole, through small windows", async (stage) => {
  await using peer = doing(stage, "large", "-bytes", String(LARGE_BYTES));
  expect(await peer.says()).toEqual({ bytes: LARGE_BYTES, same: true });
  expect(await peer.says()).toMatchObject(AFTER);
});

h3Test(
  "a safe request in early data is taken, and marked for its backend",
  async (stage) => {
    // One that is slow may ask when its handshake is over.
    await until("a request in early data", async () => {
      await using peer = doing(stage, "early");
      const first = '{"path":"/early","early":null}';
      expect(await peer.says()).toEqual({ used: false, status: 200, body: first });
      const second = await peer.says();
      expect(second).toMatchObject({ used: true, status: 200 });
      return JSON.parse(String(second.body)).early === "1";
    });
  },
  files(OWN),
  { early_data: true },
);

h3Test("early data is refused by default", async (stage) => {
  await using peer = doing(stage, "early");
  expect(await peer.says()).toMatchObject({ used: false, status: 200 });
  const second = await peer.says();
  expect(second.rejected ?? second.used === false).toBe(true);
});

h3Test(
  "certificates fit the name, and are exchanged while connections go on",
  async (stage) => {
    const { proxy } = stage;
    const named = (name: string, ...paths: string[]): GoPeer =>
      new GoPeer("get", ...TRUST, "-name", name, at(stage), ...paths);
    await using lasting = named("b.example", "/1", "-", "/2");
    expect(await lasting.says()).toMatchObject({ status: 200, names: ["b.example"] });
    await using other = named("a.example", "/");
    expect(await other.says()).toMatchObject({ status: 200, names: ["a.example"] });
    const renewed = authority.issue(["b.example", "c.example"]);
    await Bun.write(SECOND.certFile, renewed.cert);
    await Bun.write(SECOND.keyFile, renewed.key);
    proxy.proxy.reloadCertificates();
    const shown = async (): Promise<boolean> => {
      await using peer = named("c.example", "/");
      return "status" in (await peer.says());
    };
    await until("the new certificate", shown, WAIT_MS);
    lasting.goOn();
    expect(await lasting.says()).toMatchObject({ status: 200, names: ["b.example"] });
  },
  { certificates: [files(OWN), files(SECOND)] },
);

h3Test(
  "clients without a certificate of the authority are refused",
  async (stage) => {
    const known = authority.issue(["client.example"]);
    const shows = ["-cert", known.certFile, "-key", known.keyFile];
    const asking = (...flags: string[]): GoPeer =>
      new GoPeer("get", ...TRUST, "-name", "a.example", ...flags, at(stage), "/");
    await using welcome = asking(...shows);
    expect(await welcome.says()).toMatchObject({ status: 200 });
    await using refused = asking();
    expect((await refused.says()).error).toMatch(/certificate|CRYPTO_ERROR/);
  },
  { ...files(OWN), ca_file: authority.caFile, client_auth: "require" },
);

testWith(
  ["quic-peer", "openssl"],
  "a crowd has to prove its addresses, and who does is let in",
  async () => {
    await using target = await WireServer.echo();
    // Its flight is longer than what may be sent to whom has proved nothing.
    const names = Array.from({ length: 300 }, (_, i) => `name-${i}.a.example`);
    const { certFile, keyFile } = authority.issue(["a.example", ...names]);
    await using proxy = await HttpProxy.start({
      name: "http3",
      target: target.target,
      tls: { cert_file: certFile, key_file: keyFile },
      timeouts: { handshake: "60s" },
    });
    const flags = [...TRUST, "-name", "a.example", "-alpn", "h3", "-crowd", "320"];
    await using crowd = new GoPeer("crowd", ...flags, addressOf(proxy));
    const masses = (await crowd.saysOf("received")) as Record<string, number>;
    expect(masses.retries).toBeGreaterThan(0);
    expect(masses.received! / masses.sent!).toBeLessThanOrEqual(3);
    const { retries, alpn } = await crowd.says();
    expect(retries).toBeGreaterThan(0); // more, if it asked again before the first one came
    expect(alpn).toBe("h3");
  },
  TIMEOUT_MS,
);
