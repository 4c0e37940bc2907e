// Alibaba Cloud DNS, version 2015-01-09: a record for each value, found and removed by its id; names are relative to the domain
// (RR). Requests are signed by version 3 of the signature; version 1 and 2 are its predecessors, which nothing here needs.
// https://www.alibabacloud.com/help/en/dns/api-alidns-2015-01-09-overview

import { randomUUID } from "node:crypto";

import { DNS_API } from "../../../shared/auto-tls-limits.ts";
import { ProxyError } from "../../../shared/errors.ts";
import type { Secret } from "../../../shared/secret.ts";
import type { DnsProvider, TxtRecord } from "../provider.ts";
import { canonicalQuery, signAcs3 } from "./acs3.ts";
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
import { plainName, relativeName, unquoted, zonesOf } from "./zones.ts";

const VERSION = "2015-01-09";
const ZONES_PAGE = 100;
const RECORDS_PAGE = 500;
/** Seconds: what every edition allows, also the free one. */
const TTL_MIN = 600;
const EXISTS = ["DomainRecordDuplicate", "DomainRecordConflict"];
/** A record that is not there is said to be somebody else's. */
const GONE = ["DomainRecordNotBelongToUser", "InvalidRecordId.NotFound"];

export interface AlidnsCredentials {
  readonly keyId: Secret;
  readonly keySecret: Secret;
  /** Of temporary credentials; null: none. */
  readonly securityToken: Secret | null;
  /** `ap-southeast-1`; null: the central endpoint, which serves all. */
  readonly region: string | null;
}

export class Alidns implements DnsProvider {
  readonly name = "alidns";
  readonly #api: Api;

  constructor(credentials: AlidnsCredentials, options: ApiOptions = {}) {
    this.#api = new Api(new Dialect(credentials), options);
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
      ...operation("AddDomainRecord", {
        DomainName: zone,
        RR: relativeName(name, zone),
        Type: "TXT",
        Value: value,
        TTL: String(Math.max(ttlSeconds, TTL_MIN)),
      }),
      isRepeatable: false,
    };
    const create = async (): Promise<TxtRecord> => {
      const id = asText(at(await this.#api.json(call, signal), "RecordId"));
      if (id === "") throw this.#api.malformed(call, "the answer has no RecordId");
      return { name, value, zone, id };
    };
    return addOnce(this.#api, { look, create, existsCodes: EXISTS }, signal);
  }

  async remove({ name, zone, id }: TxtRecord, signal: AbortSignal): Promise<void> {
    try {
      await this.#api.call(
        {
          doing: `removing ${name}`,
          zone,
          ...operation("DeleteDomainRecord", { RecordId: id }),
          isRepeatable: true,
        },
        signal,
      );
    } catch (error) {
      if (!(error instanceof ApiError && GONE.includes(error.apiCode))) throw error;
    }
  }

  async find(name: string, values: readonly string[], signal: AbortSignal): Promise<TxtRecord[]> {
    return this.#records(await this.#zoneOf(name, signal), name, values, signal);
  }

  async #zoneOf(name: string, signal: AbortSignal): Promise<string> {
    const candidates = zonesOf(name);
    for (const candidate of candidates) {
      const domains = await this.#list(
        { doing: `finding the zone of ${name}`, zone: null },
        "DescribeDomains",
        { KeyWord: candidate, SearchMode: "EXACT", PageSize: String(ZONES_PAGE) },
        ["Domains", "Domain"],
        signal,
      );
      const isThere = domains.some((domain) =>
        [at(domain, "DomainName"), at(domain, "PunyCode")].some(
          (text) => plainName(asText(text)) === candidate,
        ),
      );
      if (isThere) return candidate;
    }
    throw this.#api.noZone(
      name,
      candidates,
      "Check that the domain is in the account, and that its key may call alidns:DescribeDomains",
    );
  }

  async #records(zone: string, name: string, values: readonly string[], signal: AbortSignal) {
    const host = relativeName(name, zone);
    const records = await this.#list(
      { doing: `listing ${name}`, zone },
      "DescribeDomainRecords",
      { DomainName: zone, RRKeyWord: host, TypeKeyWord: "TXT", PageSize: String(RECORDS_PAGE) },
      ["DomainRecords", "Record"],
      signal,
    );
    return records.flatMap((record): TxtRecord[] => {
      const value = unquoted(asText(at(record, "Value")));
      const isNamed = asText(at(record, "RR")).toLowerCase() === host; // the key word may be a part of it
      if (!isNamed || at(record, "Type") !== "TXT" || !values.includes(value)) return [];
      return [{ name, value, zone, id: asText(at(record, "RecordId")) }];
    });
  }

  async #list(
    about: Pick<ApiCall, "doing" | "zone">,
    action: string,
    parameters: Readonly<Record<string, string>>,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<unknown[]> {
    const all: unknown[] = [];
    for (let page = 1; page <= DNS_API.pagesMax; page += 1) {
      const call: ApiCall = {
        ...about,
        ...operation(action, { ...parameters, PageNumber: String(page) }),
        isRepeatable: true,
      };
      const answer = await this.#api.json(call, signal);
      const items = asList(at(answer, ...keys));
      if (items === null) throw this.#api.malformed(call, "the answer has no list");
      all.push(...items);
      if (items.length === 0 || all.length >= asNumber(at(answer, "TotalCount"))) break;
    }
    return all;
  }
}

