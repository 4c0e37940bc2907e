// Requests of HTTP/2 that would be others in HTTP/1.1, over a real connection through the whole proxy: a backend of HTTP/1.1
// gets what was asked on another stream of the same connection, and of these nothing, or what they mean in one way only.

import { afterAll, beforeAll, expect, test } from "bun:test";

import * as C from "../../../src/protocols/http/h2/constants.ts";
import * as F from "../../protocols/http/h2/frames.ts";
import type { Entry } from "../../protocols/http/h2/hpack/codec.ts";
import { joinChunks } from "../../protocols/http/smuggling/whole.ts";
import { Gateway } from "../../support/gateway.ts";
import { NotingBackend } from "../../support/noting-backend.ts";
import { until } from "../../support/until.ts";
import { Wire } from "../../support/wire.ts";

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";
const EMPTY = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n";
const CHUNKED = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
const AFTERWARDS = "GET /afterwards HTTP/1.1\r\nHost: a.example\r\n\r\n";

interface Injection {
  readonly name: string;
  readonly entries: readonly Entry[];
  /** null: the head ends the request. */
  readonly body?: string | null;
  readonly trailers?: readonly Entry[];
  /** What the backend gets; left out: nothing, or a request that is cut off before its end. */
  readonly forwarded?: string;
}

const [METHOD, SCHEME, PATH, AUTHORITY] = F.GET as [Entry, Entry, Entry, Entry];
const withField = (...fields: Entry[]): Entry[] => [...F.GET, ...fields];
const withPath = (path: string): Entry[] => [METHOD, SCHEME, [":path", path], AUTHORITY];
const withMethod = (method: string): Entry[] => [[":method", method], SCHEME, PATH, AUTHORITY];
const withAuthority = (name: string): Entry[] => [METHOD, SCHEME, PATH, [":authority", name]];
const upload = (length: string | null, body: string): Pick<Injection, "entries" | "body"> => ({
  entries: length === null ? F.POST : [...F.POST, ["content-length", length]],
  body,
});

const HEADS: Readonly<Record<string, readonly Entry[]>> = {
  "a value with CRLF and a coding": withField(["x-a", "b\r\nTransfer-Encoding: chunked"]),
  "a value with LF": withField(["x-a", "b\nTransfer-Encoding: chunked"]),
  "a value with CR": withField(["x-a", "b\rTransfer-Encoding: chunked"]),
  "a value with NUL": withField(["x-a", "b\0c"]),
  "a value with a whole request": withField(["x-a", `b\r\n\r\n${SMUGGLED}`]),
  "a value that begins with CRLF": withField(["x-a", "\r\nx-b: c"]),
  "a name with CRLF": withField(["x-a: b\r\nx-c", "d"]),
  "a name with a colon": withField(["x-a: b", "c"]),
  "a name with a space": withField(["transfer-encoding ", "chunked"]),
  "an empty name": withField(["", "b"]),
  "a coding": withField(["transfer-encoding", "chunked"]),
  "a coding that is not chunked": withField(["transfer-encoding", "xchunked"]),
  "a field of the connection": withField(["connection", "content-length"]),
  "an upgrade": withField(["upgrade", "h2c"]),
  "a kept connection": withField(["keep-alive", "timeout=5"]),
  "a field of old proxies": withField(["proxy-connection", "keep-alive"]),
  "TE that is more than trailers": withField(["te", "trailers, chunked"]),
  "another Host than the authority": withField(["host", "b.example"]),
  "two lengths": withField(["content-length", "0"], ["content-length", "5"]),
  "a length with a sign": withField(["content-length", "+0"]),
  "a list of lengths": withField(["content-length", "0, 0"]),
  "a pseudo-header field that is none": withField([":x", "a"]),
  "a pseudo-header field behind others": [METHOD, ["x-a", "b"], SCHEME, PATH, AUTHORITY],
  "two paths": withField([":path", "/smuggled"]),
  "a path with a request line": withPath("/ HTTP/1.1\r\nX-A: b\r\n\r\nGET /smuggled"),
  "a path with a version": withPath("/smuggled HTTP/1.1"),
  "a path with LF": withPath("/a\nb"),
  "a path with a tab": withPath("/a\tb"),
  "an absolute path of another host": withPath("http://b.example/"),
  "an empty path": withPath(""),
  "a method with a request line": withMethod("GET /smuggled HTTP/1.1\r\nX-A:"),
  "a method with a space": withMethod("GET /smuggled"),
  "an authority with CRLF": withAuthority("a.example\r\nX-A: b"),
  "an authority with a path": withAuthority("a.example/smuggled"),
  "an authority with a user": withAuthority("b@a.example"),
};

