// Verifies AWS Signature Version 4 as AWS documents it, on the bytes that came: it shares nothing with what signs in src.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

import { createHash, createHmac } from "node:crypto";

import type { Seen } from "./fake-api.ts";

export interface SigV4Key {
  readonly id: string;
  readonly secret: string;
  readonly sessionToken: string | null;
}

const AUTHORIZATION = new RegExp(
  "^AWS4-HMAC-SHA256 Credential=([^/]+)/(\\d{8})/([^/]+)/([^/]+)/aws4_request, ?" +
    "SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$",
);

/** @returns why the request is refused, as the code of AWS; null: the signature is right. */
export function verifySigV4(
  { method, target, headers, body }: Seen,
  key: SigV4Key,
  scope: { region: string; service: string },
  nowMs: number,
): string | null {
  const match = AUTHORIZATION.exec(headers.get("authorization") ?? "");
  if (match === null) return "IncompleteSignature";
  const [, id, day = "", region = "", service = "", names = "", signature] = match;
  if (id !== key.id) return "InvalidClientTokenId";
  if ((headers.get("x-amz-security-token") ?? null) !== key.sessionToken) {
    return "InvalidClientTokenId";
  }
  if (region !== scope.region || service !== scope.service) return "SignatureDoesNotMatch";
  const date = headers.get("x-amz-date") ?? "";
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  const sentMs = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
  if (!(Math.abs(sentMs - nowMs) < 15 * 60_000) || !date.startsWith(day)) return "RequestExpired";
  const signed = names.split(";");
  const needed = [...headers.keys()].filter((name) => name.startsWith("x-amz-"));
  if (!["host", ...needed].every((name) => signed.includes(name))) return "SignatureDoesNotMatch";
  const [path = "", query = ""] = target.split("?");
  const canonical = [
    method,
    // Each segment is encoded once more than it was sent (all services but S3).
    path.split("/").map(encoded).join("/"),
    query
      .split("&")
      .filter((pair) => pair !== "")
      .map((pair) => {
        const [name = "", value = ""] = pair.split("=");
        return [encoded(decodeURIComponent(name)), encoded(decodeURIComponent(value))] as const;
      })
      .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) // by name alone: "=" is behind "%"
      .map((pair) => pair.join("="))
      .join("&"),
    ...signed.map((name) => `${name}:${(headers.get(name) ?? "").trim().replace(/ +/g, " ")}`),
    "",
    names,
    createHash("sha256").update(body).digest("hex"),
  ].join("\n");
  const steps = [day, region, service, "aws4_request"];
  const signingKey = steps.reduce<Buffer | string>(
    (last, step) => createHmac("sha256", last).update(step).digest(),
    `AWS4${key.secret}`,
  );
  const expected = createHmac("sha256", signingKey)
    .update(
      [
        "AWS4-HMAC-SHA256",
        date,
        steps.join("/"),
        createHash("sha256").update(canonical).digest("hex"),
      ].join("\n"),
    )
    .digest("hex");
  return signature === expected ? null : "SignatureDoesNotMatch";
}

function encoded(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return /[A-Za-z0-9\-._~]/.test(letter)
        ? letter
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}
