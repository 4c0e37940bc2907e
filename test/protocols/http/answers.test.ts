// The answers that the proxy makes itself: what is in them, for whom JSON is made, and what a gRPC client is told.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { prefersJson } from "../../../src/protocols/http/accept.ts";
import { createErrorAnswer } from "../../../src/protocols/http/answers.ts";
import {
  answerTimeoutMs,
  grpcMessage,
  grpcStatusOf,
  grpcTimeoutMs,
  isGrpc,
} from "../../../src/protocols/http/grpc.ts";
import { fieldsOf } from "../../../src/protocols/http/message/fields.ts";
import { UNKNOWN_LENGTH } from "../../../src/protocols/http/message/heads.ts";
import { requestHead } from "./route/heads.ts";

const answer = createErrorAnswer(() => Date.UTC(2026, 0, 2, 3, 4, 5));
const DATE = ["date", "Fri, 02 Jan 2026 03:04:05 GMT"];
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe("an error", () => {
  test("is its status line as text, with its length, and is not to be remembered", () => {
    const { head, body } = answer(502, null);
    expect(text(body)).toBe("502 Bad Gateway\n");
    expect([head.status, head.contentLength, head.bodyless]).toEqual([502, body.length, false]);
    expect(head.fields.entries()).toEqual([
      ["content-type", "text/plain; charset=utf-8"],
      ["cache-control", "no-store"],
      DATE as [string, string],
    ]);
  });

  test("is JSON for those who would rather have it", () => {
    const fields: [string, string][] = [
      ["Accept", "application/json"],
      ["x-request-id", "0af7"],
    ];
    const { head, body } = answer(404, requestHead({ fields }));
    expect(JSON.parse(text(body))).toEqual({ status: 404, error: "Not Found", request_id: "0af7" });
    expect(head.fields.get("content-type")).toBe("application/json");
    expect(head.fields.get("x-request-id")).toBe("0af7");
    expect(head.contentLength).toBe(body.length);
  });

  test("has the request's id", () => {
    const { body } = answer(504, requestHead({ fields: [["x-request-id", "0af7"]] }));
    expect(text(body)).toBe("504 Gateway Timeout\n0af7\n");
  });

  test("shows nothing of an id that could mean something else", () => {
    for (const id of ["<script>", "a b", "x".repeat(129), '"}']) {
      const { head, body } = answer(400, requestHead({ fields: [["x-request-id", id]] }));
      expect(text(body)).toBe("400 Bad Request\n");
      expect(head.fields.get("x-request-id")).toBeNull();
    }
  });

  test.each([400, 403, 404, 405, 408, 413, 421, 425, 429, 431, 500, 501, 502, 503, 504, 505])(
    "%p has a reason",
    (status) => {
      expect(text(answer(status, null).body)).toMatch(/^\d{3} [A-Z][A-Za-z -]+\n$/);
    },
  );

  test("405 says which methods there are, and 503 when to come back", () => {
    expect(answer(405, null).head.fields.get("allow")).toContain("OPTIONS");
    expect(answer(503, null, 1.2).head.fields.get("retry-after")).toBe("2");
    expect(answer(503, null).head.fields.get("retry-after")).toBeNull();
  });

  test("to HEAD has no body, and the length that it would have", () => {
    const { head, body } = answer(404, requestHead({ method: "HEAD" }));
    expect([body.length, head.contentLength, head.bodyless]).toEqual([0, 14, true]);
  });
});

describe("JSON is wanted more than text", () => {
  test.each([
    ["application/json", true],
    ["application/problem+json", true],
    ["APPLICATION/JSON", true],
    ["application/json, text/plain, */*", true],
    ["text/plain, application/json", false],
    ["application/json;q=0.9, */*;q=0.8", true],
    ["application/json;q=0.7, */*;q=0.8", false],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false],
    ["*/*", false],
    ["application/*", true],
    ["application/*, text/*;q=0.5", true],
    ["application/json;q=0, */*", false],
    ["text/plain;q=0.1, application/json;q=0.2", true],
    ["text/plain;q=0, */*", true],
    ["application/json;q=2", false],
    ["application/json;q=0.9999", false],
    ["application/json;charset=utf-8;q=0.9, text/plain;q=0.8", true],
    ["image/png", false],
    ["", false],
    [",,;q=,/", false],
  ])("by %p: %p", (accept, expected) => {
    expect(prefersJson(fieldsOf([["accept", accept]]))).toBe(expected);
  });

  test("by several fields as by one", () => {
    expect(
      prefersJson(
        fieldsOf([
          ["accept", "text/plain;q=0.5"],
          ["accept", "application/json"],
        ]),
      ),
    ).toBe(true);
    expect(prefersJson(fieldsOf([]))).toBe(false);
  });

  test("is answered whatever is asked", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "binary", maxLength: 300 }), { maxLength: 8 }),
        (values) => {
          const fields = fieldsOf(values.map((value) => ["accept", value] as const));
          expect(prefersJson(fields)).toBeBoolean();
        },
      ),
    );
  });
});

