// Names that no public authority signs, since nobody can prove that they are theirs: reserved top-level domains, single labels,
// addresses that are not of the public Internet. Pure. Asked by config checks and by whoever chooses the authority of a name.

import { type AddressBlock, IP_BYTES, maskIp, parseAddressBlock, parseIp } from "./ip.ts";

/** Domains that will never be, or are not, delegated in the public DNS. `.onion` is left out: public authorities sign it. */
const INTERNAL_DOMAINS: readonly string[] = [
  "test", // RFC 6761 section 6.2
  "localhost", // RFC 6761 section 6.3
  "invalid", // RFC 6761 section 6.4
  "example", // RFC 6761 section 6.5; example.com and its like belong to IANA, and are public
  "local", // RFC 6762: multicast DNS
  "home.arpa", // RFC 8375
  "alt", // RFC 9476
  "internal", // reserved by ICANN in 2024 for private use
  "intranet", // this one and those below: RFC 6762 appendix G, in use in private networks and never delegated
  "private",
  "corp",
  "home",
  "lan",
];

/** IANA's registries of special-purpose addresses, as far as they are not globally reachable; then multicast. */
const INTERNAL_BLOCKS: readonly AddressBlock[] = [
  "0.0.0.0/8", // RFC 791: this network
  "10.0.0.0/8", // RFC 1918
  "100.64.0.0/10", // RFC 6598: shared address space of providers
  "127.0.0.0/8", // RFC 1122: loopback
  "169.254.0.0/16", // RFC 3927: link-local
  "172.16.0.0/12", // RFC 1918
  "192.0.0.0/24", // RFC 6890: protocol assignments
  "192.0.2.0/24", // RFC 5737: documentation, also the next two
  "198.51.100.0/24",
  "203.0.113.0/24",
  "192.168.0.0/16", // RFC 1918
  "198.18.0.0/15", // RFC 2544: benchmarks
  "224.0.0.0/4", // RFC 5771: multicast
  "240.0.0.0/4", // RFC 1112: reserved, with the broadcast address
  "::/127", // RFC 4291: unspecified, and loopback
  "64:ff9b:1::/48", // RFC 8215: translation within a network
  "100::/64", // RFC 6666: discarded
  "2001:db8::/32", // RFC 3849: documentation
  "3fff::/20", // RFC 9637: documentation
  "fc00::/7", // RFC 4193: unique local
  "fe80::/10", // RFC 4291: link-local
  "ff00::/8", // RFC 4291: multicast
].map(parseAddressBlock);

/**
 * Whether no public authority would sign this name, so that only an internal one can.
 * @param name a host name, also with `*.` in front, or an IP address without brackets. Any case; a final dot means nothing.
 */
export function isInternalName(name: string): boolean {
  const ip = parseIp(name);
  if (ip !== null) return INTERNAL_BLOCKS.some((block) => isIn(ip, block));
  const host = name.toLowerCase().replace(/^\*\./, "").replace(/\.$/, "");
  if (!host.includes(".")) return true;
  return INTERNAL_DOMAINS.some((domain) => host === domain || host.endsWith(`.${domain}`));
}

function isIn(ip: Uint8Array, { ip: first, bits }: AddressBlock): boolean {
  const masked = maskIp(ip, bits);
  for (let i = 0; i < IP_BYTES; i++) if (masked[i] !== first[i]) return false;
  return true;
}
