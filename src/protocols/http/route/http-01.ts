// Requests by which a certificate authority looks whether a name is ours (RFC 8555 section 8.3): answered before any route, on
// every listener, since authorities follow redirects to wherever they lead. A token that is not pending, or is another name's,
// belongs to whoever is behind this proxy. Called by guide.ts while something is pending.

import { HTTP_01_PATH } from "../../../shared/challenges.ts";
import { formatIp, parseIp } from "../../../shared/ip.ts";
import { CHALLENGES, HTTP_ROUTES } from "../../../shared/limits.ts";
import type { ChallengeAnswers } from "../../challenge-answers.ts";
import { type RequestHead, ResponseHead } from "../message/heads.ts";
import type { OwnAnswer } from "../passage.ts";
import { hostEnd } from "./host-view.ts";

const PREFIX = new TextEncoder().encode(HTTP_01_PATH);
const QUESTION = 0x3f;

/** @returns the key authorization; null if the request is none of an authority's, or for nothing that is pending. */
export function keyAuthorizationFor(head: RequestHead, answers: ChallengeAnswers): string | null {
  const { method, fields, pathStart, authorityStart, authorityEnd } = head;
  if (method !== "GET" && method !== "HEAD") return null;
  if (!startsWith(fields.arena, pathStart, head.pathEnd, PREFIX)) return null;
  const tokenStart = pathStart + PREFIX.length;
  let tokenEnd = tokenStart;
  while (tokenEnd < head.pathEnd && fields.arena[tokenEnd] !== QUESTION) tokenEnd++;
  if (tokenEnd - tokenStart > CHALLENGES.tokenMaxBytes) return null;
  if (authorityEnd - authorityStart > HTTP_ROUTES.authorityMaxBytes) return null;
  const host = fields.text(authorityStart, hostEnd(fields.arena, authorityStart, authorityEnd));
  return answers.keyAuthorization(domainOf(host), fields.text(tokenStart, tokenEnd));
}

function startsWith(bytes: Uint8Array, from: number, to: number, prefix: Uint8Array): boolean {
  if (to - from < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[from + i] !== prefix[i]) return false;
  return true;
}

/** As in orders: an IPv6 address has its shortest form there (RFC 8738 section 3), and no brackets. */
function domainOf(host: string): string {
  if (!host.startsWith("[")) return host.toLowerCase();
  const ip = parseIp(host.slice(1, -1));
  return ip === null ? host : formatIp(ip);
}

/** RFC 8555 section 8.3 asks for no media type; this one no browser shows as a page. */
export function http01Answer(
  keyAuthorization: string,
  head: RequestHead,
  unixMs: number,
): OwnAnswer {
  const answer = new ResponseHead();
  const body = new TextEncoder().encode(keyAuthorization);
  answer.fields.add("content-type", "application/octet-stream");
  answer.fields.add("cache-control", "no-store");
  answer.fields.add("date", new Date(unixMs).toUTCString());
  answer.contentLength = body.length;
  answer.bodyless = head.method === "HEAD";
  return { head: answer, body };
}
