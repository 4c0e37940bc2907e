// Amazon Route 53, version 2013-04-01, in XML, signed by SigV4. All values of a name are one record set: route53-change.ts.
// A change is waited for until all of Route 53's servers have it. https://docs.aws.amazon.com/Route53/latest/APIReference/
//
// Invariant: changes of one zone are made one after another within this process, each on what it has read itself.

import { AwsV4Signer } from "aws4fetch";

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
import {
  changeBatch,
  readRecordSet,
  type RecordSet,
  withoutValue,
  withValue,
} from "./route53-change.ts";
import { inTurn } from "./turns.ts";
import { elements, textIn, unescaped } from "./xml.ts";
import { plainName, quoted, zonesOf } from "./zones.ts";

const API = "/2013-04-01";
const ZONES_PAGE = 100;
/** What another change of the same set in between looks like. */
const CONFLICT = "InvalidChangeBatch";
const CHECK_KEYS = [
  "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, of temporary credentials, AWS_SESSION_TOKEN,",
  "and this machine's clock",
].join(" ");

export interface AwsCredentials {
  readonly keyId: Secret;
  readonly keySecret: Secret;
  /** Of temporary credentials; null: none. */
  readonly sessionToken: Secret | null;
  /** Route 53 is one for all regions of a partition; only the partition matters. null: the one without a name. */
  readonly region: string | null;
  /** Not looked for then; null: found by name. */
  readonly hostedZone: string | null;
}

interface Zone {
  readonly id: string;
  /** For messages: its id, where only that is known. */
  readonly name: string;
}

export class Route53 implements DnsProvider {
  readonly name = "route53";
  readonly #api: Api;
  readonly #hostedZone: string | null;

  constructor(credentials: AwsCredentials, options: ApiOptions = {}) {
    this.#api = new Api(new Dialect(credentials), options);
    this.#hostedZone = credentials.hostedZone?.replace(/^\/?hostedzone\//, "") ?? null;
  }

