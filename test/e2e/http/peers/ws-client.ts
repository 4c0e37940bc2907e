// A WebSocket client of `ws` on Node.js: over HTTP/1.1, or over HTTP/2 (RFC 8441) with Node's own client. The test says what to
// do, one thing after another, and it says what came of each:
//
//   { open: URL, version: 1 | 2, protocol? }   → { opened: { protocol, extensions } } or { refused: status }
//   { send: text } | { bytes: n }              → { echo: text } | { bytes: n, same: boolean }
//   { ping: text }                             → { pong: text }
//   { close: code, reason } | { wait: "close" } → { closed: { code, reason } }
//
// Pings of the server are answered by `ws`, and said as { pinged: text }.

import { createHash } from "node:crypto";
import { connect } from "node:http2";

import { WebSocket } from "ws";

import { listen, say } from "./conversation.ts";
import { overStream } from "./over-stream.ts";

let socket: WebSocket;
let sent = "";

function hash(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

function hear(opened: WebSocket): void {
  socket = opened;
  socket.on("message", (data, isBinary) => {
    const bytes = data as Buffer;
    if (isBinary) say({ bytes: bytes.length, same: hash(bytes) === sent });
    else say({ echo: bytes.toString() });
  });
  socket.on("ping", (data) => say({ pinged: data.toString() }));
  socket.on("pong", (data) => say({ pong: data.toString() }));
  socket.on("close", (code, reason) => say({ closed: { code, reason: reason.toString() } }));
  socket.on("error", (error) => say({ error: error.message }));
}

function openHttp1(url: string, protocol: string[]): void {
  const opening = new WebSocket(url, protocol, {
    perMessageDeflate: { threshold: 0 },
    rejectUnauthorized: false,
  });
  opening.on("unexpected-response", (_request, response) => {
    say({ refused: response.statusCode });
    response.destroy();
  });
  opening.on("open", () =>
    say({ opened: { protocol: opening.protocol, extensions: opening.extensions } }),
  );
  hear(opening);
}

function openHttp2(url: string, protocol: string[]): void {
  const { host, pathname, protocol: scheme } = new URL(url);
  const session = connect(`${scheme === "wss:" ? "https" : "http"}://${host}`, {
    rejectUnauthorized: false,
  });
  session.on("error", (error) => say({ error: error.message }));
  session.on("remoteSettings", (settings) => {
    if (settings.enableConnectProtocol !== true) {
      say({ error: "the server has no extended CONNECT" });
      return;
    }
    const stream = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": pathname,
      "sec-websocket-version": "13",
      ...(protocol.length > 0 && { "sec-websocket-protocol": protocol.join(", ") }),
    });
    stream.on("error", (error) => say({ error: error.message }));
    stream.on("response", (head) => {
      if (head[":status"] !== 200) {
        say({ refused: head[":status"] });
        return;
      }
      hear(overStream(stream, false));
      const chosen = head["sec-websocket-protocol"] ?? "";
      const accept = head["sec-websocket-accept"];
      say({
        opened: { protocol: chosen, extensions: "", ...(accept !== undefined && { accept }) },
      });
    });
  });
}

function send(bytes: number): void {
  const data = Buffer.alloc(bytes, "0123456789");
  sent = hash(data);
  socket.send(data);
}

listen((message) => {
  if (typeof message.open === "string") {
    const protocol = typeof message.protocol === "string" ? [message.protocol] : [];
    (message.version === 2 ? openHttp2 : openHttp1)(message.open, protocol);
  } else if (typeof message.send === "string") socket.send(message.send);
  else if (typeof message.bytes === "number") send(message.bytes);
  else if (typeof message.ping === "string") socket.ping(message.ping);
  else if (typeof message.close === "number") {
    socket.close(message.close, String(message.reason ?? ""));
  } else if (message.cut === true) socket.terminate();
});
