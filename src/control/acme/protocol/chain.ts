// The certificates that an authority gave: taken apart, chosen among by their root, and verified before anybody uses them.
// Without I/O; time is a parameter. Called by the order.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";

import { ACME } from "../../../shared/auto-tls-limits.ts";
import type { Secret } from "../../../shared/secret.ts";
import { IssueError } from "../issue-error.ts";

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** @param who the authority, for messages. @throws IssueError */
export function readChain(who: string, pem: string): X509Certificate[] {
  const blocks = pem.match(PEM) ?? [];
  if (blocks.length === 0) throw new IssueError(`${who}: what should be a certificate is none`);
  if (blocks.length > ACME.chainMax) {
    throw new IssueError(`${who} gives a chain of ${blocks.length} certificates`);
  }
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw new IssueError(`${who} gives a certificate that cannot be read`, {}, { cause });
  }
}

/** Whether a chain leads to a root of this common name: its end is signed by it, or is it. */
export function leadsTo(chain: readonly X509Certificate[], root: string): boolean {
  const last = chain.at(-1);
  if (last === undefined) return false;
  return commonName(last.issuer) === root || commonName(last.subject) === root;
}

/** PEM, as it is stored: the certificate first, then its intermediates. */
export function chainText(chain: readonly X509Certificate[]): string {
  return chain.map((each) => `${each.toString().trimEnd()}\n`).join("");
}

/** @throws IssueError if this is no certificate to use: another key's, for other names, not valid now, a chain with a gap. */
export function verifyChain(
  who: string,
  chain: readonly X509Certificate[],
  key: Secret,
  names: readonly string[],
  nowMs: number,
): void {
  const [own] = chain as [X509Certificate];
  const wrong = (what: string): IssueError =>
    new IssueError(
      `${who} gives a certificate for ${names.join(", ")} that cannot be used: ${what}`,
    );
  if (!own.checkPrivateKey(createPrivateKey(Buffer.from(key.reveal())))) {
    throw wrong("it is for another key");
  }
  if (own.ca) throw wrong("it is an authority's");
  const has = namesOf(own);
  const missing = names.filter((name) => !has.has(name));
  if (missing.length > 0) throw wrong(`it lacks ${missing.join(", ")}`);
  for (const each of chain) {
    if (each.validFromDate.getTime() > nowMs + ACME.clockSkewMs) {
      throw wrong(`it begins on ${each.validFrom}: is this machine's clock right?`);
    }
    if (each.validToDate.getTime() <= nowMs) throw wrong(`it ended on ${each.validTo}`);
  }
  chain.slice(1).forEach((issuer, i) => {
    const signed = chain[i]!;
    if (signed.checkIssued(issuer) && signed.verify(issuer.publicKey)) return;
    throw wrong(`number ${i + 1} of its chain is not signed by number ${i + 2}`);
  });
}

/** Of subjectAltName, as names are written in a plan. */
function namesOf(certificate: X509Certificate): Set<string> {
  const parts = (certificate.subjectAltName ?? "").split(", ");
  return new Set(
    parts.flatMap((part) => {
      const [, kind, value] = /^(DNS|IP Address):(.*)$/.exec(part) ?? [];
      if (value === undefined) return [];
      return [kind === "DNS" ? value.toLowerCase() : plainAddress(value)];
    }),
  );
}

/** IPv6 in the one form of RFC 5952. */
export function plainAddress(address: string): string {
  if (isIP(address) !== 6) return address;
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}

/** Of a distinguished name as the runtime prints it, a line for each attribute. */
function commonName(name: string): string | null {
  return /^CN=(.*)$/m.exec(name)?.[1] ?? null;
}
