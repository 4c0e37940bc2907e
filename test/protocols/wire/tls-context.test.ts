// Contexts of listeners with many certificates: what has not changed is not made again, since making one takes a tenth of a
// millisecond and there may be a thousand.

import { afterAll, expect, test } from "bun:test";

import { ServerTls } from "../../../src/protocols/wire/tls-context.ts";
import { Authority } from "../../support/certificates.ts";
import { tlsPlan } from "../../support/tls.ts";

const authority = new Authority();
const [A, B] = [authority.issue(["a.example"]).material, authority.issue(["*.b.example"]).material];
const RSA = authority.issue(["a.example"], { keyType: "rsa" }).material;
afterAll(() => authority[Symbol.dispose]());

test("a context stays as long as its certificates and the authorities of clients do", () => {
  const tls = new ServerTls(tlsPlan({}).tls, { certificates: [A], clientCa: null });
  const first = tls.contextFor("a.example");
  tls.update({ certificates: [B, structuredClone(A)], clientCa: null });
  expect(tls.contextFor("a.example")).toBe(first);
  expect(tls.contextFor("x.b.example")).not.toBe(first);
  expect(tls.contextFor("other.example")).toBe(tls.contextFor("x.b.example"));
  tls.update({ certificates: [A, RSA], clientCa: null });
  expect(tls.contextFor("a.example")).not.toBe(first);
  tls.update({ certificates: [A], clientCa: authority.ca });
  expect(tls.contextFor("a.example")).not.toBe(first);
});

test("a name is covered by itself or by one wildcard, and not by the first certificate", () => {
  const tls = new ServerTls(tlsPlan({}).tls, { certificates: [A, B], clientCa: null });
  const covered = ["a.example", "A.example.", "x.b.example"];
  const others = ["b.example", "x.y.b.example", "c.example", "", "192.0.2.1"];
  expect(covered.filter((name) => !tls.covers(name))).toEqual([]);
  expect(others.filter((name) => tls.covers(name))).toEqual([]);
});
