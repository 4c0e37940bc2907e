// What an API said, made fit for people: without credentials, whatever form they come back in, without control characters that
// a terminal would obey, and not endless. Pure. Called by api.ts for every text that came from outside.

import { DNS_API } from "../../../shared/auto-tls-limits.ts";

const MASK = "[secret]";
/** What is shorter stands in other words too, and gives nothing away. */
const BASE64_MIN_CHARS = 8;

/** @param secrets in clear. Masked before the text is cut: half a credential is still one. */
export function maskText(text: string, secrets: readonly string[]): string {
  let masked = text;
  for (const form of secrets.flatMap(formsOf).toSorted((a, b) => b.length - a.length)) {
    masked = masked.replaceAll(form, MASK);
  }
  const plain = masked
    .replace(/[\p{Cc}\p{Cf}]+/gu, " ")
    .replace(/\s+/g, " ")
    .trim();
  return plain.length <= DNS_API.messageMaxChars
    ? plain
    : `${plain.slice(0, DNS_API.messageMaxChars)}…`;
}

/** As it is, in a URL, in JSON, in HTML and XML, and in Base64 at each of its three offsets. */
function formsOf(secret: string): string[] {
  const forms = [
    secret,
    encodeURIComponent(secret),
    encodeURIComponent(secret).toLowerCase(),
    JSON.stringify(secret).slice(1, -1),
    secret.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"),
    ...[0, 1, 2]
      .map((offset) => base64Within(secret, offset))
      .filter(({ length }) => length >= BASE64_MIN_CHARS),
  ];
  return [...new Set(forms)].filter((form) => form !== "");
}

/** The letters of Base64 that depend on the secret alone, if it begins so many bytes behind a multiple of three. */
function base64Within(secret: string, offset: number): string {
  const bytes = Buffer.from(secret);
  const whole = Math.floor((offset + bytes.length) / 3) * 3;
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
    .subarray(0, whole)
    .toString("base64");
  return encoded.slice(offset === 0 ? 0 : 4);
}
