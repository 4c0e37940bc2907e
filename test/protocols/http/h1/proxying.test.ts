// Server and backend over real sockets, between clients and servers that no one here wrote: node's, and curl.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import * as http from "node:http";

import { streamBytes } from "../../../support/bytes.ts";
import { program, testWith } from "../../../support/programs.ts";
import { until, within } from "../../../support/until.ts";
import { Wire, WireServer } from "../../../support/wire.ts";
import { MiniProxy } from "./support/mini-proxy.ts";

/** Answers by path; what it was asked is in `seen`. */
const seen: { method: string; url: string; headers: http.IncomingHttpHeaders; body: Buffer }[] = [];
const backend = http.createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    seen.push({ method: request.method!, url: request.url!, headers: request.headers, body });
    answer(request, response, body);
  });
});

function answer(request: http.IncomingMessage, response: http.ServerResponse, body: Buffer): void {
  switch (request.url) {
    case "/chunked":
      response.write("one,");
      setImmediate(() => response.end("two"));
      return;
    case "/trailers":
      response.writeHead(200, { Trailer: "X-Sum" });
      response.write("body");
      response.addTrailers({ "X-Sum": "42" });
      response.end();
      return;
    case "/hints":
      response.writeEarlyHints({ link: "</style.css>; rel=preload" });
      response.end("hinted");
      return;
    case "/none":
      response.writeHead(204);
      response.end();
      return;
    case "/sum":
      response.end(createHash("sha256").update(body).digest("hex"));
      return;
    case "/large":
      response.writeHead(200, { "Content-Length": LARGE });
      response.end(Buffer.concat([streamBytes(1, 0, 1_000_000), streamBytes(2, 0, 1_000_000)]));
      return;
    default:
      response.setHeader("X-Seen", request.method!);
      response.end(body.length > 0 ? body : "hello");
  }
}

const LARGE = 2_000_000;
let proxy: MiniProxy;

beforeAll(async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  backend.listen(0, "127.0.0.1", resolve);
  await promise;
  proxy = new MiniProxy({ kind: "ip", host: "127.0.0.1", port: portOf(backend) });
});

afterAll(() => {
  proxy[Symbol.dispose]();
  backend.closeAllConnections();
  backend.close();
});

function portOf(server: http.Server): number {
  return (server.address() as { port: number }).port;
}

interface Answered {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
  readonly hints: string[];
}

/** By node's client. */
function ask(
  options: http.RequestOptions,
  body: string | Buffer = "",
  port = proxy.port,
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const hints: string[] = [];
    const request = http.request({ host: "127.0.0.1", port, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status = 0, headers, trailers } = response;
        resolve({ status, headers, trailers, body: Buffer.concat(chunks), hints });
      });
    });
    request.on("information", ({ headers }) => hints.push(String(headers.link)));
    request.on("error", reject);
    request.end(body);
  });
}

describe("node's client and server", () => {
  test("a request and its answer, with their fields as they came", async () => {
    const { status, headers, body } = await ask({
      path: "/a?b=c",
      headers: { "X-Mixed-Case": "v" },
    });
    expect([status, headers["x-seen"], body.toString()]).toEqual([200, "GET", "hello"]);
    const { url, headers: asked } = seen.pop()!;
    expect([url, asked["x-mixed-case"], asked.host]).toEqual([
      "/a?b=c",
      "v",
      `127.0.0.1:${proxy.port}`,
    ]);
    expect(asked.connection).toBeUndefined();
  });

  test("a hundred requests on one connection use one connection to the backend", async () => {
    using own = new MiniProxy({ kind: "ip", host: "127.0.0.1", port: portOf(backend) });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 100; i++) {
      const { body } = await ask({ path: `/${i}`, agent }, "", own.port);
      expect(body.toString()).toBe("hello");
    }
    expect([own.servers.size, own.connections]).toEqual([1, 1]);
    agent.destroy();
  });

  test.each(["/chunked", "/trailers", "/none", "/large"])("an answer of kind %s", async (path) => {
    const { status, body, trailers } = await ask({ path });
    if (path === "/chunked") expect(body.toString()).toBe("one,two");
    if (path === "/trailers") expect([body.toString(), trailers["x-sum"]]).toEqual(["body", "42"]);
    if (path === "/none") expect([status, body.length]).toEqual([204, 0]);
    if (path === "/large") expect(body.length).toBe(LARGE);
  });

  test("HEAD is answered with the length that GET would have, and no body", async () => {
    const { headers, body } = await ask({ method: "HEAD", path: "/large" });
    expect([headers["content-length"], body.length]).toEqual([String(LARGE), 0]);
  });

  test("early hints are passed on", async () => {
    const { hints, body } = await ask({ path: "/hints" });
    expect(hints).toEqual(["</style.css>; rel=preload"]);
    expect(body.toString()).toBe("hinted");
  });

  test("a body with a length, and one in chunks", async () => {
    const body = Buffer.concat([streamBytes(5, 0, 1_000_000), streamBytes(6, 0, 900_000)]);
    const sum = createHash("sha256").update(body).digest("hex");
    const withLength = await ask(
      { method: "POST", path: "/sum", headers: { "Content-Length": body.length } },
      body,
    );
    expect(withLength.body.toString()).toBe(sum);
    const chunked = await ask(
      { method: "POST", path: "/sum", headers: { "Transfer-Encoding": "chunked" } },
      body,
    );
    expect(chunked.body.toString()).toBe(sum);
  });
});

