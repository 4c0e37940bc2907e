// From the contents of files to what TLS is spoken with: every mistake that can be seen in them is an error that names the file
// and the cure, before a client meets it. Without I/O. Called by files.ts.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

import type { CertificateMaterial } from "../../shared/certificates.ts";
import { messageOf, ProxyError } from "../../shared/errors.ts";
import { Secret } from "../../shared/secret.ts";
import { isEncryptedKey, isKey, type PemBlock, pemBlocks } from "./pem.ts";

/** One file as it was read. */
export interface NamedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** What was read, with what an operator should know of it. */
export interface Checked<T> {
  readonly value: T;
  readonly warnings: readonly string[];
}

/** @throws ProxyError ERR_CERTIFICATE */
export function checkCertificate(
  cert: NamedFile,
  key: NamedFile,
  nowMs: number,
): Checked<CertificateMaterial<Secret>> {
  const chain = certificatesOf(cert);
  const { keyObject, pem } = keyOf(key);
  checkFit(chain, keyObject, cert.path, key.path);
  checkOrder(chain, cert.path);
  const [own] = chain as [X509Certificate];
  const names = namesOf(own);
  const warnings = chain.flatMap((each) => validity(each, cert.path, nowMs));
  if (own.subjectAltName === undefined) {
    warnings.push(
      `${cert.path}: the certificate has no subjectAltName, so clients accept it for no name`,
    );
  }
  const value = {
    chain: chain.map((each) => each.toString().trimEnd()).join("\n"),
    key: Secret.of(Buffer.from(pem)),
    names,
    keyType: keyObject.asymmetricKeyType ?? "",
  };
  return { value, warnings };
}

/** Certificates of authorities. @throws ProxyError ERR_CERTIFICATE */
export function checkAuthorities(file: NamedFile, nowMs: number): Checked<string> {
  const certificates = certificatesOf(file);
  const warnings = certificates.flatMap((each) => validity(each, file.path, nowMs));
  return { value: certificates.map((each) => each.toString().trimEnd()).join("\n"), warnings };
}

function blocksOf({ path, bytes }: NamedFile, what: string): PemBlock[] {
  if (bytes.length === 0) throw bad(path, "the file is empty", `Put ${what} in PEM form into it`);
  const blocks = pemBlocks(Buffer.from(bytes).toString("latin1"));
  if (blocks.length > 0) return blocks;
  const isDer = bytes[0] === DER_SEQUENCE;
  throw bad(
    path,
    isDer ? "the file is in DER form" : "there is no PEM in the file",
    isDer
      ? "Convert it to PEM: openssl x509, or openssl pkey, with -inform der"
      : `It must hold ${what} in PEM form`,
  );
}

/** The first byte of DER's outermost value (X.690). */
const DER_SEQUENCE = 0x30;

/** In the order of the file; at least one. @throws ProxyError ERR_CERTIFICATE */
export function certificatesOf(file: NamedFile): X509Certificate[] {
  const { path } = file;
  const blocks = blocksOf(file, "a certificate");
  const certificates = blocks.filter(({ label }) => label.endsWith("CERTIFICATE"));
  if (certificates.length === 0) {
    throw blocks.some(isKey)
      ? bad(
          path,
          "there is a key and no certificate in the file",
          "Are the certificate's file and the key's swapped?",
        )
      : bad(path, "there is no certificate in the file", "It must hold a certificate in PEM form");
  }
  return certificates.map(({ text }, i) => {
    try {
      return new X509Certificate(text);
    } catch (error) {
      throw bad(path, `certificate ${i + 1} of the file is damaged`, "Copy the file again", error);
    }
  });
}

function keyOf(file: NamedFile): { keyObject: KeyObject; pem: string } {
  const { path } = file;
  const blocks = blocksOf(file, "a private key");
  const block = blocks.find(isKey);
  if (block === undefined) {
    throw bad(
      path,
      "there is no private key in the file",
      "It must hold the certificate's private key in PEM form",
    );
  }
  if (isEncryptedKey(block)) {
    const cure = `Decrypt it: openssl pkey -in ${path} -out NEW_FILE, and keep that readable for the proxy alone`;
    throw bad(path, "the key is encrypted, and there is nobody to ask for its password", cure);
  }
  if (block.label === "OPENSSH PRIVATE KEY") {
    throw bad(
      path,
      "the key is in the form of OpenSSH",
      `Convert it: ssh-keygen -p -m PEM -f ${path}`,
    );
  }
  try {
    return { keyObject: createPrivateKey(block.text), pem: block.text };
  } catch (error) {
    throw bad(path, "the key is damaged", "Copy the file again", new Error(messageOf(error)));
  }
}

function checkFit(
  chain: readonly X509Certificate[],
  key: KeyObject,
  certPath: string,
  keyPath: string,
): void {
  const fitting = chain.findIndex((each) => each.checkPrivateKey(key));
  if (fitting === 0) return;
  if (fitting > 0)
    throw wrongOrder(certPath, `the key's certificate is number ${fitting + 1} of the file`);
  throw bad(
    keyPath,
    `the key does not belong to the certificate in ${certPath}`,
    "Both must come from the same order: make a new request with this key, or find the certificate's own",
  );
}

/** RFC 8446 section 4.4.2: the server's own first, then each one's issuer. */
function checkOrder(chain: readonly X509Certificate[], path: string): void {
  for (const [i, each] of chain.slice(1).entries()) {
    const before = chain[i]!;
    if (before.checkIssued(each)) continue;
    const issuer = chain.findIndex((other) => other !== before && before.checkIssued(other));
    if (issuer >= 0) {
      throw wrongOrder(
        path,
        `number ${i + 1} was issued by number ${issuer + 1}, and number ${i + 2} follows`,
      );
    }
    throw bad(
      path,
      `certificate ${i + 2} (${subjectOf(each)}) did not issue certificate ${i + 1} (${subjectOf(before)})`,
      "Leave out what does not belong to the chain, and put each certificate's issuer behind it",
    );
  }
}

function wrongOrder(path: string, how: string): ProxyError {
  const cure = "Put the server's certificate first, then the one that issued it, and so on";
  return bad(path, `the certificates are in the wrong order: ${how}`, cure);
}

function validity(certificate: X509Certificate, path: string, nowMs: number): string[] {
  const { validFromDate, validToDate } = certificate;
  const about = `${path}: the certificate of ${subjectOf(certificate)}`;
  if (nowMs > validToDate.getTime()) return [`${about} has expired on ${dayOf(validToDate)}`];
  if (nowMs < validFromDate.getTime())
    return [`${about} is not valid before ${dayOf(validFromDate)}`];
  return [];
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function subjectOf({ subject }: X509Certificate): string {
  return subject.split("\n").toReversed().join(",") || "no subject";
}

/** What subjectAltName says of hosts; names that OpenSSL has to quote are none. */
export function namesOf({ subjectAltName = "" }: X509Certificate): string[] {
  return subjectAltName
    .split(", ")
    .filter((name) => /^DNS:[^"]+$/.test(name))
    .map((name) => name.slice("DNS:".length).toLowerCase());
}

function bad(path: string, problem: string, cure: string, cause?: unknown): ProxyError {
  return new ProxyError("ERR_CERTIFICATE", `${path}: ${problem}`, { cure, cause });
}
