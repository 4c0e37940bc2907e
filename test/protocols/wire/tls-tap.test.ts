// What is seen of a handshake from below: whether a client is an authority that looks, by its first bytes, however they come.

import { describe, expect, test } from "bun:test";

import { HelloBytes, Tap } from "../../../src/protocols/wire/tls-tap.ts";
import { ACME_TLS_1 } from "../../../src/shared/challenges.ts";
import { FIRST_BYTES } from "../../../src/shared/limits.ts";
import { alpn, hello, POST_QUANTUM, recut, sni } from "../../l4/tls/hellos.ts";

function isChallenge(bytes: Uint8Array, step = bytes.length): boolean {
  const seen = new HelloBytes();
  for (let at = 0; at < bytes.length; at += step) seen.take(bytes.subarray(at, at + step));
  return seen.isChallenge();
}

const CHALLENGE = hello([sni("a.example"), alpn(ACME_TLS_1), POST_QUANTUM]);

describe("a hello", () => {
  test("that offers acme-tls/1 alone is an authority's, whole or in parts", () => {
    for (const step of [CHALLENGE.length, 1, 7, 1_000]) {
      expect(isChallenge(CHALLENGE, step)).toBeTrue();
    }
    expect(isChallenge(recut(CHALLENGE, [1, 50, 3]))).toBeTrue();
  });

  test.each([
    [hello([sni("a.example"), alpn("h2", ACME_TLS_1)])],
    [hello([sni("a.example"), alpn(ACME_TLS_1, ACME_TLS_1)])],
    [hello([sni("a.example"), alpn("acme-tls/1.1")])],
    [hello([sni("a.example")])],
    [hello(null)],
    [CHALLENGE.subarray(0, -1)],
    [new Uint8Array(0)],
    [Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ])("that is anything else is a client's", (bytes) => {
    expect(isChallenge(bytes)).toBeFalse();
  });

  test("is held in bounds, and forgotten when it was asked about", () => {
    const seen = new HelloBytes();
    const chunk = new Uint8Array(16_384).fill(22);
    let taken = 0;
    while (seen.take(chunk)) taken += chunk.length;
    expect(taken).toBeLessThanOrEqual(FIRST_BYTES.clientHelloWireMaxBytes);
    expect(seen.isChallenge()).toBeFalse();
    const asked = new HelloBytes();
    asked.take(CHALLENGE);
    expect(asked.isChallenge()).toBeTrue();
    expect(asked.take(CHALLENGE)).toBeFalse();
    expect(asked.isChallenge()).toBeFalse();
  });

  test("is kept although the runtime uses the memory of its chunks again", () => {
    const seen = new HelloBytes();
    const tap = new Tap(null, seen);
    const memory = new Uint8Array(CHALLENGE);
    tap.receive(memory.subarray(0, 100));
    memory.fill(0, 0, 100);
    tap.receive(memory.subarray(100));
    memory.fill(0);
    expect(seen.isChallenge()).toBeTrue();
  });
});
