// DigitalOcean, API v2: a record for each value, found and removed by its id; names are relative to the domain.
// https://docs.digitalocean.com/reference/api/reference/domain-records/

import { DNS_API } from "../../../shared/auto-tls-limits.ts";
import type { Secret } from "../../../shared/secret.ts";
import type { DnsProvider, TxtRecord } from "../provider.ts";
import { addOnce } from "./add-once.ts";
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
import { asList, asText, at, parsed } from "./json.ts";
import { plainName, relativeName, unquoted, zonesOf } from "./zones.ts";

const ENDPOINT = "https://api.digitalocean.com";
const PAGE = 200;
const TTL_MIN = 30;

export class DigitalOcean implements DnsProvider {
  readonly name = "digitalocean";
  readonly #api: Api;

  constructor(token: Secret, options: ApiOptions = {}) {
    this.#api = new Api(new Dialect(token), options);
  }

  async add(name: string, value: string, ttlSeconds: number, signal: AbortSignal) {
    const zone = await this.#zoneOf(name, signal);
    const look = async (): Promise<TxtRecord | null> => {
      const [record] = await this.#records(zone, name, [value], signal);
      return record ?? null;
    };
    const call: ApiCall = {
      doing: `adding ${name}`,
      zone,
      method: "POST",
      path: recordsPath(zone),
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        type: "TXT",
        name: relativeName(name, zone),
        data: value,
        ttl: Math.max(ttlSeconds, TTL_MIN),
      }),
      isRepeatable: false,
    };
    const create = async (): Promise<TxtRecord> => {
      const id = asText(at(await this.#api.json(call, signal), "domain_record", "id"));
      if (id === "") throw this.#api.malformed(call, "the answer has no id of the record");
      return { name, value, zone, id };
    };
    return addOnce(this.#api, { look, create, existsCodes: [] }, signal);
  }

  async remove({ name, zone, id }: TxtRecord, signal: AbortSignal): Promise<void> {
    try {
      await this.#api.call(
        {
          doing: `removing ${name}`,
          zone,
          method: "DELETE",
          path: `${recordsPath(zone)}/${encodeURIComponent(id)}`,
          isRepeatable: true,
        },
        signal,
      );
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }

  async find(name: string, values: readonly string[], signal: AbortSignal): Promise<TxtRecord[]> {
    return this.#records(await this.#zoneOf(name, signal), name, values, signal);
  }

  /** By the list: what is asked of a domain by a name that can be none is not documented. */
  async #zoneOf(name: string, signal: AbortSignal): Promise<string> {
    const candidates = zonesOf(name);
    const domains = new Set<string>();
    for (let page = 1; page <= DNS_API.pagesMax; page += 1) {
      const call: ApiCall = {
        doing: `finding the zone of ${name}`,
        zone: null,
        method: "GET",
        path: `/v2/domains?per_page=${PAGE}&page=${page}`,
        isRepeatable: true,
      };
      const answer = await this.#api.json(call, signal);
      const list = asList(at(answer, "domains"));
      if (list === null) throw this.#api.malformed(call, "the answer has no list of domains");
      for (const domain of list) domains.add(plainName(asText(at(domain, "name"))));
      if (!hasNextPage(answer)) break;
    }
    const zone = candidates.find((candidate) => domains.has(candidate));
    if (zone !== undefined) return zone;
    throw this.#api.noZone(name, candidates, "Add the domain to the account under Networking");
  }

  async #records(zone: string, name: string, values: readonly string[], signal: AbortSignal) {
    const all: TxtRecord[] = [];
    for (let page = 1; page <= DNS_API.pagesMax; page += 1) {
      const query = `name=${encodeURIComponent(name)}&type=TXT&per_page=${PAGE}&page=${page}`;
      const call: ApiCall = {
        doing: `listing ${name}`,
        zone,
        method: "GET",
        path: `${recordsPath(zone)}?${query}`,
        isRepeatable: true,
      };
      const answer = await this.#api.json(call, signal);
      const records = asList(at(answer, "domain_records"));
      if (records === null) throw this.#api.malformed(call, "the answer has no list of records");
      for (const record of records) {
        const value = unquoted(asText(at(record, "data")));
        const isNamed = asText(at(record, "name")).toLowerCase() === relativeName(name, zone);
        if (!isNamed || at(record, "type") !== "TXT" || !values.includes(value)) continue;
        all.push({ name, value, zone, id: asText(at(record, "id")) });
      }
      if (!hasNextPage(answer)) break;
    }
    return all;
  }
}

function hasNextPage(answer: unknown): boolean {
  return asText(at(answer, "links", "pages", "next")) !== "";
}

function recordsPath(zone: string): string {
  return `/v2/domains/${encodeURIComponent(zone)}/records`;
}

class Dialect implements ApiDialect {
  readonly name = "digitalocean";
  readonly endpoint = ENDPOINT;
  readonly secrets: readonly Secret[];
  readonly #token: Secret;

  constructor(token: Secret) {
    this.#token = token;
    this.secrets = [token];
  }

  async sign(): Promise<Record<string, string>> {
    return { authorization: `Bearer ${textOf(this.#token)}` };
  }

  faultOf({ text, status }: ApiAnswer): ApiFault | null {
    if (status < 300) return null;
    const body = parsed(text);
    const message = asText(at(body, "message"));
    if (message === "") return null;
    return { code: asText(at(body, "id")), message, isThrottled: false, retryAfterMs: null };
  }

  cureOf(status: number): string | undefined {
    return status === 401 || status === 403
      ? "Check that DIGITALOCEAN_TOKEN is a personal access token with the scopes domain:read, domain:create and domain:delete"
      : undefined;
  }
}
