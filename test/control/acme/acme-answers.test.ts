// What an authority may say beside certificates: no, not now, a renewal window, or nothing that can be understood.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { AcmeIssuer } from "../../../src/control/acme/acme-issuer.ts";
import { IssueError } from "../../../src/control/acme/issue-error.ts";
import { certificateId } from "../../../src/control/acme/protocol/renewal-info.ts";
import type { Solver } from "../../../src/control/acme/solver.ts";
import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import type { AuthorityPlan } from "../../../src/shared/auto-tls-plan.ts";
import { Secret } from "../../../src/shared/secret.ts";
import { AcmeFront } from "../../support/acme-front.ts";
import { Authority } from "../../support/certificates.ts";
import { ServedSolver } from "../../support/challenge-server.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { findProgram, testWith } from "../../support/programs.ts";
import { WireServer } from "../../support/wire.ts";

let folder = "";
let storage: CertificateStorage;
let pebble: Pebble;
const warnings: string[] = [];

const KEY_ID = "kid-1";
const HMAC_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

beforeAll(async () => {
  if (PEBBLE_PROGRAMS.every((each) => findProgram(each) !== null)) pebble = await Pebble.start();
});
afterAll(() => pebble?.[Symbol.asyncDispose]());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "acme-"));
  storage = new CertificateStorage(folder);
  warnings.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const signal = (): AbortSignal => AbortSignal.timeout(50_000);
const secret = (text: string): Secret => Secret.of(Buffer.from(text));

function issuerOf(plan: AuthorityPlan, zeroSslApi?: string): AcmeIssuer {
  const options = { plan, storage, warn: (message: string) => warnings.push(message) };
  return new AcmeIssuer(zeroSslApi === undefined ? options : { ...options, zeroSslApi });
}

/** And puts it in use, as the manager does. */
async function issueWith(
  issuer: AcmeIssuer,
  name: string,
  from: Pebble,
  replaces: string | null = null,
) {
  const solvers = [new ServedSolver(from.challenges, "http-01")];
  const request = { names: [name], keyType: "p256", solvers, replaces } as const;
  const issued = await issuer.issue(request, signal());
  await storage.certificates.save([name], issued, issuer.name, Date.now());
  return issued;
}

async function errorOf(promise: Promise<unknown>): Promise<IssueError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof IssueError) return error;
    throw error;
  }
  throw new Error("it went well");
}

const acmeTest = (name: string, run: () => Promise<void>): void =>
  testWith(PEBBLE_PROGRAMS, name, run);

/** A front of Pebble with what it lacks. */
async function withFront(
  use: (front: AcmeFront, issuer: AcmeIssuer) => Promise<void>,
): Promise<void> {
  await using front = new AcmeFront(pebble);
  const { directory, caFile: rootFile } = front;
  await use(front, issuerOf(pebble.plan({ directory, rootFile })));
}

const problem = (status: number, body: object, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json", "replay-nonce": "unused", ...headers },
  });

