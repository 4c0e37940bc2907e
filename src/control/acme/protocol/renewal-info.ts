// When an authority wants a certificate renewed (ARI, RFC 9773): what a certificate is called there, and what the answer says.
// Without I/O; time is a parameter. Called by the issuer.

import { X509Certificate } from "node:crypto";

import { SCHEDULE } from "../../../shared/auto-tls-limits.ts";
import { IssueError } from "../issue-error.ts";
import type { RenewalWindow } from "../issuer.ts";
import { jsonOf } from "./directory.ts";
import { printable } from "./problem.ts";
import type { Answer } from "./transport.ts";

/** id-ce-authorityKeyIdentifier (RFC 5280 section 4.2.1.1), as DER. */
const AUTHORITY_KEY_IDENTIFIER = Buffer.from("0603551d23", "hex");

const OCTET_STRING = 0x04;
const BOOLEAN = 0x01;
const SEQUENCE = 0x30;
const KEY_IDENTIFIER = 0x80;

/**
 * Section 4.1: base64url of the authority's key identifier, a dot, base64url of the serial number's DER octets.
 * @param chain PEM, the certificate first.
 * @returns null: the certificate names no key of its authority, and so has no such id.
 */
export function certificateId(chain: string): string | null {
  const certificate = new X509Certificate(chain);
  const keyIdentifier = authorityKeyIdentifier(certificate.raw);
  if (keyIdentifier === null) return null;
  const { serialNumber } = certificate;
  const digits = serialNumber.length % 2 === 0 ? serialNumber : `0${serialNumber}`;
  const octets = Buffer.from(digits, "hex");
  // DER: the first bit says that a number is negative (X.690 section 8.3), so a positive one has a zero before it.
  const serial = octets[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), octets]) : octets;
  return `${keyIdentifier.toString("base64url")}.${serial.toString("base64url")}`;
}

/** Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING } of [0] keyIdentifier. */
function authorityKeyIdentifier(der: Buffer): Buffer | null {
  const at = der.indexOf(AUTHORITY_KEY_IDENTIFIER);
  if (at < 0) return null;
  let rest = der.subarray(at + AUTHORITY_KEY_IDENTIFIER.length);
  if (rest[0] === BOOLEAN) rest = rest.subarray(3);
  const value = content(rest, OCTET_STRING);
  const sequence = value && content(value, SEQUENCE);
  return sequence && content(sequence, KEY_IDENTIFIER);
}

/** The content of the DER element that begins here; null: it has another tag. All that is read here is below 128 octets. */
function content(der: Buffer, tag: number): Buffer | null {
  const length = der[1] ?? 0x80;
  return der[0] === tag && length < 0x80 ? der.subarray(2, 2 + length) : null;
}

/** Section 4.2. @param who the authority, for messages. @throws IssueError */
export function readRenewalInfo(who: string, answer: Answer, nowMs: number): RenewalWindow {
  const fields = jsonOf(answer.body) as Record<string, unknown> | null;
  const window = fields?.suggestedWindow as Record<string, unknown> | undefined;
  const [startMs, endMs] = [Date.parse(String(window?.start)), Date.parse(String(window?.end))];
  // Section 4.2: a window that ends before it begins is to be treated as if there was none.
  if (!(endMs > startMs)) throw new IssueError(`${who} gives a renewal window that is none`);
  const explanation = fields?.explanationURL;
  return {
    startMs,
    endMs,
    explanationUrl: typeof explanation === "string" ? printable(explanation) : null,
    askAgainMs: answer.retryAtMs ?? nowMs + SCHEDULE.askAgainFailedMs,
  };
}
