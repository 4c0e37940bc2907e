// Chains of certificates, verified before they are used: each thing that can be wrong with one is found, and named.

import { afterAll, describe, expect, test } from "bun:test";

import {
  chainText,
  leadsTo,
  plainAddress,
  readChain,
  verifyChain,
} from "../../../../src/control/acme/protocol/chain.ts";
import { Secret } from "../../../../src/shared/secret.ts";
import { Authority, type Issued } from "../../../support/certificates.ts";

const DAY_MS = 86_400_000;
const authority = new Authority();
afterAll(() => authority[Symbol.dispose]());

const intermediate = authority.issue([], { name: "Test intermediate", authority: true });
const own = authority.issue(["a.example", "*.a.example", "IP:2001:db8::1", "IP:192.0.2.1"], {
  issuer: intermediate,
});
const names = ["a.example", "*.a.example", "2001:db8::1", "192.0.2.1"];

function verify(
  pem: string,
  {
    key,
    wanted = names,
    nowMs = Date.now(),
  }: { key?: string; wanted?: string[]; nowMs?: number } = {},
): void {
  const secret = Secret.of(Buffer.from(key ?? own.key));
  verifyChain("ca.example", readChain("ca.example", pem), secret, wanted, nowMs);
}

const chain = (...parts: Issued[]): string => parts.map(({ cert }) => cert).join("\n");

describe("a chain", () => {
  test("that is right is taken, and written as it came, without what stood around it", () => {
    const pem = `Subject: x\n${own.cert}\nIssuer: y\n${intermediate.cert}`;
    verify(pem);
    expect(chainText(readChain("ca.example", pem))).toBe(`${own.cert}${intermediate.cert}`);
  });

  test("without intermediates is taken: some roots sign themselves", () => {
    verify(own.cert);
  });

  for (const [what, act, message] of [
    [
      "of another key",
      () => verify(chain(own, intermediate), { key: intermediate.key }),
      "it is for another key",
    ],
    [
      "that lacks names",
      () => verify(chain(own, intermediate), { wanted: [...names, "b.example", "x.a.example"] }),
      "it lacks b.example, x.a.example",
    ],
    [
      "that is over",
      () => verify(chain(own, intermediate), { nowMs: Date.now() + 31 * DAY_MS }),
      "it ended on ",
    ],
    [
      "that has not begun",
      () => verify(chain(own, intermediate), { nowMs: Date.now() - DAY_MS }),
      "is this machine's clock right?",
    ],
    [
      "with a gap",
      () => verify(chain(own, authority.issue([], { name: "Other", authority: true }))),
      "number 1 of its chain is not signed by number 2",
    ],
    [
      "of an authority",
      () => verify(intermediate.cert, { key: intermediate.key, wanted: [] }),
      "it is an authority's",
    ],
    ["that is none", () => verify("<html>"), "what should be a certificate is none"],
    [
      "that is damaged",
      () => verify(own.cert.replace(/\n[^\n]{10}/, "\nAAAAAAAAAA")),
      "a certificate that cannot be read",
    ],
    ["without end", () => verify(chain(...Array(11).fill(own))), "a chain of 11 certificates"],
  ] as const) {
    test(`${what} is refused, with the reason`, () => {
      expect(act).toThrow(message);
    });
  }

  test("leads to the root that signed its end, or that is its end", () => {
    const read = readChain("ca.example", chain(own, intermediate));
    expect(leadsTo(read, "Test authority")).toBe(true);
    expect(leadsTo(read, "Test intermediate")).toBe(true);
    expect(leadsTo(read, "a.example")).toBe(false);
    expect(leadsTo([], "a.example")).toBe(false);
  });
});

test("addresses are compared in the form of RFC 5952", () => {
  expect(plainAddress("2001:DB8:0:0:0:0:0:1")).toBe("2001:db8::1");
  expect(plainAddress("192.0.2.1")).toBe("192.0.2.1");
});
