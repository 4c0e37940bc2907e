// What only one of the APIs does, and what its provider makes of it.

import { describe, expect, test } from "bun:test";

import { createDnsProvider } from "../../../../src/control/dns/providers/create.ts";
import { DNS_API } from "../../../../src/shared/auto-tls-limits.ts";
import type { DnsProviderName } from "../../../../src/shared/auto-tls-plan.ts";
import { FakeAlidns } from "../../../support/dns-apis/alidns.ts";
import { FakeCloudflare } from "../../../support/dns-apis/cloudflare.ts";
import { first, json } from "../../../support/dns-apis/fake-api.ts";
import { FakeGoDaddy } from "../../../support/dns-apis/godaddy.ts";
import { type Bench, PROVIDER_KINDS, startBench } from "../../../support/dns-apis/kinds.ts";
import { FakeRoute53 } from "../../../support/dns-apis/route53.ts";

const NAME = "_acme-challenge.example.com";
const NEVER = new AbortController().signal;

async function benchOf<T>(
  name: DnsProviderName,
  type: new () => T,
): Promise<Bench & { readonly own: T }> {
  const bench = await startBench(PROVIDER_KINDS.find((kind) => kind.name === name)!);
  if (!(bench.api instanceof type)) throw new Error(`${name} has another API`);
  return Object.assign(bench, { own: bench.api });
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error("no failure");
  return error.message;
}

describe("Cloudflare", () => {
  test("a record that another client made in between is taken for the one that was to be made", async () => {
    await using bench = await benchOf("cloudflare", FakeCloudflare);
    const { own, zone } = bench;
    own.mishap = (seen) => {
      if (seen.method === "POST" && zone.records.length === 0) own.record(zone, NAME, "value", 60);
      return null;
    };
    const record = await bench.provider.add(NAME, "value", 60, NEVER);
    expect(bench.values(NAME)).toEqual(["value"]);
    await bench.provider.remove(record, NEVER);
    expect(bench.values(NAME)).toEqual([]);
  });

  test("what is wrong with a field is told with the field's own message", async () => {
    await using bench = await benchOf("cloudflare", FakeCloudflare);
    const chain = [{ code: 6111, message: "Invalid format for Authorization header" }];
    const errors = [{ code: 6003, message: "Invalid request headers", error_chain: chain }];
    bench.api.mishap = () => json(400, { success: false, errors, messages: [], result: null });
    expect(await messageOf(bench.provider.find(NAME, ["a"], NEVER))).toBe(
      `Cloudflare: finding the zone of ${NAME} failed: 400 Invalid request headers: ` +
        "Invalid format for Authorization header (6003). Check that CLOUDFLARE_API_TOKEN is an API token, " +
        "not the global key, with Zone:Read and DNS:Edit for this zone",
    );
  });

  test("an answer of status 200 that says it failed is a failure", async () => {
    await using bench = await benchOf("cloudflare", FakeCloudflare);
    const errors = [{ code: 1004, message: "DNS Validation Error" }];
    bench.api.mishap = () => json(200, { success: false, errors, result: [] });
    expect(await messageOf(bench.provider.find(NAME, ["a"], NEVER))).toContain(
      "failed: 200 DNS Validation Error (1004)",
    );
  });

  test("of two zones of one name, the active one is used", async () => {
    await using bench = await benchOf("cloudflare", FakeCloudflare);
    const zones = [
      { id: "moved", name: "example.com", status: "moved" },
      { id: bench.zone.id, name: "example.com", status: "active" },
    ];
    bench.api.mishap = ({ target }) =>
      target.includes("/zones?name=example.com&")
        ? json(200, { success: true, result: zones, result_info: { total_pages: 1 } })
        : null;
    await bench.provider.add(NAME, "value", 60, NEVER);
    expect(bench.values(NAME)).toEqual(["value"]);
  });
});

