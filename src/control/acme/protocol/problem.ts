// What authorities say when they say no: problem documents (RFC 9457, RFC 8555 section 6.7) and Retry-After (RFC 9110 section
// 10.2.3). Without I/O. Called by the session, and by those who find problems inside of orders and challenges.

import { ACME } from "../../../shared/auto-tls-limits.ts";

export interface Problem {
  /** What follows `urn:ietf:params:acme:error:`; another URI as it is; empty: none. */
  readonly type: string;
  /** Everything, for people, with subproblems and the names that they are about. */
  readonly text: string;
}

const ACME_ERROR = "urn:ietf:params:acme:error:";

/** Those that are the same until somebody changes an account, a name or the configuration. */
const FINAL: ReadonlySet<string> = new Set([
  "badCSR",
  "badPublicKey",
  "caa",
  "externalAccountRequired",
  "invalidContact",
  "invalidProfile",
  "rejectedIdentifier",
  "unsupportedContact",
  "unsupportedIdentifier",
  "userActionRequired",
]);

/** @param value an object of JSON, or anything else that came in its place. */
export function readProblem(value: unknown): Problem {
  const fields = objectOf(value);
  if (fields === null) return { type: "", text: "" };
  const type = typeOf(fields);
  const parts = [describe(type, fields)];
  const list = Array.isArray(fields.subproblems) ? fields.subproblems : [];
  for (const each of list.slice(0, ACME.subproblemsMax)) {
    const sub = objectOf(each);
    if (sub === null) continue;
    const name = text(objectOf(sub.identifier)?.value);
    const said = describe(typeOf(sub), sub);
    parts.push(name === "" ? said : `${name}: ${said}`);
  }
  const more = list.length - ACME.subproblemsMax;
  if (more > 0) parts.push(`and ${more} more`);
  return { type, text: printable(parts.filter((part) => part !== "").join("; ")) };
}

export function isFinal(type: string): boolean {
  return FINAL.has(type);
}

/** @returns when to come back, as Unix time in milliseconds; null: nothing is said that can be understood. */
export function readRetryAfter(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const value = header.trim();
  if (/^\d{1,9}$/.test(value)) return nowMs + Number(value) * 1_000;
  const date = /^[a-z]/i.test(value) ? Date.parse(value) : NaN; // "-5" is a date to the runtime
  return Number.isNaN(date) ? null : date;
}

/** An authority's words as one line without control characters, bounded. */
export function printable(said: string): string {
  const line = said.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim();
  const { problemMaxLength } = ACME;
  return line.length <= problemMaxLength ? line : `${line.slice(0, problemMaxLength)}…`;
}

function describe(type: string, fields: Readonly<Record<string, unknown>>): string {
  const said = text(fields.detail) || text(fields.title);
  if (type === "") return said;
  return said === "" ? type : `${said} (${type})`;
}

function typeOf(fields: Readonly<Record<string, unknown>>): string {
  const type = text(fields.type);
  return type.startsWith(ACME_ERROR) ? type.slice(ACME_ERROR.length) : type;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  return value as Readonly<Record<string, unknown>>;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
