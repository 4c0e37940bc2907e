// No credential is in an error, whatever an API sends back and in whatever form it repeats what it was sent.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { maskText } from "../../../../src/control/dns/providers/mask.ts";
import { DNS_API } from "../../../../src/shared/auto-tls-limits.ts";
import type { FakeApi, Seen } from "../../../support/dns-apis/fake-api.ts";
import { makeProvider, PROVIDER_KINDS } from "../../../support/dns-apis/kinds.ts";

const NAME = "_acme-challenge.example.com";
const NEVER = new AbortController().signal;

/** How an API may write a credential that it repeats. */
const FORMS: readonly ((secret: string) => string)[] = [
  (secret) => secret,
  (secret) => encodeURIComponent(secret),
  (secret) => JSON.stringify({ secret }),
  (secret) => Buffer.from(secret).toString("base64"),
  (secret) => Buffer.from(`a${secret}`).toString("base64"),
  (secret) => Buffer.from(`sso:${secret}`).toString("base64"),
  (secret) => secret.replaceAll("&", "&amp;").replaceAll("<", "&lt;"),
];

const secrets = fc.stringMatching(/^[\x21-\x7e]{16,60}$/);

function secretsOf(api: FakeApi): string[] {
  return Object.entries(api.environment).flatMap(([name, value]) =>
    name.includes("REGION") ? [] : value.split(":"),
  );
}

/** A fault of each of the APIs, and a list that has it. */
function everywhere(text: string): unknown {
  const fault = { message: text, code: text, Message: text, Code: text, id: text, name: text };
  return { ...fault, success: false, errors: [fault], fields: [fault], result: [fault] };
}

/** Everything about an error that somebody may print. */
function everythingOf(error: unknown): string {
  const { message, stack, cause } = error as Error;
  return [
    message,
    stack,
    Bun.inspect(error, { depth: 20 }),
    JSON.stringify(error),
    cause === undefined ? "" : everythingOf(cause),
  ].join("\n");
}

for (const kind of PROVIDER_KINDS) {
  test(`${kind.name}: an API that repeats credentials does not get them into an error`, async () => {
    await using api = kind.startApi();
    api.zone("example.com");
    const hidden = secretsOf(api);
    const provider = await makeProvider(kind, api, { pause: async () => {} });
    const property = fc.asyncProperty(
      fc.constantFrom(200, 204, 301, 400, 401, 403, 404, 409, 422, 429, 500, 503),
      fc.constantFrom(...FORMS),
      fc.constantFrom("fault", "text", "json", "xml", "headers"),
      fc.constantFrom("", "Authorization: Bearer ", '{"message":"', "x".repeat(290)),
      fc.boolean(),
      async (status, form, how, before, isChangeOnly) => {
        const repeated = (seen: Seen): string =>
          `${before}${hidden.map(form).join(" ")} ${seen.headers.get("authorization")}`;
        api.mishap = (seen) => {
          if (isChangeOnly && !api.isChange(seen)) return null;
          const text = repeated(seen);
          if (how === "fault") return api.fault(status === 204 ? 500 : status, text);
          if (status === 204) return new Response(null, { status });
          if (how === "text") return new Response(text, { status });
          if (how === "json") return Response.json(everywhere(text), { status });
          if (how === "xml") {
            const body = `<Error><Code>${text}</Code><Message>${text}</Message></Error>`;
            return new Response(body, { status });
          }
          const headers = { "retry-after": hidden[0] ?? "", location: `/?${hidden[0]}` };
          return new Response(text, { status, headers });
        };
        const errors: unknown[] = [];
        const keep = (error: unknown): void => void errors.push(error);
        await provider.add(NAME, "value", 60, NEVER).catch(keep);
        await provider.find(NAME, ["value"], NEVER).catch(keep);
        const record = { name: NAME, value: "value", zone: "example.com", id: "1/2" };
        await provider.remove(record, NEVER).catch(keep);
        api.mishap = () => null;
        for (const zone of api.zones) zone.records = [];
        const printed = errors.map(everythingOf).join("\n");
        for (const secret of hidden) expect(printed).not.toContain(secret);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });
}

test("a credential is masked in every form, alone and behind anything", () => {
  fc.assert(
    fc.property(
      secrets,
      secrets,
      fc.constantFrom(...FORMS),
      fc.string(),
      (one, two, form, before) => {
        const said = maskText(`${before}${form(one)} ${form(two)}`, [one, two]);
        expect(said).not.toContain(one);
        expect(said).not.toContain(two);
        const decoded = Buffer.from(said.replace(/^.*? /, ""), "base64").toString("latin1");
        expect(decoded).not.toContain(one);
      },
    ),
  );
});

test("a credential within another one, and one that is cut off at the end, are masked too", () => {
  expect(maskText("key-1234-5678 and key-1234", ["key-1234", "key-1234-5678"])).toBe(
    "[secret] and [secret]",
  );
  const text = `${"x".repeat(DNS_API.messageMaxChars - 4)}key-1234`;
  expect(maskText(text, ["key-1234"])).toBe(`${"x".repeat(DNS_API.messageMaxChars - 4)}[sec…`);
});

test("what a terminal would obey is not in a message", () => {
  expect(maskText("one\u001b[2J\r\ntwo\u202e\tthree", [])).toBe("one [2J two three");
});