describe("Route 53", () => {
  const isBatch = ({ method }: { method: string }): boolean => method === "POST";

  test("a value that another machine adds between look and change is not lost", async () => {
    await using bench = await benchOf("route53", FakeRoute53);
    const { own, zone } = bench;
    own.record(zone, NAME, "theirs");
    let others = 0;
    own.mishap = (seen) => {
      if (isBatch(seen) && others < 2) own.record(zone, NAME, `other ${(others += 1)}`);
      return null;
    };
    const record = await bench.provider.add(NAME, "ours", 60, NEVER);
    expect(bench.values(NAME).toSorted()).toEqual(["other 1", "other 2", "ours", "theirs"]);
    others = 1;
    await bench.provider.remove(record, NEVER);
    expect(bench.values(NAME).toSorted()).toEqual(["other 1", "other 2", "other 2", "theirs"]);
  });

  test("a change that is void time and again is an error in the API's words", async () => {
    await using bench = await benchOf("route53", FakeRoute53);
    const { own, zone } = bench;
    let others = 0;
    own.mishap = (seen) => {
      if (isBatch(seen)) own.record(zone, NAME, `other ${(others += 1)}`);
      return null;
    };
    expect(await messageOf(bench.provider.add(NAME, "ours", 60, NEVER))).toMatch(
      /failed: 400 Tried to delete .* do not match the current values \(InvalidChangeBatch\)$/,
    );
    expect(others).toBe(DNS_API.changeAttempts);
  });

  test("a change of the zone that is under way is waited for", async () => {
    await using bench = await benchOf("route53", FakeRoute53);
    const body = `<ErrorResponse><Error><Type>Sender</Type><Code>PriorRequestNotComplete</Code>
      <Message>The request was rejected because Route 53 was still processing a prior request.</Message></Error></ErrorResponse>`;
    bench.api.mishap = first(2, () => new Response(body, { status: 400 }), isBatch);
    await bench.provider.add(NAME, "value", 60, NEVER);
    expect(bench.values(NAME)).toEqual(["value"]);
    expect(bench.api.changes).toHaveLength(3);
  });

  test("a change is looked at until all servers have it", async () => {
    await using bench = await benchOf("route53", FakeRoute53);
    await bench.provider.add(NAME, "value", 60, NEVER);
    expect([...bench.own.looks.values()]).toEqual([2]);
    expect(bench.pauses).toEqual([DNS_API.inSyncPollMs]);
  });

  test("a change that stays pending, or must not be looked at, is left to the zone's servers", async () => {
    for (const status of [200, 403]) {
      await using bench = await benchOf("route53", FakeRoute53);
      const text = "<GetChangeResponse><Status>PENDING</Status></GetChangeResponse>";
      bench.api.mishap = ({ target }) =>
        target.includes("/change/") ? new Response(text, { status }) : null;
      await bench.provider.add(NAME, "value", 60, NEVER);
      expect(bench.values(NAME)).toEqual(["value"]);
      const looks = status === 200 ? DNS_API.inSyncMaxMs / DNS_API.inSyncPollMs : 0;
      expect(bench.pauses).toHaveLength(looks);
    }
  });

  test("private zones are passed over, however many there are of the name", async () => {
    await using bench = await benchOf("route53", FakeRoute53);
    bench.api.zones.length = 0;
    for (let each = 0; each < 7; each += 1) bench.api.zone("example.com", true);
    expect(await messageOf(bench.provider.add(NAME, "value", 60, NEVER))).toContain(
      "Route 53 has no zone for",
    );
    bench.api.zones.push(bench.zone);
    bench.api.zone("example.com", true);
    expect((await bench.provider.add(NAME, "value", 60, NEVER)).id).toBe(bench.zone.id);
  });

  test("two public zones of one name are an error that names both", async () => {
    await using bench = await benchOf("route53", FakeRoute53);
    const other = bench.api.zone("example.com");
    expect(await messageOf(bench.provider.add(NAME, "value", 60, NEVER))).toBe(
      `Route 53 has 2 public zones of the name example.com: ${bench.zone.id}, ${other.id}. ` +
        "Set AWS_HOSTED_ZONE_ID to the one that the domain's NS records name",
    );
  });

  test("a zone that is named by its id is not looked for", async () => {
    await using bench = await benchOf("route53", FakeRoute53);
    const { own, zone } = bench;
    for (const id of [zone.id, `/hostedzone/${zone.id}`]) {
      const plan = { provider: "route53", credentialFiles: {} } as const;
      const environment = { ...own.environment, AWS_HOSTED_ZONE_ID: id };
      const options = { endpoint: own.endpoint, pause: async () => {} };
      const provider = await createDnsProvider(plan, environment, options);
      const record = await provider.add(NAME, "value", 60, NEVER);
      expect(record).toMatchObject({ id: zone.id, zone: zone.id });
      await provider.remove(record, NEVER);
    }
    expect(own.seen.filter(({ target }) => target.includes("hostedzonesbyname"))).toEqual([]);
  });

  test("a record set that is no simple one is left alone", async () => {
    for (const [inside, problem] of [
      ["<AliasTarget><DNSName>b.example.com.</DNSName></AliasTarget>", "is an alias"],
      ["<SetIdentifier>eu</SetIdentifier><Weight>1</Weight><TTL>60</TTL>", "has a routing policy"],
    ] as const) {
      await using bench = await benchOf("route53", FakeRoute53);
      const set = `<ResourceRecordSet><Name>${NAME}.</Name><Type>TXT</Type>${inside}</ResourceRecordSet>`;
      bench.api.mishap = ({ target }) =>
        target.includes("/rrset?")
          ? new Response(`<ResourceRecordSets>${set}</ResourceRecordSets>`)
          : null;
      expect(await messageOf(bench.provider.add(NAME, "value", 60, NEVER))).toContain(
        `the TXT record set of ${NAME} ${problem}. Make it a simple record set, or remove it`,
      );
      expect(bench.api.changes).toEqual([]);
    }
  });
});

