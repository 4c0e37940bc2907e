// What `auto_tls` and its short form `options` mean: one shape for both, and who signs what, proven how. Pure. Called by the
// checks and by the compile step, so that both mean the same.

import { AUTO_TLS_DEFAULTS } from "../shared/auto-tls-limits.ts";
import type { ChallengeType } from "../shared/auto-tls-plan.ts";
import { isInternalName } from "../shared/internal-names.ts";
import { servesTcp } from "./addresses.ts";
import { INTERNAL, KNOWN_AUTHORITIES } from "./auto-tls-fields.ts";
import type { Path } from "./problems.ts";
import type { AuthorityConfig, AutoTlsConfig } from "./schema-auto-tls.ts";
import type { Config, ProtocolConfig } from "./schema.ts";
import { certificatesOf } from "./tls.ts";

export interface AutoTlsGiven {
  readonly settings: AutoTlsConfig;
  /** Where a key of auto_tls stands in what was written. @param below it; not for `options`, whose values are texts. */
  at(key: keyof AutoTlsConfig, ...below: Path): Path;
}

/** null: nothing is to be obtained. */
export function autoTlsOf(config: Pick<Config, "auto_tls" | "options">): AutoTlsGiven | null {
  const { auto_tls: settings, options } = config;
  if (settings !== undefined) return { settings, at: (...keys) => ["auto_tls", ...keys] };
  if (options?.auto_tls !== true) return null;
  const { email, domains, staging, dns_provider } = options;
  return {
    settings: {
      agree_terms: true,
      ...(email === undefined ? {} : { email }),
      ...(domains === undefined ? {} : { domains }),
      ...(dns_provider === undefined ? {} : { dns_provider }),
      ...(staging === true ? { ca: STAGING } : {}),
    },
    at: (key) => ["options", key === "ca" ? "staging" : key],
  };
}

/** What `-staging` and its like mean: names that no public authority signs are this machine's own all the same. */
export const STAGING: ("letsencrypt-staging" | "internal")[] = ["letsencrypt-staging", INTERNAL];

/** Each entry of `domains`. */
export function certificatesIn({ domains = [] }: AutoTlsConfig): readonly (readonly string[])[] {
  return domains.map((entry) => (typeof entry === "string" ? [entry] : entry));
}

export type AuthoritySettings = Exclude<AuthorityConfig, string>;

/** Without `internal`, which may be all that there is. */
export function authoritiesIn({ ca }: AutoTlsConfig): AuthoritySettings[] {
  return entriesOf(ca ?? AUTO_TLS_DEFAULTS.authority)
    .filter((entry) => entry !== INTERNAL)
    .map((entry) => (typeof entry === "string" ? { url: entry } : entry));
}

/** One, or several: as a list. */
export function entriesOf<T>(given: T | T[]): T[] {
  return Array.isArray(given) ? given : [given];
}

/** Whether this machine signs what no public authority would. Where nothing is said about authorities, it does. */
export function signsInternally({ ca }: AutoTlsConfig): boolean {
  return ca === undefined || entriesOf(ca).includes(INTERNAL);
}

/** Who signs it: this machine, or the authorities. */
export function isSignedHere(name: string, settings: AutoTlsConfig): boolean {
  if (!signsInternally(settings)) return false;
  return isInternalName(name) || authoritiesIn(settings).length === 0;
}

/** Whether any authority but this machine has something to sign. */
export function asksAuthorities(settings: AutoTlsConfig): boolean {
  if (authoritiesIn(settings).length === 0) return false;
  if (settings.on_demand !== undefined || settings.ca !== undefined) return true;
  return certificatesIn(settings).some((names) =>
    names.some((name) => !isSignedHere(name, settings)),
  );
}

export function isKnownAuthority(url: string): boolean {
  return (KNOWN_AUTHORITIES as readonly string[]).includes(url);
}

const OVER_TLS: readonly ProtocolConfig["name"][] = ["tls", "http2", "http3", "quic"];

/** A listener that names no certificates of its own shows those that are obtained. */
export function showsManaged({ name, tls }: ProtocolConfig): boolean {
  return OVER_TLS.includes(name) && (tls === undefined || certificatesOf(tls).length === 0);
}

/** What is on the port where an authority comes to: a listener that answers it, another one, or none. */
export type PortUse = "answers" | "taken" | "free";

const PORT_KEYS = { "http-01": "httpPort", "tls-alpn-01": "tlsPort" } as const;
export type PortChallenge = keyof typeof PORT_KEYS;

export function portOf(type: PortChallenge, settings: AutoTlsConfig): number {
  const given = type === "http-01" ? settings.http_port : settings.tls_port;
  return given ?? AUTO_TLS_DEFAULTS[PORT_KEYS[type]];
}

export function portUse(
  type: PortChallenge,
  port: number,
  protocols: Config["protocols"],
): PortUse {
  const there = protocols.filter(
    (entry) => entry.enabled !== false && usesTcp(entry, port, protocols),
  );
  if (there.some((entry) => answers(type, entry))) return "answers";
  return there.length > 0 ? "taken" : "free";
}

function usesTcp(entry: ProtocolConfig, port: number, protocols: Config["protocols"]): boolean {
  const { name, listen } = entry;
  if (listen.kind !== "tcp" || listen.port !== port || name === "udp" || name === "quic")
    return false;
  return name !== "http3" || servesTcp(entry, protocols);
}

function answers(type: PortChallenge, { name }: ProtocolConfig): boolean {
  return type === "http-01" ? name === "http" : ["tls", "http2", "http3"].includes(name);
}

/**
 * In the order in which they are tried. `auto`: by DNS where its provider is given, then what listeners answer, then what one is
 * opened for.
 */
export function challengesIn(
  settings: AutoTlsConfig,
  protocols: Config["protocols"],
): ChallengeType[] {
  const given = entriesOf(settings.challenge ?? "auto");
  if (!given.includes("auto")) return given.filter((type) => type !== "auto");
  const ways = (["tls-alpn-01", "http-01"] as const).map((type) => ({
    type,
    use: portUse(type, portOf(type, settings), protocols),
  }));
  return [
    ...(settings.dns_provider === undefined ? [] : ["dns-01" as const]),
    ...ways.filter(({ use }) => use === "answers").map(({ type }) => type),
    // Who opens a port for a moment: 80, where browsers that come meanwhile find nothing that they expect to be TLS.
    ...ways
      .filter(({ use }) => use === "free")
      .map(({ type }) => type)
      .toReversed(),
  ];
}