describe("refusals", () => {
  acmeTest("a name that is not in the order is proven to nobody", async () => {
    await withFront(async (front, issuer) => {
      const challenge = { type: "http-01", url: `${front.url}/c`, status: "pending" };
      front.substitute = ({ path }) => {
        if (!path.startsWith("/authZ/")) return null;
        const identifier = { type: "dns", value: "other.example" };
        const challenges = [{ ...challenge, token: "a".repeat(43) }];
        const headers = { "replay-nonce": "unused" };
        return Response.json({ status: "pending", identifier, challenges }, { headers });
      };
      const presented: string[] = [];
      const solver: Solver = {
        type: "http-01",
        unfit: () => null,
        present: async ({ domain }) => void presented.push(domain),
        withdraw: async () => {},
      };
      const names = ["own.example"];
      const request = { names, keyType: "p256", solvers: [solver], replaces: null } as const;
      const error = await errorOf(issuer.issue(request, signal()));
      expect(error.message).toContain("other.example is not in the order");
      expect(presented).toEqual([]);
    });
  });

  acmeTest("a rate limit says when to come back, in the error and in its data", async () => {
    await withFront(async (front, issuer) => {
      front.substitute = ({ path }) =>
        path !== "/order-plz"
          ? null
          : problem(
              429,
              {
                type: "urn:ietf:params:acme:error:rateLimited",
                detail: "too many certificates (5)\nalready issued",
              },
              { "retry-after": "3600" },
            );
      const before = Date.now();
      const error = await errorOf(issueWith(issuer, "limit.example", pebble));
      expect(error.message).toContain(
        "pebble takes no order for limit.example: too many certificates (5) already issued (rateLimited)",
      );
      expect(error.message).toContain("not to be asked again before 20");
      const { notBeforeMs, isFinal } = error.failure;
      expect(notBeforeMs! - before).toBeGreaterThanOrEqual(3_599_000);
      expect(notBeforeMs! - Date.now()).toBeLessThanOrEqual(3_600_000);
      expect(isFinal).toBe(false);
    });
  });

  acmeTest("subproblems are told in full, and a forbidden name is final", async () => {
    await withFront(async (front, issuer) => {
      front.substitute = ({ path }) =>
        path !== "/order-plz"
          ? null
          : problem(403, {
              type: "urn:ietf:params:acme:error:rejectedIdentifier",
              detail: "Error creating new order",
              subproblems: [
                {
                  type: "urn:ietf:params:acme:error:rejectedIdentifier",
                  detail: "The ACME server refuses to issue for it",
                  identifier: { type: "dns", value: "no.example" },
                },
              ],
            });
      const error = await errorOf(issueWith(issuer, "no.example", pebble));
      expect(error.message).toBe(
        "pebble takes no order for no.example: Error creating new order (rejectedIdentifier); " +
          "no.example: The ACME server refuses to issue for it (rejectedIdentifier)",
      );
      expect(error.failure.isFinal).toBe(true);
    });
  });

  acmeTest("requests name the program and its version", async () => {
    await withFront(async (front, issuer) => {
      await issueWith(issuer, "agent.example", pebble);
      const agents = new Set(front.seen.map(({ headers }) => headers.get("user-agent")));
      expect([...agents].join()).toMatch(/^bun-tunnel\/\d+\.\d+\.\d+$/);
    });
  });

  acmeTest("an order whose certificate is of another key is given up", async () => {
    await withFront(async (front, issuer) => {
      using other = new Authority();
      const { cert } = other.issue(["key.example"]);
      front.substitute = ({ path }) =>
        path.startsWith("/certZ/")
          ? new Response(cert, { headers: { "replay-nonce": "x" } })
          : null;
      const error = await errorOf(issueWith(issuer, "key.example", pebble));
      expect(error.message).toContain("that cannot be used: it is for another key");
      expect(await storage.orders.read("key.example")).toBeNull();
    });
  });
});

describe("waiting", () => {
  acmeTest("an authority that takes its time is looked at again", async () => {
    await using slow = await Pebble.start({ sleepSeconds: 2 });
    await issueWith(issuerOf(slow.plan()), "slow.example", slow);
  });

  acmeTest("an order is not looked at before Retry-After", async () => {
    await withFront(async (front, issuer) => {
      const looks: number[] = [];
      front.substitute = ({ path }) => {
        if (!path.startsWith("/my-order/")) return null;
        looks.push(performance.now());
        if (looks.length > 1) return null;
        const order = { status: "pending", authorizations: [], finalize: `${front.url}/none` };
        return Response.json(order, { headers: { "retry-after": "1", "replay-nonce": "unused" } });
      };
      await issueWith(issuer, "later.example", pebble);
      // Retry-After counts from when the answer has come.
      expect(looks[1]! - looks[0]!).toBeGreaterThan(990);
    });
  });

  acmeTest("an authority that fails for a moment is asked again what changes nothing", async () => {
    await withFront(async (front, issuer) => {
      let failures = 0;
      front.substitute = ({ path }) => {
        if (!path.startsWith("/certZ/") || ++failures > 2) return null;
        return new Response("busy", { status: 502, headers: { "replay-nonce": "unused" } });
      };
      await issueWith(issuer, "busy.example", pebble);
      expect(failures).toBeGreaterThan(2); // and once more for each nonce that is refused
    });
  });
});