  async add(name: string, value: string, ttlSeconds: number, signal: AbortSignal) {
    const zone = await this.#zoneOf(name, signal);
    const doing = `adding ${name}`;
    const change = await this.#change(zone, name, doing, signal, (set) =>
      withValue(set, value, ttlSeconds),
    );
    if (change !== null) await this.#inSync(zone, doing, change, signal);
    return { name, value, zone: zone.name, id: zone.id };
  }

  async remove({ name, value, zone, id }: TxtRecord, signal: AbortSignal): Promise<void> {
    await this.#change({ id, name: zone }, name, `removing ${name}`, signal, (set) =>
      withoutValue(set, value),
    );
  }

  async find(name: string, values: readonly string[], signal: AbortSignal): Promise<TxtRecord[]> {
    const zone = await this.#zoneOf(name, signal);
    const set = await this.#read(zone, name, `listing ${name}`, signal);
    return values
      .filter((value) => set?.values.includes(quoted(value)) === true)
      .map((value) => ({ name, value, zone: zone.name, id: zone.id }));
  }

  /** Public zones alone: no authority asks a private one. */
  async #zoneOf(name: string, signal: AbortSignal): Promise<Zone> {
    if (this.#hostedZone !== null) return { id: this.#hostedZone, name: this.#hostedZone };
    const candidates = zonesOf(name);
    for (const candidate of candidates) {
      const ids = await this.#zonesNamed(candidate, `finding the zone of ${name}`, signal);
      const [id] = ids;
      if (ids.length > 1) throw this.#ambiguous(candidate, ids);
      if (id !== undefined) return { id, name: candidate };
    }
    throw this.#api.noZone(
      name,
      candidates,
      "Check that the account has a public hosted zone for the domain, or set AWS_HOSTED_ZONE_ID",
    );
  }

  #ambiguous(name: string, ids: readonly string[]): ApiError {
    return new ApiError(
      `${this.#api.title} has ${ids.length} public zones of the name ${name}: ${this.#api.mask(ids.join(", "))}`,
      { status: 200, apiCode: "", retry: "no", retryAfterMs: null },
      { cure: "Set AWS_HOSTED_ZONE_ID to the one that the domain's NS records name" },
    );
  }

  /** The list is sorted by name and begins with the one asked for. */
  async #zonesNamed(name: string, doing: string, signal: AbortSignal): Promise<string[]> {
    const ids: string[] = [];
    let more = "";
    for (let page = 1; page <= DNS_API.pagesMax; page += 1) {
      const query = `dnsname=${encodeURIComponent(name)}${more}&maxitems=${ZONES_PAGE}`;
      const call: ApiCall = {
        doing,
        zone: null,
        method: "GET",
        path: `${API}/hostedzonesbyname?${query}`,
        isRepeatable: true,
      };
      const { text } = await this.#api.call(call, signal);
      if (elements(text, "HostedZones").length === 0 && !text.includes("<HostedZones/>")) {
        throw this.#api.malformed(call, "the answer has no list of zones");
      }
      const zones = elements(text, "HostedZone");
      const named = zones.filter((zone) => plainName(textIn(zone, "Name")) === name);
      const open = named.filter((zone) => textIn(zone, "PrivateZone") !== "true");
      ids.push(...open.map((zone) => textIn(zone, "Id").replace("/hostedzone/", "")));
      const isLast = textIn(text, "IsTruncated") !== "true";
      if (isLast || plainName(textIn(text, "NextDNSName")) !== name) break;
      more = `&hostedzoneid=${encodeURIComponent(textIn(text, "NextHostedZoneId"))}`;
    }
    return ids;
  }

  /** @returns the id of the change; null: everything is already as `edit` wants it. */
  async #change(
    zone: Zone,
    name: string,
    doing: string,
    signal: AbortSignal,
    edit: (set: RecordSet | null) => RecordSet | null,
  ): Promise<string | null> {
    return inTurn(`route53 ${this.#api.endpoint} ${zone.id}`, async () => {
      for (let attempt = 1; ; attempt += 1) {
        const before = await this.#read(zone, name, doing, signal);
        const after = edit(before);
        if (after === null) return null;
        try {
          return await this.#send(zone, doing, changeBatch(name, before, after), signal);
        } catch (error) {
          if (!(error instanceof ApiError) || attempt >= DNS_API.changeAttempts) throw error;
          // Somebody else changed the set, or a change of ours was carried out and its answer lost: the next look tells.
          if (error.retry !== "unclear" && error.apiCode !== CONFLICT) throw error;
        }
        await this.#api.rest(attempt, signal);
      }
    });
  }

  async #read(zone: Zone, name: string, doing: string, signal: AbortSignal) {
    const call: ApiCall = {
      doing,
      zone: zone.name,
      method: "GET",
      path: `${pathOf(zone)}?name=${encodeURIComponent(name)}&type=TXT&maxitems=1`,
      isRepeatable: true,
    };
    const { text } = await this.#api.call(call, signal);
    if (!/<ResourceRecordSets\/?>/.test(text)) {
      throw this.#api.malformed(call, "the answer has no list of record sets");
    }
    const set = readRecordSet(text, name);
    if (set === null || set.obstacle === null) return set;
    throw new ApiError(
      `${this.#api.title}: ${doing} in zone ${zone.name} failed: the TXT record set of ${name} ${set.obstacle}`,
      { status: 200, apiCode: "", retry: "no", retryAfterMs: null },
      { cure: "Make it a simple record set, or remove it" },
    );
  }

  async #send(zone: Zone, doing: string, body: string, signal: AbortSignal): Promise<string> {
    const call: ApiCall = {
      doing,
      zone: zone.name,
      method: "POST",
      path: `${pathOf(zone)}/`,
      headers: { "content-type": "application/xml" },
      body,
      isRepeatable: false,
    };
    const { text } = await this.#api.call(call, signal);
    const id = textIn(text, "Id").replace("/change/", "");
    if (id === "") throw this.#api.malformed(call, "the answer has no id of the change");
    return id;
  }

  /** Comes back without it when it takes long, or when the key may not ask: the zone's servers are looked at in any case. */
  async #inSync(zone: Zone, doing: string, change: string, signal: AbortSignal): Promise<void> {
    const call: ApiCall = {
      doing: `${doing}, waiting for the change`,
      zone: zone.name,
      method: "GET",
      path: `${API}/change/${encodeURIComponent(change)}`,
      isRepeatable: true,
    };
    for (let waited = 0; waited < DNS_API.inSyncMaxMs; waited += DNS_API.inSyncPollMs) {
      try {
        const { text } = await this.#api.call(call, signal);
        if (textIn(text, "Status") === "INSYNC") return;
      } catch (error) {
        if (error instanceof ApiError && error.status === 403) return;
        throw error;
      }
      await this.#api.waitFor(DNS_API.inSyncPollMs, signal);
    }
  }
}

