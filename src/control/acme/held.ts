// A certificate as it was read from the storage, with what a schedule and a listener need to know of it. Called by the manager.

import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";

import type { CertificateMaterial } from "../../shared/certificates.ts";
import { ProxyError } from "../../shared/errors.ts";
import type { Secret } from "../../shared/secret.ts";
import { checkCertificate } from "../certificates/material.ts";
import type { Validity } from "./schedule.ts";
import type { StoredCertificate } from "./storage/certificates.ts";

export interface Held {
  readonly stored: StoredCertificate;
  readonly material: CertificateMaterial<Secret>;
  readonly validity: Validity;
}

/** @throws ProxyError ERR_CERTIFICATE: the files are damaged, or are for other names than was asked. */
export function hold(stored: StoredCertificate, names: readonly string[], nowMs: number): Held {
  const { chain, key, chainFile, keyFile, issuedMs } = stored;
  const { value } = checkCertificate(
    { path: chainFile, bytes: Buffer.from(chain) },
    { path: keyFile, bytes: new Uint8Array(key.reveal()) },
    nowMs,
  );
  const certificate = new X509Certificate(chain);
  const missing = names.find((name) => !has(certificate, name));
  if (missing !== undefined) {
    throw new ProxyError("ERR_CERTIFICATE", `${chainFile}: the certificate is not for ${missing}`, {
      cure: "It is ordered anew",
    });
  }
  const validity = {
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
    obtainedMs: issuedMs,
  };
  return { stored, material: value, validity };
}

/** Names stand in subjectAltName as they were ordered; an address has several forms. */
function has(certificate: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  const entries = (certificate.subjectAltName ?? "").toLowerCase().split(", ");
  return entries.includes(`dns:${name}`);
}