const CURL_MS = 30_000;

async function curl(args: string[], input = ""): Promise<string> {
  const child = Bun.spawn([program("curl"), "-sS", "--max-time", "20", ...args], {
    stdin: Buffer.from(input),
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(err);
  return out;
}

describe("curl", () => {
  testWith(
    ["curl"],
    "an upload that waits for 100 is told to go on",
    async () => {
      const url = `http://127.0.0.1:${proxy.port}/sum`;
      const body = "x".repeat(2_000_000);
      const out = await curl(
        ["-v", "--stderr", "-", "-H", "Expect: 100-continue", "-d", "@-", url],
        body,
      );
      expect(out).toContain("HTTP/1.1 100 Continue");
      expect(out.match(/HTTP\/1\.1 100/g)).toHaveLength(1);
      expect(out).toContain(createHash("sha256").update(body).digest("hex"));
    },
    CURL_MS,
  );

  testWith(
    ["curl"],
    "HTTP/1.0 gets a body that ends with the connection",
    async () => {
      const url = `http://127.0.0.1:${proxy.port}/chunked`;
      const out = await curl(["-i", "--http1.0", url]);
      expect(out).toStartWith("HTTP/1.1 200 OK\r\n");
      expect(out).not.toContain("chunked\r\n");
      expect(out).toContain("Connection: close\r\n");
      expect(out).toEndWith("\r\n\r\none,two");
    },
    CURL_MS,
  );

  testWith(
    ["curl"],
    "several answers on one connection, trailers among them",
    async () => {
      const url = `http://127.0.0.1:${proxy.port}`;
      const out = await curl(["-i", "-w", "%{num_connects}", `${url}/trailers`, `${url}/chunked`]);
      expect(out).toEndWith("one,two0");
      expect(out).toContain("\r\n\r\nbodyX-Sum: 42\r\n");
    },
    CURL_MS,
  );
});

describe("what raw sockets show", () => {
  test("an upgrade is a tunnel with ends of its own in each direction", async () => {
    await using target = await WireServer.listen();
    using own = new MiniProxy({ kind: "ip", host: "127.0.0.1", port: target.port });
    const client = await Wire.connect({ host: "127.0.0.1", port: own.port });
    await client.write(
      "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nearly",
    );
    const server = await within("the backend's client", target.accept());
    const asked =
      "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    expect(await server.readHead(asked.length)).toBe(asked);
    await server.write(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX-A: b\r\n\r\nfirst ",
    );
    const answered =
      "HTTP/1.1 101 Switching Protocols\r\nX-A: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    expect(await client.readHead(answered.length)).toBe(answered);
    client.end();
    expect(await server.readAll()).toBe("early");
    await server.write("and last");
    server.end();
    expect(await client.readAll()).toBe("first and last");
    await until("the server is gone", () => own.told[0]!.gone.length === 1);
    expect(own.told[0]!.gone).toEqual([null]);
  });

  test("a slow reader stops the backend, and gets all", async () => {
    await using target = await WireServer.listen();
    using own = new MiniProxy({ kind: "ip", host: "127.0.0.1", port: target.port });
    const client = await Wire.connect({ host: "127.0.0.1", port: own.port });
    client.socket.pause();
    await client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const server = await within("the backend's client", target.accept());
    const length = 64 * 1024 * 1024;
    await server.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
    let sent = 0;
    const sending = server.sendStream(3, length).then(() => (sent = length));
    await until("the backend waits", () => server.socket.writableLength > 0);
    expect(sent).toBe(0);
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`;
    client.socket.resume();
    expect(await client.readHead(head.length)).toBe(head);
    let received = 0;
    client.onData((chunk) => (received += chunk.length));
    await sending;
    await until("all of it", () => received === length);
    client.destroy();
  });

  test("a client that goes away takes its request to the backend with it", async () => {
    await using target = await WireServer.listen();
    using own = new MiniProxy({ kind: "ip", host: "127.0.0.1", port: target.port });
    const client = await Wire.connect({ host: "127.0.0.1", port: own.port });
    await client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart");
    const server = await within("the backend's client", target.accept());
    await server.readBytes(20);
    client.reset();
    expect(await within("the reset", server.ending)).toBe("ECONNRESET");
  });

  test("a backend that goes away in the middle of an answer cuts the client off", async () => {
    await using target = await WireServer.listen();
    using own = new MiniProxy({ kind: "ip", host: "127.0.0.1", port: target.port });
    const client = await Wire.connect({ host: "127.0.0.1", port: own.port });
    await client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const server = await within("the backend's client", target.accept());
    await server.readBytes(20);
    await server.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
    server.end();
    expect(await within("the cut", client.ending)).toBe("ECONNRESET");
  });
});
