// Alibaba Cloud DNS, version 2015-01-09, as far as a DNS provider needs it, with signatures verified:
// https://www.alibabacloud.com/help/en/dns/api-alidns-2015-01-09-overview. A nonce that came before is refused.

import { verifyAcs3 } from "./acs3-verify.ts";
import {
  absolute,
  FakeApi,
  type FakeRecord,
  type FakeZone,
  json,
  pageOf,
  relative,
  type Seen,
} from "./fake-api.ts";

const OWNER = {
  id: "LTAI5tGx7mQvR2kT9wYz",
  secret: "b7Kq2ZrT9fLx0WmV4sHd8NcJ6yPg1A",
  securityToken: "CAISxgJ1q6Ft5B2yfSjIr5bkLkhL",
};

const MESSAGES: Readonly<Record<string, string>> = {
  SignatureDoesNotMatch:
    "Specified signature does not match our calculation. server string to sign is:ACS3-HMAC-SHA256",
  "InvalidAccessKeyId.NotFound": "Specified access key is not found or invalid.",
};

export class FakeAlidns extends FakeApi {
  readonly environment = {
    ALIBABA_CLOUD_ACCESS_KEY_ID: OWNER.id,
    ALIBABA_CLOUD_ACCESS_KEY_SECRET: OWNER.secret,
    ALIBABA_CLOUD_SECURITY_TOKEN: OWNER.securityToken,
  };
  readonly wrongEnvironment = {
    ...this.environment,
    ALIBABA_CLOUD_ACCESS_KEY_SECRET: "wrongwrongwrongwrongwrongwrong",
  };
  readonly #nonces = new Set<string>();

  override isChange({ headers }: Seen): boolean {
    return headers.get("x-acs-action")?.startsWith("Describe") === false;
  }

  tooMany(seconds: number | null): Response {
    const wait: Record<string, string> = seconds === null ? {} : { "retry-after": `${seconds}` };
    return failed(400, "Throttling.User", "Request was denied due to user flow control.", wait);
  }

  fault(status: number, message: string): Response {
    return failed(status, "InternalError", message);
  }

  protected refuse(seen: Seen): Response | null {
    const code = verifyAcs3(seen, OWNER, Date.now());
    if (code !== null) {
      const status = code.endsWith(".NotFound") ? 404 : 400;
      return failed(status, code, MESSAGES[code] ?? "The request is not signed as it should be.");
    }
    const nonce = seen.headers.get("x-acs-signature-nonce") ?? "";
    const isUsed = this.#nonces.has(nonce);
    this.#nonces.add(nonce);
    return isUsed
      ? failed(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
      : null;
  }

  protected answer({ headers, target }: Seen): Response {
    const query = new URL(target, this.origin).searchParams;
    const action = headers.get("x-acs-action");
    if (headers.get("x-acs-version") !== "2015-01-09") {
      return failed(400, "InvalidVersion", "Specified parameter Version is not valid.");
    }
    if (action === "DescribeDomains") return this.#domains(query);
    if (action === "DeleteDomainRecord") return this.#remove(query.get("RecordId") ?? "");
    const zone = this.zones.find(({ name }) => name === query.get("DomainName"));
    if (zone === undefined) {
      return failed(400, "InvalidDomainName.NoExist", "The specified domain name does not exist.");
    }
    return action === "AddDomainRecord" ? this.#add(zone, query) : this.#records(zone, query);
  }

  #domains(query: URLSearchParams): Response {
    const word = query.get("KeyWord") ?? "";
    const isExact = query.get("SearchMode") === "EXACT";
    const zones = this.zones.filter(({ name }) => (isExact ? name === word : name.includes(word)));
    if (Number(query.get("PageSize")) > 100) return failed(400, "InvalidPageSize", "Too large.");
    const shown = zones.map(({ id, name }) => ({ DomainId: id, DomainName: name, PunyCode: name }));
    return this.#page(query, shown, (Domain) => ({ Domains: { Domain } }));
  }

  #records(zone: FakeZone, query: URLSearchParams): Response {
    const records = zone.records.filter(
      ({ name, type }) =>
        relative(name, zone.name).includes(query.get("RRKeyWord") ?? "") &&
        type.includes(query.get("TypeKeyWord") ?? ""),
    );
    if (Number(query.get("PageSize")) > 500) return failed(400, "InvalidPageSize", "Too large.");
    const shown = records.map((record) => entry(zone, record));
    return this.#page(query, shown, (Record) => ({ DomainRecords: { Record } }));
  }

  #page<T>(
    query: URLSearchParams,
    items: readonly T[],
    wrap: (items: T[]) => Record<string, unknown>,
  ): Response {
    const PageNumber = Number(query.get("PageNumber") ?? 1);
    const PageSize = Math.min(this.pageMax, Number(query.get("PageSize") ?? 20));
    return json(200, {
      ...wrap(pageOf(items, PageNumber, PageSize)),
      PageNumber,
      PageSize,
      TotalCount: items.length,
      RequestId: "536E9CAD-DB30-4647-AC87-AA5CC38C5382",
    });
  }

  #add(zone: FakeZone, query: URLSearchParams): Response {
    const name = absolute(query.get("RR") ?? "", zone.name);
    const value = query.get("Value") ?? "";
    const ttl = Number(query.get("TTL"));
    if (ttl < 600) return failed(400, "QuotaExceeded.TTL", "The TTL value exceeds the limit.");
    if (zone.records.some((each) => each.name === name && each.value === value)) {
      return failed(400, "DomainRecordDuplicate", "The DNS record already exists.");
    }
    const { id } = this.record(zone, name, value, ttl, query.get("Type") ?? "");
    return json(200, { RequestId: "536E9CAD-DB30-4647-AC87-AA5CC38C5382", RecordId: id });
  }

  #remove(id: string): Response {
    const zone = this.zones.find(({ records }) => records.some((record) => record.id === id));
    if (zone === undefined) {
      return failed(
        400,
        "DomainRecordNotBelongToUser",
        "The DNS record does not belong to this user.",
      );
    }
    zone.records = zone.records.filter((record) => record.id !== id);
    return json(200, { RequestId: "536E9CAD-DB30-4647-AC87-AA5CC38C5382", RecordId: id });
  }
}

function entry(zone: FakeZone, { id, name, type, value, ttl }: FakeRecord): unknown {
  return {
    RecordId: id,
    DomainName: zone.name,
    RR: relative(name, zone.name),
    Type: type,
    Value: value,
    TTL: ttl,
    Line: "default",
    Status: "ENABLE",
    Locked: false,
  };
}

function failed(
  status: number,
  Code: string,
  Message: string,
  headers: Record<string, string> = {},
): Response {
  const body = { RequestId: "536E9CAD-DB30", HostId: "alidns.aliyuncs.com", Code, Message };
  return json(status, body, headers);
}
