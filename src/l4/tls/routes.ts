// Which target a TLS client goes to, by the name and the protocols in its ClientHello. Rules stand in order, and the first
// that fits decides; compiled once, a lookup costs one step for each label of the name.
//
// `*.apps.example.com` fits every name below apps.example.com, of one label more or of several, and not apps.example.com
// itself: as in nginx, and as the configuration says. A rule that can never be reached, since an earlier one fits wherever it
// would, is reported by `shadowed`. A table without such rules gives the same answer as "the most specific rule decides",
// which is what users of nginx and Caddy expect.

import { domainToASCII } from "node:url";

import { ProxyError } from "../../shared/errors.ts";
import type { ClientHello } from "./client-hello.ts";
import { normalizeHostName } from "./server-name.ts";

export interface RouteRule {
  /** `db.example.com`, `*.apps.example.com`; absent: every client, also one that names nothing. */
  readonly sni?: string | undefined;
  /** Fits a client that offers one of these; absent: whatever it offers. */
  readonly alpn?: readonly string[] | undefined;
}

interface Candidate {
  readonly index: number;
  readonly alpn: readonly string[] | null;
}

const NONE: readonly Candidate[] = [];

export class RouteTable {
  /** By the whole name. */
  readonly #exact = new Map<string, Candidate[]>();
  /** By what follows `*.`. */
  readonly #below = new Map<string, Candidate[]>();
  readonly #every: Candidate[] = [];

  /** @throws ProxyError ERR_CONFIG if a name cannot be one, with what to write. */
  constructor(rules: readonly RouteRule[]) {
    rules.forEach(({ sni, alpn }, index) => {
      const candidate = { index, alpn: alpn ?? null };
      if (sni === undefined) return void this.#every.push(candidate);
      const wildcard = sni.startsWith("*.");
      const name = parseName(sni, wildcard ? sni.slice(2) : sni);
      const table = wildcard ? this.#below : this.#exact;
      const candidates = table.get(name);
      if (candidates === undefined) table.set(name, [candidate]);
      else candidates.push(candidate);
    });
  }

  /** @returns the index of the rule, or -1 if none fits. */
  find({ sni, alpn }: ClientHello): number {
    let best = firstFit(this.#every, alpn, Infinity);
    if (sni !== null) {
      best = firstFit(this.#exact.get(sni) ?? NONE, alpn, best);
      for (let dot = sni.indexOf("."); dot >= 0; dot = sni.indexOf(".", dot + 1)) {
        best = firstFit(this.#below.get(sni.slice(dot + 1)) ?? NONE, alpn, best);
      }
    }
    return best === Infinity ? -1 : best;
  }
}

function firstFit(
  candidates: readonly Candidate[],
  offered: readonly string[],
  best: number,
): number {
  for (const { index, alpn } of candidates) {
    if (index >= best) return best;
    if (alpn === null || alpn.some((name) => offered.includes(name))) return index;
  }
  return best;
}

/** Rules that are never reached, each with the earlier one that is in its way. For the check of a configuration. */
export function shadowed(rules: readonly RouteRule[]): { rule: number; by: number }[] {
  // By name, so that few are compared where a configuration has ten thousand.
  const byName = new Map<string, Candidate[]>();
  return rules.flatMap(({ sni, alpn }, index) => {
    const name = sni === undefined ? EVERY : normalized(sni);
    let by = Infinity;
    for (const wide of namesOver(name)) {
      for (const earlier of byName.get(wide) ?? NONE) {
        if (earlier.index >= by) break;
        if (coversProtocols(earlier.alpn, alpn)) by = earlier.index;
      }
    }
    const there = byName.get(name);
    const own = { index, alpn: alpn ?? null };
    if (there === undefined) byName.set(name, [own]);
    else there.push(own);
    return by === Infinity ? [] : [{ rule: index, by }];
  });
}

/** No name of a rule, for those that have none. */
const EVERY = "";

function coversProtocols(wide: Candidate["alpn"], narrow: RouteRule["alpn"]): boolean {
  if (wide === null) return true;
  return narrow !== undefined && narrow.every((name) => wide.includes(name));
}

/** Itself, the wildcards above it, and that for every name. */
function namesOver(name: string): readonly string[] {
  const names = [EVERY];
  if (name === EVERY) return names;
  names.push(name);
  const isWildcard = name.startsWith("*.");
  for (
    let dot = name.indexOf(".", isWildcard ? 2 : 0);
    dot >= 0;
    dot = name.indexOf(".", dot + 1)
  ) {
    names.push(`*${name.slice(dot)}`);
  }
  return names;
}

function normalized(sni: string): string {
  return sni.startsWith("*.") ? `*.${parseName(sni, sni.slice(2))}` : parseName(sni, sni);
}

/** Clients send names of other scripts in their ASCII form (RFC 5891 section 4). */
function parseName(written: string, name: string): string {
  const ascii = normalizeHostName(domainToASCII(name));
  if (ascii !== null) return ascii;
  const every = written === "*" || written === "";
  throw new ProxyError("ERR_CONFIG", `"${written}" is not a server name`, {
    cure: every
      ? "Leave sni out of the rule for every other name"
      : "Write a host name, db.example.com, or *.example.com for every name below",
  });
}
