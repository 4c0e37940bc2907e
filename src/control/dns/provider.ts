// The contract of a DNS provider: TXT records through its HTTP API. One small file for each provider beside this one. The
// dns-01 solver calls it; the zone has been found by the provider itself, which alone knows what it serves.
//
// Invariant: an error names the provider, the zone and the API's own message, and never a credential.

import type { DnsProviderName } from "../../shared/auto-tls-plan.ts";

/** A record that this process made, with what its provider needs to remove exactly that one. */
export interface TxtRecord {
  /** Absolute, without the last dot: `_acme-challenge.example.com`. */
  readonly name: string;
  readonly value: string;
  /** The zone that it is in, for messages: `example.com`. */
  readonly zone: string;
  /** The provider's own; opaque to everybody else. */
  readonly id: string;
}

export interface DnsProvider {
  readonly name: DnsProviderName;
  /**
   * Adds one value beside those that are there at the same name. Resolves when the API has taken it, not when it is visible.
   * After a failure, also an abort, the value may be there all the same: `find` tells.
   * @param ttlSeconds raised to the provider's minimum where that is higher.
   * @throws ProxyError ERR_DNS_PROVIDER
   */
  add(name: string, value: string, ttlSeconds: number, signal: AbortSignal): Promise<TxtRecord>;
  /** Removes this value alone. One that is gone already is no error. @throws ProxyError ERR_DNS_PROVIDER */
  remove(record: TxtRecord, signal: AbortSignal): Promise<void>;
  /** Values of ours that an earlier process left at this name; those given only. For cleaning up after a crash. */
  find(name: string, values: readonly string[], signal: AbortSignal): Promise<TxtRecord[]>;
}
