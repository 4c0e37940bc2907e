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
  return rules.flatMap((rule, i) => {
    const by = rules.findIndex((earlier, j) => j < i && covers(earlier, rule));
    return by < 0 ? [] : [{ rule: i, by }];
  });
}

function covers(earlier: RouteRule, later: RouteRule): boolean {
  const { alpn } = earlier;
  if (alpn !== undefined) {
    if (later.alpn === undefined || !later.alpn.every((name) => alpn.includes(name))) return false;
  }
  if (earlier.sni === undefined) return true;
  if (later.sni === undefined) return false;
  const [wide, narrow] = [normalized(earlier.sni), normalized(later.sni)];
  if (wide === narrow) return true;
  return wide.startsWith("*.") && narrow.endsWith(wide.slice(1));
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
