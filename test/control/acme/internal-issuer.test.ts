// The internal authority: what it signs is believed by openssl, curl and Node.js, its root is made once however many ask at
// once, and outlives its own certificate.

import { afterAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import {
  openRoot,
  readRootCertificate,
  rootFiles,
} from "../../../src/control/acme/internal-authority.ts";
import { InternalIssuer } from "../../../src/control/acme/internal-issuer.ts";
import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import { checkCertificate } from "../../../src/control/certificates/material.ts";
import type { CertificateKeyType } from "../../../src/shared/auto-tls-plan.ts";
import { openssl } from "../../support/certificates.ts";
import { run, temporaryFolder } from "../../support/daemon.ts";
import { program, testWith } from "../../support/programs.ts";

const DAY = 86_400_000;
const SIGNAL = new AbortController().signal;
const LONG_NAME = `${"a".repeat(60)}.${"b".repeat(60)}.internal`;
const NAMES = ["app.internal", "*.dev.internal", "localhost", "127.0.0.1", "::1", LONG_NAME];

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

function newFolder(): string {
  const folder = temporaryFolder();
  folders.push(folder);
  return folder;
}

const folder = newFolder();
const storage = new CertificateStorage(folder);
const { certificateFile, keyFile } = rootFiles(folder);

async function issue(
  names: readonly string[],
  keyType: CertificateKeyType = "p256",
  nowMs = Date.now(),
) {
  const { chain, key } = await new InternalIssuer(storage, () => nowMs).issue(
    { names, keyType },
    SIGNAL,
  );
  const files = { chain: join(folder, "chain.pem"), key: join(folder, "key.pem") };
  writeFileSync(files.chain, chain);
  writeFileSync(files.key, new Uint8Array(key.reveal()));
  return { chain, key, files, certificate: new X509Certificate(chain) };
}

describe("a certificate", () => {
  test("has all its names, and passes the checks of certificates from files", async () => {
    const nowMs = Date.now();
    const { chain, key, certificate } = await issue(NAMES, "p256", nowMs);
    const { value, warnings } = checkCertificate(
      { path: "chain", bytes: Buffer.from(chain) },
      { path: "key", bytes: new Uint8Array(key.reveal()) },
      nowMs,
    );
    expect(warnings).toEqual([]);
    expect(value.names).toEqual(["app.internal", "*.dev.internal", "localhost", LONG_NAME]);
    expect(certificate.checkIP("::1")).toBe("::1");
    expect(certificate.subject).toBe("O=bun-tunnel\nCN=app.internal");
    expect(certificate.validToDate.getTime() - nowMs).toBeLessThanOrEqual(7 * DAY);
    expect(certificate.validFromDate.getTime()).toBeLessThan(nowMs - 3_000_000);
  });

  test("whose first name is longer than a common name may be has none", async () => {
    const { certificate } = await issue([LONG_NAME]);
    expect(certificate.subject).toBe("O=bun-tunnel");
    expect(certificate.checkHost(LONG_NAME)).toBe(LONG_NAME);
  });

  test.each([
    ["p256", "ec", "prime256v1"],
    ["p384", "ec", "secp384r1"],
    ["rsa2048", "rsa", 2048],
  ] as const)("has a key of type %s if that is asked for", async (keyType, kind, detail) => {
    const { certificate, key } = await issue(["a.internal"], keyType);
    const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
    const { namedCurve, modulusLength } = asymmetricKeyDetails!;
    expect<unknown[]>([asymmetricKeyType, namedCurve ?? modulusLength]).toEqual([kind, detail]);
    expect(Buffer.from(key.reveal()).toString()).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  });

  test("cannot be revoked, and the error says what to do instead", async () => {
    const { chain } = await issue(["a.internal"]);
    const issuer = new InternalIssuer(storage);
    const failure = { code: "ERR_ISSUE", failure: { isFinal: true } };
    await expect(issuer.revoke(chain)).rejects.toMatchObject(failure);
    expect(await issuer.renewalWindow()).toBeNull();
  });
});

describe("is believed, with the root, by", () => {
  testWith(["openssl"], "openssl, as a server's and as nobody else's", async () => {
    const { files } = await issue(NAMES, "rsa2048");
    const verify = (...args: string[]) =>
      openssl("verify", "-x509_strict", "-CAfile", certificateFile, ...args, files.chain);
    for (const name of ["app.internal", "x.dev.internal", LONG_NAME]) {
      expect(verify("-purpose", "sslserver", "-verify_hostname", name)).toEndWith(": OK\n");
    }
    expect(verify("-purpose", "sslserver", "-verify_ip", "::1")).toEndWith(": OK\n");
    expect(() => verify("-purpose", "sslclient")).toThrow("certificate purpose");
    expect(() => verify("-verify_hostname", "other.internal")).toThrow("hostname mismatch");
  });

  testWith(["openssl"], "openssl, as an authority that may have none below it", async () => {
    await issue(["a.internal"]);
    const text = openssl("x509", "-in", certificateFile, "-noout", "-text");
    expect(text).toContain("CA:TRUE, pathlen:0");
    expect(text).toContain("Certificate Sign, CRL Sign");
    expect(
      openssl("verify", "-x509_strict", "-CAfile", certificateFile, certificateFile),
    ).toEndWith(": OK\n");
  });

  testWith(["curl", "node"], "curl and Node.js", async () => {
    const { files } = await issue(NAMES);
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { cert: readFileSync(files.chain, "utf8"), key: readFileSync(files.key, "utf8") },
      fetch: () => new Response("believed"),
    });
    try {
      const curl = (host: string, ...flags: string[]) => {
        const to = ["--noproxy", "*", "--connect-to", `::127.0.0.1:${server.port}`];
        return run([program("curl"), "-sS", ...to, ...flags, `https://${host}/`]);
      };
      for (const host of ["app.internal", "x.dev.internal", "localhost", "127.0.0.1"]) {
        expect((await curl(host, "--cacert", certificateFile)).stdout).toBe("believed");
      }
      await expect(curl("other.internal", "--cacert", certificateFile)).rejects.toThrow("code 60");
      await expect(curl("localhost")).rejects.toThrow("code 60");
      const node = `fetch("https://localhost:${server.port}").then((a) => a.text()).then(console.log)`;
      const { stdout } = await run([program("node"), "-e", node], {
        env: { NODE_EXTRA_CA_CERTS: certificateFile },
      });
      expect(stdout).toBe("believed\n");
    } finally {
      await server.stop(true);
    }
  });
});

