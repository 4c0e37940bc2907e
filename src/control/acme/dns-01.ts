// The challenge dns-01 (RFC 8555 section 8.4): a TXT record at _acme-challenge.NAME, or where a CNAME there leads to. It is
// written by the provider, waited for at the zone's servers, and removed. An issuer calls it, and `proxy dns-check`.
//
// Invariant: what `present` wrote, or may have written, is removed by `withdraw`, or named in its error.

import { createHash } from "node:crypto";
import { isIP } from "node:net";

import type { Dns01Plan } from "../../shared/auto-tls-plan.ts";
import { messageOf, ProxyError } from "../../shared/errors.ts";
import { DNS_01 } from "../../shared/limits.ts";
import type { Log } from "../../shared/log.ts";
import { pause } from "../backoff.ts";
import { Authoritative, type Place } from "../dns/authoritative.ts";
import { formatSight, type Sight, type Visibility, waitUntilVisible } from "../dns/propagation.ts";
import type { DnsProvider, TxtRecord } from "../dns/provider.ts";
import { createDnsProvider } from "../dns/providers/create.ts";
import { Resolvers } from "../dns/resolvers.ts";
import type { ChallengeTask, Solver } from "./solver.ts";

/** What happens on the way, as it happens. */
export type Dns01Step =
  | { readonly kind: "located"; readonly place: Place }
  | { readonly kind: "written"; readonly record: TxtRecord }
  | { readonly kind: "seen"; readonly place: Place; readonly sight: Sight }
  | { readonly kind: "visible"; readonly place: Place; readonly visibility: Visibility }
  | { readonly kind: "removed"; readonly record: TxtRecord }
  | { readonly kind: "remove-failed"; readonly record: TxtRecord; readonly reason: string }
  /** `add` did not say whether it wrote, and the provider does not tell it now. */
  | { readonly kind: "unknown"; readonly place: Place; readonly reason: string };

export type TellStep = (domain: string, step: Dns01Step) => void;

/** For tests: servers of zones that are theirs, and waits that are short. */
export interface Dns01Timing {
  readonly port?: number;
  readonly lookFirstMs?: number;
  readonly tryMs?: number;
  readonly unseenMs?: number;
  readonly removeRetryMs?: number;
}

export interface Dns01Options {
  /** null: no provider is configured, and no name fits. */
  readonly plan: Dns01Plan | null;
  readonly tell: TellStep;
  /** Called for each task. Default: the plan's; another for tests. */
  readonly makeProvider?: (plan: Dns01Plan) => Promise<DnsProvider>;
  readonly timing?: Dns01Timing;
}

/** What a task has to remove. */
interface Written {
  readonly provider: DnsProvider;
  readonly place: Place;
  readonly value: string;
  /** `add` may have written, and failed, with this message, before it could tell what. */
  readonly record: TxtRecord | { readonly failure: string };
}

/** RFC 8555 section 8.4. */
export function dns01Value(keyAuthorization: string): string {
  return createHash("sha256").update(keyAuthorization).digest("base64url");
}

const NO_PROVIDER = "no dns_provider is configured. Set auto_tls.dns_provider, or -dns-provider";

export class Dns01Solver implements Solver {
  readonly type = "dns-01";
  readonly #options: Dns01Options;
  readonly #written = new Map<string, Written>();

  constructor(options: Dns01Options) {
    this.#options = options;
  }

  unfit(name: string): string | null {
    if (isIP(name) !== 0) {
      return `${name} is an address, which has no DNS zone to prove it by. Use http-01 or tls-alpn-01`;
    }
    return this.#options.plan === null ? NO_PROVIDER : null;
  }

  async present(task: ChallengeTask, signal: AbortSignal): Promise<void> {
    const { plan } = this.#options;
    if (plan === null) throw unproven(task, "", new ProxyError("ERR_CONFIG", NO_PROVIDER));
    try {
      await this.#present(task, plan, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ProxyError)) throw error;
      throw unproven(task, ` with ${plan.provider}`, error);
    }
  }

