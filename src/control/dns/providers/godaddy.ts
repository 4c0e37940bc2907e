// GoDaddy, Domains API v1: records have no ids. PATCH adds to what is there; to remove one value is to write all the others of
// its name (PUT), or to delete the name's records if there is no other. https://developer.godaddy.com/doc/endpoint/domains
//
// Invariant: changes of one zone are made one after another within this process, each on what it has read itself.

import { DNS_API } from "../../../shared/auto-tls-limits.ts";
import type { Secret } from "../../../shared/secret.ts";
import type { DnsProvider, TxtRecord } from "../provider.ts";
import {
  Api,
  type ApiAnswer,
  type ApiCall,
  type ApiDialect,
  ApiError,
  type ApiFault,
  type ApiOptions,
} from "./api.ts";
import { textOf } from "./credentials.ts";
import { asList, asNumber, asText, at, parsed } from "./json.ts";
import { inTurn } from "./turns.ts";
import { relativeName, unquoted, zonesOf } from "./zones.ts";

const ENDPOINT = "https://api.godaddy.com";
const TTL_MIN = 600;
const EXISTS = "DUPLICATE_RECORD";
/** The rule since April 2024. The API itself says no more than that the user is not allowed access. */
const SMALL_ACCOUNT = [
  "GoDaddy opens this API to accounts with 10 domains or more, or with a Discount Domain Club plan:",
  "delegate _acme-challenge to another provider by CNAME, or use another challenge",
].join(" ");

export interface GoDaddyCredentials {
  readonly key: Secret;
  readonly secret: Secret;
}

interface Entry {
  readonly data: string;
  readonly ttl: number;
}

export class GoDaddy implements DnsProvider {
  readonly name = "godaddy";
  readonly #api: Api;

  constructor(credentials: GoDaddyCredentials, options: ApiOptions = {}) {
    this.#api = new Api(new Dialect(credentials), options);
  }

