// Certificates of a real authority, Pebble, with a server that answers challenges as a solver tells it.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { AcmeIssuer } from "../../../src/control/acme/acme-issuer.ts";
import type { IssuedCertificate, IssueRequest } from "../../../src/control/acme/issuer.ts";
import type { Solver } from "../../../src/control/acme/solver.ts";
import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import type { AuthorityPlan } from "../../../src/shared/auto-tls-plan.ts";
import { ProxyError } from "../../../src/shared/errors.ts";
import { Secret } from "../../../src/shared/secret.ts";
import { ServedSolver } from "../../support/challenge-server.ts";
import { Pebble, PEBBLE_PROGRAMS, type PebbleOptions } from "../../support/pebble.ts";
import { findProgram, testWith } from "../../support/programs.ts";

let folder = "";
let storage: CertificateStorage;
const warnings: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "acme-"));
  storage = new CertificateStorage(folder);
  warnings.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const signal = (): AbortSignal => AbortSignal.timeout(50_000);
const issuerOf = (plan: AuthorityPlan): AcmeIssuer =>
  new AcmeIssuer({ plan, storage, warn: (message) => warnings.push(message) });

/** And puts it in use, as the manager does. */
async function issue(
  issuer: AcmeIssuer,
  names: readonly string[],
  solvers: readonly Solver[],
  changes: Partial<IssueRequest> = {},
): Promise<IssuedCertificate> {
  const request = { names, keyType: "p256", solvers, replaces: null, ...changes } as const;
  const issued = await issuer.issue(request, signal());
  await storage.certificates.save(names, issued, issuer.name, Date.now());
  return issued;
}

const chainOf = ({ chain }: IssuedCertificate): X509Certificate[] =>
  chain
    .match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g)!
    .map((pem) => new X509Certificate(pem));

/** Names of a certificate, sorted. */
const namesOf = (issued: IssuedCertificate): string[] =>
  (chainOf(issued)[0]!.subjectAltName ?? "").replaceAll("DNS:", "").split(", ").toSorted();

async function failureOf(promise: Promise<unknown>) {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ProxyError) {
      return { code: error.code, message: error.message, failure: Reflect.get(error, "failure") };
    }
    throw error;
  }
  throw new Error("it went well");
}

const ordersIn = (pebble: Pebble): number => pebble.log().match(/Added order/g)?.length ?? 0;

function withPebble(options: PebbleOptions, use: () => void): void {
  beforeAll(async () => {
    if (PEBBLE_PROGRAMS.every((each) => findProgram(each) !== null)) {
      pebble = await Pebble.start(options);
    }
  });
  afterAll(() => pebble?.[Symbol.asyncDispose]());
  use();
}
let pebble: Pebble;

const acmeTest = (name: string, run: () => Promise<void>): void =>
  testWith(PEBBLE_PROGRAMS, name, run);