  async #present(task: ChallengeTask, plan: Dns01Plan, signal: AbortSignal): Promise<void> {
    const { tell, timing = {}, makeProvider = (of) => createDnsProvider(of) } = this.#options;
    const { domain } = task;
    const value = dns01Value(task.keyAuthorization);
    const provider = await makeProvider(plan);
    const resolvers = await Resolvers.from(plan.resolvers);
    const lookup = new Authoritative({ resolvers, port: timing.port, tryMs: timing.tryMs });
    const place = await lookup.locate(`_acme-challenge.${domain}`, signal);
    tell(domain, { kind: "located", place });
    const note = (record: Written["record"]): void => {
      this.#written.set(keyOf(task), { provider, place, value, record });
    };
    let record: TxtRecord;
    try {
      record = await provider.add(place.name, value, plan.ttlSeconds, signal);
    } catch (error) {
      note({ failure: messageOf(error) });
      throw error;
    }
    note(record);
    tell(domain, { kind: "written", record });
    const visibility = await waitUntilVisible(
      {
        place,
        value,
        delayMs: plan.propagationDelayMs,
        timeoutMs: plan.propagationTimeoutMs,
        lookFirstMs: timing.lookFirstMs,
        tryMs: timing.tryMs,
        unseenMs: timing.unseenMs,
        seen: (sight) => tell(domain, { kind: "seen", place, sight }),
      },
      signal,
    );
    tell(domain, { kind: "visible", place, visibility });
  }

  async withdraw(task: ChallengeTask): Promise<void> {
    const written = this.#written.get(keyOf(task));
    if (written === undefined) return; // nothing was asked of the provider
    this.#written.delete(keyOf(task));
    const { domain } = task;
    const { provider, record } = written;
    const records =
      "failure" in record ? await this.#leftBehind(domain, written, record.failure) : [record];
    for (const each of records) await this.#remove(domain, provider, each);
  }

  /** What an `add` wrote that failed, or was aborted, before it could tell. */
  async #leftBehind(
    domain: string,
    { provider, place, value }: Written,
    failure: string,
  ): Promise<TxtRecord[]> {
    try {
      const signal = AbortSignal.timeout(DNS_01.removeTimeoutMs);
      return await provider.find(place.name, [value], signal);
    } catch (error) {
      // What fails for the reason that `add` failed for came no further then.
      const reason = messageOf(error);
      if (reason !== failure) this.#options.tell(domain, { kind: "unknown", place, reason });
      return [];
    }
  }

  /** @throws ProxyError ERR_CHALLENGE */
  async #remove(domain: string, provider: DnsProvider, record: TxtRecord): Promise<void> {
    const { tell, timing: { removeRetryMs = DNS_01.removeRetryMs } = {} } = this.#options;
    let last: unknown;
    for (let attempt = 0; attempt < DNS_01.removeTries; attempt++) {
      if (attempt > 0) await pause(removeRetryMs * 2 ** (attempt - 1), NEVER);
      try {
        // Not the signal of `present`: that is aborted, maybe, and the record must go all the same.
        await provider.remove(record, AbortSignal.timeout(DNS_01.removeTimeoutMs));
        tell(domain, { kind: "removed", record });
        return;
      } catch (error) {
        last = error;
        tell(domain, { kind: "remove-failed", record, reason: messageOf(error) });
      }
    }
    const { name, value, zone } = record;
    const problem = `the TXT record ${name} with the value "${value}" stays behind in the zone ${zone} of ${provider.name}`;
    throw new ProxyError("ERR_CHALLENGE", `${problem}: ${messageOf(last)}`, {
      cause: last,
      cure: "Remove that value by hand; it does no harm until then",
    });
  }
}

const NEVER = new AbortController().signal;

function unproven({ domain }: ChallengeTask, how: string, cause: ProxyError): ProxyError {
  const problem = `${domain} cannot be proven by dns-01${how}: ${cause.message}`;
  return new ProxyError("ERR_CHALLENGE", problem, { cause });
}

function keyOf({ domain, keyAuthorization }: ChallengeTask): string {
  return `${domain} ${keyAuthorization}`;
}

const SERVER_BROKEN = "a DNS server of the zone does not work, the others have the record";
const NO_SERVER_HEARD =
  "no DNS server of the zone can be asked, is port 53 closed? Whether it has the record is not known";

/** For a proxy that runs: what somebody has to know is a warning, the rest is for those who look for a fault. */
export function logDns01Steps(log: Log): TellStep {
  return (domain, step) => {
    switch (step.kind) {
      case "located": {
        const { name, zone, aliases } = step.place;
        log.debug(
          { domain, record: name, zone: zone.name, aliases },
          "dns-01 record's place found",
        );
        return;
      }
      case "written":
        return log.debug({ domain, record: step.record.name }, "dns-01 record written");
      case "seen": {
        const { state, detail } = step.sight;
        log.debug(
          { domain, server: formatSight(step.sight), state, detail },
          "dns-01 record looked up",
        );
        return;
      }
      case "visible":
        for (const sight of step.visibility.givenUp) {
          const fields = { domain, server: formatSight(sight), reason: sight.detail };
          log.warn(fields, step.visibility.isSeen ? SERVER_BROKEN : NO_SERVER_HEARD);
        }
        return;
      case "removed":
        return log.debug({ domain, record: step.record.name }, "dns-01 record removed");
      case "remove-failed":
        return log.warn(
          { domain, record: step.record.name, reason: step.reason },
          "a dns-01 record could not be removed",
        );
      case "unknown":
        return log.warn(
          { domain, record: step.place.name, reason: step.reason },
          "whether a dns-01 record was written cannot be looked up",
        );
      default:
        return step satisfies never;
    }
  };
}
