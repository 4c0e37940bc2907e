// Which route a request takes: the rules of a listener in order, of which the first that fits decides. Compiled once. A
// listener whose first route is for everything is answered without a look at the request; otherwise rules are found by the
// host in one step for each of its labels, and compared with bytes. Pure, and without strings or objects for a request.
//
// Hosts: a name, `*.example.com` for every name below it (of one label more or of several, not itself), or any. The port and
// a dot at the end are left out, and case does not matter. A request without a host fits only rules for any.
//
// Paths are compared in the form of path-view.ts and forwarded as they came. A path that other programs may read in another
// way (%2F, `\`, `;`, ...) is refused if that reading would have taken another route: then the rules of one of the two would
// be passed by. Otherwise it is nobody's concern here, and `group%2Fproject` goes on.

import { domainToASCII } from "node:url";

import { ProxyError } from "../../../shared/errors.ts";
import type { HttpRoutePlan } from "../../../shared/http-plan.ts";
import type { ClientConnection } from "../exchange.ts";
import type { RequestHead } from "../message/heads.ts";
import { hashesOf, hashOf, hostEnd, sameName } from "./host-view.ts";
import { PathView } from "./path-view.ts";
import { Rule } from "./rule.ts";

/** No rule fits: see statusWithoutRoute. */
export const NO_ROUTE = -1;
/** The path has no meaning that everybody agrees on: 400. */
export const BAD_PATH = -2;

/** Labels of a name of 253 characters, and the name itself. */
const NAMES_MAX = 128;

interface HostRules {
  /** In lower case; of a wildcard what follows its `*`: `.example.com`. */
  readonly name: Uint8Array;
  readonly wildcard: boolean;
  readonly rules: Rule[];
}

export class RouteTable {
  /** By the number of the name (host-view.ts). */
  readonly #hosts = new Map<number, HostRules[]>();
  readonly #anyHost: Rule[] = [];
  /** The first route takes everything. */
  readonly #one: boolean;
  readonly #view = new PathView();
  readonly #names = new Int32Array(NAMES_MAX);
  /** Of the request that is being looked at: whether #view has been read, and whether its path may be compared. */
  #read = false;
  #readable = false;
  #reading: "match" | "loose" = "match";
  /** The first rule that would have compared a path that cannot be. */
  #unreadable = Infinity;

  /** @throws ProxyError ERR_CONFIG for a host, path or field that no request can have. */
  constructor(routes: readonly Pick<HttpRoutePlan, "match">[]) {
    routes.forEach(({ match }, index) => {
      const rule = new Rule(index, match);
      if (match.host === null) this.#anyHost.push(rule);
      else this.#rulesOf(match.host).push(rule);
    });
    this.#one = routes[0]?.match.host === null && this.#anyHost[0]?.fitsAll === true;
  }

  #rulesOf(host: string): Rule[] {
    const wildcard = host.startsWith("*.");
    const name = compileHost(host, wildcard);
    const hash = hashOf(name, 0, name.length);
    let bucket = this.#hosts.get(hash);
    if (bucket === undefined) this.#hosts.set(hash, (bucket = []));
    let entry = bucket.find(
      (each) => each.wildcard === wildcard && sameName(name, 0, name.length, each.name),
    );
    if (entry === undefined) bucket.push((entry = { name, wildcard, rules: [] }));
    return entry.rules;
  }

  /** @returns the index of the route, NO_ROUTE or BAD_PATH. */
  find(head: RequestHead): number {
    if (this.#one) return 0;
    const found = this.#findIn(head, "match");
    if (!this.#read || !this.#readable || !this.#view.ambiguous) return found;
    return this.#findIn(head, "loose") === found ? found : BAD_PATH;
  }

  #findIn(head: RequestHead, reading: "match" | "loose"): number {
    this.#read = false;
    this.#reading = reading;
    this.#unreadable = Infinity;
    let best = this.#hosts.size === 0 ? Infinity : this.#firstOfHost(head);
    best = this.#first(this.#anyHost, head, best);
    if (this.#unreadable < best) return BAD_PATH;
    return best === Infinity ? NO_ROUTE : best;
  }

  #firstOfHost(head: RequestHead): number {
    const { arena } = head.fields;
    const start = head.authorityStart;
    const end = hostEnd(arena, start, head.authorityEnd);
    if (end === start) return Infinity;
    const count = hashesOf(arena, start, end, this.#names);
    let best = Infinity;
    for (let i = count - 1; i >= 0; i--) {
      const bucket = this.#hosts.get(this.#names[i]!);
      if (bucket === undefined) continue;
      for (const { name, wildcard, rules } of bucket) {
        const from = wildcard ? end - name.length : start;
        // A name below has at least one byte before the dot.
        if (wildcard ? from <= start : i !== count - 1) continue;
        if (sameName(arena, from, end, name)) best = this.#first(rules, head, best);
      }
    }
    return best;
  }

  /** @returns the first of these that fits, if it stands before `best`. */
  #first(rules: readonly Rule[], head: RequestHead, best: number): number {
    for (const rule of rules) {
      if (rule.index >= best) return best;
      if (rule.hasPath) {
        if (!this.#read) this.#readPath(head);
        if (!this.#readable) {
          this.#unreadable = Math.min(this.#unreadable, rule.index);
          continue;
        }
        if (!rule.fitsPath(this.#view, this.#reading)) continue;
      }
      if (rule.fitsRest(head)) return rule.index;
    }
    return best;
  }

  #readPath(head: RequestHead): void {
    this.#read = true;
    const { pathStart, pathEnd, fields } = head;
    this.#readable = this.#view.read(fields.arena, pathStart, pathEnd, this.#reading);
  }
}

/**
 * What a request is answered that no route fits. 421 (RFC 9110 section 15.5.20) over TLS if it asks for another name than its
 * connection was made for: a browser that uses one connection for several names of a certificate then tries one of its own.
 * A name that routes do fit is served on any connection, since every name of a listener asks the same of its clients; nginx
 * and Caddy, where that may differ, refuse it if client certificates are asked for.
 */
export function statusWithoutRoute(head: RequestHead, connection: ClientConnection): 404 | 421 {
  const { tls } = connection;
  if (tls === null || tls.serverName === "" || head.authorityEnd === head.authorityStart) {
    return 404;
  }
  const { arena } = head.fields;
  const end = hostEnd(arena, head.authorityStart, head.authorityEnd);
  const asked = head.fields.text(head.authorityStart, end).toLowerCase();
  return asked === tls.serverName.toLowerCase().replace(/\.$/, "") ? 404 : 421;
}

/** Browsers send names of other scripts in their ASCII form. */
function compileHost(host: string, wildcard: boolean): Uint8Array {
  const name = (wildcard ? host.slice(2) : host).replace(/\.$/, "");
  const ascii = /^[\x20-\x7e]*$/.test(name) ? name.toLowerCase() : domainToASCII(name);
  const valid = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/.test(ascii) && !ascii.startsWith(".");
  if (!valid) {
    throw new ProxyError("ERR_CONFIG", `"${host}" is not a host that a request can ask for`, {
      cure: "Write a host name without its port, api.example.com, or *.example.com for every name below",
    });
  }
  return new TextEncoder().encode(wildcard ? `.${ascii}` : ascii);
}