describe("the root", () => {
  const rootOf = async (where: string): Promise<string> =>
    (await readRootCertificate(where))!.fingerprint256;

  test("is made once, however many ask for it at once, and its key is for its owner alone", async () => {
    const where = newFolder();
    expect(await readRootCertificate(where)).toBeNull();
    const issuers = Array.from(
      { length: 8 },
      () => new InternalIssuer(new CertificateStorage(where)),
    );
    const issued = await Promise.all(
      issuers.map((issuer) => issuer.issue({ names: ["a.internal"], keyType: "p256" }, SIGNAL)),
    );
    const root = (await readRootCertificate(where))!;
    for (const { chain } of issued) {
      expect(new X509Certificate(chain).verify(root.publicKey)).toBe(true);
    }
    if (process.platform !== "win32") {
      expect(statSync(rootFiles(where).keyFile).mode & 0o777).toBe(0o600);
    }
  });

  test("stays over restarts, and is signed again with its key when two thirds of its time are over", async () => {
    const where = newFolder();
    const begin = Date.UTC(2026, 0, 1);
    const open = (nowMs: number) => openRoot(new CertificateStorage(where), nowMs, SIGNAL);
    const first = await open(begin);
    const own = await rootOf(where);
    await open(begin + 6 * 365 * DAY);
    expect(await rootOf(where)).toBe(own);
    const again = await open(begin + 7 * 365 * DAY);
    expect(await rootOf(where)).not.toBe(own);
    expect(again.certificate.publicKey.equals(first.certificate.publicKey)).toBe(true);
    expect(again.certificate.subject).toBe(first.certificate.subject);
    expect(again.certificate.validToDate.getTime()).toBeGreaterThan(begin + 16 * 365 * DAY);
  });

  test("whose certificate was never written has nobody who trusts it, and is made anew", async () => {
    const where = newFolder();
    await openRoot(new CertificateStorage(where), Date.now(), SIGNAL);
    const key = readFileSync(rootFiles(where).keyFile, "utf8");
    rmSync(rootFiles(where).certificateFile);
    await openRoot(new CertificateStorage(where), Date.now(), SIGNAL);
    expect(readFileSync(rootFiles(where).keyFile, "utf8")).not.toBe(key);
  });

  test.each([
    ["without its key", () => rmSync(keyFile), "is missing"],
    ["with a damaged key", () => writeFileSync(keyFile, "x"), "is no key that signs"],
    ["with another's key", () => writeOtherKey(), "is not the key of"],
    ["of somebody else", () => writeOtherRoot(), "is not what this program made"],
    ["that is damaged", () => writeFileSync(certificateFile, "x"), "is no certificate"],
  ] as const)("%s is an error that names the file and the cure", async (_, harm, problem) => {
    await issue(["a.internal"]);
    const kept = [certificateFile, keyFile].map((path) => [path, readFileSync(path)] as const);
    harm();
    try {
      const attempt = new InternalIssuer(storage).issue({ names: ["a"], keyType: "p256" }, SIGNAL);
      const error = (await attempt.catch((thrown: unknown) => thrown)) as Error;
      expect(error).toMatchObject({ code: "ERR_STORAGE" });
      expect(error.message).toContain(problem);
      expect(error.message).toContain("or remove ");
      expect(error.message).toContain(rootFiles(folder).folder);
    } finally {
      for (const [path, bytes] of kept) writeFileSync(path, bytes);
    }
  });

  function writeOtherRoot(): void {
    writeOtherKey();
    const out = ["-subj", "/O=Example/OU=x/CN=Other", "-out", certificateFile];
    openssl("req", "-x509", "-key", keyFile, "-days", "3650", ...out);
  }

  function writeOtherKey(): void {
    writeFileSync(keyFile, openssl("ecparam", "-genkey", "-noout", "-name", "prime256v1"));
  }
});