describe("gRPC", () => {
  const call = (fields: [string, string][] = []) =>
    requestHead({
      version: 20,
      method: "POST",
      fields: [["content-type", "application/grpc+proto"], ...fields],
    });

  test("gets an answer of its own: no body, and a status in the head", () => {
    const { head, body } = answer(503, call([["x-request-id", "0af7"]]), 3);
    expect([head.status, head.bodyless, head.contentLength, body.length]).toEqual([
      200,
      true,
      UNKNOWN_LENGTH,
      0,
    ]);
    expect(head.fields.entries()).toEqual([
      ["content-type", "application/grpc"],
      ["grpc-status", "14"],
      ["grpc-message", "Service Unavailable"],
      ["x-request-id", "0af7"],
      DATE as [string, string],
      ["retry-after", "3"],
    ]);
  });

  test("that took too long by its own deadline is told so", () => {
    const status = (fields: [string, string][]) =>
      answer(504, call(fields)).head.fields.get("grpc-status");
    expect(status([["grpc-timeout", "1S"]])).toBe("4");
    expect(status([])).toBe("14");
  });

  test.each([
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [502, 14],
    [503, 14],
    [504, 14],
    [500, 2],
    [413, 2],
  ])("takes the status %p for %p", (status, expected) => {
    expect(grpcStatusOf(status)).toBe(expected);
  });

  test.each([
    ["application/grpc", true],
    ["Application/GRPC", true],
    ["application/grpc+json", true],
    ["application/grpc;charset=utf-8", true],
    ["application/grpc-web", false],
    ["application/grpc-web+proto", false],
    ["application/grpcx", false],
    ["application/gr", false],
    ["application\x0fgrpc", false],
  ])("is %p: %p", (type, expected) => {
    expect(isGrpc(fieldsOf([["content-type", type]]))).toBe(expected);
  });

  test.each([
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["10S", 10_000],
    ["250m", 250],
    ["1500u", 2],
    ["1n", 1],
    ["0m", 0],
    ["99999999S", 99_999_999_000],
    ["100000000S", Infinity],
    ["S", Infinity],
    ["", Infinity],
    ["1", Infinity],
    ["1s", Infinity],
    ["-1S", Infinity],
    ["1.5S", Infinity],
    ["1 S", Infinity],
  ])("waits %p: %p ms", (timeout, expected) => {
    expect(grpcTimeoutMs(fieldsOf([["grpc-timeout", timeout]]))).toBe(expected);
  });

  test("waits for ever without a timeout", () => {
    expect(grpcTimeoutMs(fieldsOf([]))).toBe(Infinity);
  });

  test("has the time that it says, and without one that of others", () => {
    const timeout = (type: string, value: string): number =>
      answerTimeoutMs(
        fieldsOf([
          ["content-type", type],
          ["grpc-timeout", value],
        ]),
        60_000,
      );
    expect(timeout("application/grpc", "5M")).toBe(300_000);
    expect(timeout("application/grpc", "1S")).toBe(1_000);
    expect(timeout("application/grpc", "0m")).toBe(1);
    expect(timeout("application/grpc", "x")).toBe(60_000);
    expect(timeout("text/plain", "1S")).toBe(60_000);
  });

  test("has messages that come back from their encoding", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (message) => {
        const encoded = grpcMessage(message);
        expect(encoded).toMatch(/^[\x20-\x7e]*$/);
        expect(decodeURIComponent(encoded)).toBe(message);
      }),
    );
  });
});