describe("renewal windows", () => {
  const start = "2026-12-01T00:00:00Z";
  const end = "2026-12-02T00:00:00Z";

  acmeTest("are asked for by the certificate's id, and said with their reason", async () => {
    await withFront(async (front, issuer) => {
      front.extras.renewalInfo = `${front.url}/ari`;
      const { chain } = await issueWith(issuer, "ari.example", pebble);
      const id = certificateId(chain);
      const body = { suggestedWindow: { start, end }, explanationURL: "https://ca.example/why" };
      front.substitute = ({ path }) =>
        path === `/ari/${id}` ? Response.json(body, { headers: { "retry-after": "21600" } }) : null;
      const before = Date.now();
      const window = (await issuer.renewalWindow(chain, signal()))!;
      expect(window).toMatchObject({
        startMs: Date.parse(start),
        endMs: Date.parse(end),
        explanationUrl: "https://ca.example/why",
      });
      expect(window.askAgainMs - before).toBeGreaterThanOrEqual(21_600_000);
    });
  });

  acmeTest("that end before they begin are an error, and missing ones too", async () => {
    await withFront(async (front, issuer) => {
      front.extras.renewalInfo = `${front.url}/ari/`;
      const { chain } = await issueWith(issuer, "ari.example", pebble);
      front.substitute = ({ path }) =>
        path.startsWith("/ari/")
          ? Response.json({ suggestedWindow: { start: end, end: start } })
          : null;
      const wrong = await errorOf(issuer.renewalWindow(chain, signal()));
      expect(wrong.message).toBe("pebble gives a renewal window that is none");
      front.substitute = ({ path }) =>
        path.startsWith("/ari/") ? problem(404, { detail: "unknown certificate" }) : null;
      const missing = await errorOf(issuer.renewalWindow(chain, signal()));
      expect(missing.message).toBe("pebble gives no renewal window: unknown certificate");
    });
  });

  acmeTest("an authority without them has no opinion", async () => {
    const issuer = issuerOf(pebble.plan());
    const { chain } = await issueWith(issuer, "ari.example", pebble);
    expect(await issuer.renewalWindow(chain, signal())).toBeNull();
  });

  acmeTest(
    "what an order replaces is told, and left out where it was replaced already",
    async () => {
      await withFront(async (front, issuer) => {
        front.extras.renewalInfo = `${front.url}/ari`;
        const { chain } = await issueWith(issuer, "old.example", pebble);
        let refusals = 0;
        front.substitute = ({ path, payload }) => {
          if (path !== "/order-plz" || payload?.replaces === undefined) return null;
          refusals++;
          return problem(409, {
            type: "urn:ietf:params:acme:error:alreadyReplaced",
            detail: "gone",
          });
        };
        await issueWith(issuer, "old.example", pebble, chain);
        expect(refusals).toBe(1);
        expect(warnings).toEqual([
          "pebble takes no order for old.example: gone (alreadyReplaced); " +
            "it is ordered without telling what it replaces",
        ]);
        front.substitute = () => null;
        front.seen.length = 0;
        await issueWith(issuer, "old.example", pebble, chain);
        const [order] = front.seen.filter(({ path }) => path === "/order-plz");
        expect(order?.payload?.replaces).toBe(certificateId(chain)!);
      });
    },
  );

  test("a certificate's id is that of RFC 9773 section 4.1", () => {
    using authority = new Authority();
    const { cert } = authority.issue(["id.example"]);
    const [aki, serial] = certificateId(cert)!.split(".");
    const { serialNumber } = new X509Certificate(cert);
    expect(Buffer.from(serial!, "base64url").toString("hex")).toContain(serialNumber.toLowerCase());
    expect(Buffer.from(aki!, "base64url")).toHaveLength(20);
  });

  test("a serial number whose first bit is set has a zero before it", () => {
    expect(certificateId(RFC_9773_EXAMPLE)).toBe("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
  });
});

describe("profiles", () => {
  acmeTest("one that the directory lists is ordered", async () => {
    await using front = new AcmeFront(pebble);
    front.extras.meta = { profiles: { classic: "90 days", shortlived: "6 days" } };
    const { directory, caFile: rootFile } = front;
    const plan = pebble.plan({ directory, rootFile, profile: "shortlived" });
    await issueWith(issuerOf(plan), "profile.example", pebble);
    const [order] = front.seen.filter(({ path }) => path === "/order-plz");
    expect(order?.payload?.profile).toBe("shortlived");
    const other = pebble.plan({ directory, rootFile, profile: "short" });
    const error = await errorOf(issueWith(issuerOf(other), "profile.example", pebble));
    expect(error.message).toContain("pebble has no profile short: classic, shortlived");
  });
});

describe("external account binding", () => {
  acmeTest(
    "is given, read from a file, or asked of ZeroSSL; without one nothing is asked",
    async () => {
      await using strict = await Pebble.start({ eab: { [KEY_ID]: HMAC_KEY } });
      const none = await errorOf(issueWith(issuerOf(strict.plan()), "a.example", strict));
      expect(none.message).toContain("makes accounts only with an external account binding");
      expect(none.failure.isFinal).toBe(true);

      const wrong = { keyId: KEY_ID, hmacKey: secret(HMAC_KEY.toLowerCase()) };
      const refused = await errorOf(
        issueWith(issuerOf(strict.plan({ eab: wrong })), "a.example", strict),
      );
      expect(refused.message).toContain("pebble makes no account for somebody@example.com: ");
      expect(refused.message.toLowerCase()).not.toContain(HMAC_KEY.toLowerCase());

      const right = { keyId: KEY_ID, hmacKey: secret(HMAC_KEY) };
      await issueWith(issuerOf(strict.plan({ eab: right })), "a.example", strict);
      expect(await storage.accounts.read("pebble")).toMatchObject({ eabKeyId: KEY_ID });

      const file = join(folder, "hmac.key");
      writeFileSync(file, `${HMAC_KEY}\n`);
      const fromFile = { keyId: KEY_ID, hmacKey: { file } };
      await issueWith(issuerOf(strict.plan({ name: "file", eab: fromFile })), "a.example", strict);

      const asked: string[] = [];
      await using api = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch: async (request) => {
          asked.push(`${new URL(request.url).pathname} ${await request.text()}`);
          return Response.json({ success: true, eab_kid: KEY_ID, eab_hmac_key: HMAC_KEY });
        },
      });
      const plan = strict.plan({ name: "zerossl", eab: "zerossl", email: "a+b@example.com" });
      const issuer = issuerOf(plan, `http://127.0.0.1:${api.port}`);
      await issueWith(issuer, "a.example", strict);
      await issueWith(issuer, "b.example", strict);
      expect(asked).toEqual(["/acme/eab-credentials-email email=a%2Bb%40example.com"]);
    },
  );

  test("ZeroSSL's refusal is told in its words, and without an address it is not asked", async () => {
    await using api = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ url }) =>
        url.endsWith("/dir")
          ? Response.json(directoryAt(new URL(url).origin))
          : Response.json({ success: false, error: { code: 2900, type: "missing_email" } }),
    });
    const origin = `http://127.0.0.1:${api.port}`;
    const plan = {
      name: "zerossl",
      directory: `${origin}/dir`,
      email: "a@example.com",
      rootFile: null,
      eab: "zerossl",
      profile: null,
      preferredChain: null,
    } as const;
    const error = await errorOf(accountOf(issuerOf(plan, origin)));
    expect(error.message).toContain(
      "zerossl gives a@example.com no external account binding: missing_email",
    );
    const nobody = await errorOf(accountOf(issuerOf({ ...plan, email: null }, origin)));
    expect(nobody.message).toContain("zerossl makes accounts for e-mail addresses only");
    expect(nobody.failure.isFinal).toBe(true);
  });
});

