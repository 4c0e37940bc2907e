// Cloudflare, API v4: a record for each value, found and removed by its id. TXT content is quoted there since 2024, and older
// records are not: both are read. https://developers.cloudflare.com/api/resources/dns

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
import { asList, asNumber, asText, at, parsed } from "./json.ts";
import { quoted, unquoted, zonesOf } from "./zones.ts";

const ENDPOINT = "https://api.cloudflare.com/client/v4";
const PAGE = 50; // the most that the list of zones takes
/** Seconds, for zones that are not of the Enterprise plan. */
const TTL_MIN = 60;
/** "An identical record already exists." and "The record already exists." */
const EXISTS = ["81058", "81057"];
/** "Record does not exist." */
const GONE = "81044";

export interface CloudflareCredentials {
  /** May edit the DNS of the zones. */
  readonly token: Secret;
  /** May read the list of zones, if `token` may not; null: `token` may. */
  readonly zoneToken: Secret | null;
}

interface Zone {
  readonly id: string;
  readonly name: string;
}

export class Cloudflare implements DnsProvider {
  readonly name = "cloudflare";
  readonly #api: Api;
  readonly #zones: Api;

  constructor({ token, zoneToken }: CloudflareCredentials, options: ApiOptions = {}) {
    const secrets = zoneToken === null ? [token] : [token, zoneToken];
    this.#api = new Api(new Dialect(token, secrets), options);
    this.#zones = new Api(new Dialect(zoneToken ?? token, secrets), options);
  }

  async add(name: string, value: string, ttlSeconds: number, signal: AbortSignal) {
    const zone = await this.#zoneOf(name, signal);
    const look = async (): Promise<TxtRecord | null> => {
      const [record] = await this.#records(zone, name, [value], signal);
      return record ?? null;
    };
    const call: ApiCall = {
      doing: `adding ${name}`,
      zone: zone.name,
      method: "POST",
      path: recordsPath(zone.id),
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        type: "TXT",
        name,
        content: quoted(value),
        ttl: Math.max(ttlSeconds, TTL_MIN),
      }),
      isRepeatable: false,
    };
    const create = async (): Promise<TxtRecord> => {
      const id = asText(at(await this.#api.json(call, signal), "result", "id"));
      if (id === "") throw this.#api.malformed(call, "the answer has no id of the record");
      return toRecord(zone, name, value, id);
    };
    return addOnce(this.#api, { look, create, existsCodes: EXISTS }, signal);
  }

  async remove({ name, zone, id }: TxtRecord, signal: AbortSignal): Promise<void> {
    const [zoneId = "", recordId = ""] = id.split("/");
    try {
      await this.#api.call(
        {
          doing: `removing ${name}`,
          zone,
          method: "DELETE",
          path: `${recordsPath(zoneId)}/${encodeURIComponent(recordId)}`,
          isRepeatable: true,
        },
        signal,
      );
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 404 && error.apiCode !== GONE) throw error;
    }
  }

  async find(name: string, values: readonly string[], signal: AbortSignal): Promise<TxtRecord[]> {
    return this.#records(await this.#zoneOf(name, signal), name, values, signal);
  }

  async #zoneOf(name: string, signal: AbortSignal): Promise<Zone> {
    const candidates = zonesOf(name);
    for (const candidate of candidates) {
      const zones = await this.#list(
        this.#zones,
        { doing: `finding the zone of ${name}`, zone: null },
        `/zones?name=${encodeURIComponent(candidate)}`,
        signal,
      );
      // One that is pending or was moved away may be of the same name: no resolver asks for that one.
      const named = zones.filter((zone) => asText(at(zone, "name")) === candidate);
      const zone = named.find((each) => at(each, "status") === "active") ?? named[0];
      if (zone !== undefined) return { id: asText(at(zone, "id")), name: candidate };
    }
    throw this.#zones.noZone(
      name,
      candidates,
      "Check that the domain is in the account, and that the token has the permission Zone:Read for it",
    );
  }

  async #records(zone: Zone, name: string, values: readonly string[], signal: AbortSignal) {
    const records = await this.#list(
      this.#api,
      { doing: `listing ${name}`, zone: zone.name },
      `${recordsPath(zone.id)}?type=TXT&name=${encodeURIComponent(name)}`,
      signal,
    );
    return records.flatMap((record): TxtRecord[] => {
      const value = unquoted(asText(at(record, "content")));
      if (!values.includes(value) || asText(at(record, "name")).toLowerCase() !== name) return [];
      return [toRecord(zone, name, value, asText(at(record, "id")))];
    });
  }

  async #list(
    api: Api,
    about: Pick<ApiCall, "doing" | "zone">,
    path: string,
    signal: AbortSignal,
  ): Promise<unknown[]> {
    const all: unknown[] = [];
    for (let page = 1; page <= DNS_API.pagesMax; page += 1) {
      const call: ApiCall = {
        ...about,
        method: "GET",
        path: `${path}&page=${page}&per_page=${PAGE}`,
        isRepeatable: true,
      };
      const answer = await api.json(call, signal);
      const items = asList(at(answer, "result"));
      if (items === null) throw api.malformed(call, "the answer has no list");
      all.push(...items);
      const pages = asNumber(at(answer, "result_info", "total_pages"));
      if (items.length === 0 || page >= pages) break;
    }
    return all;
  }
}

function recordsPath(zoneId: string): string {
  return `/zones/${encodeURIComponent(zoneId)}/dns_records`;
}

function toRecord(zone: Zone, name: string, value: string, id: string): TxtRecord {
  return { name, value, zone: zone.name, id: `${zone.id}/${id}` };
}

class Dialect implements ApiDialect {
  readonly name = "cloudflare";
  readonly endpoint = ENDPOINT;
  readonly secrets: readonly Secret[];
  readonly #token: Secret;

  constructor(token: Secret, secrets: readonly Secret[]) {
    this.#token = token;
    this.secrets = secrets;
  }

  async sign(): Promise<Record<string, string>> {
    return { authorization: `Bearer ${textOf(this.#token)}` };
  }

  /** `errors` is a list, whose first entry has what matters, and a chain of further ones where a field was wrong. */
  faultOf({ text, status }: ApiAnswer): ApiFault | null {
    const body = parsed(text);
    if (status < 300 && at(body, "success") !== false) return null;
    const [first] = asList(at(body, "errors")) ?? [];
    if (first === undefined) return null;
    const chain = asList(at(first, "error_chain")) ?? [];
    const messages = [first, ...chain].map((each) => asText(at(each, "message")));
    return {
      code: asText(at(first, "code")),
      message: messages.join(": "),
      isThrottled: false,
      retryAfterMs: null,
    };
  }

  cureOf(status: number, fault: ApiFault): string | undefined {
    // 6003 and 6111: the header is not formed like a token; 9109: unknown token; 10000: it may not do this.
    const isRefused = ["6003", "6111", "9109", "10000"].includes(fault.code);
    return status === 401 || status === 403 || isRefused
      ? "Check that CLOUDFLARE_API_TOKEN is an API token, not the global key, with Zone:Read and DNS:Edit for this zone"
      : undefined;
  }
}
