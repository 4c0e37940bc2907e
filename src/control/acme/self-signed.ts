// A stand-in: what listeners show while the real certificate is missing, so that they can listen. Signed by its own key, and
// no client trusts it; its subject says what it is to whoever looks. Called by the manager.

import { isIP } from "node:net";

import type { CertificateMaterial } from "../../shared/certificates.ts";
import { AUTHORITY_LIMITS } from "../../shared/limits.ts";
import type { Secret } from "../../shared/secret.ts";
import { exportKey, makeKeys, signCertificate } from "./x509.ts";

const SUBJECT = {
  organization: "bun-tunnel",
  commonName: "bun-tunnel: certificate not obtained yet",
};

/** @param names of one certificate: DNS names, `*.` in front of wildcards, and IP addresses. */
export async function selfSigned(
  names: readonly string[],
  nowMs: number,
): Promise<CertificateMaterial<Secret>> {
  const keys = await makeKeys("p256");
  const contents = {
    subject: SUBJECT,
    publicKey: keys.publicKey,
    names,
    notBeforeMs: nowMs - AUTHORITY_LIMITS.backdatedMs,
    notAfterMs: nowMs + AUTHORITY_LIMITS.standInMs,
  };
  return {
    chain: await signCertificate(contents, { subject: SUBJECT, keys }),
    key: await exportKey(keys),
    names: names.filter((name) => isIP(name) === 0).map((name) => name.toLowerCase()),
    keyType: "ec",
  };
}
