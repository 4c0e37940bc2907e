// `auto_tls`, in either of its forms, to its plan. Called by compile.ts.

import { resolve } from "node:path";

import {
  asksAuthorities,
  authoritiesIn,
  type AuthoritySettings,
  autoTlsOf,
  certificatesIn,
  challengesIn,
  portOf,
  signsInternally,
} from "../../config/auto-tls.ts";
import type { AutoTlsConfig } from "../../config/schema-auto-tls.ts";
import type { Config } from "../../config/schema.ts";
import { AUTO_TLS_DEFAULTS, ON_DEMAND_DEFAULTS } from "../../shared/auto-tls-limits.ts";
import type {
  AuthorityPlan,
  AutoTlsPlan,
  Dns01Plan,
  OnDemandPlan,
} from "../../shared/auto-tls-plan.ts";
import { KNOWN_DIRECTORIES } from "../acme/authorities.ts";

/** @param folder where relative paths begin. */
export function compileAutoTls(config: Config, folder: string): AutoTlsPlan | null {
  const given = autoTlsOf(config);
  if (given === null) return null;
  const { settings } = given;
  const authorities = asksAuthorities(settings) ? authoritiesIn(settings) : [];
  return {
    certificates: certificatesIn(settings),
    authorities: authorities.map((each) => compileAuthority(each, settings.email ?? null)),
    internal: signsInternally(settings),
    challenges: authorities.length === 0 ? [] : challengesIn(settings, config.protocols),
    keyType: settings.key_type ?? AUTO_TLS_DEFAULTS.keyType,
    storage: resolve(folder, settings.storage ?? AUTO_TLS_DEFAULTS.storage),
    dns: compileDns01(settings),
    httpPort: portOf("http-01", settings),
    tlsPort: portOf("tls-alpn-01", settings),
    onDemand: compileOnDemand(settings),
  };
}

function compileAuthority(given: AuthoritySettings, email: string | null): AuthorityPlan {
  const { url, eab } = given;
  const known = KNOWN_DIRECTORIES.get(url);
  return {
    name: known === undefined ? new URL(url).host : url,
    directory: known ?? url,
    email: given.email ?? email,
    rootFile: given.root_file ?? null,
    eab: eab ? { keyId: eab.key_id, hmacKey: { file: eab.hmac_key_file } } : eabOf(url),
    profile: given.profile ?? null,
    preferredChain: given.preferred_chain ?? null,
  };
}

/** ZeroSSL gives external accounts to whoever tells it an address. */
function eabOf(url: string): "zerossl" | null {
  return url === "zerossl" ? "zerossl" : null;
}

/** null: no provider is given. Also for `proxy dns-check`, which has nothing else of auto_tls. */
export function compileDns01({
  dns_provider: provider,
  dns = {},
}: Pick<AutoTlsConfig, "dns_provider" | "dns">): Dns01Plan | null {
  if (provider === undefined) return null;
  return {
    provider,
    credentialFiles: dns.credentials ?? {},
    resolvers: dns.resolvers ?? [],
    propagationTimeoutMs: dns.propagation_timeout ?? AUTO_TLS_DEFAULTS.propagationTimeoutMs,
    propagationDelayMs: dns.propagation_delay ?? AUTO_TLS_DEFAULTS.propagationDelayMs,
    ttlSeconds: dns.ttl === undefined ? AUTO_TLS_DEFAULTS.ttlSeconds : dns.ttl / 1_000,
  };
}

function compileOnDemand({ on_demand: given }: AutoTlsConfig): OnDemandPlan | null {
  if (given === undefined) return null;
  return {
    ask: given.ask ?? null,
    domains: given.domains ?? [],
    orders: given.rate?.orders ?? ON_DEMAND_DEFAULTS.orders,
    intervalMs: given.rate?.intervalMs ?? ON_DEMAND_DEFAULTS.intervalMs,
    maxCertificates: given.max_certificates ?? ON_DEMAND_DEFAULTS.maxCertificates,
  };
}
