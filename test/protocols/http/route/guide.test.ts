// What is done to requests and answers on their way: what clients claim about themselves does not get through, what this
// proxy says of them does, paths are rewritten, and routes' own edits are done.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { ChallengeAnswers } from "../../../../src/protocols/challenge-answers.ts";
import type { ClientConnection } from "../../../../src/protocols/http/exchange.ts";
import {
  type RequestHead,
  ResponseHead,
  UNKNOWN_LENGTH,
} from "../../../../src/protocols/http/message/heads.ts";
import type { OwnAnswer, Route } from "../../../../src/protocols/http/passage.ts";
import { createRouter } from "../../../../src/protocols/http/route/guide.ts";
import { RequestIds } from "../../../../src/protocols/http/route/request-id.ts";
import { ProxyError } from "../../../../src/shared/errors.ts";
import type { ForwardedPlan, HttpRoutePlan } from "../../../../src/shared/http-plan.ts";
import { ANY, type Asked, connection, requestHead, routePlan, wireTls } from "./heads.ts";

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const NOTHING: ForwardedPlan = {
  xForwarded: false,
  forwarded: false,
  via: false,
  requestId: false,
  clientSubject: null,
};
const X_FORWARDED: ForwardedPlan = { ...NOTHING, xForwarded: true };
const none = { set: [], add: [], remove: [] };

const router = (...routes: HttpRoutePlan[]) => announcing(0, ...routes);

const announcing = (altSvcSeconds: number, ...routes: HttpRoutePlan[]) =>
  createRouter({
    routes,
    altSvcSeconds,
    filtersFor: () => [],
    ids: new RequestIds(new Uint8Array(18).fill(7)),
    unixMs: () => NOW,
    challenges: new ChallengeAnswers(),
  });

/** A request through the only route. */
function edit(
  plan: Partial<HttpRoutePlan>,
  asked: Asked,
  client: ClientConnection = connection(),
): RequestHead {
  const guide = router(routePlan(plan)).guide(client);
  const head = requestHead(asked);
  expect(guide.editRequest(guide.route(head) as Route, head)).toBeNull();
  return head;
}

const fieldsAfter = (...args: Parameters<typeof edit>): [string, string][] =>
  edit(...args).fields.entries();