  async add(name: string, value: string, ttlSeconds: number, signal: AbortSignal) {
    const zone = await this.#zoneOf(name, signal);
    await this.#inTurn(zone, async () => {
      const there = await this.#read(zone, name, `adding ${name}`, signal);
      if (there.some(({ data }) => unquoted(data) === value)) return;
      const entry = {
        type: "TXT",
        name: relativeName(name, zone),
        data: value,
        ttl: Math.max(ttlSeconds, TTL_MIN),
      };
      await this.#patch(zone, name, JSON.stringify([entry]), signal);
    });
    return { name, value, zone, id: value };
  }

  async remove({ name, value, zone }: TxtRecord, signal: AbortSignal): Promise<void> {
    await this.#inTurn(zone, async () => {
      for (let attempt = 1; ; attempt += 1) {
        const there = await this.#read(zone, name, `removing ${name}`, signal);
        const rest = there.filter(({ data }) => unquoted(data) !== value);
        if (rest.length === there.length) return;
        try {
          return await this.#write(zone, name, rest, signal);
        } catch (error) {
          const isUnclear = error instanceof ApiError && error.retry === "unclear";
          if (!isUnclear || attempt >= DNS_API.changeAttempts) throw error;
        }
        await this.#api.rest(attempt, signal);
      }
    });
  }

  async find(name: string, values: readonly string[], signal: AbortSignal): Promise<TxtRecord[]> {
    const zone = await this.#zoneOf(name, signal);
    const there = await this.#read(zone, name, `listing ${name}`, signal);
    const data = new Set(there.map((entry) => unquoted(entry.data)));
    return values
      .filter((value) => data.has(value))
      .map((value) => ({ name, value, zone, id: value }));
  }

  #inTurn<T>(zone: string, task: () => Promise<T>): Promise<T> {
    return inTurn(`godaddy ${this.#api.endpoint} ${zone}`, task);
  }

  /**
   * Found by asking for the name's records: the details of a domain are refused to accounts with few domains, and are not there
   * for domains that are registered elsewhere. A zone of somebody else's account, and a name that GoDaddy takes for none of a
   * domain, are refused too: the search goes on.
   */
  async #zoneOf(name: string, signal: AbortSignal): Promise<string> {
    const candidates = zonesOf(name);
    let refused: ApiError | null = null;
    let isUnknown = false;
    for (const candidate of candidates) {
      try {
        await this.#read(candidate, name, `finding the zone of ${name}`, signal, null);
        return candidate;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 404) isUnknown = true;
        else if (![400, 403, 422].includes(error.status)) throw error;
        else if (refused === null || error.status === 403) refused = error;
      }
    }
    if (refused !== null && (refused.status === 403 || !isUnknown)) throw refused;
    throw this.#api.noZone(
      name,
      candidates,
      "Check that the domain is in this account and uses GoDaddy's nameservers",
    );
  }

  /** @param told the zone for messages; null: it is what is looked for */
  async #read(
    zone: string,
    name: string,
    doing: string,
    signal: AbortSignal,
    told: string | null = zone,
  ): Promise<Entry[]> {
    const call: ApiCall = {
      doing,
      zone: told,
      method: "GET",
      path: recordsPath(zone, name),
      isRepeatable: true,
    };
    const records = asList(await this.#api.json(call, signal));
    if (records === null) throw this.#api.malformed(call, "the answer is no list");
    const entries = records.map((record) => {
      const data = at(record, "data");
      // Nothing may be left out: what was read is written back when one of the values is removed.
      if (typeof data !== "string") throw this.#api.malformed(call, "an entry has no data");
      return { data, ttl: asNumber(at(record, "ttl")) };
    });
    return entries.filter(({ data }) => data !== ""); // what others left of removed ones, and is refused in a PUT
  }

  /** Everything that the name is to have. Not repeated as it is: others may have added to it meanwhile. */
  async #write(
    zone: string,
    name: string,
    entries: readonly Entry[],
    signal: AbortSignal,
  ): Promise<void> {
    const about = {
      doing: `removing ${name}`,
      zone,
      path: recordsPath(zone, name),
      isRepeatable: false,
    } as const;
    const call: ApiCall =
      entries.length === 0
        ? { ...about, method: "DELETE" }
        : { ...about, method: "PUT", headers: JSON_BODY, body: JSON.stringify(entries) };
    await this.#api.call(call, signal);
  }

  async #patch(zone: string, name: string, body: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#api.call(
        {
          doing: `adding ${name}`,
          zone,
          method: "PATCH",
          path: `/v1/domains/${encodeURIComponent(zone)}/records`,
          headers: JSON_BODY,
          body,
          isRepeatable: true, // the second time, it is a duplicate
        },
        signal,
      );
    } catch (error) {
      if (!(error instanceof ApiError && error.apiCode === EXISTS)) throw error;
    }
  }
}

const JSON_BODY = { "content-type": "application/json" };

function recordsPath(zone: string, name: string): string {
  const relative = relativeName(name, zone);
  const host = relative === "@" ? relative : encodeURIComponent(relative);
  return `/v1/domains/${encodeURIComponent(zone)}/records/TXT/${host}`;
}

class Dialect implements ApiDialect {
  readonly name = "godaddy";
  readonly endpoint = ENDPOINT;
  readonly secrets: readonly Secret[];
  readonly #credentials: GoDaddyCredentials;

  constructor(credentials: GoDaddyCredentials) {
    this.#credentials = credentials;
    this.secrets = [credentials.key, credentials.secret];
  }

  async sign(): Promise<Record<string, string>> {
    const { key, secret } = this.#credentials;
    return { authorization: `sso-key ${textOf(key)}:${textOf(secret)}` };
  }

  /** What is wrong with which field is in a list of its own. */
  faultOf({ text, status }: ApiAnswer): ApiFault | null {
    if (status < 300) return null;
    const body = parsed(text);
    const code = asText(at(body, "code"));
    if (code === "") return null;
    const fields = (asList(at(body, "fields")) ?? []).map((field) => asText(at(field, "message")));
    const seconds = asNumber(at(body, "retryAfterSec"));
    return {
      code,
      message: [asText(at(body, "message")), ...fields].join(": "),
      isThrottled: code === "TOO_MANY_REQUESTS",
      retryAfterMs: seconds > 0 ? seconds * 1000 : null,
    };
  }

  cureOf(status: number, { code }: ApiFault): string | undefined {
    if (status === 401) {
      return "Check GODADDY_API_KEY and GODADDY_API_SECRET, and that the key is of production, not of the test environment (OTE)";
    }
    return status === 403 || code === "ACCESS_DENIED" ? SMALL_ACCOUNT : undefined;
  }
}