function pathOf(zone: Zone): string {
  return `${API}/hostedzone/${encodeURIComponent(zone.id)}/rrset`;
}

class Dialect implements ApiDialect {
  readonly name = "route53";
  readonly endpoint: string;
  readonly secrets: readonly Secret[];
  readonly #credentials: AwsCredentials;
  readonly #region: string;

  constructor(credentials: AwsCredentials) {
    const { keyId, keySecret, sessionToken, region } = credentials;
    this.#credentials = credentials;
    this.secrets = [keyId, keySecret, ...(sessionToken === null ? [] : [sessionToken])];
    const isChina = region?.startsWith("cn-") === true;
    const isGovernment = region?.startsWith("us-gov-") === true;
    this.#region = isChina ? "cn-northwest-1" : isGovernment ? "us-gov-west-1" : "us-east-1";
    this.endpoint = isChina
      ? "https://route53.amazonaws.com.cn"
      : isGovernment
        ? "https://route53.us-gov.amazonaws.com"
        : "https://route53.amazonaws.com";
  }

  async sign(call: ApiCall, url: string): Promise<Record<string, string>> {
    const { keyId, keySecret, sessionToken } = this.#credentials;
    const { headers } = await new AwsV4Signer({
      method: call.method,
      url,
      ...(call.body === undefined ? {} : { body: call.body }),
      accessKeyId: textOf(keyId),
      secretAccessKey: textOf(keySecret),
      ...(sessionToken === null ? {} : { sessionToken: textOf(sessionToken) }),
      service: "route53",
      region: this.#region,
    }).sign();
    return Object.fromEntries(headers);
  }

  /** Two forms: one for all services of AWS, and one for changes, with a message for each thing that is wrong. */
  faultOf({ text, status }: ApiAnswer): ApiFault | null {
    if (status < 300) return null;
    const [batch] = /<InvalidChangeBatch[\s>]/.exec(text) ?? [];
    if (batch !== undefined) {
      const messages = elements(text, "Message").map(unescaped);
      return fault(CONFLICT, messages.join(" "));
    }
    const code = textIn(text, "Code");
    return code === "" ? null : fault(code, textIn(text, "Message"));
  }

  cureOf(status: number, { code }: ApiFault): string | undefined {
    if (
      /^(InvalidClientTokenId|SignatureDoesNotMatch|UnrecognizedClient|ExpiredToken)/.test(code)
    ) {
      return CHECK_KEYS;
    }
    return status === 403
      ? "Allow ListHostedZonesByName, ListResourceRecordSets, ChangeResourceRecordSets and GetChange of route53"
      : undefined;
  }
}

/** A change of the same zone is under way; or more than five requests in a second, of all that the account has. */
function fault(code: string, message: string): ApiFault {
  const isThrottled =
    /^(PriorRequestNotComplete|Throttling|ThrottlingException|RequestLimitExceeded)$/.test(code);
  return { code, message, isThrottled, retryAfterMs: null };
}
