// What auto_tls means beyond its words: which challenges are tried, in which order, and who signs what.

import { describe, expect, test } from "bun:test";

import { parseOrderRate } from "../../src/config/auto-tls-fields.ts";
import { challengesIn, isSignedHere, portUse } from "../../src/config/auto-tls.ts";
import { checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";

const HTTP2 = '{ name: http2, listen: ":443", target: "127.0.0.1:3000" }';
const HTTP = '{ name: http, listen: ":80", target: "127.0.0.1:3000" }';
const QUIC = '{ name: quic, listen: ":443", target: "127.0.0.1:3000" }';
const HTTP3_ALONE = '{ name: http3, listen: ":443", target: "127.0.0.1:3000", tcp: false }';
const TCP_80 = '{ name: tcp, listen: ":80", target: "127.0.0.1:3000" }';
const OFF_80 = '{ name: tcp, listen: ":80", target: "127.0.0.1:3000", enabled: false }';
const ELSEWHERE = '{ name: http2, listen: ":8443", target: "127.0.0.1:3000" }';

function configOf(settings: string, ...listeners: string[]) {
  const entries = listeners.map((entry) => `  - ${entry}\n`).join("");
  const text = `auto_tls: { agree_terms: true, domains: [example.com]${settings} }\nprotocols:\n${entries}`;
  return checkSource(parseSource(text, "f"));
}

function waysOf(settings: string, ...listeners: string[]): string[] {
  const config = configOf(settings, ...listeners);
  return challengesIn(config.auto_tls!, config.protocols);
}

describe("challenge: auto tries", () => {
  test("what listeners answer, before what one is opened for", () => {
    expect(waysOf("", HTTP2)).toEqual(["tls-alpn-01", "http-01"]);
    expect(waysOf("", HTTP, ELSEWHERE)).toEqual(["http-01", "tls-alpn-01"]);
    expect(waysOf("", HTTP, HTTP2)).toEqual(["tls-alpn-01", "http-01"]);
    expect(waysOf("", ELSEWHERE)).toEqual(["http-01", "tls-alpn-01"]);
  });

  test("ports that something in front leads there", () => {
    expect(waysOf(", tls_port: 8443", HTTP, ELSEWHERE)).toEqual(["tls-alpn-01", "http-01"]);
  });

  test("DNS first, where its provider is given", () => {
    expect(waysOf(", dns_provider: route53", HTTP2)).toEqual(["dns-01", "tls-alpn-01", "http-01"]);
  });

  test("nothing on a port that another listener has", () => {
    expect(waysOf("", TCP_80, HTTP2)).toEqual(["tls-alpn-01"]);
    expect(waysOf("", OFF_80, HTTP2)).toEqual(["tls-alpn-01", "http-01"]);
  });

  test("what is written, where something is", () => {
    expect(waysOf(", challenge: http-01", HTTP2)).toEqual(["http-01"]);
    expect(waysOf(", challenge: [http-01, tls-alpn-01]", HTTP2)).toEqual([
      "http-01",
      "tls-alpn-01",
    ]);
  });
});

test("a file of a credential that the DNS provider does not read is refused with those that it reads", () => {
  const dns = (names: string) => `, dns_provider: godaddy, dns: { credentials: { ${names} } }`;
  expect(() => configOf(dns("GODADDY_API_KEYS: ./key"), HTTP2)).toThrow(
    "is no credential of godaddy. Did you mean GODADDY_API_KEY?",
  );
  expect(() => configOf(dns("CF_TOKEN: ./key"), HTTP2)).toThrow(
    "is no credential of godaddy. Known here: GODADDY_API_KEY, GODADDY_API_SECRET, GODADDY_TOKEN",
  );
  expect(() => configOf(dns("GODADDY_TOKEN: ./key"), HTTP2)).not.toThrow();
});

test("QUIC has another port than TCP", () => {
  const { protocols } = configOf("", QUIC);
  expect(portUse("tls-alpn-01", 443, protocols)).toBe("free");
  expect(portUse("tls-alpn-01", 443, configOf("", HTTP3_ALONE).protocols)).toBe("free");
  expect(portUse("tls-alpn-01", 443, configOf("", HTTP2).protocols)).toBe("answers");
  expect(portUse("http-01", 443, configOf("", HTTP2).protocols)).toBe("taken");
});

test("this machine signs what no public authority would, where it may, and everything where nobody else is asked", () => {
  const of = (ca: "internal" | "letsencrypt" | undefined) => (name: string) =>
    isSignedHere(name, ca === undefined ? {} : { ca });
  expect(["db.internal", "example.com"].map(of(undefined))).toEqual([true, false]);
  expect(["db.internal", "example.com"].map(of("internal"))).toEqual([true, true]);
  expect(["db.internal", "example.com"].map(of("letsencrypt"))).toEqual([false, false]);
});

test("a rate of orders is a number and a time", () => {
  expect(parseOrderRate("10/1h")).toEqual({ orders: 10, intervalMs: 3_600_000 });
  expect(parseOrderRate("5/h")).toEqual({ orders: 5, intervalMs: 3_600_000 });
  expect(parseOrderRate("1/90s")).toEqual({ orders: 1, intervalMs: 90_000 });
  for (const wrong of ["0/1h", "x/1h", "10", "10/", "10/1", "10/0s", "-1/1h"]) {
    expect(() => parseOrderRate(wrong)).toThrow("Write");
  }
});