describe("the fields that say who a client is", () => {
  test("are ours, whatever a client that is not trusted says", () => {
    const fields: [string, string][] = [
      ["X-Forwarded-For", "10.0.0.1"],
      ["x-forwarded-proto", "https"],
      ["X-Forwarded-Host", "evil.example"],
      ["X-Forwarded-Port", "1"],
      ["X-Forwarded-Prefix", "/evil"],
      ["X-Real-IP", "10.0.0.1"],
      ["Forwarded", "for=10.0.0.1"],
      ["Accept", "a/b"],
    ];
    expect(
      fieldsAfter({ forwarded: X_FORWARDED }, { authority: "a.example:8080", fields }),
    ).toEqual([
      ["accept", "a/b"],
      ["x-forwarded-for", "192.0.2.7"],
      ["x-forwarded-proto", "http"],
      ["x-forwarded-host", "a.example:8080"],
      ["x-forwarded-port", "8080"],
      ["x-real-ip", "192.0.2.7"],
    ]);
    expect(fieldsAfter({ forwarded: NOTHING }, { fields })).toEqual([["accept", "a/b"]]);
  });

  test.each([
    "X_Forwarded_For",
    "x-forwarded_for",
    "X.Forwarded.For",
    "X_Real_IP",
    "x_forwarded_prefix",
    "X!Forwarded!Proto",
  ])("are not sent as %s either, trusted or not", (name) => {
    const fields: [string, string][] = [[name, "10.0.0.1"]];
    const plan = { forwarded: { ...NOTHING, clientSubject: "x-client-cert" } };
    expect(fieldsAfter(plan, { fields })).toEqual([]);
    if (name === "x_forwarded_prefix") return; // this proxy says nothing by that name
    expect(fieldsAfter(plan, { fields }, connection({ trusted: true }))).toEqual([]);
  });

  test("of a trusted proxy are kept and added to", () => {
    const fields: [string, string][] = [
      ["X-Forwarded-For", "198.51.100.1, 10.1.1.1"],
      ["x-forwarded-for", ""],
      ["x-forwarded-for", "10.1.1.2"],
      ["x-forwarded-proto", "https"],
      ["x-forwarded-host", "shop.example"],
      ["x-forwarded-prefix", "/shop"],
      ["Forwarded", "for=198.51.100.1;proto=https"],
    ];
    const client = connection({ trusted: true });
    const plan = { forwarded: { ...X_FORWARDED, forwarded: true } };
    expect(fieldsAfter(plan, { fields }, client)).toEqual([
      ["x-forwarded-proto", "https"],
      ["x-forwarded-host", "shop.example"],
      ["x-forwarded-prefix", "/shop"],
      ["x-real-ip", "10.1.1.2"],
      ["x-forwarded-for", "198.51.100.1, 10.1.1.1, 10.1.1.2, 192.0.2.7"],
      ["forwarded", "for=198.51.100.1;proto=https, for=192.0.2.7;host=a.example;proto=http"],
    ]);
    expect(
      fieldsAfter({ forwarded: X_FORWARDED }, { fields: [["x-real-ip", "198.51.100.9"]] }, client),
    ).toEqual([
      ["x-real-ip", "198.51.100.9"],
      ["x-forwarded-for", "192.0.2.7"],
      ["x-forwarded-proto", "http"],
      ["x-forwarded-host", "a.example"],
      ["x-forwarded-port", "80"],
    ]);
    expect(fieldsAfter({ forwarded: NOTHING }, { fields }, client)).toHaveLength(fields.length);
  });

  test.each([
    ["192.0.2.7", "a.example", "for=192.0.2.7;host=a.example;proto=https"],
    ["2001:db8::1", "a.example:8443", 'for="[2001:db8::1]";host="a.example:8443";proto=https'],
    ["", "[::1]:80", 'for=unknown;host="[::1]:80";proto=https'],
    ["192.0.2.7", 'a"b\\', 'for=192.0.2.7;host="a\\"b\\\\";proto=https'],
    ["192.0.2.7", "", "for=192.0.2.7;proto=https"],
  ])(
    "in Forwarded for %p at %p are quoted where RFC 7239 says so",
    (address, authority, expected) => {
      const client = connection({ address, tls: wireTls() });
      const plan = { forwarded: { ...NOTHING, forwarded: true } };
      expect(fieldsAfter(plan, { authority }, client)).toEqual([["forwarded", expected]]);
    },
  );

  test.each([
    ["198.51.100.1", "198.51.100.1"],
    ["10.0.0.1,2001:DB8::1", "2001:DB8::1"],
    ["10.0.0.1,  198.51.100.1", "198.51.100.1"],
    ["10.0.0.1, ", "192.0.2.7"],
    ["unknown", "192.0.2.7"],
    ['"1.2.3.4', "192.0.2.7"],
    ["<b>", "192.0.2.7"],
    ["", "192.0.2.7"],
  ])("of a trusted proxy that says %p have %p as the nearest address", (chain, expected) => {
    const fields: [string, string][] = [["x-forwarded-for", chain]];
    const head = edit({ forwarded: X_FORWARDED }, { fields }, connection({ trusted: true }));
    expect(head.fields.get("x-real-ip")).toBe(expected);
  });

  test("of a trusted proxy that leaves a quote open are not what ours is in", () => {
    const fields: [string, string][] = [
      ["forwarded", 'for="_a, for=x'],
      ["forwarded", 'for="a\\"b"'],
    ];
    const plan = { forwarded: { ...NOTHING, forwarded: true } };
    expect(fieldsAfter(plan, { fields }, connection({ trusted: true }))).toEqual([
      ["forwarded", 'for="a\\"b", for=192.0.2.7;host=a.example;proto=http'],
    ]);
  });

  test("of a unix socket have no address, and no host if none was asked for", () => {
    const client = connection({ address: "" });
    expect(fieldsAfter({ forwarded: X_FORWARDED }, { authority: "" }, client)).toEqual([
      ["x-forwarded-proto", "http"],
      ["x-forwarded-port", "80"],
    ]);
  });

  test.each([
    ["[2001:db8::1]:8443", "8443"],
    ["[2001:db8::1]", "443"],
    ["a.example", "443"],
    ["a.example:", "443"],
    ["a.example:x", "443"],
  ])("have the port of %p", (authority, expected) => {
    const head = edit({ forwarded: X_FORWARDED }, { authority }, connection({ tls: wireTls() }));
    expect(head.fields.get("x-forwarded-port")).toBe(expected);
  });

  test("change with the host, the version and the route of a connection's requests", () => {
    const routes = router(
      routePlan({ match: { ...ANY, path: "/b" }, forwarded: { ...X_FORWARDED, via: true } }),
      routePlan({ forwarded: { ...NOTHING, via: true } }),
    );
    const guide = routes.guide(connection());
    const told = (asked: Asked): (string | null)[] => {
      const head = requestHead(asked);
      guide.editRequest(guide.route(head) as Route, head);
      return [head.fields.get("x-forwarded-host"), head.fields.get("via")];
    };
    expect(told({ path: "/b" })).toEqual(["a.example", "1.1 bun-tunnel"]);
    expect(told({ path: "/b", authority: "b.example" })).toEqual(["b.example", "1.1 bun-tunnel"]);
    expect(told({ path: "/b", version: 10 })).toEqual(["a.example", "1.0 bun-tunnel"]);
    expect(told({ path: "/b", version: 20 })).toEqual(["a.example", "2.0 bun-tunnel"]);
    expect(told({ path: "/" })).toEqual([null, "1.1 bun-tunnel"]);
    expect(told({ path: "/b" })).toEqual(["a.example", "1.1 bun-tunnel"]);
    expect(told({ path: "/b", authority: "a.examplf" })).toEqual(["a.examplf", "1.1 bun-tunnel"]);
  });
});