/** Parameters in the query, in the order in which they are signed; messages in English. */
function operation(
  action: string,
  parameters: Readonly<Record<string, string>>,
): Pick<ApiCall, "method" | "path" | "headers"> {
  return {
    method: "POST",
    path: `/?${canonicalQuery(Object.entries({ ...parameters, Lang: "en" }))}`,
    headers: { "x-acs-action": action },
  };
}

class Dialect implements ApiDialect {
  readonly name = "alidns";
  readonly endpoint: string;
  readonly secrets: readonly Secret[];
  readonly #credentials: AlidnsCredentials;

  /** @throws ProxyError ERR_CONFIG for a region that is none */
  constructor(credentials: AlidnsCredentials) {
    const { keyId, keySecret, securityToken, region } = credentials;
    if (region !== null && !/^[a-z0-9-]{1,32}$/.test(region)) {
      throw new ProxyError("ERR_CONFIG", `ALIBABA_CLOUD_REGION_ID: ${region} is no region`, {
        cure: "Write it as in ap-southeast-1, or leave it out",
      });
    }
    this.#credentials = credentials;
    this.secrets = [keyId, keySecret, ...(securityToken === null ? [] : [securityToken])];
    this.endpoint =
      region === null ? "https://alidns.aliyuncs.com" : `https://alidns.${region}.aliyuncs.com`;
  }

  async sign(call: ApiCall, url: string): Promise<Record<string, string>> {
    const { keyId, keySecret, securityToken } = this.#credentials;
    return signAcs3(
      {
        method: call.method,
        url: new URL(url),
        action: call.headers?.["x-acs-action"] ?? "",
        version: VERSION,
        date: new Date(),
        nonce: randomUUID(),
      },
      {
        id: textOf(keyId),
        secret: textOf(keySecret),
        securityToken: securityToken === null ? null : textOf(securityToken),
      },
    );
  }

  faultOf({ text, status }: ApiAnswer): ApiFault | null {
    if (status < 300) return null;
    const body = parsed(text);
    const code = asText(at(body, "Code"));
    if (code === "") return null;
    return {
      code,
      message: asText(at(body, "Message")),
      // Another change of the same domain is under way; or too many calls in this second or minute.
      isThrottled: code.startsWith("Throttling") || code === "LastOperationNotFinished",
      retryAfterMs: null,
    };
  }

  cureOf(status: number, { code }: ApiFault): string | undefined {
    if (code.startsWith("InvalidTimeStamp")) return "Set this machine's clock";
    if (
      /^(InvalidAccessKey|SignatureDoesNotMatch|IncompleteSignature|InvalidSecurity)/.test(code)
    ) {
      return "Check ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET";
    }
    return status === 403 || code.startsWith("Forbidden")
      ? "Allow the key's user AddDomainRecord, DeleteDomainRecord, DescribeDomainRecords and DescribeDomains of alidns"
      : undefined;
  }
}