/** Whatever needs an account and no solver. */
function accountOf(issuer: AcmeIssuer): Promise<void> {
  using authority = new Authority();
  return issuer.revoke(authority.issue(["x.example"]).cert, 0, signal());
}

const directoryAt = (origin: string) => ({
  newNonce: `${origin}/nonce`,
  newAccount: `${origin}/account`,
  newOrder: `${origin}/order`,
  revokeCert: `${origin}/revoke`,
});

describe("authorities that do not work", () => {
  const planAt = (port: number): AuthorityPlan => ({
    name: "ca.example",
    directory: `http://127.0.0.1:${port}/dir`,
    email: null,
    rootFile: null,
    eab: null,
    profile: null,
    preferredChain: null,
  });

  async function errorFrom(fetch: (request: Request) => Response): Promise<IssueError> {
    await using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch });
    return await errorOf(accountOf(issuerOf(planAt(server.port!))));
  }

  test("one that is down is named, with what to look at", async () => {
    const server = await WireServer.listen(undefined, { host: "127.0.0.1", port: 0 });
    const { port } = server;
    await server[Symbol.asyncDispose]();
    const error = await errorOf(accountOf(issuerOf(planAt(port))));
    expect(error.message).toBe(
      `ca.example cannot be asked (127.0.0.1:${port}): nobody listens there. ` +
        "Check the network, and the authority's own page about its state",
    );
    expect(error.failure.isFinal).toBe(false);
  });

  for (const [what, answer, message] of [
    ["no JSON", () => new Response("<html>"), "what is at its URL is no directory of ACME"],
    ["another JSON", () => Response.json([1]), "what is at its URL is no directory of ACME"],
    ["an error", () => new Response("no", { status: 500 }), "its directory: status 500"],
    ["an answer without end", () => new Response("x".repeat(300 * 1_024)), "answers without end"],
    [
      "URLs that are none",
      () => Response.json({ ...directoryAt("http://"), newNonce: "file:///etc/passwd" }),
      "names an address that is not used: file:///etc/passwd",
    ],
  ] as const) {
    test(`one that gives ${what} for a directory is told of`, async () => {
      expect((await errorFrom(answer)).message).toContain(message);
    });
  }

  test("one whose directory has moved is followed, and not into the open or for ever", async () => {
    using authority = new Authority();
    const { cert, key } = authority.issue(["IP:127.0.0.1"]);
    let target = "/there";
    await using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert, key },
      fetch: ({ url }) =>
        url.endsWith("/there")
          ? Response.json(directoryAt(new URL(url).origin))
          : new Response("", { status: 301, headers: { location: target } }),
    });
    const directory = `https://127.0.0.1:${server.port}/dir`;
    const plan = { ...planAt(server.port!), directory, rootFile: authority.caFile };
    expect(await issuerOf(plan).renewalWindow("", signal())).toBeNull();
    target = "/dir";
    const endless = await errorOf(issuerOf(plan).renewalWindow("", signal()));
    expect(endless.message).toBe("ca.example does not give its directory: status 301");
    target = `http://127.0.0.1:${server.port}/there`;
    const clear = await errorOf(issuerOf(plan).renewalWindow("", signal()));
    expect(clear.message).toBe(`ca.example names an address that is not used: ${target}`);
  });

  test("one that asks for a nonce and gives none is told of", async () => {
    const error = await errorFrom(({ url }) => {
      const { origin, pathname } = new URL(url);
      return pathname === "/dir" ? Response.json(directoryAt(origin)) : new Response("");
    });
    expect(error.message).toBe("ca.example does not give a nonce: status 200");
  });

  test("one that refuses every nonce is given up", async () => {
    let refused = 0;
    const error = await errorFrom(({ url, method }) => {
      const { origin, pathname } = new URL(url);
      if (pathname === "/dir") return Response.json(directoryAt(origin));
      if (method === "HEAD") return new Response("", { headers: { "replay-nonce": "n" } });
      refused++;
      return problem(400, { type: "urn:ietf:params:acme:error:badNonce", detail: "no" });
    });
    expect(error.message).toContain("no (badNonce)");
    expect(refused).toBe(25);
  });

  test("one that never answers is waited for as long as the caller wants", async () => {
    await using silent = await WireServer.listen(undefined, { host: "127.0.0.1", port: 0 });
    const issuer = issuerOf(planAt(silent.port));
    const asking = issuer.renewalWindow("", AbortSignal.timeout(100));
    await expect(asking).rejects.toThrow("timed out");
  });

  test("one that speaks something else than HTTP is told of", async () => {
    await using server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          socket.end("220 mail.example ESMTP\r\n");
        },
      },
    });
    const error = await errorOf(accountOf(issuerOf(planAt(server.port))));
    expect(error.message).toContain("what it answers is not HTTP");
  });
});

/** RFC 9773, appendix A. */
const RFC_9773_EXAMPLE = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`;
