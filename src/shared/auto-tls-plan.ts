// What auto_tls means, with every default filled in: which certificates are to be there, of which authorities, how names are
// proven and where everything is kept. Part of the plan; only the control plane reads it, and the library makes one of its
// options.

import type { Endpoint } from "./address.ts";
import type { Secret } from "./secret.ts";

export type DnsProviderName = "cloudflare" | "alidns" | "route53" | "digitalocean" | "godaddy";
/** RFC 8555 section 8.3 and 8.4, RFC 8737. */
export type ChallengeType = "http-01" | "tls-alpn-01" | "dns-01";
export type CertificateKeyType = "p256" | "p384" | "rsa2048" | "rsa4096";

export interface AutoTlsPlan {
  /**
   * One certificate each, with all its names; the first names it. Lower case, A-labels (RFC 5890), `*.` in front of a
   * wildcard.
   */
  readonly certificates: readonly (readonly string[])[];
  /** In order of preference; the next is asked where one fails. Empty: everything is of the internal authority. */
  readonly authorities: readonly AuthorityPlan[];
  /** Names that no public authority signs (localhost, *.internal, addresses) are signed by one of this machine. */
  readonly internal: boolean;
  /** Which challenges are tried, in this order, where the name and the listeners allow them. */
  readonly challenges: readonly ChallengeType[];
  readonly keyType: CertificateKeyType;
  /** Absolute path of the folder that keeps accounts, keys and certificates. */
  readonly storage: string;
  readonly dns: Dns01Plan | null;
  /** Where the CA will come to for http-01 and tls-alpn-01: 80 and 443, unless something in front forwards those ports. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** Certificates at the first handshake of a name; null: only those in `certificates`. */
  readonly onDemand: OnDemandPlan | null;
}

export interface AuthorityPlan {
  /** For people and for the folder in the storage: `letsencrypt`, `zerossl`, or the host of the URL. */
  readonly name: string;
  /** Of the directory (RFC 8555 section 7.1.1). */
  readonly directory: string;
  /** The account's contact; null: none is told. */
  readonly email: string | null;
  /** PEM file of the roots that the directory's own TLS is verified by; null: the system's. */
  readonly rootFile: string | null;
  /** External account binding (RFC 8555 section 7.3.4). `zerossl`: asked of ZeroSSL with the e-mail address. */
  readonly eab: { readonly keyId: string; readonly hmacKey: Secret | KeyFile } | "zerossl" | null;
  /** Profile of orders (draft-ietf-acme-profiles); null: the authority's default. */
  readonly profile: string | null;
  /** Common name of a root: of several chains that are offered, the one that leads there is taken; null: the first. */
  readonly preferredChain: string | null;
}

/** base64url, as authorities give it; read when an account is made. */
export interface KeyFile {
  readonly file: string;
}

export interface Dns01Plan {
  readonly provider: DnsProviderName;
  /** Name (`CLOUDFLARE_API_TOKEN`) to a file that has the value; what is not here comes from the environment. */
  readonly credentialFiles: Readonly<Record<string, string>>;
  /** Asked instead of the system's, to find the zone and its servers: addresses with port. */
  readonly resolvers: readonly Endpoint[];
  /** How long records may take to be seen at all servers of the zone. */
  readonly propagationTimeoutMs: number;
  /** Waited before the first look. */
  readonly propagationDelayMs: number;
  /** Of the records, in seconds. */
  readonly ttlSeconds: number;
}

export interface OnDemandPlan {
  /** Asked with ?domain=NAME; 200 allows it, anything else does not. null: `domains` decides alone. */
  readonly ask: string | null;
  /** Names that are allowed: `*.example.com`; empty: `ask` decides alone. */
  readonly domains: readonly string[];
  /** New orders in any `intervalMs`, over all names. */
  readonly orders: number;
  readonly intervalMs: number;
  /** Certificates that are kept in memory at most; beyond it the one that was asked for longest ago goes. */
  readonly maxCertificates: number;
}
