// Stand-ins: what is asked for is in them, the checks of files find nothing wrong with them, and they say what they are.

import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";

import { selfSigned } from "../../../src/control/acme/self-signed.ts";
import { checkCertificate } from "../../../src/control/certificates/material.ts";

const NOW = Date.UTC(2030, 0, 15);
const NAMES = ["example.com", "*.Example.com", "192.0.2.1", "2001:db8::1"];

test("a stand-in has all its names, is valid now, and passes the checks of certificates from files", async () => {
  const { chain, key, names, keyType } = await selfSigned(NAMES, NOW);
  expect({ names, keyType }).toEqual({ names: ["example.com", "*.example.com"], keyType: "ec" });
  const files = [Buffer.from(chain), Buffer.from(key.reveal())] as const;
  const checked = checkCertificate(
    { path: "chain", bytes: files[0] },
    { path: "key", bytes: files[1] },
    NOW,
  );
  expect(checked.warnings).toEqual([]);
  expect(checked.value).toMatchObject({ names, keyType, chain: chain.trimEnd() });
  const certificate = new X509Certificate(chain);
  expect(certificate.checkIP("192.0.2.1")).toBe("192.0.2.1");
  expect(certificate.checkIP("2001:db8::1")).toBe("2001:db8::1");
  expect(certificate.checkHost("www.example.com")).toBe("*.Example.com");
});

test("its subject says to people that it is a stand-in, and that it signs nothing but itself", async () => {
  const certificate = new X509Certificate((await selfSigned(["example.com"], NOW)).chain);
  expect(certificate.subject).toBe("O=bun-tunnel\nCN=bun-tunnel: certificate not obtained yet");
  expect(certificate.issuer).toBe(certificate.subject);
  expect(certificate.ca).toBe(false);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
});

test("two stand-ins have neither number nor key in common", async () => {
  const [one, other] = await Promise.all([
    selfSigned(["a.test"], NOW),
    selfSigned(["a.test"], NOW),
  ]);
  const [first, second] = [new X509Certificate(one.chain), new X509Certificate(other.chain)];
  expect(first.serialNumber).toMatch(/^01[0-9A-F]{32}$/);
  expect(first.serialNumber).not.toBe(second.serialNumber);
  expect(first.publicKey.equals(second.publicKey)).toBe(false);
});
