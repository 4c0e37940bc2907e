// The certificate that answers a challenge by TLS (RFC 8737 section 3): for one name, signed by its own key, with the digest of
// the key authorization. Nobody but an authority is ever shown it. Called by tls-alpn-01.ts.

import { createHash } from "node:crypto";
import { isIP } from "node:net";

import { parseIp } from "../../shared/ip.ts";
import { CHALLENGES } from "../../shared/limits.ts";
import { exportKey, makeKeys, signCertificate } from "./x509.ts";

const SUBJECT = { organization: "bun-tunnel", commonName: "ACME challenge" };

/** @param domain a name, or an IP address (RFC 8738). @returns PEM. */
export async function alpnCertificate(
  domain: string,
  keyAuthorization: string,
  nowMs: number,
): Promise<{ chain: string; key: ArrayBuffer }> {
  const keys = await makeKeys("p256");
  const contents = {
    subject: SUBJECT,
    publicKey: keys.publicKey,
    names: [domain],
    acmeIdentifier: createHash("sha256").update(keyAuthorization).digest(),
    notBeforeMs: nowMs - CHALLENGES.certificateMs,
    notAfterMs: nowMs + CHALLENGES.certificateMs,
  };
  const key = await exportKey(keys);
  const chain = await signCertificate(contents, { subject: SUBJECT, keys });
  return { chain, key: key.reveal() };
}

/** What an authority names in its hello: of an address, its name for reverse lookups (RFC 8738 section 6). */
export function serverNameOf(domain: string): string {
  if (isIP(domain) === 0) return domain.toLowerCase();
  const ip = parseIp(domain)!;
  if (isIP(domain) === 4) return `${ip.slice(-4).toReversed().join(".")}.in-addr.arpa`;
  const nibbles = [...Buffer.from(ip).toString("hex")];
  return `${nibbles.toReversed().join(".")}.ip6.arpa`;
}
