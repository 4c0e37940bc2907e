// Who may ask the admin listener, and what: a token where there is one, and nobody by way of somebody's browser. A page of
// another site can send requests here, and under a name that it lets point to this machine (DNS rebinding) read their answers;
// neither goes unnoticed by the Host, Origin and Sec-Fetch-Site fields, which no page can choose. Pure. Called by server.ts.

import { isIP } from "node:net";

import { isLoopback } from "../../config/addresses.ts";
import type { Endpoint } from "../../shared/address.ts";
import type { Token } from "./token.ts";

/** What of a request is looked at. */
export interface Asking {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Rules {
  readonly listen: Endpoint;
  /** null: everybody who can connect may ask. */
  readonly token: Token | null;
}

export type Verdict =
  /** `trusted`: may be told everything. Otherwise only what is public. */
  | { readonly passes: true; readonly trusted: boolean }
  | { readonly passes: false; readonly status: number; readonly reason: string };

/** Methods that change nothing (RFC 9110 section 9.2.1). */
const SAFE: readonly string[] = ["GET", "HEAD"];

export function judge(asking: Asking, { listen, token }: Rules): Verdict {
  const { method, headers } = asking;
  // No other site's page has the token, or could show it without asking: whoever does may call this machine as they like, and
  // ours may come by way of a proxy that adds TLS.
  if (token?.isShownIn(one(headers.authorization)) === true) return { passes: true, trusted: true };
  if (listen.kind === "tcp" && !isOurs(one(headers.host), listen.host)) {
    return refused(421, "the Host field names another machine. Use an IP address, or localhost");
  }
  if (isFromElsewhere(asking)) return refused(403, "the request comes from a page of another site");
  if (!SAFE.includes(method) && isOfForm(one(headers["content-type"]))) {
    return refused(415, "write the body as JSON. Content-Type: application/json");
  }
  return { passes: true, trusted: token === null };
}

/** A name that anybody may let point here is none of ours; an address cannot be pointed anywhere. The port may be forwarded. */
function isOurs(field: string | undefined, configured: string): boolean {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(field ?? "") ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  if (plain === undefined) return false;
  return isIP(plain) > 0 || isLoopback(plain) || plain.toLowerCase() === configured.toLowerCase();
}

/** Also of what changes nothing: a page could hold connections, or learn by their timing what is here. */
function isFromElsewhere({ method, headers }: Asking): boolean {
  const site = one(headers["sec-fetch-site"]);
  const elsewhere = site !== undefined && site !== "same-origin" && site !== "none";
  if (SAFE.includes(method)) return elsewhere && !isFollowedLink(headers);
  const origin = one(headers.origin);
  return elsewhere || (origin !== undefined && origin !== `http://${one(headers.host)}`);
}

/** Somebody came here by a link, and sees this page and no other. */
function isFollowedLink(headers: Asking["headers"]): boolean {
  return (
    one(headers["sec-fetch-mode"]) === "navigate" && one(headers["sec-fetch-dest"]) === "document"
  );
}

/**
 * What a form sends without asking (Fetch, CORS-safelisted request-header): browsers of before 2020 say no origin with it. The
 * third type, which curl gives any body, turns `{` into `%7B`: what a form sends so is no JSON.
 */
function isOfForm(type: string | undefined): boolean {
  return type !== undefined && /^\s*(text\/plain|multipart\/form-data)\b/i.test(type);
}

function refused(status: number, reason: string): Verdict {
  return { passes: false, status, reason };
}

const one = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value;
