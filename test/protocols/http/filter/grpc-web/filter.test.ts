// gRPC-Web between a client and an exchange: bytes in, bytes out, and what browsers are told of other origins.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { GrpcWebFilter } from "../../../../../src/protocols/http/filter/grpc-web/filter.ts";
import { fieldsOf } from "../../../../../src/protocols/http/message/fields.ts";
import {
  cut,
  RecordedClient,
  RecordedExchange,
  requestHead,
  type RequestParts,
  responseHead,
} from "../recorded-client.ts";

const APP = "https://app.example.com";
const BINARY = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" };
const TEXT = {
  "content-type": "application/grpc-web-text",
  accept: "application/grpc-web-text",
  "x-grpc-web": "1",
};
const CALL = { version: 20, fields: { "content-type": "application/grpc+proto" } } as const;

function message(text: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(text.length, 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

function trailers(lines: string): Buffer {
  const frame = message(lines);
  frame[0] = 0x80;
  return frame;
}

function called(parts: RequestParts, origins: string[] = []) {
  const client = new RecordedClient();
  const exchange = new RecordedExchange();
  const head = requestHead({ method: "POST", contentLength: -1, ...parts });
  const stream = new GrpcWebFilter(origins).wrap(client, head);
  stream.events = exchange;
  return { client, exchange, head, stream };
}

describe("the request", () => {
  test("becomes one of gRPC; what else it says stays", () => {
    const { head } = called({
      contentLength: 7,
      fields: {
        ...BINARY,
        accept: "*/*",
        "grpc-timeout": "5S",
        "x-user-agent": "grpc-web-javascript/0.1",
        authorization: "Bearer x",
      },
    });
    expect(Object.fromEntries(head.fields.entries())).toEqual({
      "content-type": "application/grpc+proto",
      "grpc-timeout": "5S",
      "x-user-agent": "grpc-web-javascript/0.1",
      authorization: "Bearer x",
    });
    expect(head.takesTrailers).toBe(true);
    expect(head.contentLength).toBe(7);
  });

  test("is left alone if it is not gRPC-Web", () => {
    const client = new RecordedClient();
    const filter = new GrpcWebFilter([]);
    const grpc = { "content-type": "application/grpc" };
    expect(filter.wrap(client, requestHead({ method: "POST", fields: grpc }))).toBe(client);
    expect(filter.wrap(client, requestHead({ method: "GET", fields: BINARY }))).toBe(client);
  });

  test("of text loses its length, since what it means is shorter", () => {
    expect(called({ contentLength: 8, fields: TEXT }).head.contentLength).toBe(-1);
    expect(called({ contentLength: 0, fields: TEXT }).head.contentLength).toBe(0);
  });

  test("of text is decoded, however it is cut", () => {
    const bytes = Buffer.concat([message("one"), message("of two"), message("")]);
    const text = Buffer.from(
      message("one").toString("base64") +
        Buffer.concat([message("of two"), message("")]).toString("base64"),
    );
    const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
    fc.assert(
      fc.property(places, (at) => {
        const { client, exchange } = called({ fields: TEXT });
        for (const piece of cut(text, at)) client.events.onRequestBody(piece);
        client.events.onRequestEnd(null);
        expect(exchange.body).toEqual(bytes);
        expect(exchange.ended).toBe(true);
      }),
    );
  });

  test("of text larger than any buffer is decoded", () => {
    const bytes = Buffer.alloc(300_001, "0123456789");
    const { client, exchange } = called({ fields: TEXT });
    client.events.onRequestBody(Buffer.from(bytes.toString("base64")));
    expect(exchange.body.equals(bytes)).toBe(true);
  });

  test("of text that is no Base64 is answered 400, and the exchange is told", () => {
    for (const text of ["AAAA!", "AAA"]) {
      const { client, exchange, stream } = called({ fields: TEXT });
      client.events.onRequestBody(Buffer.from(text));
      client.events.onRequestEnd(null);
      expect([client.status, client.ended]).toEqual([400, true]);
      expect(exchange.failure?.code).toBe("malformed");
      expect(exchange.ended).toBe(false);
      const { length } = client.parts;
      stream.sendHead(responseHead(CALL));
      expect(stream.sendBody(message("late"))).toBe(false);
      stream.sendEnd(null);
      expect([client.status, client.parts.length]).toEqual([400, length]);
    }
  });

  test("is not looked at any more once the exchange has answered, be it in the middle of a part", () => {
    const { client, exchange, stream } = called({ fields: TEXT });
    exchange.onRequestBody = () => {
      stream.sendHead(responseHead(CALL));
      stream.sendEnd(fieldsOf([["grpc-status", "8"]]));
    };
    const text = Buffer.alloc(100_000, "A");
    text[90_000] = 0x21;
    client.events.onRequestBody(text);
    expect([client.ended, client.failure]).toEqual([true, null]);
    expect(client.body.toString()).toBe(trailers("grpc-status:8\r\n").toString("base64"));
  });

  test("that breaks once the answer has begun breaks the answer off", () => {
    const { client, exchange, stream } = called({ fields: TEXT });
    stream.sendHead(responseHead(CALL));
    client.events.onRequestBody(Buffer.from("=="));
    expect(client.failure?.code).toBe("malformed");
    expect(exchange.failure?.code).toBe("malformed");
  });
});

describe("the answer", () => {
  test("ends with the trailers as a frame", () => {
    const { client, stream } = called({ fields: BINARY });
    stream.sendHead(responseHead(CALL));
    stream.sendBody(message("hello"));
    stream.sendEnd(fieldsOf([["grpc-status", "0"]]));
    expect(client.field("content-type")).toBe("application/grpc-web+proto");
    expect(client.body).toEqual(Buffer.concat([message("hello"), trailers("grpc-status:0\r\n")]));
    expect([client.ended, client.trailers]).toEqual([true, null]);
  });

  test("has no length, whatever the backend said of its own", () => {
    const { client, stream } = called({ fields: BINARY });
    stream.sendHead(responseHead({ ...CALL, contentLength: 10 }));
    expect(client.contentLength).toBe(-1);
  });

  test("that is trailers alone has its status in the head and no body", () => {
    const { client, stream } = called({ fields: TEXT });
    const fields = { ...CALL.fields, "grpc-status": "12", "grpc-message": "no" };
    stream.sendHead(responseHead({ ...CALL, fields, bodyless: true }));
    expect(client.field("grpc-status")).toBe("12");
    expect(client.field("content-type")).toBe("application/grpc-web-text+proto");
    expect([client.bodyless, client.contentLength, client.parts]).toEqual([true, 0, []]);
  });

  test("of text is Base64 whose segments end where messages end", () => {
    const { client, stream } = called({ fields: TEXT });
    stream.sendHead(responseHead(CALL));
    const first = message("hello");
    stream.sendBody(first.subarray(0, 3));
    stream.sendBody(first.subarray(3, 7));
    stream.sendBody(first.subarray(7));
    expect(client.body.toString()).toBe(first.toString("base64"));
    stream.sendBody(message("again"));
    stream.sendEnd(fieldsOf([["grpc-status", "0"]]));
    expect(client.body.toString()).toBe(
      first.toString("base64") +
        message("again").toString("base64") +
        trailers("grpc-status:0\r\n").toString("base64"),
    );
  });

  test("of text larger than any buffer is whole, and tells of backpressure", () => {
    const { client, stream } = called({ fields: TEXT });
    stream.sendHead(responseHead(CALL));
    const large = message("x".repeat(100_000));
    client.more = false;
    expect(stream.sendBody(large)).toBe(false);
    expect(client.body.toString()).toBe(large.toString("base64"));
    client.more = true;
    expect(stream.sendBody(large)).toBe(true);
  });

  test("of text that ends within a message, and without trailers, loses no byte", () => {
    const { client, stream } = called({ fields: TEXT });
    stream.sendHead(responseHead(CALL));
    stream.sendBody(message("hello").subarray(0, 8));
    stream.sendEnd(null);
    expect(client.body.toString()).toBe(message("hello").subarray(0, 8).toString("base64"));
    expect(client.ended).toBe(true);
  });

  test("that is not of gRPC is passed on as it is", () => {
    const { client, stream } = called({ fields: TEXT });
    const fields = { "content-type": "text/html" };
    stream.sendHead(responseHead({ status: 503, contentLength: 4, fields }));
    stream.sendBody(Buffer.from("busy"));
    stream.sendEnd(null);
    expect([client.status, client.contentLength]).toEqual([503, 4]);
    expect([client.body.toString(), client.field("content-type")]).toEqual(["busy", "text/html"]);
  });

  test("that breaks off is broken off, without a status that nobody gave", () => {
    const { client, stream } = called({ fields: BINARY });
    stream.sendHead(responseHead(CALL));
    stream.reset({ code: "closed", message: "gone", unprocessed: false });
    expect(client.failure?.code).toBe("closed");
    expect(client.body).toHaveLength(0);
  });
});

describe("pages of other origins", () => {
  const wanted = {
    origin: APP,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,x-grpc-web,x-user-agent",
  };

  function preflight(origins: string[], fields: Record<string, string> = wanted) {
    const answer = new GrpcWebFilter(origins).answer(requestHead({ method: "OPTIONS", fields }));
    if (answer === null) return null;
    return { status: answer.head.status, fields: Object.fromEntries(answer.head.fields.entries()) };
  }

  test("that are allowed are told so before they call", () => {
    const { status, fields } = preflight([APP])!;
    expect(status).toBe(204);
    expect(fields).toEqual({
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
      "access-control-allow-origin": APP,
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "POST",
      "access-control-allow-headers": wanted["access-control-request-headers"],
      "access-control-max-age": "600",
    });
  });

  test("that are not allowed are turned away, and told nothing", () => {
    for (const origins of [["https://other.example.com"], ["http://app.example.com"]]) {
      const { status, fields } = preflight(origins)!;
      expect(status).toBe(403);
      expect(Object.keys(fields)).toEqual(["vary"]);
    }
  });

  test("are all allowed by *, but without credentials unless they are named, too", () => {
    expect(preflight(["*"])!.fields).toMatchObject({ "access-control-allow-origin": "*" });
    expect(preflight(["*"])!.fields).not.toHaveProperty("access-control-allow-credentials");
    expect(preflight(["*", APP])!.fields).toMatchObject({
      "access-control-allow-origin": APP,
      "access-control-allow-credentials": "true",
    });
  });

  test("are the backend's business without a list, or if it is no gRPC-Web", () => {
    expect(preflight([])).toBeNull();
    expect(preflight([APP], { ...wanted, "access-control-request-method": "GET" })).toBeNull();
    expect(
      preflight([APP], { ...wanted, "access-control-request-headers": "content-type" }),
    ).toBeNull();
    const filter = new GrpcWebFilter([APP]);
    expect(filter.answer(requestHead({ method: "POST", fields: wanted }))).toBeNull();
  });

  function answered(origins: string[], origin: string | null, extra: Record<string, string> = {}) {
    const fields = origin === null ? BINARY : { ...BINARY, origin };
    const { client, stream } = called({ fields }, origins);
    stream.sendHead(responseHead({ ...CALL, fields: { ...CALL.fields, ...extra } }));
    return client;
  }

  test("may read the answer, its status and its metadata", () => {
    const client = answered([APP], APP, { "x-tenant": "7", "set-cookie": "a=b" });
    expect(client.field("access-control-allow-origin")).toBe(APP);
    expect(client.field("access-control-allow-credentials")).toBe("true");
    expect(client.field("vary")).toBe("Origin");
    expect(client.field("access-control-expose-headers")).toBe(
      "grpc-status, grpc-message, grpc-status-details-bin, x-tenant",
    );
  });

  test("that are not allowed may not, and caches keep the answers apart", () => {
    const client = answered([APP], "https://other.example.com");
    expect(client.field("access-control-allow-origin")).toBeUndefined();
    expect(client.field("vary")).toBe("Origin");
  });

  test("are told nothing without a list, and what the backend told stays", () => {
    expect(answered([], APP).fields.map(([name]) => name)).toEqual(["content-type"]);
    const own = { "access-control-allow-origin": "https://backend.example.com" };
    expect(answered([APP], APP, own).fields).toHaveLength(2);
  });

  test("answers to callers that are no pages say nothing of origins but that they matter", () => {
    expect(answered([APP], null).fields.map(([name]) => name)).toEqual(["content-type", "vary"]);
    expect(answered(["*"], null).field("access-control-allow-origin")).toBeUndefined();
  });
});
