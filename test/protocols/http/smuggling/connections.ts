// Fields of the connection: what they nominate, what they upgrade, and what of them must not go further.

import { get, post, request, SMUGGLED, type SmugglingCase } from "./case.ts";

function refused(name: string, ...lines: string[]): SmugglingCase {
  return { name, bytes: get(lines) + SMUGGLED, status: 400 };
}

function kept(name: string, lines: readonly string[], as: readonly string[] = []): SmugglingCase {
  return { name, bytes: get(lines), forwarded: [get(as)] };
}

const UPGRADE = [
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Connection: Upgrade",
  "Upgrade: websocket",
];

export const CONNECTIONS: readonly SmugglingCase[] = [
  refused("Connection nominates Host", "Connection: Host"),
  refused("Connection nominates Content-Length", "Connection: close, Content-Length"),
  refused("Connection nominates Cookie", "Cookie: a=b", "Connection: cookie"),
  refused("Connection nominates Authorization", "Authorization: x", "Connection: Authorization"),
  refused("Connection nominates X-Forwarded-For", "Connection: close, X-Forwarded-For"),
  refused("Connection nominates X-Forwarded-Host", "Connection: x-forwarded-host"),
  refused("Connection nominates X-Real-IP", "Connection: X-Real-IP"),
  refused("Connection nominates Forwarded", "Connection: keep-alive, forwarded"),
  refused("Connection nominates Via", "Connection: Via"),
  refused("Connection nominates Content-Type", "Connection: Content-Type"),
  refused("Connection nominates Cache-Control", "Connection: Cache-Control"),
  refused("Connection nominates Expect", "Connection: Expect"),
  refused("Connection nominates in a second line", "Connection: close", "Connection: Host"),
  refused("Connection has a space in an option", "Connection: keep alive"),
  refused("Connection has quotes", 'Connection: "close"'),
  refused("Connection nominates hundreds of fields", `Connection: ${"x-a,".repeat(200)}x-b`),
  kept("Connection is not passed on", ["Connection: keep-alive"]),
  kept("Keep-Alive is not passed on", ["Keep-Alive: timeout=5"]),
  kept("Proxy-Connection is not passed on", ["Proxy-Connection: keep-alive"]),
  kept("the same, with underscores", ["Proxy_Connection: keep-alive", "Keep_Alive: 1"]),
  kept(
    "nominated fields are not passed on",
    ["X-Hop: 1", "Connection: X-Hop, x-other", "X-hop: 2", "X-Other: 3", "X-A: b"],
    ["X-A: b"],
  ),
  kept("nominating Transfer-Encoding removes nothing that counts", [
    "Connection: Transfer-Encoding",
  ]),
  kept("empty options mean nothing", ["Connection: ,keep-alive, ,"]),
  kept("an upgrade to h2c is not passed on", [
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABk",
  ]),
  kept("an upgrade to TLS is not passed on", ["Connection: Upgrade", "Upgrade: TLS/1.0"]),
  kept("an upgrade to another HTTP is not passed on", ["Connection: Upgrade", "Upgrade: HTTP/2.0"]),
  kept("an upgrade that Connection does not name is not passed on", ["Upgrade: websocket"]),
  kept("an offer of two protocols is not passed on", [
    "Connection: Upgrade",
    "Upgrade: websocket, h2c",
  ]),
  kept("two offers are not passed on", [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Upgrade: h2c",
  ]),
  kept(
    "TE is passed on as far as it is trailers",
    ["TE: gzip, trailers;q=0.5, trailers", "Connection: TE"],
    ["TE: trailers", "Connection: TE"],
  ),
  kept("another TE is not passed on", ["TE: gzip", "Connection: TE"]),
  {
    name: "an upgrade of a request with a body is not passed on",
    bytes: post(["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5"], "hello"),
    forwarded: [post(["Content-Length: 5"], "hello")],
  },
  {
    name: "an upgrade of HTTP/1.0 is not passed on",
    bytes: request("GET / HTTP/1.0", ["Connection: Upgrade", "Upgrade: websocket"]),
    forwarded: [get()],
  },
  {
    name: "what follows an upgrade that is not taken up is the next request",
    bytes: get(UPGRADE) + get(["X-Last: 1"]),
    forwarded: [get(UPGRADE), get(["X-Last: 1"])],
  },
  {
    name: "what follows Connection: close is not read",
    bytes: get(["Connection: close"]) + SMUGGLED,
    forwarded: [get()],
  },
  {
    name: "close wins over keep-alive",
    bytes: get(["Connection: keep-alive, close"]) + SMUGGLED,
    forwarded: [get()],
  },
  {
    name: "an expectation that is not known is refused",
    bytes: post(["Expect: 200-ok", "Content-Length: 5"], "hello"),
    status: 417,
  },
  {
    name: "two expectations in one line are refused",
    bytes: post(["Expect: 100-continue, 100-continue", "Content-Length: 5"], "hello"),
    status: 417,
  },
];