describe("an authority that rejects a nonce now and then", () => {
  withPebble({ alternateRoots: 2 }, () => {
    acmeTest(
      "signs several names with a chain to its root, and the proofs are taken back",
      async () => {
        const solver = new ServedSolver(pebble.challenges, "http-01");
        const names = ["example.com", "www.example.com", "xn--bcher-kva.example"];
        const issued = await issue(issuerOf(pebble.plan()), names, [solver]);

        expect(namesOf(issued)).toEqual(names.toSorted());
        const [own, intermediate] = chainOf(issued) as [X509Certificate, X509Certificate];
        expect(own.verify(intermediate.publicKey)).toBe(true);
        expect(intermediate.verify(new X509Certificate(await pebble.root()).publicKey)).toBe(true);
        expect(solver.presented.toSorted()).toEqual(names.toSorted());
        expect(solver.there.size).toBe(0);
        expect(warnings).toEqual([]);
      },
    );

    acmeTest(
      "signs a wildcard beside its parent, whose proofs are at one name of DNS",
      async () => {
        const http = new ServedSolver(pebble.challenges, "http-01");
        const dns = new ServedSolver(pebble.challenges, "dns-01");
        const names = ["*.wild.example", "wild.example"];
        expect(namesOf(await issue(issuerOf(pebble.plan()), names, [dns]))).toEqual(names);
        expect(dns.presented).toEqual(["wild.example", "wild.example"]);
        // The first that fits each name.
        const others = ["*.first.example", "first.example"];
        expect(namesOf(await issue(issuerOf(pebble.plan()), others, [http, dns]))).toEqual(others);
        expect(http.presented).toEqual(["first.example"]);
        expect(dns.presented).toHaveLength(3);
        expect([http.there.size, dns.there.size]).toEqual([0, 0]);
      },
    );

    acmeTest("looks at the handshake of tls-alpn-01", async () => {
      const solver = new ServedSolver(pebble.challenges, "tls-alpn-01");
      const issued = await issue(issuerOf(pebble.plan()), ["alpn.example"], [solver]);
      expect(namesOf(issued)).toEqual(["alpn.example"]);
    });

    for (const [keyType, bits] of [
      ["p384", "secp384r1"],
      ["rsa2048", 2048],
      ["rsa4096", 4096],
    ] as const) {
      acmeTest(`signs keys of type ${keyType}`, async () => {
        const solver = new ServedSolver(pebble.challenges, "http-01");
        const issued = await issue(issuerOf(pebble.plan()), ["key.example"], [solver], { keyType });
        const { asymmetricKeyDetails: details } = chainOf(issued)[0]!.publicKey;
        expect(details?.namedCurve ?? details?.modulusLength).toBe(bits);
      });
    }

    acmeTest("makes an account with a key of RSA, if that is asked for", async () => {
      const solver = new ServedSolver(pebble.challenges, "http-01");
      const plan = { ...pebble.plan(), name: "by-rsa" };
      const options = { plan, storage, warn: (message: string) => void warnings.push(message) };
      const issuer = new AcmeIssuer({ ...options, accountKeyType: "rsa2048" });
      const issued = await issue(issuer, ["account.example"], [solver]);
      expect(namesOf(issued)).toEqual(["account.example"]);
      const key = await storage.accounts.key("by-rsa");
      expect(createPrivateKey(Buffer.from(key!.reveal()).toString()).asymmetricKeyType).toBe("rsa");
    });

    acmeTest("gives the chain that leads to the root that is preferred", async () => {
      const solver = new ServedSolver(pebble.challenges, "http-01");
      const root = new X509Certificate(await pebble.root(2));
      const preferredChain = /CN=(.*)/.exec(root.subject)![1]!;
      const issuer = issuerOf(pebble.plan({ preferredChain }));
      const last = chainOf(await issue(issuer, ["chain.example"], [solver])).at(-1)!;
      expect(last.verify(root.publicKey)).toBe(true);
      expect(warnings).toEqual([]);

      const other = issuerOf(pebble.plan({ preferredChain: "Nobody" }));
      const first = chainOf(await issue(other, ["chain.example"], [solver])).at(-1)!;
      expect(first.verify(new X509Certificate(await pebble.root(0)).publicKey)).toBe(true);
      expect(warnings).toEqual(["pebble has no chain to Nobody: its first is used"]);
    });

    acmeTest("revokes, and what is revoked already is no error", async () => {
      const solver = new ServedSolver(pebble.challenges, "http-01");
      const issuer = issuerOf(pebble.plan());
      const issued = await issue(issuer, ["gone.example"], [solver]);
      const serial = chainOf(issued)[0]!.serialNumber;
      expect((await pebble.status(serial)).Status).toBe("Valid");
      await issuer.revoke(issued.chain, 4, signal());
      await issuer.revoke(issued.chain, 4, signal());
      expect(await pebble.status(serial)).toMatchObject({ Status: "Revoked", Reason: 4 });
    });

    acmeTest("has one account, whichever issuer asks, and is told of a new address", async () => {
      const solver = new ServedSolver(pebble.challenges, "http-01");
      const before = pebble.log().match(/accounts in memory/g)?.length ?? 0;
      const issuers = [issuerOf(pebble.plan()), issuerOf(pebble.plan())];
      await Promise.all(issuers.map((each, i) => issue(each, [`${i}.account.example`], [solver])));
      const { url } = (await storage.accounts.read("pebble"))!;
      await issue(issuerOf(pebble.plan({ email: "new@example.com" })), ["x.example"], [solver]);
      await issue(issuerOf(pebble.plan({ email: null })), ["y.example"], [solver]);
      expect(await storage.accounts.read("pebble")).toMatchObject({ url, email: null });
      expect(pebble.log().match(/accounts in memory/g)?.length).toBe(before + 1);
    });

    acmeTest("a profile that it does not have is final, and nothing is ordered", async () => {
      const before = ordersIn(pebble);
      const solver = new ServedSolver(pebble.challenges, "http-01");
      const issuer = issuerOf(pebble.plan({ profile: "shortlived" }));
      expect(await failureOf(issue(issuer, ["example.com"], [solver]))).toMatchObject({
        code: "ERR_ISSUE",
        message: "pebble has no profile shortlived: it has none. Name one of these, or none",
        failure: { isFinal: true },
      });
      expect(ordersIn(pebble)).toBe(before);
    });

    acmeTest("a name that no solver can prove is final, with each one's reason", async () => {
      const solver = new ServedSolver(pebble.challenges, "http-01");
      const failed = await failureOf(issue(issuerOf(pebble.plan()), ["*.example.com"], [solver]));
      expect(failed.message).toBe(
        "*.example.com can be proven in no way: http-01: a wildcard is proven by DNS alone",
      );
      expect(failed.failure.isFinal).toBe(true);
    });

    acmeTest(
      "wrong answers are told of with the authority's words, each name and type",
      async () => {
        const solver = new ServedSolver(pebble.challenges, "http-01");
        const good = new ServedSolver(pebble.challenges, "dns-01");
        solver.wrong = "something else";
        const names = ["one.wrong.example", "two.wrong.example"];
        const failed = await failureOf(issue(issuerOf(pebble.plan()), names, [solver]));
        expect(failed.code).toBe("ERR_ISSUE");
        expect(failed.message).toContain("one.wrong.example (http-01): ");
        expect(failed.message).toContain("two.wrong.example (http-01): ");
        expect(failed.message).toContain("did not match this challenge");
        expect(failed.message).toContain("(unauthorized)");
        const { failedChallenges } = failed.failure;
        expect(failedChallenges.map((each: { name: string }) => each.name).toSorted()).toEqual(
          names,
        );
        expect(failedChallenges[0].type).toBe("http-01");
        expect(failed.failure.isFinal).toBe(false);
        expect(solver.there.size).toBe(0);
        expect(await storage.orders.read("one.wrong.example")).toBeNull();
        // And the next attempt begins anew.
        expect(namesOf(await issue(issuerOf(pebble.plan()), names, [good]))).toEqual(names);
      },
    );

    acmeTest(
      "where a solver fails, the order stays, and another solver goes on with it",
      async () => {
        const before = ordersIn(pebble);
        const broken = new ServedSolver(pebble.challenges, "dns-01");
        broken.present = async () => {
          throw new ProxyError("ERR_CHALLENGE", "the zone is closed");
        };
        broken.withdraw = async () => {
          throw new ProxyError("ERR_CHALLENGE", "remove it by hand");
        };
        const failed = await failureOf(issue(issuerOf(pebble.plan()), ["on.example"], [broken]));
        expect(failed.message).toBe(
          "pebble has no proof of on.example: on.example (dns-01): the zone is closed",
        );
        expect(failed.failure.failedChallenges).toEqual([{ name: "on.example", type: "dns-01" }]);
        expect(warnings).toEqual(["remove it by hand"]);

        const solver = new ServedSolver(pebble.challenges, "http-01");
        await issue(issuerOf(pebble.plan()), ["on.example"], [solver]);
        expect(ordersIn(pebble)).toBe(before + 1);
      },
    );

    acmeTest("signs addresses", async () => {
      const solver = new ServedSolver(pebble.challenges, "http-01");
      const issued = await issue(issuerOf(pebble.plan()), ["127.0.0.1"], [solver]);
      expect(chainOf(issued)[0]!.subjectAltName).toBe("IP Address:127.0.0.1");
    });

    acmeTest(
      "an order that the authority does not know any more is given up for a new one",
      async () => {
        const solver = new ServedSolver(pebble.challenges, "http-01");
        await issue(issuerOf(pebble.plan()), ["other.example"], [solver]);
        const names = ["lost.example"];
        await storage.orders.save({
          url: pebble.directory.replace(/dir$/, "my-order/none"),
          directory: pebble.directory,
          account: (await storage.accounts.read("pebble"))!.url,
          names,
          keyType: "p256",
          profile: null,
          createdMs: Date.now(),
          key: Secret.of(Buffer.from("a key")),
        });
        expect(namesOf(await issue(issuerOf(pebble.plan()), names, [solver]))).toEqual(names);
        expect(warnings.join()).toMatch(
          /^an order that was begun earlier is given up: pebble does/,
        );
      },
    );

    acmeTest(
      "an order for other names, or of another kind of key, is not gone on with",
      async () => {
        const broken = new ServedSolver(pebble.challenges, "dns-01");
        broken.present = () => Promise.reject(new ProxyError("ERR_CHALLENGE", "no"));
        broken.withdraw = () => Promise.resolve();
        const solver = new ServedSolver(pebble.challenges, "http-01");
        const issuer = issuerOf(pebble.plan());
        const before = ordersIn(pebble);
        await failureOf(issue(issuer, ["x.kind.example"], [broken]));
        await failureOf(issue(issuer, ["x.kind.example"], [broken], { keyType: "p384" }));
        const names = ["x.kind.example", "y.kind.example"];
        await issue(issuer, names, [solver], { keyType: "p384" });
        expect(ordersIn(pebble)).toBe(before + 3);
      },
    );

    acmeTest(
      "whoever stops an order gets his own reason, and the answer is taken back",
      async () => {
        const solver = new ServedSolver(pebble.challenges, "http-01");
        const stop = new AbortController();
        const present = solver.present.bind(solver);
        solver.present = async (task) => {
          await present(task);
          stop.abort(new Error("the proxy stops"));
        };
        const request = { names: ["stop.example"], keyType: "p256", solvers: [solver] } as const;
        const issuing = issuerOf(pebble.plan()).issue({ ...request, replaces: null }, stop.signal);
        await expect(issuing).rejects.toThrow("the proxy stops");
        expect(solver.presented).toHaveLength(1);
        expect(solver.there.size).toBe(0);
      },
    );

    acmeTest(
      "a folder that cannot be written is the storage's error, and nothing is proven",
      async () => {
        writeFileSync(join(folder, "certificates"), "no folder");
        const solver = new ServedSolver(pebble.challenges, "http-01");
        const failed = await failureOf(issue(issuerOf(pebble.plan()), ["disk.example"], [solver]));
        expect(failed.code).toBe("ERR_STORAGE");
        expect(solver.presented).toEqual([]);
      },
    );

    acmeTest("its own certificate is verified", async () => {
      const solver = new ServedSolver(pebble.challenges, "http-01");
      const issuer = issuerOf(pebble.plan({ rootFile: null }));
      const failed = await failureOf(issue(issuer, ["tls.example"], [solver]));
      expect(failed.message).toMatch(
        /^pebble cannot be asked .*: its own certificate does not verify/,
      );
      const missing = issuerOf(pebble.plan({ rootFile: join(folder, "none.pem") }));
      const other = await failureOf(issue(missing, ["tls.example"], [solver]));
      expect(other.message).toContain("none.pem: the root of pebble cannot be read");
      expect(existsSync(join(folder, "accounts/pebble/account.json"))).toBe(false);
    });
  });
});

