// The five APIs, and a provider of ours in front of one: what the tests of providers begin with.

import type { DnsProvider } from "../../../src/control/dns/provider.ts";
import type { ApiOptions } from "../../../src/control/dns/providers/api.ts";
import { createDnsProvider } from "../../../src/control/dns/providers/create.ts";
import type { DnsProviderName } from "../../../src/shared/auto-tls-plan.ts";
import { FakeAlidns } from "./alidns.ts";
import { FakeCloudflare } from "./cloudflare.ts";
import { FakeDigitalOcean } from "./digitalocean.ts";
import type { FakeApi, FakeZone } from "./fake-api.ts";
import { FakeGoDaddy } from "./godaddy.ts";
import { FakeRoute53 } from "./route53.ts";

export interface ProviderKind {
  readonly name: DnsProviderName;
  /** As messages call it. */
  readonly title: string;
  /** Seconds; 0: any. */
  readonly ttlMin: number;
  startApi(): FakeApi;
}

export const PROVIDER_KINDS: readonly ProviderKind[] = [
  {
    name: "cloudflare",
    title: "Cloudflare",
    ttlMin: 60,
    startApi: () => new FakeCloudflare(),
  },
  {
    name: "alidns",
    title: "Alibaba Cloud DNS",
    ttlMin: 600,
    startApi: () => new FakeAlidns(),
  },
  { name: "route53", title: "Route 53", ttlMin: 0, startApi: () => new FakeRoute53() },
  {
    name: "digitalocean",
    title: "DigitalOcean",
    ttlMin: 30,
    startApi: () => new FakeDigitalOcean(),
  },
  { name: "godaddy", title: "GoDaddy", ttlMin: 600, startApi: () => new FakeGoDaddy() },
];

export interface Bench extends AsyncDisposable {
  readonly api: FakeApi;
  readonly zone: FakeZone;
  readonly provider: DnsProvider;
  /** Milliseconds that the provider waited: no time passes. */
  readonly pauses: number[];
  /** Values of a name in the zone. */
  values(name: string): string[];
}

export function makeProvider(
  kind: Pick<ProviderKind, "name">,
  api: FakeApi,
  options: ApiOptions = {},
  environment: Readonly<Record<string, string>> = api.environment,
): Promise<DnsProvider> {
  const plan = { provider: kind.name, credentialFiles: {} };
  return createDnsProvider(
    plan,
    { HOME: "/nonexistent", ...environment },
    {
      endpoint: api.endpoint,
      ...options,
    },
  );
}

/** An API with the zone example.com, and a provider. */
export async function startBench(kind: ProviderKind, options: ApiOptions = {}): Promise<Bench> {
  const api = kind.startApi();
  const zone = api.zone("example.com");
  const pauses: number[] = [];
  const pause = async (ms: number): Promise<void> => {
    pauses.push(ms);
  };
  return {
    api,
    zone,
    pauses,
    provider: await makeProvider(kind, api, { pause, ...options }),
    values: (name) =>
      zone.records.filter((record) => record.name === name).map((record) => record.value),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}