// Names as attackers write them, beside innocent ones.
const claim = fc.constantFrom(
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-real-ip",
  "forwarded",
  "x-request-id",
  "x-client-cert",
  "proxy",
  "x-forwarded-server",
);
const disguised = fc
  .tuple(
    claim,
    fc.array(fc.constantFrom("-", "_", ".", "~", "!"), { minLength: 4, maxLength: 4 }),
    fc.boolean(),
  )
  .map(([name, marks, upper]) => {
    let i = 0;
    const written = name.replace(/-/g, () => marks[i++ % 4]!);
    return upper ? written.toUpperCase() : written;
  });
const innocent = fc.constantFrom(
  "accept",
  "user-agent",
  "x-forwarded",
  "real-ip",
  "via",
  "x-env",
  "x_env",
  "x-request",
);
const attack = fc.array(
  fc.tuple(fc.oneof(disguised, innocent), fc.constantFrom("10.66.66.66", "evil")),
  { maxLength: 30 },
);
const canonical = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "-");

test("nothing that an untrusted client claims about itself gets through, however it is written", () => {
  const isClaim = (name: string): boolean =>
    /^(x-forwarded-.*|x-real-ip|forwarded|x-request-id|x-client-cert|proxy)$/.test(canonical(name));
  fc.assert(
    fc.property(attack, fc.boolean(), fc.boolean(), (fields, xForwarded, forwarded) => {
      const plan = {
        xForwarded,
        forwarded,
        via: false,
        requestId: true,
        clientSubject: "x-client-cert",
      };
      const after = fieldsAfter({ forwarded: plan }, { fields });
      for (const [name, value] of after) {
        if (isClaim(name)) expect(["10.66.66.66", "evil"]).not.toContain(value);
      }
      const kept = fields.filter(([name]) => !isClaim(name)).map(([name]) => name.toLowerCase());
      expect(after.map(([name]) => name).filter((name) => !isClaim(name))).toEqual(kept);
      expect(after.filter(([name]) => name === "x-forwarded-for")).toHaveLength(xForwarded ? 1 : 0);
    }),
  );
});

// Whatever codecs let through, and more.
const octets = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          "/",
          "..",
          "%2f",
          "%2e",
          ";",
          "\\",
          "%",
          "a",
          "v1",
          "?",
          ":",
          "[",
          "]",
          '"',
          ",",
        ),
        fc.nat(255).map((byte) => String.fromCharCode(byte)),
      ),
      { maxLength },
    )
    .map((parts) => parts.join(""));
