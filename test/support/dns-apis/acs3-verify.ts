// Verifies Alibaba Cloud's signature, version 3, as its documentation has it, on the bytes that came: it shares nothing with
// what signs in src. https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature

import { createHash, createHmac } from "node:crypto";

import type { Seen } from "./fake-api.ts";

export interface Acs3Owner {
  readonly id: string;
  readonly secret: string;
  readonly securityToken: string | null;
}

/** @returns why the request is refused, as the code of Alibaba Cloud; null: the signature is right. */
export function verifyAcs3(
  { method, target, headers, body }: Seen,
  owner: Acs3Owner,
  nowMs: number,
): string | null {
  const match =
    /^ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})$/.exec(
      headers.get("authorization") ?? "",
    );
  if (match === null) return "IncompleteSignature";
  const [, id, names = "", signature] = match;
  if (id !== owner.id) return "InvalidAccessKeyId.NotFound";
  if ((headers.get("x-acs-security-token") ?? null) !== owner.securityToken) {
    return "InvalidSecurityToken.Malformed";
  }
  const date = headers.get("x-acs-date") ?? "";
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(date)) return "InvalidTimeStamp.Format";
  if (Math.abs(Date.parse(date) - nowMs) > 15 * 60_000) return "InvalidTimeStamp.Expired";
  if (headers.get("x-acs-signature-nonce") === null) return "MissingSignatureNonce";
  const bodyHash = createHash("sha256").update(body).digest("hex");
  if (headers.get("x-acs-content-sha256") !== bodyHash) return "SignatureDoesNotMatch";
  const signed = names.split(";");
  const needed = [...headers.keys()].filter(
    (name) => name === "host" || name === "content-type" || name.startsWith("x-acs-"),
  );
  if (needed.toSorted().join(";") !== signed.join(";")) return "SignatureDoesNotMatch";
  const [path = "", query = ""] = target.split("?");
  // What came is encoded as RFC 3986 has it already, or the signature is wrong.
  const pairs = query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => [pair.split("=", 1)[0]!, pair] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) // by name alone: "=" is behind "%"
    .map(([, pair]) => pair);
  const canonical = `${method}\n${path}\n${pairs.join("&")}\n${signed
    .map((name) => `${name}:${(headers.get(name) ?? "").trim()}\n`)
    .join("")}\n${names}\n${bodyHash}`;
  const toSign = `ACS3-HMAC-SHA256\n${createHash("sha256").update(canonical).digest("hex")}`;
  const expected = createHmac("sha256", owner.secret).update(toSign).digest("hex");
  return signature === expected ? null : "SignatureDoesNotMatch";
}
