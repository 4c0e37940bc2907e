// Alibaba Cloud's signature, version 3 (ACS3-HMAC-SHA256), of a request without a body. Pure: date and nonce are parameters.
// https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature. Called by alidns.ts.

import { createHash, createHmac } from "node:crypto";

const ALGORITHM = "ACS3-HMAC-SHA256";

export interface Acs3Request {
  readonly method: string;
  readonly url: URL;
  readonly action: string;
  /** Of the API: `2015-01-09`. */
  readonly version: string;
  readonly date: Date;
  /** Used once: a request with the same one is refused as a repetition. */
  readonly nonce: string;
}

export interface Acs3Key {
  readonly id: string;
  readonly secret: string;
  /** Of temporary credentials (STS); null: the key is a permanent one. */
  readonly securityToken: string | null;
}

/** @returns the fields to send, without Host, which whoever sends it takes from the URL. */
export function signAcs3(request: Acs3Request, key: Acs3Key): Record<string, string> {
  const contentHash = sha256("");
  const fields: Record<string, string> = {
    "x-acs-action": request.action,
    "x-acs-content-sha256": contentHash,
    "x-acs-date": request.date.toISOString().replace(/\.\d+Z$/, "Z"),
    "x-acs-signature-nonce": request.nonce,
    "x-acs-version": request.version,
    ...(key.securityToken === null ? {} : { "x-acs-security-token": key.securityToken }),
  };
  const signed = Object.entries({ ...fields, host: request.url.host }).toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  );
  const names = signed.map(([name]) => name).join(";");
  const canonical = [
    request.method,
    request.url.pathname,
    canonicalQuery(request.url.searchParams),
    signed.map(([name, value]) => `${name}:${value.trim()}\n`).join(""),
    names,
    contentHash,
  ].join("\n");
  const signature = createHmac("sha256", key.secret)
    .update(`${ALGORITHM}\n${sha256(canonical)}`)
    .digest("hex");
  return {
    ...fields,
    authorization: `${ALGORITHM} Credential=${key.id},SignedHeaders=${names},Signature=${signature}`,
  };
}

/** Sorted by name, encoded as RFC 3986 has it. */
export function canonicalQuery(parameters: Iterable<[string, string]>): string {
  return [...parameters]
    .map(([name, value]) => [percentEncoded(name), percentEncoded(value)] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

/** RFC 3986 section 2.3: everything but the unreserved. */
function percentEncoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
