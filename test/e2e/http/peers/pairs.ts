// HTTP/1.1 and HTTP/2 of Node.js, as clients and as backends of pairs.test.ts: see pairs/protocol.ts. It says the backends' ports
// first; then each request that it is told to make is answered by what came of it, and each answer that nobody wants any more
// is told as `cancelled`. Run as `pairs CERTIFICATE KEY`.

import { readFileSync } from "node:fs";
import { createServer as createH1, type IncomingMessage, type ServerResponse } from "node:http";
import * as h2 from "node:http2";
import { request as requestH1 } from "node:https";
import type { Server } from "node:net";

import {
  type Answer,
  type Ask,
  bytesOf,
  CUT,
  EMPTY,
  HINTS,
  LENGTH,
  PART,
  Sum,
} from "../pairs/protocol.ts";
import { listen, say } from "./conversation.ts";

const [certFile, keyFile] = process.argv.slice(2) as [string, string];

// Backends.

/** What the two versions have in common, so that each thing is done once. */
interface Exchange {
  head(status: number, length: number, trailers: boolean): void;
  hints(): void;
  write(bytes: Buffer): boolean;
  onDrain(then: () => void): void;
  end(trailers: Record<string, string>): void;
  cut(): void;
  onData(take: (chunk: Buffer) => boolean, end: (trailers: Record<string, unknown>) => void): void;
  resume(): void;
  onGone(then: () => void): void;
}

function serve(name: string, head: boolean, exchange: Exchange): void {
  switch (name) {
    case "echo":
    case "trailers":
      return echo(exchange, name === "trailers");
    case "hints":
      exchange.hints();
      exchange.head(200, HINTS.length, false);
      exchange.write(Buffer.from(HINTS));
      return exchange.end({});
    case "length":
      exchange.head(200, LENGTH, false);
      if (!head) exchange.write(bytesOf(LENGTH));
      return exchange.end({});
    case "cut":
      exchange.head(200, CUT + 1, false);
      exchange.write(bytesOf(CUT));
      return exchange.cut();
    default:
      return endless(exchange);
  }
}

function echo(exchange: Exchange, withTrailers: boolean): void {
  const sum = new Sum();
  exchange.head(200, -1, withTrailers);
  exchange.onData(
    (chunk) => {
      sum.add(chunk);
      return exchange.write(chunk);
    },
    (trailers) => {
      const last = { "x-sum": sum.hex(), "x-asked": String(trailers["x-t"] ?? "") };
      exchange.end(withTrailers ? last : {});
    },
  );
  exchange.onDrain(() => exchange.resume());
}

function endless(exchange: Exchange): void {
  let gone = false;
  exchange.head(200, -1, false);
  exchange.onGone(() => {
    gone = true;
    say({ cancelled: "endless" });
  });
  const part = Buffer.alloc(PART);
  const more = (): void => {
    while (!gone && exchange.write(part));
  };
  exchange.onDrain(more);
  more();
}

const lastOf = (path: string): string => path.split("/").at(-1)!;

function onH1(request: IncomingMessage, response: ServerResponse): void {
  serve(lastOf(request.url!), request.method === "HEAD", {
    head: (status, length, trailers) =>
      void response.writeHead(status, {
        ...(length >= 0 ? { "content-length": length } : {}),
        ...(trailers ? { trailer: "x-sum, x-asked" } : {}),
      }),
    hints: () => response.writeEarlyHints({ link: "</a.css>; rel=preload" }),
    write: (bytes) => response.write(bytes),
    onDrain: (then) => void response.on("drain", then),
    end: (trailers) => {
      if (Object.keys(trailers).length > 0) response.addTrailers(trailers);
      response.end();
    },
    cut: () => void setImmediate(() => response.socket!.end()),
    onData: (take, end) => {
      request.on("data", (chunk: Buffer) => void (take(chunk) || request.pause()));
      request.on("end", () => end(request.trailers));
    },
    resume: () => void request.resume(),
    onGone: (then) => void response.on("close", then),
  });
}

function onH2(stream: h2.ServerHttp2Stream, headers: h2.IncomingHttpHeaders): void {
  let asked: Record<string, unknown> = {};
  let last: Record<string, string> = {};
  stream.on("error", () => {});
  stream.on("trailers", (trailers) => void (asked = trailers));
  stream.on("wantTrailers", () => stream.sendTrailers(last));
  serve(lastOf(headers[":path"]!), headers[":method"] === "HEAD", {
    head: (status, length, trailers) =>
      stream.respond(
        { ":status": status, ...(length >= 0 ? { "content-length": length } : {}) },
        { waitForTrailers: trailers },
      ),
    hints: () => stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" }),
    write: (bytes) => stream.write(bytes),
    onDrain: (then) => void stream.on("drain", then),
    end: (trailers) => {
      last = trailers;
      stream.end();
    },
    cut: () => void setImmediate(() => stream.close(h2.constants.NGHTTP2_INTERNAL_ERROR)),
    onData: (take, end) => {
      stream.on("data", (chunk: Buffer) => void (take(chunk) || stream.pause()));
      stream.on("end", () => end(asked));
    },
    resume: () => void stream.resume(),
    onGone: (then) => void stream.on("close", then),
  });
}

