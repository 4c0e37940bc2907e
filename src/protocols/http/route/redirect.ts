// Redirects: a URL with {host}, {path} and {scheme} of the request in it. Whatever a client writes into its path, the URL leads
// where its template says: a path never begins with two slashes, which would make its first segment a host, and holds nothing
// that a browser leaves out or takes for a slash (tabs, backslashes). {host} is without its port, since the new URL may have
// another scheme; {scheme} is the connection's, or what a trusted proxy says of its own. A URL without a path gets the request's
// path and query.

import type { RedirectPlan } from "../../../shared/http-plan.ts";
import type { ClientConnection } from "../exchange.ts";
import type { RequestHead } from "../message/heads.ts";
import { hostEnd } from "./host-view.ts";

/** `https://name`, `https://{host}:8443`, without a path, a query or a fragment. */
const WITHOUT_PATH = /^[^/?#]*:\/\/[^/?#]*$/;

/** What a host may be written with, IPv6 addresses included. */
const HOST = /^(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~-]+)$/;

export class Redirect {
  readonly status: RedirectPlan["status"];
  /** Text and placeholders in turn. */
  readonly #parts: readonly string[];

  constructor({ to, status }: RedirectPlan) {
    const template = WITHOUT_PATH.test(to) && !to.includes("{path}") ? `${to}{path}` : to;
    this.status = status;
    this.#parts = template.split(/(\{host\}|\{path\}|\{scheme\})/);
  }

  /** @returns the Location; null if the request has no host, or none that can be one, and it is asked for. */
  location(head: RequestHead, client: ClientConnection): string | null {
    let location = "";
    for (const part of this.#parts) {
      if (part === "{path}") location += pathOf(head);
      else if (part === "{scheme}") location += schemeOf(head, client);
      else if (part === "{host}") {
        const host = hostOf(head);
        if (host === null) return null;
        location += host;
      } else location += part;
    }
    // "/{path}" and "{path}" alone, with what a path may begin with.
    return location.startsWith("/") ? location.replace(/^[/\\]+/, "/") : location;
  }
}

function schemeOf({ fields }: RequestHead, { tls, trusted }: ClientConnection): string {
  const told = trusted ? fields.get("x-forwarded-proto") : null;
  if (told === "http" || told === "https") return told;
  return tls === null ? "http" : "https";
}

function hostOf({ fields, authorityStart, authorityEnd }: RequestHead): string | null {
  const end = hostEnd(fields.arena, authorityStart, authorityEnd);
  const host = fields.text(authorityStart, end);
  return HOST.test(host) ? host : null;
}

/** With its query; `/` where there is none (OPTIONS *). */
function pathOf(head: RequestHead): string {
  const { path } = head;
  if (!path.startsWith("/")) return "/";
  return path
    .replace(/^[/\\]+/, "/")
    .replace(/[^\x21-\x7e]|["<>\\^`{|}]/g, (character) => percentEncoded(character));
}

function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
