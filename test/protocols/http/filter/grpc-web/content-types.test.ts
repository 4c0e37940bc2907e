// Content types of gRPC-Web and what becomes of them.

import { expect, test } from "bun:test";

import {
  grpcTypeOf,
  webAnswerType,
  webTypeOf,
} from "../../../../../src/protocols/http/filter/grpc-web/content-types.ts";

/** Content-Type and Accept of a request; what the backend is sent; whether each side is text. */
const REQUESTS: [string, string | null, string, boolean, boolean][] = [
  ["application/grpc-web", null, "application/grpc", false, false],
  ["application/grpc-web+proto", "*/*", "application/grpc+proto", false, false],
  ["application/grpc-web+json", null, "application/grpc+json", false, false],
  ["Application/gRPC-Web+Proto; charset=utf-8", null, "application/grpc+proto", false, false],
  ["application/grpc-web-text", null, "application/grpc", true, true],
  ["application/grpc-web-text+proto", null, "application/grpc+proto", true, true],
  ["application/grpc-web-text", "application/grpc-web-text", "application/grpc", true, true],
  ["application/grpc-web-text", "application/grpc-web+proto", "application/grpc", true, false],
  ["application/grpc-web", "application/grpc-web-text", "application/grpc", false, true],
];

test.each(REQUESTS)("%s that accepts %p is %s", (type, accept, grpc, text, textAnswer) => {
  const found = webTypeOf(type, accept)!;
  expect([grpcTypeOf(found), found.text, found.textAnswer]).toEqual([grpc, text, textAnswer]);
});

test("other types are not gRPC-Web", () => {
  for (const type of [
    null,
    "",
    "application/grpc",
    "application/grpc+proto",
    "application/grpc-webs",
    "application/grpc-web-texts",
    "application/grpc-web-",
    "application/json",
    "text/plain; application/grpc-web",
  ]) {
    expect([type, webTypeOf(type, null)]).toEqual([type, null]);
  }
});

test("the answer's type is of the form that the client takes, with the backend's own suffix", () => {
  const binary = webTypeOf("application/grpc-web", null)!;
  const text = webTypeOf("application/grpc-web-text", null)!;
  expect(webAnswerType("application/grpc", binary)).toBe("application/grpc-web");
  expect(webAnswerType("application/grpc+proto", binary)).toBe("application/grpc-web+proto");
  expect(webAnswerType("application/grpc+json", text)).toBe("application/grpc-web-text+json");
  for (const type of [null, "text/html", "application/grpc-web", "application/json"]) {
    expect(webAnswerType(type, text)).toBeNull();
  }
});