describe("GoDaddy", () => {
  test("an account with few domains is told of the rule", async () => {
    await using bench = await benchOf("godaddy", FakeGoDaddy);
    bench.own.isSmallAccount = true;
    expect(await messageOf(bench.provider.add(NAME, "value", 600, NEVER))).toBe(
      `GoDaddy: finding the zone of ${NAME} failed: 403 Authenticated user is not allowed access (ACCESS_DENIED). ` +
        "GoDaddy opens this API to accounts with 10 domains or more, or with a Discount Domain Club plan: " +
        "delegate _acme-challenge to another provider by CNAME, or use another challenge",
    );
  });

  test("a zone of somebody else on the way up does not end the search", async () => {
    await using bench = await benchOf("godaddy", FakeGoDaddy);
    const refused = { code: "ACCESS_DENIED", message: "Authenticated user is not allowed access" };
    bench.api.mishap = ({ target }) =>
      target.includes(`/domains/${NAME}/`) ? json(403, refused) : null;
    expect((await bench.provider.add(NAME, "value", 600, NEVER)).zone).toBe("example.com");
  });

  test("a name that is taken for none of a domain is passed over, unless all are", async () => {
    await using bench = await benchOf("godaddy", FakeGoDaddy);
    const invalid = { code: "INVALID_DOMAIN", message: "Not a domain" };
    let matches = /\/domains\/_acme/;
    bench.api.mishap = ({ target }) => (matches.test(target) ? json(422, invalid) : null);
    expect((await bench.provider.add(NAME, "value", 600, NEVER)).zone).toBe("example.com");
    const other = "_acme-challenge.example.net";
    expect(await messageOf(bench.provider.add(other, "value", 600, NEVER))).toStartWith(
      `GoDaddy has no zone for ${other}: looked for ${other} up to example.net.`,
    );
    matches = /./;
    expect(await messageOf(bench.provider.add(other, "value", 600, NEVER))).toEndWith(
      "failed: 422 Not a domain (INVALID_DOMAIN)",
    );
  });

  test("what remains of removed records without data is not written back", async () => {
    await using bench = await benchOf("godaddy", FakeGoDaddy);
    const { own, zone } = bench;
    own.record(zone, NAME, "");
    own.record(zone, NAME, "theirs", 7200);
    const record = await bench.provider.add(NAME, "ours", 600, NEVER);
    await bench.provider.remove(record, NEVER);
    const put = own.seen.find(({ method }) => method === "PUT");
    expect(JSON.parse(put?.body ?? "")).toEqual([{ data: "theirs", ttl: 7200 }]);
  });

  test("which field is wrong is told", async () => {
    await using bench = await benchOf("godaddy", FakeGoDaddy);
    const fields = [{ code: "INVALID", message: "must be at least 600", path: "[0].ttl" }];
    bench.api.mishap = ({ method }) =>
      method === "PATCH" ? json(422, { code: "INVALID_BODY", message: "Not valid", fields }) : null;
    expect(await messageOf(bench.provider.add(NAME, "value", 600, NEVER))).toEndWith(
      "in zone example.com failed: 422 Not valid: must be at least 600 (INVALID_BODY)",
    );
  });
});

describe("Alibaba Cloud DNS", () => {
  test("a host that is a part of another one is not taken for it", async () => {
    await using bench = await benchOf("alidns", FakeAlidns);
    const { own, zone } = bench;
    own.record(zone, `${NAME.replace(".example.com", "")}-2.example.com`, "value");
    await bench.provider.add(NAME, "value", 600, NEVER);
    expect(bench.values(NAME)).toEqual(["value"]);
    expect(zone.records).toHaveLength(2);
  });

  test("a clock that is wrong is told as that", async () => {
    await using bench = await benchOf("alidns", FakeAlidns);
    const body = { Code: "InvalidTimeStamp.Expired", Message: "Specified time stamp is expired." };
    bench.api.mishap = () => json(400, body);
    expect(await messageOf(bench.provider.add(NAME, "value", 600, NEVER))).toEndWith(
      "400 Specified time stamp is expired. (InvalidTimeStamp.Expired). Set this machine's clock",
    );
  });

  test("each attempt has a signature of its own", async () => {
    await using bench = await benchOf("alidns", FakeAlidns);
    bench.api.mishap = first(2, () => ({ lost: new Response(null, { status: 502 }) }));
    await bench.provider.add(NAME, "value", 600, NEVER);
    const nonces = bench.api.seen.map(({ headers }) => headers.get("x-acs-signature-nonce"));
    expect(new Set(nonces).size).toBe(bench.api.seen.length);
  });

  test("a region that is none is refused before it is a part of a host's name", async () => {
    const { environment } = new FakeAlidns();
    const plan = { provider: "alidns", credentialFiles: {} } as const;
    const made = createDnsProvider(plan, { ...environment, ALIDNS_REGION_ID: "evil.net/" });
    expect(await messageOf(made)).toBe(
      "ALIBABA_CLOUD_REGION_ID: evil.net/ is no region. Write it as in ap-southeast-1, or leave it out",
    );
  });
});