for (const nonceReject of [20, 50]) {
  describe(`an authority that rejects ${nonceReject} of 100 nonces`, () => {
    withPebble({ nonceReject, authzReuse: 100 }, () => {
      acmeTest("signs all the same, and uses again what is proven", async () => {
        const solver = new ServedSolver(pebble.challenges, "http-01");
        const names = ["a.example", "b.example", "c.example"];
        for (let round = 0; round < 4; round++) {
          expect(namesOf(await issue(issuerOf(pebble.plan()), names, [solver]))).toEqual(names);
        }
        expect(ordersIn(pebble)).toBe(4);
        expect(solver.presented).toHaveLength(3);
      });
    });
  });
}

describe("an authority that begins anew", () => {
  withPebble({}, () => {
    acmeTest("is told of the same key again", async () => {
      const solver = new ServedSolver(pebble.challenges, "http-01");
      await issue(issuerOf(pebble.plan()), ["new.example"], [solver]);
      const account = (await storage.accounts.read("pebble"))!;
      await storage.accounts.save("pebble", { ...account, url: `${account.url}0` });
      await issue(issuerOf(pebble.plan()), ["new.example"], [solver]);
      expect(warnings).toEqual(["pebble has forgotten its account: another is made"]);
      expect((await storage.accounts.read("pebble"))!.url).toBe(account.url);
    });
  });
});
