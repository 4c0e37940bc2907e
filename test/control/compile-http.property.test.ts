// Whatever a configuration says of requests: it is refused with its place, or the gateway can carry it out. No plan that was
// accepted is an error in a worker, where nobody could mend it.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { checkSource } from "../../src/config/check.ts";
import type { Source } from "../../src/config/problems.ts";
import { compile } from "../../src/control/compile.ts";
import { ChallengeAnswers } from "../../src/protocols/challenge-answers.ts";
import { ResponseHead } from "../../src/protocols/http/message/heads.ts";
import type { Route } from "../../src/protocols/http/passage.ts";
import { createRouter } from "../../src/protocols/http/route/guide.ts";
import { RequestIds } from "../../src/protocols/http/route/request-id.ts";
import { ProxyError } from "../../src/shared/errors.ts";
import type { HttpPlan } from "../../src/shared/http-plan.ts";
import { connection, requestHead } from "../protocols/http/route/heads.ts";

const some = (...texts: string[]) => fc.constantFrom(...texts);
/** Mostly one of these, now and then anything. */
const mostly = (...texts: string[]) =>
  fc.oneof({ weight: 12, arbitrary: some(...texts) }, { weight: 1, arbitrary: fc.string() });
const maybe = <T>(inner: fc.Arbitrary<T>) => fc.option(inner, { nil: undefined, freq: 2 });

const hosts = mostly("a.example", "*.a.example", "B.example.", "[::1]", "10.0.0.1", "ü.example");
const paths = mostly("/", "/v1", "/v1/*", "/v1*", "/a%20b", "/a;b/*", "/%2f*", "/..", "/*");
const prefixes = mostly("/v1", "/v1/", "/api", "/a%20b", "/%41");
const names = mostly(
  "x-a",
  "X-B",
  "cookie",
  "host",
  "via",
  "x-forwarded-for",
  "x-request-id",
  "te",
);
const values = mostly("a", "", "*", "a b", "{host}", "v1; q=1", "a\tb");
const edit = fc.record(
  {
    set: fc.dictionary(names, values, { maxKeys: 3 }),
    add: fc.dictionary(names, values, { maxKeys: 2 }),
    remove: fc.array(names, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const treatment = {
  headers: maybe(fc.record({ request: edit, response: edit }, { requiredKeys: [] })),
  rewrite: maybe(fc.record({ strip_prefix: prefixes, add_prefix: prefixes }, { requiredKeys: [] })),
  retries: maybe(fc.record({ attempts: fc.nat({ max: 3 }) })),
  compress: maybe(fc.boolean()),
  host: maybe(some("client", "target")),
};
const match = fc.record(
  {
    host: fc.oneof(hosts, fc.array(hosts, { minLength: 1, maxLength: 2 })),
    path: fc.oneof(paths, fc.array(paths, { minLength: 1, maxLength: 2 })),
    methods: fc.subarray(["GET", "POST"], { minLength: 1 }),
    headers: fc.dictionary(mostly("x-a", "upgrade", "accept"), values, { maxKeys: 2 }),
  },
  { requiredKeys: [] },
);
const targets = mostly("a.internal:80", "https://a.internal", "h2c://a.internal:1", "unix:/run/a");
const redirects = fc.record({
  to: mostly("https://{host}", "/new{path}", "{scheme}://b.example/x", "https://b.example:8443"),
});
const anyRoute = fc.oneof(
  { weight: 4, arbitrary: fc.record({ match, target: targets, ...treatment }) },
  { weight: 1, arbitrary: fc.record({ match, redirect: redirects }) },
);
const listener = fc.record({
  name: fc.constant("http"),
  listen: fc.constant(":80"),
  target: targets,
  routes: maybe(fc.array(anyRoute, { minLength: 1, maxLength: 3 })),
  forwarded: maybe(fc.record({ rfc7239: fc.boolean(), request_id: fc.boolean() })),
  ...treatment,
});
const requests = fc.record({
  authority: some("a.example", "x.a.example:80", "[::1]", "c.example"),
  path: some("/", "/v1", "/v1/x?y=z", "/a%20b/c", "/%2fx", "/../x"),
  method: some("GET", "POST", "HEAD"),
});

/** Without the keys that are undefined, as YAML would have read it. */
const plain = (value: object): unknown => JSON.parse(JSON.stringify(value));

test("a configuration that is accepted is one that the gateway compiles, and requests pass", () => {
  let accepted = 0;
  fc.assert(
    fc.property(listener, requests, (entry, asked) => {
      const place = (): { text: string; order: number } => ({ text: "f", order: 0 });
      const source: Source = { value: { protocols: [plain(entry)] }, place };
      let plan: HttpPlan;
      try {
        const machine = { platform: "linux", cpus: 1, folder: "/srv", terminal: false } as const;
        plan = compile(checkSource(source), machine).listeners[0] as HttpPlan;
      } catch (error) {
        return expect(error).toBeInstanceOf(ProxyError);
      }
      accepted++;
      const ids = new RequestIds(new Uint8Array(18));
      const guide = createRouter({
        routes: plan.routes,
        filtersFor: () => [],
        ids,
        unixMs: () => 0,
        altSvcSeconds: 0,
        challenges: new ChallengeAnswers(),
      }).guide(connection());
      const head = requestHead(asked);
      const found = guide.route(head);
      if (typeof found === "number") return expect([400, 404, 421]).toContain(found);
      const { group, redirect } = found.plan;
      if (group === null) {
        expect(redirect).not.toBeNull();
        return expect(guide.answer(found, head).head.status).toBe(308);
      }
      expect(plan.groups[group]!.targets).toHaveLength(1);
      passOn(guide, found, head);
    }),
    { numRuns: 250 },
  );
  expect(accepted).toBeGreaterThan(20);
});

type Guide = ReturnType<ReturnType<typeof createRouter>["guide"]>;

/** What leaves is one line for each field, in either direction. */
function passOn(guide: Guide, route: Route, head: ReturnType<typeof requestHead>): void {
  if (guide.editRequest(route, head) !== null) return;
  expect(head.path).toMatch(/^\/[!-~]*$/);
  const answer = new ResponseHead();
  answer.status = 200;
  guide.editResponse(route, answer);
  for (const [name, value] of [...head.fields.entries(), ...answer.fields.entries()]) {
    expect(name).toMatch(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/i);
    expect(value).not.toMatch(/[\r\n\0]/);
  }
}
