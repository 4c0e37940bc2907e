// Under which names each DNS provider's credentials are looked for. The configuration refuses other names, and the providers read
// these. Called by config/auto-tls-relations.ts and control/dns/providers.

import type { DnsProviderName } from "./auto-tls-plan.ts";

/**
 * What each provider reads, and the names of it in order of preference: first those of the provider's own tools, then those that
 * libdns, lego and others document.
 */
export const CREDENTIAL_NAMES = {
  cloudflare: {
    token: ["CLOUDFLARE_API_TOKEN", "CF_API_TOKEN", "CLOUDFLARE_DNS_API_TOKEN", "CF_DNS_API_TOKEN"],
    zoneToken: ["CLOUDFLARE_ZONE_TOKEN", "CLOUDFLARE_ZONE_API_TOKEN", "CF_ZONE_API_TOKEN"],
  },
  alidns: {
    keyId: [
      "ALIBABA_CLOUD_ACCESS_KEY_ID",
      "ALIDNS_ACCESS_KEY_ID",
      "ALICLOUD_ACCESS_KEY",
      "ALIYUN_ACCESS_KEY_ID",
    ],
    keySecret: [
      "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
      "ALIDNS_ACCESS_KEY_SECRET",
      "ALICLOUD_SECRET_KEY",
      "ALIYUN_ACCESS_KEY_SECRET",
    ],
    securityToken: [
      "ALIBABA_CLOUD_SECURITY_TOKEN",
      "ALIDNS_SECURITY_TOKEN",
      "ALICLOUD_SECURITY_TOKEN",
      "ALIYUN_SECURITY_TOKEN",
    ],
    region: [
      "ALIBABA_CLOUD_REGION_ID",
      "ALIDNS_REGION_ID",
      "ALICLOUD_REGION_ID",
      "ALIYUN_REGION_ID",
    ],
  },
  route53: {
    keyId: ["AWS_ACCESS_KEY_ID"],
    keySecret: ["AWS_SECRET_ACCESS_KEY"],
    sessionToken: ["AWS_SESSION_TOKEN"],
    region: ["AWS_REGION", "AWS_DEFAULT_REGION"],
    hostedZone: ["AWS_HOSTED_ZONE_ID"],
  },
  digitalocean: {
    token: ["DIGITALOCEAN_TOKEN", "DO_AUTH_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"],
  },
  godaddy: {
    key: ["GODADDY_API_KEY"],
    secret: ["GODADDY_API_SECRET"],
    /** Both in one, `key:secret`. */
    pair: ["GODADDY_TOKEN", "GODADDY_API_TOKEN"],
  },
} as const satisfies Record<DnsProviderName, Record<string, readonly string[]>>;

/** All names that a provider reads: a name in `dns.credentials` that is none of them has no effect, which is an error. */
export function credentialNames(provider: DnsProviderName): string[] {
  const fields: Record<string, readonly string[]> = CREDENTIAL_NAMES[provider];
  return Object.values(fields).flat();
}
