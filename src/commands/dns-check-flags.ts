// The flags of `proxy dns-check`, and what they mean: a provider and domains, or those of a configuration file. Called by
// dns-check.ts.

import type { ArgsDef } from "citty";

import { suggest } from "../config/nearest.ts";
import { DNS_PROVIDERS } from "../config/schema-auto-tls.ts";
import { compile } from "../control/compile.ts";
import { compileDns01 } from "../control/compile/auto-tls.ts";
import type { AutoTlsPlan, Dns01Plan } from "../shared/auto-tls-plan.ts";
import { isAddress, isWildcard, parseCertificateName } from "../shared/certificate-names.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import { isInternalName } from "../shared/internal-names.ts";
import { RUN_ARGS } from "./flags.ts";
import type { Example } from "./help.ts";
import { thisMachine } from "./machine.ts";
import { readConfig } from "./run.ts";

export const DNS_CHECK_ARGS = {
  "dns-provider": {
    type: "string",
    valueHint: "cloudflare",
    description: `who serves the domains' DNS: ${DNS_PROVIDERS.join(", ")}`,
  },
  domains: {
    type: "string",
    valueHint: "a.example,b.example",
    description: "domains to check (default: those of the file)",
  },
  config: {
    type: "string",
    valueHint: RUN_ARGS.config.valueHint,
    description: "take dns_provider, dns and domains of auto_tls from a file",
  },
} as const satisfies ArgsDef;

export const DNS_CHECK_EXAMPLES: readonly Example[] = [
  [
    "CLOUDFLARE_API_TOKEN=... proxy dns-check -dns-provider cloudflare -domains example.com",
    "whether a token may write, before any certificate is ordered",
  ],
  [
    "proxy dns-check -config proxy.yaml",
    "with the credentials that the file names, all its domains",
  ],
];

/** Values as typed; undefined: not given. */
export interface DnsCheckFlags {
  readonly "dns-provider"?: string | undefined;
  readonly domains?: string | undefined;
  readonly config?: string | undefined;
}

export interface DnsCheckSettings {
  readonly plan: Dns01Plan;
  /** Without `*.`, each once. */
  readonly domains: readonly string[];
}

/** @throws ProxyError ERR_USAGE or ERR_CONFIG. */
export async function dnsCheckSettings(flags: DnsCheckFlags): Promise<DnsCheckSettings> {
  const { config } = flags;
  const faults: string[] = [];
  const given = domainsOf(flags.domains, faults);
  if (config === undefined) {
    const provider = providerOf(flags["dns-provider"], faults);
    if (flags.domains === undefined) faults.push("-domains is missing. Write -domains example.com");
    if (provider === null || faults.length > 0) throw usage(faults);
    return { plan: compileDns01({ dns_provider: provider })!, domains: given };
  }
  if (flags["dns-provider"] !== undefined) {
    faults.push(
      "-dns-provider has no effect with -config, whose file says it. Leave one of them out",
    );
  }
  if (faults.length > 0) throw usage(faults);
  const { autoTls } = compile(await readConfig({ config }), thisMachine());
  if (autoTls === null || autoTls.dns === null) {
    throw usage([`${config} has no auto_tls.dns_provider. Write it there, or leave out -config`]);
  }
  const domains = flags.domains === undefined ? publicDomains(autoTls) : given;
  if (domains.length > 0) return { plan: autoTls.dns, domains };
  throw usage([`${config} has no domains that dns-01 could prove. Write -domains example.com`]);
}

function usage(faults: readonly string[]): ProxyError {
  return new ProxyError("ERR_USAGE", faults.join("\n"));
}

function providerOf(typed: string | undefined, faults: string[]): Dns01Plan["provider"] | null {
  const found = DNS_PROVIDERS.find((name) => name === typed);
  if (found !== undefined) return found;
  faults.push(
    typed === undefined
      ? `-dns-provider is missing. It is one of ${DNS_PROVIDERS.join(", ")}`
      : `-dns-provider: "${typed}" is unknown. ${suggest(typed, DNS_PROVIDERS)}`,
  );
  return null;
}

function domainsOf(typed: string | undefined, faults: string[]): string[] {
  const domains = new Set<string>();
  for (const written of typed?.split(",") ?? []) {
    if (written.trim() === "") continue;
    try {
      const name = parseCertificateName(written.trim());
      if (isAddress(name)) faults.push(`-domains: ${name} is an address, which has no DNS zone`);
      else domains.add(baseOf(name));
    } catch (error) {
      faults.push(`-domains: ${messageOf(error)}`);
    }
  }
  if (typed !== undefined && domains.size === 0 && faults.length === 0) {
    faults.push("-domains has none. Write -domains example.com");
  }
  return [...domains];
}

/** Those that authorities are asked for. */
function publicDomains({ certificates, internal }: AutoTlsPlan): string[] {
  const names = certificates
    .flat()
    .filter((name) => !isAddress(name) && !(internal && isInternalName(name)));
  return [...new Set(names.map(baseOf))];
}

/** A wildcard is proven at the name that it is below. */
function baseOf(name: string): string {
  return isWildcard(name) ? name.slice("*.".length) : name;
}
