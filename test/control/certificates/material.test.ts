// What is wrong with certificates and keys is said before a client meets it, with the file and the cure.

import { afterAll, describe, expect, test } from "bun:test";

import { checkAuthorities, checkCertificate } from "../../../src/control/certificates/material.ts";
import { ProxyError } from "../../../src/shared/errors.ts";
import { Authority, type Issued, openssl } from "../../support/certificates.ts";

const authority = new Authority();
const own = authority.issue(["a.example", "*.b.example", "IP:127.0.0.1"]);
const other = authority.issue(["other.example"]);
const intermediate = authority.issue([], { name: "intermediate", authority: true });
const leaf = authority.issue(["leaf.example"], { issuer: intermediate });
afterAll(() => authority[Symbol.dispose]());

/** After everything that is made here. */
const NOW = Date.now() + 60_000;

function check(
  cert: string | Uint8Array,
  key: string | Uint8Array,
  nowMs = NOW,
): ReturnType<typeof checkCertificate> {
  return checkCertificate(
    { path: "/etc/c.pem", bytes: Buffer.from(cert as string) },
    { path: "/etc/c.key", bytes: Buffer.from(key as string) },
    nowMs,
  );
}

function mistake(cert: string | Uint8Array, key: string | Uint8Array = own.key): string {
  try {
    check(cert, key);
  } catch (error) {
    expect(error).toBeInstanceOf(ProxyError);
    expect((error as ProxyError).code).toBe("ERR_CERTIFICATE");
    return (error as ProxyError).message;
  }
  throw new Error("nothing is wrong with it");
}

describe("a certificate and its key", () => {
  test("give the chain, the key, the kind of key and the names of subjectAltName", () => {
    const { value, warnings } = check(leaf.cert + intermediate.cert, leaf.key);
    expect(warnings).toEqual([]);
    expect(value.names).toEqual(["leaf.example"]);
    expect(value.keyType).toBe("ec");
    expect(value.chain.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(Buffer.from(value.key.reveal()).toString()).toContain("PRIVATE KEY");
    expect(JSON.stringify(value)).not.toContain("PRIVATE KEY");
    expect(check(own.cert, own.key).value.names).toEqual(["a.example", "*.b.example"]);
    const rsa = authority.issue(["r.example"], { keyType: "rsa" });
    expect(check(rsa.cert, rsa.key).value.keyType).toBe("rsa");
  });

  test("may stand in one file, with text and parameters between", () => {
    const text = `what for\n${own.key}\n# and\n${own.cert}`;
    expect(check(text, text).value.names).toHaveLength(2);
  });

  test("may end with the root", () => {
    expect(check(own.cert + authority.ca, own.key).value.names).toHaveLength(2);
  });

  test("that are not valid now are warned of", () => {
    const day = 24 * 3_600_000;
    expect(check(own.cert, own.key, NOW + 40 * day).warnings[0]).toMatch(
      /^\/etc\/c.pem: the certificate of CN=a.example has expired on 20\d\d-\d\d-\d\d$/,
    );
    expect(check(own.cert, own.key, NOW - 2 * day).warnings[0]).toContain("is not valid before");
  });

  test("without a name are warned of", () => {
    const nameless = authority.issue([], { name: "nameless" });
    expect(check(nameless.cert, nameless.key).warnings[0]).toContain("no subjectAltName");
  });
});

describe("a mistake", () => {
  const encrypted = (form: "pkcs8" | "rfc1421"): string => {
    const { keyFile } = authority.issue(["x"], { keyType: "rsa" });
    const args = ["-in", keyFile, "-aes256", "-passout", "pass:secret"];
    return form === "pkcs8" ? openssl("pkey", ...args) : openssl("rsa", "-traditional", ...args);
  };
  const der = (issued: Issued): Uint8Array =>
    Buffer.from(issued.cert.replace(/-----.*-----|\n/g, ""), "base64");

  test.each([
    ["an empty certificate", "", own.key, "/etc/c.pem: the file is empty"],
    ["an empty key", own.cert, "", "/etc/c.key: the file is empty"],
    ["no PEM", "hello", own.key, "/etc/c.pem: there is no PEM"],
    ["DER", der(own), own.key, "openssl x509"],
    ["files that are swapped", own.key, own.cert, "swapped?"],
    ["a certificate as the key", own.cert, own.cert, "/etc/c.key: there is no private key"],
    [
      "a damaged certificate",
      own.cert.replace(/\n[A-Za-z0-9]{20}/, "\nAAAA"),
      own.key,
      "certificate 1 of the file is damaged",
    ],
    [
      "a damaged key",
      own.cert,
      own.key.replace(/\n[A-Za-z0-9]{20}/, "\nAAAA"),
      "/etc/c.key: the key is damaged",
    ],
    ["an encrypted key", own.cert, encrypted("pkcs8"), "Decrypt it: openssl pkey -in /etc/c.key"],
    ["an encrypted key of the older form", own.cert, encrypted("rfc1421"), "the key is encrypted"],
    [
      "another's key",
      own.cert,
      other.key,
      "/etc/c.key: the key does not belong to the certificate in /etc/c.pem",
    ],
    [
      "the issuer first",
      intermediate.cert + leaf.cert,
      leaf.key,
      "wrong order: the key's certificate is number 2",
    ],
    [
      "the root before the intermediate",
      leaf.cert + authority.ca + intermediate.cert,
      leaf.key,
      "wrong order: number 1 was issued by number 3",
    ],
    [
      "a stranger in the chain",
      own.cert + other.cert,
      own.key,
      "certificate 2 (CN=other.example) did not issue certificate 1",
    ],
  ])("is found: %s", (_what, cert, key, message) => {
    const text = mistake(cert, key);
    expect(text).toContain(message);
    expect(text).not.toContain("BEGIN");
  });
});

test("a file of authorities may hold several, and must hold one", () => {
  const file = (text: string): { path: string; bytes: Uint8Array } => ({
    path: "/etc/ca.pem",
    bytes: Buffer.from(text),
  });
  const { value } = checkAuthorities(file(authority.ca + intermediate.cert), NOW);
  expect(value.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  expect(() => checkAuthorities(file(own.key), NOW)).toThrow("there is a key and no certificate");
  expect(() => checkAuthorities(file(""), NOW)).toThrow("/etc/ca.pem: the file is empty");
});
