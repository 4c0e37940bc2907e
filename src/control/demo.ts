// The backends of `proxy demo`: an HTTP server and a TCP echo server on free loopback ports, inside this process, so that
// there is something to forward to with nothing to set up. Called by commands/demo.ts.

import { createServer, type Server, type Socket } from "node:net";

import { parseSize } from "../config/units.ts";
import type { Endpoint } from "../shared/address.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import { DEMO_PAGE } from "./demo-page.ts";

/** The most that /bytes sends: ten seconds' worth on a fast machine. */
const BYTES_MAX = 16 * 1024 ** 3;
const CHUNK_BYTES = 256 * 1024;
const HOST = "127.0.0.1";

export interface DemoBackends extends AsyncDisposable {
  readonly http: Endpoint & { kind: "tcp" };
  readonly echo: Endpoint & { kind: "tcp" };
}

/** @throws ProxyError ERR_LISTEN if loopback has no free port. */
export async function startDemoBackends(): Promise<DemoBackends> {
  const http = Bun.serve({
    hostname: HOST,
    port: 0,
    routes: { "/": page, "/headers": headers, "/bytes": bytes },
    fetch: notFound,
  });
  const sockets = new Set<Socket>();
  const echo = await startEcho(sockets);
  return {
    http: { kind: "tcp", host: HOST, port: http.port! },
    echo: { kind: "tcp", host: HOST, port: portOf(echo) },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      echo.close();
      await http.stop(true);
    },
  };
}

async function startEcho(sockets: Set<Socket>): Promise<Server> {
  // Half-open, so that a client that has finished sending still gets all of it back.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy()); // the client's reset is the client's business
    socket.pipe(socket);
  });
  const opened = Promise.withResolvers<void>();
  server.once("error", opened.reject);
  server.listen(0, HOST, opened.resolve);
  try {
    await opened.promise;
  } catch (cause) {
    throw new ProxyError("ERR_LISTEN", `the echo server cannot listen: ${messageOf(cause)}`, {
      cause,
    });
  }
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new ProxyError("ERR_STATE", "the echo server is closed");
  return address.port;
}

function page(): Response {
  return new Response(DEMO_PAGE, { headers: { "content-type": "text/html; charset=utf-8" } });
}

/** What the backend sees of a request, and from where. */
function headers(request: Request, server: Bun.Server<undefined>): Response {
  const from = server.requestIP(request);
  const seen = {
    method: request.method,
    url: request.url,
    connectedFrom: from === null ? null : `${from.address}:${from.port}`,
    headers: Object.fromEntries(request.headers),
  };
  return new Response(`${JSON.stringify(seen, null, 2)}\n`, {
    headers: { "content-type": "application/json" },
  });
}

/** `/bytes?n=100MB`: that many bytes, as fast as they are taken. */
function bytes(request: Request): Response {
  const wanted = new URL(request.url).searchParams.get("n") ?? "1MB";
  let left: number;
  try {
    left = parseSize(wanted);
  } catch (error) {
    return new Response(`${messageOf(error)}\n`, { status: 400 });
  }
  if (left > BYTES_MAX) return new Response(`at most ${BYTES_MAX} bytes\n`, { status: 400 });
  const length = left;
  const chunk = new Uint8Array(CHUNK_BYTES);
  const body = new ReadableStream({
    pull(controller) {
      if (left === 0) return controller.close();
      const part = Math.min(left, CHUNK_BYTES);
      controller.enqueue(part === CHUNK_BYTES ? chunk : chunk.subarray(0, part));
      left -= part;
    },
  });
  return new Response(body, {
    headers: { "content-type": "application/octet-stream", "content-length": String(length) },
  });
}

function notFound(): Response {
  return new Response("Here are /, /headers and /bytes?n=100MB\n", { status: 404 });
}
