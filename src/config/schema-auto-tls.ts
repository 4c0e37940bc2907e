// The grammar of certificates that are obtained and renewed: `auto_tls`, and `options`, its short form of strings. Part of
// schema.ts; what the two mean is in auto-tls.ts.

import { z } from "zod";

import {
  AUTO_TLS_BOUNDS,
  AUTO_TLS_DEFAULTS,
  ON_DEMAND_DEFAULTS,
} from "../shared/auto-tls-limits.ts";
import {
  askUrl,
  authority,
  certificateName,
  certificateNames,
  emailAddress,
  orderRate,
  resolverAddress,
} from "./auto-tls-fields.ts";
import { choice, count, duration, flag, quotedBoolean, text } from "./fields.ts";
import { formatDuration } from "./units.ts";

export const DNS_PROVIDERS = [
  "cloudflare",
  "alidns",
  "route53",
  "digitalocean",
  "godaddy",
] as const;

export const CHALLENGES = ["auto", "http-01", "tls-alpn-01", "dns-01"] as const;

const email = emailAddress("Where the authority writes to; only zerossl needs one.");

const eab = z
  .strictObject({
    key_id: text("The key's name."),
    hmac_key_file: text("A file that holds the key, as the authority gave it (base64url)."),
  })
  .meta({ description: "External account binding, if the authority asks for it." });

const authoritySettings = z
  .strictObject({
    url: authority("letsencrypt, letsencrypt-staging, zerossl, or the URL of a directory.", false),
    root_file: text("Roots that the directory itself is verified by, PEM.").optional(),
    email: emailAddress("Over auto_tls.email.").optional(),
    eab: eab.optional(),
    profile: text("The profile of orders: shortlived, for example.").optional(),
    preferred_chain: text("Common name of the root whose chain is taken.").optional(),
  })
  .meta({ description: "An authority, with what it needs." });

const oneAuthority = z.union([
  authority(
    "letsencrypt, letsencrypt-staging, zerossl, internal, or the URL of an ACME directory.",
    true,
  ),
  authoritySettings,
]);

const challenge = choice(CHALLENGES, "How the authority checks a name.", "auto");

/** A file, for each name that the provider's tools have for their environment. */
const credentials = z.record(z.string(), text("The file that holds the value.")).meta({
  description: "Files instead of variables of the environment: { CLOUDFLARE_API_TOKEN: ./token }.",
});

const dns = z
  .strictObject({
    resolvers: z
      .array(resolverAddress())
      .min(1)
      .meta({ description: "Asked for zones and their servers instead of the system's." }),
    propagation_timeout: duration("How long a record may take to be seen everywhere.", {
      min: AUTO_TLS_BOUNDS.propagationTimeoutMinMs,
      max: AUTO_TLS_BOUNDS.propagationTimeoutMaxMs,
      default: formatDuration(AUTO_TLS_DEFAULTS.propagationTimeoutMs),
    }),
    propagation_delay: duration("Waited before the first look.", {
      max: AUTO_TLS_BOUNDS.propagationTimeoutMaxMs,
      default: formatDuration(AUTO_TLS_DEFAULTS.propagationDelayMs),
    }),
    ttl: duration("Of the records.", {
      min: 1_000,
      max: AUTO_TLS_BOUNDS.ttlMaxMs,
      default: formatDuration(AUTO_TLS_DEFAULTS.ttlSeconds * 1_000),
    }),
    credentials,
  })
  .partial()
  .meta({ description: "How dns-01 is done." });

const onDemand = z
  .strictObject({
    ask: askUrl("Asked with ?domain=NAME for each new name; 200 allows it."),
    domains: z
      .array(certificateName("A name, or *.example.com for every name right below."))
      .min(1)
      .meta({ description: "Names that are allowed without asking." }),
    rate: orderRate(
      "New orders at most.",
      `${ON_DEMAND_DEFAULTS.orders}/${formatDuration(ON_DEMAND_DEFAULTS.intervalMs)}`,
    ),
    max_certificates: count(
      "Certificates in memory at most.",
      1,
      AUTO_TLS_BOUNDS.onDemandCertificatesMax,
      ON_DEMAND_DEFAULTS.maxCertificates,
    ),
  })
  .partial()
  .meta({ description: "A certificate at the first handshake of a name." });

const port = (description: string, fallback: number) => count(description, 1, 65_535, fallback);

export const autoTls = z
  .strictObject({
    email,
    agree_terms: flag("Agreement to the authority's terms of service.", false),
    domains: z
      .array(
        z.union([
          certificateName("A name; *.example.com needs dns-01."),
          z
            .array(certificateName("A name of a certificate that has several."))
            .min(1)
            .max(AUTO_TLS_BOUNDS.namesMax),
        ]),
      )
      .min(1)
      .meta({ description: "What to get certificates for: each entry is one of its own." }),
    ca: z.union([oneAuthority, z.array(oneAuthority).min(1)]).meta({
      description:
        "Who signs, in order of preference: names, URLs or mappings; internal is this machine's own.",
      default: AUTO_TLS_DEFAULTS.authority,
    }),
    challenge: z.union([challenge, z.array(challenge).min(1)]).meta({
      description: "How the authority checks names, in order of preference.",
      default: "auto",
    }),
    key_type: choice(
      ["p256", "p384", "rsa2048", "rsa4096"],
      "The key of certificates.",
      AUTO_TLS_DEFAULTS.keyType,
    ),
    dns_provider: choice(DNS_PROVIDERS, "Who serves the names' DNS, for dns-01."),
    dns,
    http_port: port("Where http-01 is answered, if 80 is led there.", AUTO_TLS_DEFAULTS.httpPort),
    tls_port: port(
      "Where tls-alpn-01 is answered, if 443 is led there.",
      AUTO_TLS_DEFAULTS.tlsPort,
    ),
    storage: text("The folder of accounts, keys and certificates.", {
      default: AUTO_TLS_DEFAULTS.storage,
    }),
    on_demand: onDemand,
  })
  .partial()
  .meta({ description: "Certificates that are obtained and renewed by themselves." });

/** An empty text is as good as no key. */
const orEmpty = <T extends z.ZodType>(field: T) =>
  z.union([z.literal(""), field]).transform((value) => (value === "" ? undefined : value));

export const options = z
  .strictObject({
    auto_tls: quotedBoolean("Certificates by ACME; agrees to the authority's terms of service."),
    email: orEmpty(email).meta({ description: "Where the authority writes to." }),
    domains: orEmpty(certificateNames("Names.")).meta({
      description: "What to get certificates for, separated by commas.",
    }),
    staging: quotedBoolean("Let's Encrypt's test environment."),
    dns_provider: z
      .enum(["", ...DNS_PROVIDERS])
      .transform((name) => (name === "" ? undefined : name))
      .meta({ description: "For dns-01." }),
  })
  .partial()
  .meta({ description: "The short form of auto_tls, all of text." });

export type AutoTlsConfig = z.output<typeof autoTls>;
export type OptionsConfig = z.output<typeof options>;
export type AuthorityConfig = z.output<typeof oneAuthority>;