const CASES: readonly Injection[] = [
  ...Object.entries(HEADS).map(([name, entries]) => ({ name, entries })),
  { name: "a length shorter than the body", ...upload("5", `hello${SMUGGLED}`) },
  { name: "a length longer than the body", ...upload("500", SMUGGLED) },
  {
    name: "trailers with a coding",
    ...upload(null, "hello"),
    trailers: [["transfer-encoding", "chunked"]],
  },
  { name: "trailers with a path", ...upload(null, "hello"), trailers: [[":path", "/smuggled"]] },
  {
    name: "trailers with a line's end",
    ...upload(null, "hello"),
    trailers: [["x-a", `b\r\n\r\n${SMUGGLED}`]],
  },
  {
    name: "a body that looks like the last chunk and a request is one",
    ...upload(null, `0\r\n\r\n${SMUGGLED}`),
    forwarded: `${CHUNKED}[0\r\n\r\n${SMUGGLED}]0\r\n\r\n`,
  },
  {
    name: "a body of its length with a request in it is one",
    ...upload(String(SMUGGLED.length), SMUGGLED),
    forwarded: `POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "crumbs of cookies are one field",
    entries: withField(["cookie", "a=1"], ["cookie", "b=2"]),
    forwarded: "GET / HTTP/1.1\r\nHost: a.example\r\ncookie: a=1; b=2\r\n\r\n",
  },
  {
    name: "a Host that is the authority is there once",
    entries: withField(["host", "a.example"]),
    forwarded: "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
  },
];

let backend: NotingBackend;
let gateway: Gateway;

beforeAll(async () => {
  backend = await NotingBackend.start();
  const forwarded = { x_forwarded: false, via: false, request_id: false };
  gateway = await Gateway.start({ target: backend.target, forwarded }, { complains: true });
});

afterAll(async () => {
  backend[Symbol.dispose]();
  await gateway[Symbol.asyncDispose]();
});

function framesOf(peer: F.Peer, { entries, body = null, trailers }: Injection): Uint8Array[] {
  const head = peer.headers(1, entries, body === null ? C.END_STREAM : 0);
  if (body === null) return [head];
  const data = F.data(1, body, trailers === undefined ? C.END_STREAM : 0);
  return trailers === undefined ? [head, data] : [head, data, peer.headers(1, trailers)];
}

/** @returns the statuses of both streams, 0 for none, once the second is answered or the connection has ended. */
async function ask(injection: Injection): Promise<number[]> {
  backend.forget();
  const client = await Wire.connect({ host: "127.0.0.1", port: gateway.port });
  const peer = new F.Peer();
  const statuses = [0, 0];
  let over = false;
  client.onData((chunk) => {
    for (const said of peer.read(chunk)) {
      if (said.kind !== "headers") continue;
      statuses[said.stream === 1 ? 0 : 1] = Number(said.entries[0]![1]);
    }
  });
  void client.ending.then(() => (over = true));
  const first = framesOf(peer, injection);
  const after = peer.headers(3, withPath("/afterwards"));
  await client.write(Buffer.from(F.join(C.PREFACE, F.settings(), ...first, after)));
  const wanted = injection.forwarded === undefined ? [1] : [0, 1];
  await until("the answers", () => over || wanted.every((i) => statuses[i]! > 0));
  client.reset();
  await until("the backend has seen the end of what is cut", () => backend.rests);
  return statuses;
}

/** How the request of a whole body begins that is cut off when it turns out to be wrong. */
const CUT =
  /^POST \/ HTTP\/1\.1\r\nHost: a\.example\r\n(Content-Length: \d+|Transfer-Encoding: chunked)\r\n\r\n/;

for (const injection of CASES) {
  const { name, body, forwarded } = injection;
  test(name, async () => {
    const [status, after] = await ask(injection);
    expect([status, after]).toEqual([forwarded === undefined ? 0 : 200, 200]);
    const own = forwarded === undefined ? [] : [forwarded];
    expect(backend.requests.map(joinChunks).toSorted()).toEqual([...own, AFTERWARDS].toSorted());
    for (const cut of backend.cuts) expect(cut).toMatch(CUT);
    if (body === undefined) expect(backend.cuts).toEqual([]);
  });
}

test("a body behind a length of none is refused, and the request is one without", async () => {
  const [status, after] = await ask({ name: "", ...upload("0", SMUGGLED) });
  expect([status, after]).toEqual([0, 200]);
  for (const each of backend.requests) expect([EMPTY, AFTERWARDS]).toContain(each);
  expect(backend.cuts).toEqual([]);
});
