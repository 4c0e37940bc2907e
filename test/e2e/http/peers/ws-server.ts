// WebSocket servers of `ws` on Node.js that echo: over HTTP/1.1, and over HTTP/2 in clear (RFC 8441). They take the protocol
// `chat`; `/no` is refused with 403, `/ping` pings as soon as it is open, and the text `close CODE REASON` closes. It says its
// ports first, then what each connection was asked with and how it closed.

import { createServer, type IncomingHttpHeaders } from "node:http";
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders as IncomingHttp2Headers,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";

import { type WebSocket, WebSocketServer } from "ws";

import { listen, say } from "./conversation.ts";
import { overStream } from "./over-stream.ts";

function serve(socket: WebSocket, path: string, fields: IncomingHttpHeaders): void {
  say({ opened: { path, fields } });
  if (path === "/ping") socket.ping("are you there?");
  socket.on("pong", (data) => say({ pong: data.toString() }));
  socket.on("message", (data, isBinary) => {
    const text = isBinary ? "" : (data as Buffer).toString();
    const [, code, reason] = /^close (\d+) (.*)$/.exec(text) ?? [];
    if (code === undefined) socket.send(data, { binary: isBinary });
    else socket.close(Number(code), reason);
  });
  socket.on("close", (code, reason) => say({ closed: { code, reason: reason.toString() } }));
  socket.on("error", (error) => say({ error: error.message }));
}

const http1 = createServer();
const server = new WebSocketServer({
  noServer: true,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (protocols) => protocols.has("chat") && "chat",
  maxPayload: 64 * 1024 * 1024,
});
http1.on("upgrade", (request, socket, head) => {
  if (request.url === "/no") {
    socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    return;
  }
  server.handleUpgrade(request, socket, head, (opened) =>
    serve(opened, request.url!, request.headers),
  );
});

const http2 = createHttp2Server({ settings: { enableConnectProtocol: true } });
http2.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttp2Headers) => {
  stream.on("error", (error) => say({ error: error.message }));
  const path = headers[":path"]!;
  if (headers[":method"] !== "CONNECT" || headers[":protocol"] !== "websocket" || path === "/no") {
    stream.respond({ ":status": 403 });
    stream.end("no");
    return;
  }
  const chat = headers["sec-websocket-protocol"] === "chat";
  stream.respond({ ":status": 200, ...(chat && { "sec-websocket-protocol": "chat" }) });
  serve(overStream(stream, true), path, headers);
});

http1.listen(0, "127.0.0.1", () =>
  http2.listen(0, "127.0.0.1", () =>
    say({
      http1: (http1.address() as AddressInfo).port,
      http2: (http2.address() as AddressInfo).port,
    }),
  ),
);
listen(() => {});
