// @connectrpc/connect-web, through the proxy, to a server of @grpc/grpc-js that knows gRPC alone.

import { describe, expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { WebClient } from "../../support/connect-web.ts";
import { curl, WAYS } from "../../support/curl.ts";
import { freePort } from "../../support/daemon.ts";
import { Gateway } from "../../support/gateway.ts";
import { type GrpcServer, startGrpcServer } from "../../support/grpc.ts";
import { type Program, testWith } from "../../support/programs.ts";

const CANCELED = 1;
const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;
const APP = "https://app.example.com";
const ORIGINS = { grpc_web_origins: [APP] };

function testGateway(
  name: string,
  run: (gateway: Gateway, server: GrpcServer) => Promise<void>,
  programs: readonly Program[] = [],
): void {
  testWith(["node", "openssl", ...programs], name, async () => {
    await using server = await startGrpcServer();
    const target = `h2c://127.0.0.1:${server.port}`;
    await using gateway = await Gateway.start({ target, ...ORIGINS }, { complains: true });
    await run(gateway, server);
  });
}

function testCalls(
  name: string,
  run: (client: WebClient, server: GrpcServer, url: string) => Promise<void>,
): void {
  testGateway(name, ({ port }, server) => {
    const url = `http://127.0.0.1:${port}`;
    return run(new WebClient(url), server, url);
  });
}

describe("a call of gRPC-Web", () => {
  testCalls("gets its answer with metadata and trailers", async (client) => {
    const headers = { "x-say": "plain text", "x-user-agent": "test/1" };
    const outcome = await client.unary("héllo ☃", { headers });
    expect([outcome.code, outcome.texts]).toEqual([0, ["héllo ☃"]]);
    expect(outcome.headers).toMatchObject({ "x-said": "plain text", "x-agent": "test/1" });
    expect(outcome.trailers).toMatchObject({ "x-said-last": "plain text" });
  });

  testCalls("may be of any size", async (client) => {
    for (const length of [0, 1, 100_000, 3_000_000]) {
      const text = "0123456789".repeat(length).slice(0, length);
      const { code, texts } = await client.unary(text);
      expect([code, texts[0] === text]).toEqual([0, true]);
    }
  });

  testCalls("fails with the status and the words of the server", async (client) => {
    const details = "nicht gefunden: ü, ☃ and 100%";
    for (const status of [3, 5, 13, 16]) {
      const headers = { "x-status": String(status), "x-details": encodeURIComponent(details) };
      const outcome = await client.unary("x", { headers: { ...headers, "x-say": "kept" } });
      expect([outcome.code, outcome.message]).toEqual([status, details]);
      expect(outcome.trailers).toMatchObject({ "x-said-last": "kept" });
    }
  });

  testCalls("streams: each message arrives before the next is sent", async (client, server) => {
    const step = (): void => server.peer.tell({ step: true });
    const headers = { "x-count": "5", "x-step": "1", "x-say": "go" };
    const outcome = await client.down("tick", { headers, began: step, received: step });
    expect([outcome.code, outcome.texts]).toEqual([0, Array(5).fill("tick")]);
    expect(outcome.trailers).toMatchObject({ "x-said-last": "go" });
  });

  testCalls("streams 20 MB", async (client) => {
    const text = "0123456789".repeat(10_000);
    const { code, texts } = await client.down(text, { headers: { "x-count": "200" } });
    expect([code, texts.length]).toEqual([0, 200]);
    expect(texts.every((each) => each === text)).toBe(true);
  });

  testCalls("streams messages, then fails with the status", async (client) => {
    const headers = { "x-count": "3", "x-status": "8", "x-details": "enough" };
    const { code, message, texts } = await client.down("m", { headers });
    expect([code, message, texts]).toEqual([8, "enough", ["m", "m", "m"]]);
  });

  testCalls("takes its deadline to the server, which hears of its end", async (client, server) => {
    const outcome = await client.unary("x", { headers: { "x-hang": "1" }, timeoutMs: 700 });
    expect(outcome.code).toBe(DEADLINE_EXCEEDED);
    expect(await server.peer.says()).toMatchObject({ cancelled: "Unary" });
    const { headers } = await client.unary("x", { timeoutMs: 60_000 });
    expect(Number(headers["x-left-ms"])).toBeGreaterThan(50_000);
    expect(Number(headers["x-left-ms"])).toBeLessThanOrEqual(60_000);
  });

  testCalls("is cancelled at the server when the client leaves", async (client, server) => {
    const leaving = new AbortController();
    const headers = { "x-count": "2", "x-step": "1", "x-say": "go" };
    const { signal } = leaving;
    const outcome = await client.down("x", { headers, signal, began: () => leaving.abort() });
    expect(outcome.code).toBe(CANCELED);
    expect(await server.peer.says()).toMatchObject({ cancelled: "Down" });
  });

  testWith(["node", "openssl"], "is told that a server cannot be reached", async () => {
    const target = `h2c://127.0.0.1:${await freePort()}`;
    await using gateway = await Gateway.start({ target }, { complains: true });
    const client = new WebClient(`http://127.0.0.1:${gateway.port}`);
    expect((await client.unary("x")).code).toBe(UNAVAILABLE);
  });
});

/** A message with its length before it; of text in Base64. */
function framed(message: string, text: boolean): Uint8Array {
  const frame = Buffer.concat([Buffer.alloc(5), Buffer.from(message)]);
  frame.writeUInt32BE(message.length, 1);
  return text ? Buffer.from(frame.toString("base64")) : frame;
}

/** Of a body of text: each segment is padded for itself. */
function decoded(body: Buffer): Buffer {
  const segments = body.toString("latin1").match(/[^=]+=*/g) ?? [];
  return Buffer.concat(segments.map((segment) => Buffer.from(segment, "base64")));
}

describe("bytes as they are on the wire", () => {
  for (const way of WAYS) {
    for (const form of ["grpc-web", "grpc-web-text"]) {
      const run = async (gateway: Gateway): Promise<void> => {
        const isText = form === "grpc-web-text";
        const [asked, got] = ["asked", "got"].map((name) => join(gateway.folder, name));
        writeFileSync(asked!, framed("hello", isText));
        const type = `application/${form}+proto`;
        const fields = [`content-type: ${type}`, "x-grpc-web: 1", `accept: ${type}`];
        const flags = fields.flatMap((field) => ["-H", field]);
        const about = ["-o", got!, "-w", "%{http_version} %{response_code} %{content_type}"];
        const path = "/test.Echo/Unary";
        const { stdout } = await curl(
          way,
          gateway,
          path,
          ...flags,
          "--data-binary",
          `@${asked}`,
          ...about,
        );
        expect(stdout).toBe(`${way.version} 200 ${type}`);
        const raw = readFileSync(got!);
        const body = isText ? decoded(raw) : raw;
        const message = framed("hello", false);
        expect(body.subarray(0, message.length).equals(message)).toBe(true);
        const trailers = body.subarray(message.length);
        expect([trailers[0], trailers.readUInt32BE(1)]).toEqual([0x80, trailers.length - 5]);
        expect(trailers.subarray(5).toString()).toMatch(/^grpc-status: ?0\r$/m);
      };
      testGateway(`${form} by ${way.name}: the message, and the trailers as a frame`, run, [
        "curl",
      ]);
    }
  }
});

describe("pages of other origins", () => {
  testCalls("may call if they are named, and are told so first", async (_client, _server, url) => {
    const wanted = {
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type,x-grpc-web",
    };
    const ask = (origin: string): Promise<Response> =>
      fetch(`${url}/test.Echo/Unary`, { method: "OPTIONS", headers: { ...wanted, origin } });
    const allowed = await ask(APP);
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe(APP);
    const other = await ask("https://other.example.com");
    expect(other.status).toBe(403);
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
  });

  testCalls("may read the answer", async (_client, _server, url) => {
    const answer = await fetch(`${url}/test.Echo/Unary`, {
      method: "POST",
      headers: {
        origin: APP,
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        "x-say": "hi",
      },
      body: new Uint8Array(5),
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("access-control-allow-origin")).toBe(APP);
    expect(answer.headers.get("access-control-expose-headers")).toContain("x-said");
    expect(Buffer.from(await answer.arrayBuffer()).toString()).toContain("grpc-status:0");
  });
});