const anyAsked = fc.record({
  method: fc.constantFrom("GET", "OPTIONS", "POST"),
  authority: octets(8),
  path: octets(12).map((rest) => `/${rest}`),
  version: fc.constantFrom<RequestHead["version"]>(10, 11, 20),
  fields: fc.array(
    fc.tuple(
      fc.oneof(
        disguised,
        innocent,
        fc.constant("max-forwards"),
        octets(6).filter((name) => name !== ""),
      ),
      octets(6),
    ),
    { maxLength: 12 },
  ),
});

test("any request finds its way or is refused, and what it becomes is whole and below the prefix that it was put under", () => {
  const all = {
    xForwarded: true,
    forwarded: true,
    via: true,
    requestId: true,
    clientSubject: "x-client-cert",
  };
  const routes = router(
    routePlan({ match: { ...ANY, host: "*.example", path: "/v1/*" }, forwarded: all }),
    routePlan({
      match: { ...ANY, path: "/r*" },
      group: null,
      redirect: { to: "{path}", status: 302 },
    }),
    routePlan({ rewrite: { stripPrefix: "/v1", addPrefix: "/tenant" }, forwarded: all }),
  );
  fc.assert(
    fc.property(
      fc.array(anyAsked, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      (requests, trusted) => {
        const guide = routes.guide(
          connection({ trusted, tls: wireTls({ clientSubject: "CN=a" }) }),
        );
        for (const asked of requests) {
          const head = requestHead(asked);
          const route = guide.route(head);
          if (typeof route === "number") continue;
          if (route.plan.group === null) {
            const location = guide.answer(route, head).head.fields.get("location");
            expect(location ?? "/").toMatch(/^\/(?![/\\])[\x21-\x7e]*$/);
            continue;
          }
          if (guide.editRequest(route, head) === 400) continue;
          const { fields } = head;
          expect(head.authority).toBe(asked.authority);
          expect(head.path).toMatch(/^\//);
          if (route.plan.rewrite !== null) {
            expect(head.path).toStartWith("/tenant");
            // As the most generous of readers would have it.
            const path = head.path.replace(/\?[^]*/, "").replace(/%2f|\\|%5c/gi, "/");
            const segments = path
              .replace(/(;|%3b)[^/]*/gi, "")
              .replace(/%2e/gi, ".")
              .split("/");
            let depth = 0;
            for (const segment of segments.slice(1)) {
              if (segment === "..") depth--;
              else if (segment !== "." && segment !== "") depth++;
              expect(depth).toBeGreaterThan(0);
            }
          }
          for (let i = 0; i < fields.count * 4; i++) {
            expect(fields.ranges[i]!).toBeLessThanOrEqual(fields.used);
          }
          const subject = fields.entries().filter(([name]) => canonical(name) === "x-client-cert");
          expect(subject).toEqual([["x-client-cert", "CN=a"]]);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("trailers claim nothing either, whoever sends them", () => {
  for (const trusted of [false, true]) {
    const forwarded = { ...X_FORWARDED, clientSubject: "x-client-cert" };
    const guide = router(routePlan({ forwarded })).guide(connection({ trusted }));
    const trailers = requestHead({
      fields: [
        ["x-forwarded-for", "10.0.0.1"],
        ["X.Real.IP", "10.0.0.1"],
        ["x-client-cert", "CN=root"],
        ["grpc-status", "0"],
      ],
    }).fields;
    guide.editTrailers(guide.route(requestHead()) as Route, trailers);
    expect(trailers.entries()).toEqual([["grpc-status", "0"]]);
  }
});

describe("a request id", () => {
  const plan = { forwarded: { ...NOTHING, requestId: true } };
  const trusted = connection({ trusted: true });

  test("is made for every request, and no two are the same", () => {
    const guide = router(routePlan(plan)).guide(connection());
    const ids = Array.from({ length: 5_000 }, () => {
      const head = requestHead({ fields: [["x-request-id", "mine"]] });
      guide.editRequest(guide.route(head) as Route, head);
      expect(head.fields.entries()).toHaveLength(1);
      return head.fields.get("x-request-id")!;
    });
    expect(new Set(ids).size).toBe(5_000);
    expect(ids.every((id) => /^[0-9a-f]{32}$/.test(id))).toBe(true);
  });

  test("of a trusted proxy is kept", () => {
    expect(fieldsAfter(plan, { fields: [["X-Request-ID", "from-the-edge"]] }, trusted)).toEqual([
      ["x-request-id", "from-the-edge"],
    ]);
  });

  test.each([[["a b"]], [[""]], [["x".repeat(129)]], [["a", "b"]], [["\xe9"]]])(
    "of a trusted proxy is replaced if it is %p",
    (values) => {
      const fields = values.map((value): [string, string] => ["x-request-id", value]);
      const after = fieldsAfter(plan, { fields }, trusted);
      expect(after).toEqual([["x-request-id", expect.stringMatching(/^[0-9a-f]{32}$/)]]);
    },
  );

  test("differs between workers, and goes on differing when the number of requests passes 32 bits", () => {
    const bytes = new Uint8Array(32);
    const next = (ids: RequestIds): string => {
      bytes.set(ids.template());
      ids.finish(bytes, 0);
      return Buffer.from(bytes).toString();
    };
    const random = (seed: number): Uint8Array =>
      Uint8Array.from({ length: 18 }, (_, i) => (i + 1) * seed);
    expect(next(new RequestIds(random(3)))).not.toBe(next(new RequestIds(random(5))));
    const ids = new RequestIds(random(3), 0xffff_fffe);
    const all = Array.from({ length: 4 }, () => next(ids));
    expect(new Set(all).size).toBe(4);
    expect(all[2]!.slice(20, 24)).not.toBe(all[1]!.slice(20, 24));
  });
});

describe("the subject of a client's certificate", () => {
  const plan = { forwarded: { ...NOTHING, clientSubject: "x-client-subject" } };
  const client = (clientSubject: string) => connection({ tls: wireTls({ clientSubject }) });

  test("is sent in the field that was asked for, and never what a client sends there", () => {
    const fields: [string, string][] = [
      ["X-Client-Subject", "CN=root"],
      ["x_client_subject", "CN=root"],
    ];
    expect(fieldsAfter(plan, { fields }, client("CN=alice,O=Example"))).toEqual([
      ["x-client-subject", "CN=alice,O=Example"],
    ]);
    expect(fieldsAfter(plan, { fields }, client(""))).toEqual([]);
    expect(fieldsAfter(plan, { fields })).toEqual([]);
    expect(fieldsAfter(plan, { fields }, connection({ trusted: true }))).toEqual([]);
  });

  test("cannot end its field, whatever is in it", () => {
    expect(fieldsAfter(plan, {}, client(" CN=a\r\nX-Admin: 1\0é "))).toEqual([
      ["x-client-subject", "\\20CN=a\\0D\\0AX-Admin: 1\\00\\C3\\A9\\20"],
    ]);
  });
});

describe("a route's own edits", () => {
  test("set, add and remove fields, and win over what this proxy adds", () => {
    const request = {
      set: [
        { name: "x-env", value: "prod" },
        { name: "x-forwarded-proto", value: "https" },
      ],
      add: [{ name: "accept", value: "c/d" }],
      remove: ["cookie", "x-real-ip", "x-old"],
    };
    const fields: [string, string][] = [
      ["X-Env", "1"],
      ["x-env", "2"],
      ["X_Env", "3"],
      ["Cookie", "a=b"],
      ["X-Old", ""],
      ["Accept", "a/b"],
    ];
    expect(fieldsAfter({ request, forwarded: X_FORWARDED }, { fields })).toEqual([
      ["accept", "a/b"],
      ["x-forwarded-for", "192.0.2.7"],
      ["x-forwarded-host", "a.example"],
      ["x-forwarded-port", "80"],
      ["x-env", "prod"],
      ["x-forwarded-proto", "https"],
      ["accept", "c/d"],
    ]);
  });

  test("of Host change the authority, and what the client asked for is told", () => {
    const request = { ...none, set: [{ name: "host", value: "inside.example" }] };
    const head = edit({ request, forwarded: X_FORWARDED }, {});
    expect(head.authority).toBe("inside.example");
    expect(head.fields.get("x-forwarded-host")).toBe("a.example");
    expect(head.fields.entries().map(([name]) => name)).not.toContain("host");
  });

  test.each([
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "upgrade",
    "a b",
    "X-Env",
    "",
  ])("cannot be of %p", (name) => {
    const request = { ...none, set: [{ name, value: "1" }] };
    expect(() => router(routePlan({ request }))).toThrow(ProxyError);
    expect(() => router(routePlan({ response: { ...none, remove: [name] } }))).toThrow(ProxyError);
  });

  test.each(["a\r\nb", "a\nb", "a\0b", " a", "a\t"])("cannot write %p", (value) => {
    const request = { ...none, add: [{ name: "x-env", value }] };
    expect(() => router(routePlan({ request }))).toThrow("in one line");
  });

  test("of answers set, add and remove, with Via behind", () => {
    const response = {
      set: [{ name: "server", value: "ours" }],
      add: [{ name: "vary", value: "origin" }],
      remove: ["x-powered-by"],
    };
    const guide = router(routePlan({ response, forwarded: { ...NOTHING, via: true } })).guide(
      connection(),
    );
    const route = guide.route(requestHead()) as Route;
    const answered = (version: ResponseHead["version"]): [string, string][] => {
      const head = new ResponseHead();
      head.version = version;
      for (const name of ["server", "X-Powered-By", "x_powered_by", "vary", "via"])
        head.fields.add(name, "theirs");
      guide.editResponse(route, head);
      return head.fields.entries();
    };
    const expected = (via: string): [string, string][] => [
      ["x_powered_by", "theirs"],
      ["vary", "theirs"],
      ["via", "theirs"],
      ["via", via],
      ["server", "ours"],
      ["vary", "origin"],
    ];
    expect(answered(11)).toEqual(expected("1.1 bun-tunnel"));
    expect(answered(20)).toEqual(expected("2.0 bun-tunnel"));
    expect(answered(11)).toEqual(expected("1.1 bun-tunnel"));
  });

  test("leave an answer alone where there are none", () => {
    const guide = router(routePlan({ forwarded: NOTHING })).guide(connection());
    const head = new ResponseHead();
    head.fields.add("alt-svc", 'h3=":443"');
    guide.editResponse(guide.route(requestHead()) as Route, head);
    expect(head.fields.entries()).toEqual([["alt-svc", 'h3=":443"']]);
  });
});

describe("a path that is rewritten", () => {
  const path = (stripPrefix: string, addPrefix: string, asked: string): string | 400 => {
    const guide = router(routePlan({ rewrite: { stripPrefix, addPrefix } })).guide(connection());
    const head = requestHead({ path: asked });
    const refused = guide.editRequest(guide.route(head) as Route, head);
    return refused ?? head.path;
  };

  test.each([
    ["/v1", "", "/v1/users?a=/v1", "/users?a=/v1"],
    ["/v1", "", "/v1", "/"],
    ["/v1", "", "/v1?a", "/?a"],
    ["/v1", "", "/v1/", "/"],
    ["/v1/", "", "/v1/users", "/users"],
    ["/v1", "", "/v1beta/users", "/v1beta/users"],
    ["/v1", "", "/users/%61//b?x", "/users/a/b?x"],
    ["/v1", "", "/%76%31/a%2Fb", "/a%2Fb"],
    ["/v1", "", "//v1/./a", "/a"],
    ["/v1", "", "/v1//evil.example/", "/evil.example/"],
    ["/v1", "/api", "/v1/users", "/api/users"],
    ["/v1", "/api/", "/v1", "/api"],
    ["", "/api", "/users", "/api/users"],
    ["", "/api", "/", "/api/"],
    ["", "/api", "/a/../b", "/api/b"],
    ["/a%2Fb", "", "/a%2fb/c", "/c"],
    ["/a%20b", "/x", "/a%20b/c%20d", "/x/c%20d"],
    ["/bücher", "", "/b%C3%BCcher/1", "/1"],
    ["/v1", "", "*", "*"],
  ])("by %p → %p: %p is %p", (strip, add, asked, expected) => {
    expect(path(strip, add, asked)).toBe(expected);
  });

  test.each([
    "/../x",
    "/a/../../x",
    "/v1/..%2fadmin",
    "/v1/%2e%2e%2f",
    "/v1/..;/admin",
    "/v1/..\\admin",
    "/%00",
    "/%zz",
  ])("is refused if it is %p, which may lead out of its prefix", (asked) => {
    expect(path("/v1", "/tenant", asked)).toBe(400);
  });

  test("goes on as it came without a rewrite, whatever it is", () => {
    for (const asked of ["/a//b/../%7e;x", "/%zz", "//x"]) {
      expect(edit({}, { path: asked }).path).toBe(asked);
    }
  });
});

describe("what is answered here", () => {
  const answered = (
    plan: Partial<HttpRoutePlan>,
    asked: Asked,
    client = connection(),
  ): OwnAnswer => {
    const guide = router(routePlan(plan)).guide(client);
    const head = requestHead(asked);
    const route = guide.route(head) as Route;
    expect(route.plan.group).toBeNull();
    return guide.answer(route, head);
  };
  const redirect = (to: string, asked: Asked, client = connection()): string | null =>
    answered({ group: null, redirect: { to, status: 308 } }, asked, client).head.fields.get(
      "location",
    );

  test.each([
    ["https://new.example.com", "/a?b=c", "https://new.example.com/a?b=c"],
    ["https://{host}", "/a", "https://a.example/a"],
    ["https://{host}:8443", "/a", "https://a.example:8443/a"],
    ["{scheme}://www.{host}{path}", "/a", "http://www.a.example/a"],
    ["https://new.example.com/", "/a", "https://new.example.com/"],
    ["https://new.example.com?from={path}", "/a", "https://new.example.com?from=/a"],
    ["/new{path}", "/a", "/new/a"],
    ["/{path}", "//evil.example", "/evil.example"],
    ["{path}", "//evil.example/x", "/evil.example/x"],
    ["{path}", "/\\evil.example", "/evil.example"],
    ["{path}", "/\t/evil.example", "/%09/evil.example"],
    ["https://{host}", "//evil.example", "https://a.example/evil.example"],
    ["https://{host}", "@evil.example", "https://a.example/"],
    ["https://{host}", "*", "https://a.example/"],
    ["https://{host}", '/a\\b<c>"\xe9 ', "https://a.example/a%5Cb%3Cc%3E%22%E9%20"],
    ["https://{host}", "/%0d%0aset-cookie:a", "https://a.example/%0d%0aset-cookie:a"],
  ])("a redirect to %p for %p leads to %p", (to, path, expected) => {
    expect(redirect(to, { path, authority: "a.example:80" })).toBe(expected);
  });

  test("a redirect knows the scheme of its connection, whatever the request says", () => {
    expect(redirect("{scheme}://x", {}, connection({ tls: wireTls() }))).toBe("https://x/");
  });

  test("a redirect believes a trusted proxy about its scheme", () => {
    const fields: [string, string][] = [["x-forwarded-proto", "https"]];
    expect(redirect("{scheme}://x", { fields }, connection({ trusted: true }))).toBe("https://x/");
    expect(redirect("{scheme}://x", { fields })).toBe("http://x/");
    const odd: [string, string][] = [["x-forwarded-proto", "javascript"]];
    const client = connection({ trusted: true });
    expect(redirect("{scheme}://x", { fields: odd }, client)).toBe("http://x/");
  });

  test("a redirect has its status, a body, and no rule against remembering it", () => {
    const { head, body } = answered(
      { group: null, redirect: { to: "https://x", status: 308 } },
      {},
    );
    expect(head.status).toBe(308);
    expect(Buffer.from(body).toString()).toBe("308 Permanent Redirect\n");
    expect(head.contentLength).toBe(body.length);
    expect(head.fields.entries()).toEqual([
      ["content-type", "text/plain; charset=utf-8"],
      ["location", "https://x/"],
      ["date", "Fri, 02 Jan 2026 03:04:05 GMT"],
    ]);
  });

  test("a redirect has the fields that its route sets, and not those that it removes", () => {
    const response = {
      set: [{ name: "strict-transport-security", value: "max-age=1" }],
      add: [{ name: "vary", value: "host" }],
      remove: ["date"],
    };
    const redirected = { to: "https://x", status: 308 } as const;
    const { head } = answered({ group: null, redirect: redirected, response }, {});
    expect(head.fields.entries()).toEqual([
      ["content-type", "text/plain; charset=utf-8"],
      ["location", "https://x/"],
      ["strict-transport-security", "max-age=1"],
      ["vary", "host"],
    ]);
  });

  test.each(["", "a.example/evil", "evil\\x", "a@b", "[::1"])(
    "a redirect to the host %p, which is none, is a bad request",
    (authority) => {
      const { head } = answered(
        { group: null, redirect: { to: "https://{host}", status: 301 } },
        { authority },
      );
      expect(head.status).toBe(400);
    },
  );

  test("OPTIONS that may not go further is, and one that may goes once less far", () => {
    const fields: [string, string][] = [["Max-Forwards", "0"]];
    const { head, body } = answered({}, { method: "OPTIONS", path: "*", fields });
    expect([head.status, head.bodyless, body.length]).toEqual([204, true, 0]);
    expect(head.fields.get("allow")).toContain("GET");
    const left = (method: string, value: string): string | null =>
      edit({}, { method, fields: [["max-forwards", value]] }).fields.get("max-forwards");
    expect(left("OPTIONS", "7")).toBe("6");
    expect(left("OPTIONS", "x")).toBe("x");
    expect(left("GET", "0")).toBe("0");
  });

  test.each([
    ["TRACE", 405],
    ["CONNECT", 405],
    ["GET", 404],
  ])("%s to no route is refused with %p", (method, status) => {
    const guide = router(routePlan({ match: { ...ANY, path: "/a" } })).guide(connection());
    expect(guide.route(requestHead({ method, path: method === "CONNECT" ? "" : "/b" }))).toBe(
      status as 404,
    );
    if (method !== "GET") return;
    expect(guide.route(requestHead({ path: "/%00" }))).toBe(400);
    expect(guide.route(requestHead({ authority: "a".repeat(261), path: "/a" }))).toBe(400);
    expect(guide.route(requestHead({ authority: "a".repeat(260), path: "/a" }))).toBeObject();
  });
});

describe("HTTP/3 is announced", () => {
  const answered = (plan: Partial<HttpRoutePlan>, asked: Asked, status = 200): string | null => {
    const guide = announcing(86_400, routePlan({ forwarded: NOTHING, ...plan })).guide(
      connection({ tls: wireTls() }),
    );
    const head = requestHead(asked);
    const route = guide.route(head) as Route;
    expect(guide.editRequest(route, head)).toBeNull();
    const answer = new ResponseHead();
    answer.status = status;
    answer.fields.add("alt-svc", 'h3=":1"');
    guide.editResponse(route, answer);
    return answer.fields.get("alt-svc");
  };

  test("at the port that a client asked for, and in place of what the backend says of itself", () => {
    expect(answered({}, { authority: "a.example" })).toBe('h3=":443"; ma=86400');
    expect(answered({}, { authority: "a.example:8443" })).toBe('h3=":8443"; ma=86400');
    expect(answered({}, { authority: "[2001:db8::1]:9443" })).toBe('h3=":9443"; ma=86400');
  });

  test("to nobody who speaks it already, nor by an informational answer", () => {
    expect(answered({}, { version: 30 })).toBe('h3=":1"');
    expect(answered({}, {}, 103)).toBe('h3=":1"');
  });

  test("but by a route that says something else", () => {
    const response = { ...none, set: [{ name: "alt-svc", value: "clear" }] };
    expect(answered({ response }, {})).toBe("clear");
  });
});

describe("a request that came before the handshake was over", () => {
  const early = (asked: Asked) => {
    const guide = router(routePlan({ forwarded: NOTHING })).guide(connection());
    const head = requestHead(asked);
    head.early = true;
    return { guide, head, found: guide.route(head) };
  };

  test.each(["GET", "HEAD", "OPTIONS"])("with %s goes on, and says so once", (method) => {
    const fields: [string, string][] = [["early-data", "0"]];
    const { guide, head, found } = early({ method, fields });
    expect(guide.editRequest(found as Route, head)).toBeNull();
    expect(head.fields.entries()).toEqual([["early-data", "1"]]);
  });

  test.each(["POST", "PUT", "DELETE", "PATCH", "PURGE"])("with %s has to come again", (method) => {
    expect(early({ method }).found).toBe(425);
  });

  test("has to come again with a body, or for a WebSocket", () => {
    const { guide, head } = early({ method: "GET" });
    head.contentLength = UNKNOWN_LENGTH;
    expect(guide.route(head)).toBe(425);
    head.contentLength = 0;
    head.upgrade = "websocket";
    expect(guide.route(head)).toBe(425);
  });
});
