// Building blocks of schema-auto-tls.ts: names, authorities, rates of orders and resolvers, each checked and converted in one
// step, as those of fields.ts.

import { type Endpoint, parseEndpoint } from "../shared/address.ts";
import { parseCertificateName } from "../shared/certificate-names.ts";
import { ProxyError } from "../shared/errors.ts";
import { formatIp, parseIp } from "../shared/ip.ts";
import { scalar } from "./fields.ts";
import { nearest } from "./nearest.ts";
import { parseDuration } from "./units.ts";

/** Authorities that are known by name; control/acme/authorities.ts has where they are. */
export const KNOWN_AUTHORITIES = ["letsencrypt", "letsencrypt-staging", "zerossl"] as const;
/** That of this machine. */
export const INTERNAL = "internal";

export function certificateName(description: string) {
  return scalar((value): string => parseCertificateName(String(value)), "text", {
    description,
    type: "string",
    examples: ["example.com", "*.example.com"],
  });
}

/** Names in one text, separated by commas. */
export function certificateNames(description: string) {
  return scalar(
    (value): string[] =>
      String(value)
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name !== "")
        .map(parseCertificateName),
    "text",
    { description, type: "string", examples: ["example.com,www.example.com"] },
  );
}

/** A name of KNOWN_AUTHORITIES, the URL of a directory and, where it is alone, `internal`. */
export function authority(description: string, alone: boolean) {
  return scalar((value): string => parseAuthority(String(value), alone), "text", {
    description,
    type: "string",
    examples: [...KNOWN_AUTHORITIES, ...(alone ? [INTERNAL] : [])],
  });
}

/** Names that other programs and people have for them. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  le: "letsencrypt",
  "lets-encrypt": "letsencrypt",
  "let's encrypt": "letsencrypt",
  production: "letsencrypt",
  staging: "letsencrypt-staging",
  local: INTERNAL,
  "self-signed": INTERNAL,
};

function parseAuthority(written: string, alone: boolean): string {
  const known: readonly string[] = [...KNOWN_AUTHORITIES, ...(alone ? [INTERNAL] : [])];
  if (known.includes(written)) return written;
  if (written === INTERNAL) throw bad(written, "has no settings", `Write ca: ${INTERNAL}`);
  if (/^https?:\/\//i.test(written)) return parseDirectory(written);
  const other = Object.hasOwn(OTHER_NAMES, written.toLowerCase())
    ? OTHER_NAMES[written.toLowerCase()]
    : nearest(written, known);
  const cure = other === undefined ? "" : `. Did you mean "${other}"?`;
  const forms = `${known.join(", ")}, nor the https:// URL of an ACME directory`;
  throw new ProxyError("ERR_CONFIG", `"${written}" is none of ${forms}${cure}`);
}

function parseDirectory(written: string): string {
  if (!URL.canParse(written)) {
    throw bad(written, "is not a URL", "Write for example https://ca.example.com/acme/directory");
  }
  const url = new URL(written);
  if (url.protocol !== "https:") {
    // RFC 8555 section 6.1.
    throw bad(written, "is not https, which ACME is always", `Write https${url.href.slice(4)}`);
  }
  if (url.username !== "" || url.hash !== "") {
    throw bad(
      written,
      "has a part that no directory has",
      `Write https://${url.host}${url.pathname}`,
    );
  }
  return url.href;
}

/** What is asked before a certificate is made on demand. */
export function askUrl(description: string) {
  return scalar(
    (value): string => {
      const written = String(value);
      if (!/^https?:\/\//i.test(written) || !URL.canParse(written)) {
        throw bad(written, "is not a URL", "Write for example http://127.0.0.1:9000/allowed");
      }
      const url = new URL(written);
      if (url.searchParams.has("domain")) {
        throw bad(written, "has a domain already, which is put in for each question", "Remove it");
      }
      return url.href;
    },
    "text",
    { description, type: "string", pattern: "^https?://.+$" },
  );
}

export interface OrderRate {
  readonly orders: number;
  readonly intervalMs: number;
}

/** `10/1h`. */
export function orderRate(description: string, fallback: string) {
  return scalar((value) => parseOrderRate(String(value)), "text or number", {
    description: `${description} A number and a time: 10/1h.`,
    type: "string",
    pattern: "^\\d+/(\\d+(\\.\\d+)?)?(ms|s|m|h)$",
    default: fallback,
  });
}

export function parseOrderRate(written: string): OrderRate {
  const match = /^([1-9]\d{0,5})\/(.+)$/.exec(written.trim());
  const cure = "Write a number and the time that it is for: 10/1h";
  if (match === null) throw bad(written, "is not a rate of orders", cure);
  const [, orders, time] = match as unknown as [string, string, string];
  // `10/h` is how other rates are written.
  const intervalMs = parseDuration(/^\d/.test(time) ? time : `1${time}`);
  if (intervalMs < 1_000) throw bad(written, "is for less than a second", cure);
  return { orders: Number(orders), intervalMs };
}

const DNS_PORT = 53;

/** An address, with the port of DNS unless it has one. */
export function resolverAddress() {
  return scalar(
    (value): Endpoint => {
      const written = String(value);
      const ip = parseIp(written.replace(/^\[(.*)\]$/, "$1"));
      if (ip !== null) return { kind: "tcp", host: formatIp(ip), port: DNS_PORT };
      const host = written.replace(/:[^:\]]*$/, "").replace(/^\[(.*)\]$/, "$1");
      if (parseIp(host) !== null) return parseEndpoint(written, "target");
      throw bad(written, "is not an IP address", "Write for example 1.1.1.1, or [::1]:5353");
    },
    "text",
    { description: "An address: 1.1.1.1, [::1]:5353.", type: "string" },
  );
}

/** Of the account: an authority writes there. */
export function emailAddress(description: string) {
  return scalar(
    (value): string => {
      const written = String(value).replace(/^mailto:/, "");
      // RFC 5321 has more; this is what authorities take.
      if (/^[^\s@,<>"]+@[^\s@,<>"]+\.[^\s@,<>".]+$/.test(written)) return written;
      throw bad(written, "is not an e-mail address", "Write for example admin@example.com");
    },
    "text",
    { description, type: "string", examples: ["admin@example.com"] },
  );
}

function bad(written: string, problem: string, cure: string): ProxyError {
  return new ProxyError("ERR_CONFIG", `"${written}" ${problem}`, { cure });
}
