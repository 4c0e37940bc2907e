// Who is let in at the admin listener: what browsers send on behalf of other sites is told apart from what people and programs
// send.

import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";

import fc from "fast-check";

import { judge } from "../../../src/control/admin/gate.ts";
import { Token } from "../../../src/control/admin/token.ts";
import { parseEndpoint } from "../../../src/shared/address.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const token = new Token(SECRET);
const LOCAL = parseEndpoint("127.0.0.1:9090", "listen");

function statusOf(
  method: string,
  headers: Record<string, string>,
  { listen = LOCAL, withToken = false } = {},
): number | "trusted" | "public" {
  const verdict = judge({ method, headers }, { listen, token: withToken ? token : null });
  if (!verdict.passes) return verdict.status;
  return verdict.trusted ? "trusted" : "public";
}

describe("a name that anybody may let point here is turned away (DNS rebinding)", () => {
  test.each([
    "127.0.0.1:9090",
    "127.0.0.1",
    "localhost:9090",
    "LOCALHOST",
    "[::1]:9090",
    "10.1.2.3:80",
  ])("%s is this machine", (host) => expect(statusOf("GET", { host })).toBe("trusted"));

  test.each(["evil.example", "evil.example:9090", "localhost.evil.example", "", "[::1", "a b"])(
    "%p is not",
    (host) => expect(statusOf("GET", { host })).toBe(421),
  );

  test("a request without the field is turned away", () => {
    expect(statusOf("GET", {})).toBe(421);
  });

  test("the name that was configured is this machine, and whoever shows the token may use any", () => {
    const named = { listen: parseEndpoint("edge.internal:9090", "listen"), withToken: true };
    expect(statusOf("GET", { host: "Edge.Internal:9090" }, named)).toBe("public");
    expect(statusOf("GET", { host: "other.internal" }, named)).toBe(421);
    const authorization = `Bearer ${SECRET}`;
    expect(statusOf("GET", { host: "other.internal", authorization }, named)).toBe("trusted");
  });

  test("whatever is let in names an address, localhost or the name that was configured", () => {
    const listen = parseEndpoint("edge.internal:9090", "listen");
    const hosts =
      "127.0.0.1 localhost edge.internal EDGE.internal evil.example [::1] ::1 0x7f.1 2130706433";
    const between = "[ ] : . @ / # ? %00 , 9090".split(" ");
    const part = fc.constantFrom(...hosts.split(" "), ...between, " ", "\t");
    const ours = /^(edge\.internal|localhost\.?|[0-9.]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$/i;
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const host = parts.join("");
        const passes = statusOf("GET", { host }, { listen }) !== 421;
        if (passes) expect(host).toMatch(ours);
        if (passes)
          expect(
            isIP(new URL(`http://${host}`).hostname.replace(/[[\]]/g, "")) > 0 ||
              /localhost|edge/i.test(host),
          ).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test("nobody reaches a unix socket by name, whatever the field says", () => {
    const listen = parseEndpoint("unix:/run/admin.sock", "listen");
    expect(statusOf("GET", { host: "anything.example" }, { listen })).toBe("trusted");
  });
});

describe("a page of another site changes nothing (CSRF)", () => {
  const host = "127.0.0.1:9090";
  test.each([
    [{ origin: "https://evil.example" }, 403],
    [{ origin: "null" }, 403],
    [{ origin: "http://127.0.0.1:8000" }, 403],
    [{ "sec-fetch-site": "cross-site" }, 403],
    [{ "sec-fetch-site": "same-site" }, 403],
    [{ origin: "http://127.0.0.1:9090", "sec-fetch-site": "same-origin" }, "trusted"],
    [{ "sec-fetch-site": "none" }, "trusted"],
    [{}, "trusted"],
  ] as const)("POST with %p", (headers, expected) => {
    expect(statusOf("POST", { host, ...headers })).toBe(expected);
  });

  test.each([
    [
      { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" },
      403,
    ],
    [{ "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" }, 403],
    [{ "sec-fetch-site": "same-site", "sec-fetch-dest": "empty" }, 403],
    [
      { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
      403,
    ],
    [
      {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
      },
      "trusted",
    ],
    [{ "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" }, "trusted"],
    [{}, "trusted"],
  ] as const)(
    "nor does it look in, be it only to learn that there is something; GET with %p",
    (headers, expected) => {
      expect(statusOf("GET", { host, ...headers })).toBe(expected);
    },
  );

  test.each([
    ["text/plain", 415],
    ["Text/Plain;charset=UTF-8", 415],
    ["multipart/form-data; boundary=x", 415],
    ["application/x-www-form-urlencoded", "trusted"],
    ["application/json", "trusted"],
  ] as const)("POST of %p without an origin, as browsers of old send forms", (type, expected) => {
    expect(statusOf("POST", { host, "content-type": type })).toBe(expected);
  });

  test("whoever shows the token is none, and may write any type, also from our page behind TLS", () => {
    const authorization = `Bearer ${SECRET}`;
    const headers = { host, "content-type": "text/plain", authorization };
    expect(statusOf("POST", headers, { withToken: true })).toBe("trusted");
    const page = { host: "edge.example", origin: "https://edge.example", authorization };
    expect(statusOf("POST", page, { withToken: true })).toBe("trusted");
  });
});

describe("the token", () => {
  const host = "127.0.0.1:9090";
  test.each([
    [`Bearer ${SECRET}`, "trusted"],
    [`bearer  ${SECRET}`, "trusted"],
    [`Bearer ${SECRET}x`, "public"],
    [`Bearer ${SECRET.slice(1)}`, "public"],
    ["Bearer ", "public"],
    [`Basic ${SECRET}`, "public"],
    [SECRET, "public"],
  ])("%p", (authorization, expected) => {
    expect(statusOf("GET", { host, authorization }, { withToken: true })).toBe(expected as never);
  });
});
