// The WebSocket handshake between versions of HTTP, with the sample key of RFC 6455.

import { describe, expect, test } from "bun:test";

import { acceptOf, WebSocketFilter } from "../../../../src/protocols/http/filter/websocket.ts";
import type { Version } from "../../../../src/protocols/http/message/heads.ts";
import {
  RecordedClient,
  RecordedExchange,
  requestHead,
  type RequestParts,
  responseHead,
} from "./recorded-client.ts";

/** RFC 6455 section 1.3. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const filter = new WebSocketFilter();

function opened(version: Version, fields: Record<string, string> = {}, upgrade = "websocket") {
  const client = new RecordedClient();
  const exchange = new RecordedExchange();
  const head = requestHead({ version, upgrade, fields });
  const stream = filter.wrap(client, head);
  stream.events = exchange;
  return { client, exchange, head, stream };
}

function answered(parts: RequestParts): number | null {
  return filter.answer(requestHead({ upgrade: "websocket", ...parts }))?.head.status ?? null;
}

test("the accept of RFC 6455's sample key is the sample's", () => {
  expect(acceptOf(KEY)).toBe(ACCEPT);
});

test("requests that ask for no WebSocket are left alone", () => {
  const client = new RecordedClient();
  expect(filter.wrap(client, requestHead({}))).toBe(client);
  expect(filter.wrap(client, requestHead({ upgrade: "h2c" }))).toBe(client);
  expect(filter.answer(requestHead({}))).toBeNull();
});

describe("a client of HTTP/1.1", () => {
  test("has its own key sent on, and gets the accept of an HTTP/1.1 backend", () => {
    const { client, head, stream } = opened(11, { "sec-websocket-key": KEY });
    expect(head.fields.entries()).toEqual([["sec-websocket-key", KEY]]);
    stream.sendHead(responseHead({ status: 101, fields: { "sec-websocket-accept": ACCEPT } }));
    expect(client.status).toBe(101);
    expect(client.fields).toEqual([["sec-websocket-accept", ACCEPT]]);
  });

  test("gets the accept that an HTTP/2 backend does not send", () => {
    const { client, stream } = opened(11, { "sec-websocket-key": KEY });
    stream.sendHead(
      responseHead({ status: 101, version: 20, fields: { "sec-websocket-protocol": "chat" } }),
    );
    expect(client.fields).toEqual([
      ["sec-websocket-protocol", "chat"],
      ["sec-websocket-accept", ACCEPT],
    ]);
  });

  test("without a key, with two, or with one that is not 16 bytes, is answered 400", () => {
    expect(answered({})).toBe(400);
    expect(answered({ fields: { "sec-websocket-key": "c2hvcnQ=" } })).toBe(400);
    expect(answered({ fields: { "sec-websocket-key": `${KEY}, ${KEY}` } })).toBe(400);
    const twice = requestHead({ upgrade: "websocket", fields: { "sec-websocket-key": KEY } });
    twice.fields.add("sec-websocket-key", KEY);
    expect(filter.answer(twice)?.head.status).toBe(400);
    expect(answered({ fields: { "sec-websocket-key": KEY } })).toBeNull();
  });
});

describe("a client of HTTP/2", () => {
  test("needs no key: one is made for the backend, a new one each time", () => {
    expect(answered({ version: 20 })).toBeNull();
    const keys = [opened(20), opened(20)].map(({ head }) => head.fields.get("sec-websocket-key")!);
    expect(keys[0]).not.toBe(keys[1]!);
    for (const key of keys) expect(Buffer.from(key, "base64").length).toBe(16);
  });

  test("cannot choose the key that the backend is sent", () => {
    const { head } = opened(20, { "sec-websocket-key": KEY });
    expect(head.fields.entries()).toHaveLength(1);
    expect(head.fields.get("sec-websocket-key")).not.toBe(KEY);
  });

  test("is not sent the accept of an HTTP/1.1 backend, which is checked", () => {
    const { client, head, stream } = opened(20);
    const accept = acceptOf(head.fields.get("sec-websocket-key")!);
    stream.sendHead(responseHead({ status: 101, fields: { "sec-websocket-accept": accept } }));
    expect(client.status).toBe(101);
    expect(client.fields).toEqual([]);
  });
});

describe("a backend that accepts without having understood", () => {
  const wrong: [string, Record<string, string>][] = [
    ["no accept", {}],
    ["a wrong accept", { "sec-websocket-accept": acceptOf("AAAAAAAAAAAAAAAAAAAAAA==") }],
  ];
  test.each(wrong)("%s: the client gets 502, and the exchange is told once", async (_, fields) => {
    const { client, exchange, stream } = opened(20);
    stream.sendHead(responseHead({ status: 101, fields }));
    expect(stream.sendBody(Buffer.from("of the backend"))).toBe(false);
    expect(exchange.failure).toBeNull();
    await Promise.resolve();
    expect(exchange.failure?.code).toBe("malformed");
    expect(client.status).toBe(502);
    expect(client.ended).toBe(true);
    expect(client.body.toString()).not.toContain("of the backend");
    stream.sendEnd(null);
    stream.reset({ code: "closed", message: "", unprocessed: false });
    expect(client.failure).toBeNull();
  });
});

test("a refusal of the backend is passed on with its body", () => {
  const { client, stream } = opened(20);
  stream.sendHead(responseHead({ status: 403, contentLength: 2 }));
  stream.sendBody(Buffer.from("no"));
  stream.sendEnd(null);
  expect([client.status, client.body.toString(), client.ended]).toEqual([403, "no", true]);
});

test("bytes, backpressure and ends pass both ways once the WebSocket is open", () => {
  const { client, exchange, stream } = opened(11, { "sec-websocket-key": KEY });
  stream.sendHead(responseHead({ status: 101, fields: { "sec-websocket-accept": ACCEPT } }));
  client.events.onRequestBody(Buffer.from("up"));
  client.events.onRequestEnd(null);
  expect([exchange.body.toString(), exchange.ended]).toEqual(["up", true]);
  client.more = false;
  expect(stream.sendBody(Buffer.from("down"))).toBe(false);
  client.events.onClientDrain();
  expect(exchange.drains).toBe(1);
  stream.resume();
  expect(client.paused).toBe(false);
  stream.pause();
  expect(client.paused).toBe(true);
  stream.sendEnd(null);
  expect([client.body.toString(), client.ended]).toEqual(["down", true]);
});
