// Amazon Route 53, version 2013-04-01, as far as a DNS provider needs it, with SigV4 verified:
// https://docs.aws.amazon.com/Route53/latest/APIReference/. A batch of changes happens as a whole or not at all; a change is
// INSYNC at the second look.

import { FakeApi, type FakeRecord, type FakeZone, type Seen } from "./fake-api.ts";
import { verifySigV4 } from "./sigv4.ts";

const KEY = {
  id: "AKIAIOSFODNN7EXAMPLE",
  secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  sessionToken: "FwoGZXIvYXdzEBYaDKexampleSessionToken==",
};
const NAMESPACE = `xmlns="https://route53.amazonaws.com/doc/2013-04-01/"`;
const MESSAGES: Readonly<Record<string, string>> = {
  SignatureDoesNotMatch:
    "The request signature we calculated does not match the signature you provided. " +
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
  InvalidClientTokenId: "The security token included in the request is invalid.",
};

interface Change {
  readonly action: string;
  readonly name: string;
  readonly ttl: number;
  readonly values: readonly string[];
}

export class FakeRoute53 extends FakeApi {
  readonly environment = {
    AWS_ACCESS_KEY_ID: KEY.id,
    AWS_SECRET_ACCESS_KEY: KEY.secret,
    AWS_SESSION_TOKEN: KEY.sessionToken,
    AWS_REGION: "eu-central-1",
  };
  readonly wrongEnvironment = {
    ...this.environment,
    AWS_SECRET_ACCESS_KEY: "wrong/K7MDENG/bPxRfiCYEXAMPLEKEYwrong000",
  };
  /** Change to how often it was looked at. */
  readonly looks = new Map<string, number>();

  tooMany(seconds: number | null): Response {
    const wait: Record<string, string> = seconds === null ? {} : { "retry-after": `${seconds}` };
    return failed(400, "Throttling", "Rate exceeded", wait);
  }

  fault(status: number, message: string): Response {
    return failed(status, "InternalFailure", message);
  }

  protected refuse(seen: Seen): Response | null {
    const scope = { region: "us-east-1", service: "route53" };
    const code = verifySigV4(seen, KEY, scope, Date.now());
    return code === null ? null : failed(403, code, MESSAGES[code] ?? "The request is not signed.");
  }

  protected answer(seen: Seen): Response {
    const url = new URL(seen.target, this.origin);
    const [, , kind, id] = url.pathname.split("/");
    if (kind === "hostedzonesbyname") return this.#zonesByName(url.searchParams);
    if (kind === "change") return this.#change(id ?? "");
    const zone = this.zones.find((each) => each.id === id);
    if (zone === undefined) return failed(404, "NoSuchHostedZone", `No hosted zone found: ${id}`);
    return seen.method === "POST"
      ? this.#changeSets(zone, seen.body)
      : this.#recordSets(zone, url.searchParams);
  }

