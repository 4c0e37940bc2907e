// What an AutoManager is told, as users of the library write it, and what it means: the plan of automatic certificates. The same
// checks as for `auto_tls` of a configuration file, in the words of the library.

import { checkSource } from "../config/check.ts";
import { formatPath, type Path } from "../config/problems.ts";
import { compileAutoTls } from "../control/compile/auto-tls.ts";
import type { DnsProvider } from "../control/dns/provider.ts";
import type {
  AutoTlsPlan,
  CertificateKeyType,
  ChallengeType,
  DnsProviderName,
} from "../shared/auto-tls-plan.ts";
import { ProxyError } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";

/** An authority with what it needs. */
export interface AuthorityConfig {
  /** `letsencrypt`, `letsencrypt-staging`, `zerossl`, or the https:// URL of an ACME directory. */
  readonly url: string;
  /** PEM file of the roots that the directory's own TLS is verified by. Default: the system's. */
  readonly rootFile?: string;
  /** Of the account. Default: `email` of the manager. */
  readonly email?: string;
  /** External account binding (RFC 8555 section 7.3.4). */
  readonly eab?: { readonly keyId: string; readonly hmacKeyFile: string };
  /** The profile of orders: `shortlived`, for example. */
  readonly profile?: string;
  /** Common name of the root whose chain is taken. */
  readonly preferredChain?: string;
}

/** `letsencrypt`, `letsencrypt-staging`, `zerossl`, `internal`, a URL, or an authority with what it needs. */
export type AuthorityChoice = string | AuthorityConfig;

/** One of your own: its errors are told, and its records removed whatever happens. */
export interface CustomDnsProvider extends Omit<DnsProvider, "name"> {
  /** For messages. */
  readonly name: string;
}

export interface AutoManagerConfig {
  /** Where the authority may write to; `zerossl` cannot do without. */
  readonly email?: string;
  /** Agreement to the authority's terms of service: `true` is needed for every one but `internal`. */
  readonly agreeTerms?: boolean;
  /** Names to begin with; a list is one certificate with all of them. */
  readonly domains?: readonly (string | readonly string[])[];
  /** Who signs, in order of preference. Default: `letsencrypt`, and names that it cannot sign are signed by this machine. */
  readonly ca?: AuthorityChoice | readonly AuthorityChoice[];
  /** How names are proven, in order of preference. Default `auto`. */
  readonly challenge?: "auto" | ChallengeType | readonly ChallengeType[];
  /** Short for challenge `dns-01`. Default false. */
  readonly useDNS01?: boolean;
  /** Who serves the names' DNS: with credentials from the environment or `dns.credentials`, or one of your own. */
  readonly dnsProvider?: DnsProviderName | CustomDnsProvider;
  readonly dns?: {
    /** Files that hold what the environment would: `{ CLOUDFLARE_API_TOKEN: "./token" }`. */
    readonly credentials?: Readonly<Record<string, string>>;
    /** Asked instead of the system's. */
    readonly resolvers?: readonly string[];
    /** Milliseconds. Default 120,000. */
    readonly propagationTimeout?: number;
    /** Milliseconds. Default 0. */
    readonly propagationDelay?: number;
    /** Of the records, in seconds. Default 120. */
    readonly ttl?: number;
  };
  /** Default `p256`. */
  readonly keyType?: CertificateKeyType;
  /** The folder of accounts, keys and certificates. Default `./certificates`. */
  readonly storage?: string;
  /** Where the authority comes to. Default 80 and 443. */
  readonly httpPort?: number;
  readonly tlsPort?: number;
  /** Default: nothing is logged. */
  readonly log?: Log;
}

/** Of this library, and of configuration files. */
const KEYS = {
  email: "email",
  agreeTerms: "agree_terms",
  ca: "ca",
  challenge: "challenge",
  dnsProvider: "dns_provider",
  dns: "dns",
  keyType: "key_type",
  storage: "storage",
  httpPort: "http_port",
  tlsPort: "tls_port",
  rootFile: "root_file",
  keyId: "key_id",
  hmacKeyFile: "hmac_key_file",
  preferredChain: "preferred_chain",
  propagationTimeout: "propagation_timeout",
  propagationDelay: "propagation_delay",
} as const satisfies Record<string, string>;

/** Stands for names that are not there yet, so that everything else can be checked; who has not agreed can have but its own. */
function someName({ agreeTerms, ca }: AutoManagerConfig): string {
  return agreeTerms === true || ca !== undefined ? "www.example.com" : "localhost";
}

/**
 * @param domains instead of the configuration's own.
 * @throws ProxyError ERR_USAGE with a line for each mistake.
 */
export function compileAutoManager(
  config: AutoManagerConfig,
  domains: readonly (string | readonly string[])[],
): AutoTlsPlan {
  const settings = written(config, domains.length === 0 ? [someName(config)] : domains);
  const value = {
    auto_tls: settings,
    protocols: [{ name: "quic", listen: ":1", target: "127.0.0.1:1" }],
  };
  const place = (path: Path) => ({ text: formatPath(path.slice(1).map(ours)), order: 0 });
  try {
    const checked = checkSource({ value, place });
    const plan = named(compileAutoTls(checked, process.cwd())!, config);
    return domains.length === 0 ? { ...plan, certificates: [] } : plan;
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    throw new ProxyError("ERR_USAGE", inOurWords(error.message), { cause: error });
  }
}

/** Stands for one of the user's own, which no file could name. */
const SOME_PROVIDER: DnsProviderName = "cloudflare";

function named(plan: AutoTlsPlan, { dnsProvider }: AutoManagerConfig): AutoTlsPlan {
  if (typeof dnsProvider !== "object" || plan.dns === null) return plan;
  return { ...plan, dns: { ...plan.dns, provider: dnsProvider.name as DnsProviderName } };
}

function written(
  config: AutoManagerConfig,
  domains: readonly (string | readonly string[])[],
): Record<string, unknown> {
  const { domains: _domains, useDNS01, log: _log, dnsProvider, dns, ...others } = config;
  const name = typeof dnsProvider === "object" ? SOME_PROVIDER : dnsProvider;
  const { propagationTimeout, propagationDelay, ttl, ...dnsOthers } = dns ?? {};
  const milliseconds = (ms: number | undefined) => (ms === undefined ? undefined : `${ms}ms`);
  const inFull = {
    ...others,
    ...(useDNS01 === true ? { challenge: "dns-01" } : {}),
    dnsProvider: name,
    dns: dns && {
      ...dnsOthers,
      propagationTimeout: milliseconds(propagationTimeout),
      propagationDelay: milliseconds(propagationDelay),
      ttl: ttl === undefined ? undefined : `${ttl}s`,
    },
  };
  return { ...(spelled(inFull) as Record<string, unknown>), domains };
}

/** Keys as files have them; what is undefined is not there. */
function spelled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(spelled);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.map(([key, inner]) => [
      Object.hasOwn(KEYS, key) ? KEYS[key as keyof typeof KEYS] : key,
      key === "credentials" ? inner : spelled(inner),
    ]),
  );
}

const OURS = new Map<string, string>(Object.entries(KEYS).map(([key, file]) => [file, key]));

const ours = (step: string | number): string | number => OURS.get(String(step)) ?? step;

function inOurWords(message: string): string {
  return message.replaceAll(/\b[a-z]+(_[a-z0-9]+)+\b/g, (word) => String(ours(word)));
}