function open(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}

// Clients.

function ask(version: string, port: number, asked: Ask): Promise<Answer> {
  return version === "h1" ? askH1(port, asked) : askH2(port, asked);
}

/** Node.js 20 has no Promise.withResolvers. */
function deferred(): { promise: Promise<Answer>; resolve: (answer: Answer) => void } {
  let resolve!: (answer: Answer) => void;
  const promise = new Promise<Answer>((settle) => (resolve = settle));
  return { promise, resolve };
}

function askH1(port: number, { method, path, bytes, trailers, cancelAfter }: Ask): Promise<Answer> {
  const { promise, resolve } = deferred();
  const answer: Answer = { ...EMPTY, informational: [] };
  const sum = new Sum();
  const done = (): void => resolve({ ...answer, bytes: sum.bytes, sha256: sum.hex() });
  const body = bytes > 0 || trailers;
  const headers = {
    te: "trailers",
    ...(body ? { "transfer-encoding": "chunked", trailer: "x-t" } : {}),
  };
  const options = { host: "127.0.0.1", port, method, path, headers, rejectUnauthorized: false };
  const request = requestH1({ ...options, agent: false });
  request.on("information", ({ statusCode }) => answer.informational.push(statusCode));
  request.on("error", done);
  request.on("response", (response) => {
    answer.status = response.statusCode!;
    answer.length = response.headers["content-length"] ?? "";
    response.on("data", (chunk: Buffer) => {
      sum.add(chunk);
      if (cancelAfter >= 0 && sum.bytes >= cancelAfter) request.destroy();
    });
    response.on("end", () => {
      answer.whole = response.complete;
      answer.trailers = response.trailers as Record<string, string>;
      done();
    });
    response.on("error", done);
    response.on("close", done);
  });
  if (bytes > 0) request.write(bytesOf(bytes));
  if (trailers) request.addTrailers({ "x-t": "asked" });
  request.end();
  return promise;
}

function askH2(port: number, { method, path, bytes, trailers, cancelAfter }: Ask): Promise<Answer> {
  const { promise, resolve } = deferred();
  const answer: Answer = { ...EMPTY, informational: [] };
  const sum = new Sum();
  const session = h2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on("error", () => {});
  const endStream = bytes === 0 && !trailers;
  const stream = session.request(
    { ":method": method, ":path": path, te: "trailers" },
    { endStream, waitForTrailers: trailers },
  );
  stream.on("headers", (headers) => answer.informational.push(Number(headers[":status"])));
  stream.on("response", (headers) => {
    answer.status = Number(headers[":status"]);
    answer.length = headers["content-length"] ?? "";
  });
  stream.on("data", (chunk: Buffer) => {
    sum.add(chunk);
    if (cancelAfter >= 0 && sum.bytes >= cancelAfter) stream.close(h2.constants.NGHTTP2_CANCEL);
  });
  stream.on("trailers", (headers) => {
    for (const [name, value] of Object.entries(headers)) answer.trailers[name] = String(value);
  });
  answer.trailers = {};
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-t": "asked" }));
  stream.on("end", () => void (answer.whole = stream.rstCode === 0));
  stream.on("error", () => void (answer.whole = false));
  stream.on("close", () => {
    session.destroy();
    resolve({ ...answer, bytes: sum.bytes, sha256: sum.hex() });
  });
  if (!endStream) stream.end(bytes > 0 ? bytesOf(bytes) : undefined);
  return promise;
}

const secure = { cert: readFileSync(certFile), key: readFileSync(keyFile) };

async function main(): Promise<void> {
  const [h1, h2c, h2s] = [createH1(onH1), h2.createServer(), h2.createSecureServer(secure)];
  for (const server of [h2c, h2s]) server.on("stream", onH2);
  say({ ports: { h1: await open(h1), h2c: await open(h2c), h2: await open(h2s) } });
  listen((message) => {
    const { version, port, asked } = message as { version: string; port: number; asked: Ask };
    void ask(version, port, asked).then((answer) => say({ answer }));
  });
}

void main();