  #zonesByName(query: URLSearchParams): Response {
    const size = Math.min(this.pageMax, Number(query.get("maxitems") ?? 100));
    const sorted = this.zones.toSorted((a, b) =>
      `${sortKey(a.name)} ${a.id}` < `${sortKey(b.name)} ${b.id}` ? -1 : 1,
    );
    const start = `${sortKey(query.get("dnsname") ?? "")} ${query.get("hostedzoneid") ?? ""}`;
    const from = sorted.filter(({ name, id }) => `${sortKey(name)} ${id}` >= start);
    const next = from[size];
    const zones = from.slice(0, size).map(
      ({ id, name, isPrivate }) => `<HostedZone><Id>/hostedzone/${id}</Id><Name>${name}.</Name>
        <Config><Comment>a &lt; b &amp; c</Comment><PrivateZone>${isPrivate}</PrivateZone></Config></HostedZone>`,
    );
    const more =
      next === undefined
        ? ""
        : `<NextDNSName>${next.name}.</NextDNSName><NextHostedZoneId>${next.id}</NextHostedZoneId>`;
    return xml(
      200,
      `<ListHostedZonesByNameResponse ${NAMESPACE}><HostedZones>${zones.join("")}</HostedZones>
       <IsTruncated>${next !== undefined}</IsTruncated>${more}</ListHostedZonesByNameResponse>`,
    );
  }

  /** Sets in the order of their names, from the one that is asked for on. */
  #recordSets(zone: FakeZone, query: URLSearchParams): Response {
    const start = sortKey(query.get("name") ?? "");
    const names = [...new Set(zone.records.map(({ name }) => name))]
      .filter((name) => sortKey(name) >= start)
      .toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
      .slice(0, Number(query.get("maxitems") ?? 300));
    const sets = names.map((name) => {
      const records = zone.records.filter((record) => record.name === name);
      const values = records.map(
        ({ value }) => `<ResourceRecord><Value>&quot;${value}&quot;</Value></ResourceRecord>`,
      );
      return `<ResourceRecordSet><Name>${name}.</Name><Type>TXT</Type><TTL>${records[0]?.ttl}</TTL>
        <ResourceRecords>${values.join("")}</ResourceRecords></ResourceRecordSet>`;
    });
    return xml(
      200,
      `<ListResourceRecordSetsResponse ${NAMESPACE}><ResourceRecordSets>${sets.join("")}</ResourceRecordSets>
       <IsTruncated>false</IsTruncated></ListResourceRecordSetsResponse>`,
    );
  }

  #changeSets(zone: FakeZone, body: string): Response {
    let records = zone.records;
    for (const change of changesIn(body)) {
      const { action, name, ttl, values } = change;
      const there = records.filter((record) => record.name === name);
      const place = `resource record set [name='${name}.', type='TXT']`;
      if (action === "CREATE" && there.length > 0) {
        return invalid(`Tried to create ${place} but it already exists`);
      }
      if (action === "DELETE" && there.length === 0) {
        return invalid(`Tried to delete ${place} but it was not found`);
      }
      if (action === "DELETE" && !isSame(there, change)) {
        return invalid(
          `Tried to delete ${place} but the values provided do not match the current values`,
        );
      }
      const others = records.filter((record) => record.name !== name);
      const made = values.map((value) => ({ id: this.newId("r"), name, type: "TXT", value, ttl }));
      records = action === "DELETE" ? others : [...others, ...made];
    }
    zone.records = records;
    const id = this.newId("C");
    this.looks.set(id, 0);
    return xml(
      200,
      `<ChangeResourceRecordSetsResponse ${NAMESPACE}>${changeInfo(id, "PENDING")}</ChangeResourceRecordSetsResponse>`,
    );
  }

  #change(id: string): Response {
    const looks = this.looks.get(id);
    if (looks === undefined) return failed(404, "NoSuchChange", "No change found");
    this.looks.set(id, looks + 1);
    const status = looks > 0 ? "INSYNC" : "PENDING";
    return xml(
      200,
      `<GetChangeResponse ${NAMESPACE}>${changeInfo(id, status)}</GetChangeResponse>`,
    );
  }
}

/** Names are sorted from their last label on. */
function sortKey(name: string): string {
  return name.replace(/\.$/, "").split(".").toReversed().join(".");
}

function changesIn(body: string): Change[] {
  return [...body.matchAll(/<Change>(.*?)<\/Change>/gs)].map(([, change = ""]) => ({
    action: /<Action>(\w+)</.exec(change)?.[1] ?? "",
    name: /<Name>([^<]+)\.</.exec(change)?.[1] ?? "",
    ttl: Number(/<TTL>(\d+)</.exec(change)?.[1]),
    values: [...change.matchAll(/<Value>(.*?)<\/Value>/gs)].map(([, value = ""]) =>
      value.replaceAll(/&(#34|quot);/g, '"').replace(/^"(.*)"$/, "$1"),
    ),
  }));
}

function isSame(there: readonly FakeRecord[], { ttl, values }: Change): boolean {
  const has = there.map(({ value }) => value).toSorted();
  return there[0]?.ttl === ttl && has.join("\n") === values.toSorted().join("\n");
}

function changeInfo(id: string, status: string): string {
  return `<ChangeInfo><Id>/change/${id}</Id><Status>${status}</Status></ChangeInfo>`;
}

function xml(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(`<?xml version="1.0"?>\n${body}`, {
    status,
    headers: { "content-type": "text/xml", ...headers },
  });
}

function failed(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Response {
  const text = message.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return xml(
    status,
    `<ErrorResponse ${NAMESPACE}><Error><Type>Sender</Type><Code>${code}</Code><Message>${text}</Message></Error>
     <RequestId>b25f48e8-84fd-11e6-80d9-574e0c4664cb</RequestId></ErrorResponse>`,
    headers,
  );
}

function invalid(message: string): Response {
  return xml(
    400,
    `<InvalidChangeBatch ${NAMESPACE}><Messages><Message>${message}</Message></Messages>
     <RequestId>b25f48e8-84fd-11e6-80d9-574e0c4664cb</RequestId></InvalidChangeBatch>`,
  );
}
