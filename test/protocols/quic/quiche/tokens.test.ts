// Tokens that this process signs: who may show them, and for how long.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { Tokens } from "../../../../src/protocols/quic/quiche/tokens.ts";
import { parseIp } from "../../../../src/shared/ip.ts";

const PEER = { ip: parseIp("192.0.2.1")!, port: 4433 };
const ORIGINAL = Buffer.from("original");
const LOCAL = { host: "192.0.2.3", port: 4433 };
const CID = Buffer.from("retry-id");

test("a Retry token is good for its address, its id and its time", () => {
  const tokens = new Tokens();
  const token = tokens.sealRetry(PEER, ORIGINAL, CID, 1_000);
  expect(tokens.openRetry(token, PEER, CID, 999)).toEqual(new Uint8Array(ORIGINAL));
  expect(tokens.openRetry(token, PEER, CID, 1_000)).toBeNull();
  expect(tokens.openRetry(token, { ...PEER, port: 4434 }, CID, 999)).toBeNull();
  expect(tokens.openRetry(token, { ...PEER, ip: parseIp("192.0.2.2")! }, CID, 999)).toBeNull();
  expect(tokens.openRetry(token, PEER, Buffer.from("other-id"), 999)).toBeNull();
  expect(new Tokens().openRetry(token, PEER, CID, 999)).toBeNull();
});

test("a Retry token that was changed, or is none, opens nothing", () => {
  const tokens = new Tokens();
  const token = tokens.sealRetry(PEER, ORIGINAL, CID, 1_000);
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
      const changed = Uint8Array.from(token);
      changed[at]! ^= bits;
      expect(tokens.openRetry(changed, PEER, CID, 0)).toBeNull();
      expect(tokens.openRetry(token.subarray(0, at), PEER, CID, 0)).toBeNull();
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (noise) => {
      expect(tokens.openRetry(noise, PEER, CID, 0)).toBeNull();
    }),
  );
});

test("a reset's token is of one id, one endpoint and one process", () => {
  const tokens = new Tokens();
  const token = tokens.reset(CID, LOCAL);
  expect(token).toHaveLength(16);
  expect(tokens.reset(Buffer.from(CID), { ...LOCAL })).toEqual(token);
  expect(tokens.reset(ORIGINAL, LOCAL)).not.toEqual(token);
  expect(new Tokens().reset(CID, LOCAL)).not.toEqual(token);
  expect(tokens.reset(CID, { ...LOCAL, port: 4434 })).not.toEqual(token);
  expect(tokens.reset(CID, { ...LOCAL, host: "192.0.2.4" })).not.toEqual(token);
  expect(tokens.resetNumber(CID, LOCAL).toString(16).padStart(32, "0")).toBe(
    Buffer.from(token).toString("hex"),
  );
});
