// Makes keys and signs certificates (RFC 5280) by WebCrypto, for the internal authority and for stand-ins. The package that
// writes ASN.1 is loaded when the first certificate is made: a proxy that needs none starts without it.

import { createPublicKey, type KeyObject } from "node:crypto";
import { isIP } from "node:net";

import type { CertificateKeyType } from "../../shared/auto-tls-plan.ts";
import { Secret } from "../../shared/secret.ts";

/** Who signs. */
export interface Signer {
  readonly subject: CertificateSubject;
  readonly keys: CryptoKeyPair;
}

/** Of the distinguished name, those attributes that are used here. */
export interface CertificateSubject {
  readonly organization: string;
  /** null: none. */
  readonly commonName: string | null;
}

export interface CertificateContents {
  readonly subject: CertificateSubject;
  readonly publicKey: CryptoKey;
  /** DNS names and IP addresses of subjectAltName; `null`: it is an authority, and signs those of others. */
  readonly names: readonly string[] | null;
  /** SHA-256 of a key authorization: it answers a challenge by TLS (RFC 8737 section 3). Left out: it is no such certificate. */
  readonly acmeIdentifier?: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

type Library = typeof import("@peculiar/x509");

/** By `require`: of an `import()` in an executable, the bundler runs the parts in an order in which they do not start. */
function library(): Library {
  return require("@peculiar/x509") as Library;
}

const CURVE_HASHES = { "P-256": "SHA-256", "P-384": "SHA-384" } as const;

const KEY_PARAMETERS = {
  p256: { name: "ECDSA", namedCurve: "P-256" },
  p384: { name: "ECDSA", namedCurve: "P-384" },
  rsa2048: rsa(2048),
  rsa4096: rsa(4096),
} as const satisfies Record<CertificateKeyType, unknown>;

function rsa(modulusLength: number) {
  const publicExponent = new Uint8Array([1, 0, 1]);
  return { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", publicExponent, modulusLength } as const;
}

/** May be exported. */
export function makeKeys(type: CertificateKeyType): Promise<CryptoKeyPair> {
  const parameters = KEY_PARAMETERS[type];
  return crypto.subtle.generateKey(parameters, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

/** PEM, PKCS #8. */
export async function exportKey({ privateKey }: CryptoKeyPair): Promise<Secret> {
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", privateKey));
  const lines = der.toString("base64").replace(/.{64}(?!$)/g, "$&\n");
  return Secret.of(
    Buffer.from(`-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`),
  );
}

/** What `exportKey` gave, as `makeKeys("p256")` made it. @throws the runtime's error if it is no such key. */
export async function importKeys(key: KeyObject): Promise<CryptoKeyPair> {
  const pkcs8 = key.export({ type: "pkcs8", format: "der" });
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  const [privateKey, publicKey] = await Promise.all([
    crypto.subtle.importKey("pkcs8", pkcs8, KEY_PARAMETERS.p256, false, ["sign"]),
    crypto.subtle.importKey("spki", spki, KEY_PARAMETERS.p256, true, ["verify"]),
  ]);
  return { privateKey, publicKey };
}

/** @returns PEM. */
export async function signCertificate(
  contents: CertificateContents,
  signer: Signer,
): Promise<string> {
  const x509 = library();
  const { subject, publicKey, notBeforeMs, notAfterMs } = contents;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: distinguishedName(subject),
    issuer: distinguishedName(signer.subject),
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    publicKey,
    signingKey: signer.keys.privateKey,
    signingAlgorithm: signatureAlgorithm(signer.keys.privateKey),
    extensions: await extensions(x509, contents, signer),
  });
  return `${certificate.toString("pem").trimEnd()}\n`;
}

/** RFC 5280 section 4.2.1. */
async function extensions(
  x509: Library,
  { names, publicKey, acmeIdentifier }: CertificateContents,
  signer: Signer,
) {
  const { KeyUsageFlags } = x509;
  const identifiers = [
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
    await x509.AuthorityKeyIdentifierExtension.create(signer.keys.publicKey),
  ];
  if (names === null) {
    return [
      // No authority below it: its key is where the keys of its certificates are, and another would protect neither.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ...identifiers,
    ];
  }
  // A key of RSA may also be sent secrets, in the key exchange of TLS 1.2 that bears its name.
  const isRsa = publicKey.algorithm.name !== "ECDSA";
  const usages = KeyUsageFlags.digitalSignature | (isRsa ? KeyUsageFlags.keyEncipherment : 0);
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(usages, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    new x509.SubjectAlternativeNameExtension(
      names.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value }) as const),
    ),
    ...identifiers,
    ...(acmeIdentifier === undefined ? [] : [acmeExtension(x509, acmeIdentifier)]),
  ];
}

/** An OCTET STRING of DER in that of the extension. */
function acmeExtension({ Extension }: Library, digest: Uint8Array) {
  return new Extension("1.3.6.1.5.5.7.1.31", true, new Uint8Array([4, digest.length, ...digest]));
}

function distinguishedName({ organization, commonName }: CertificateSubject) {
  const parts = [{ O: [organization] }];
  return commonName === null ? parts : [...parts, { CN: [commonName] }];
}

function signatureAlgorithm({ algorithm }: CryptoKey): { name: string; hash: string } {
  if (algorithm.name !== "ECDSA") return { name: algorithm.name, hash: "SHA-256" };
  const { namedCurve } = algorithm as unknown as { namedCurve: string };
  return { name: "ECDSA", hash: CURVE_HASHES[namedCurve as keyof typeof CURVE_HASHES] };
}

/** RFC 5280 section 4.1.2.2: positive, 20 octets at most. 128 bits of chance behind an octet that keeps it positive. */
function serialNumber(): string {
  return `01${Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex")}`;
}
