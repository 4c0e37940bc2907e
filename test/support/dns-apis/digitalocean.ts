// DigitalOcean's API v2, as far as a DNS provider needs it: https://docs.digitalocean.com/reference/api/.

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

const TOKEN = "dop_v1_4c1f9d0a7b6e3f2c";

export class FakeDigitalOcean extends FakeApi {
  readonly environment = { DIGITALOCEAN_TOKEN: TOKEN };
  readonly wrongEnvironment = { DO_AUTH_TOKEN: "dop_v1_ffffffff00000000" };

  tooMany(seconds: number | null): Response {
    const wait: Record<string, string> = seconds === null ? {} : { "retry-after": `${seconds}` };
    return failed(429, "too_many_requests", "API Rate limit exceeded.", wait);
  }

  fault(status: number, message: string): Response {
    return failed(status, "server_error", message);
  }

  protected refuse({ headers }: Seen): Response | null {
    if (headers.get("authorization") === `Bearer ${TOKEN}`) return null;
    return failed(401, "Unauthorized", "Unable to authenticate you");
  }

  protected answer(seen: Seen): Response {
    const url = new URL(seen.target, this.origin);
    const [, , , domain, list, id] = url.pathname.split("/");
    if (domain === undefined) {
      return this.#page(
        url,
        "domains",
        this.zones.map(({ name }) => ({ name, ttl: 1800 })),
      );
    }
    const zone = this.zones.find(({ name }) => name === domain);
    const missing = "The resource you were accessing could not be found.";
    if (zone === undefined) return failed(404, "not_found", missing);
    if (list === undefined) return json(200, { domain: { name: zone.name, ttl: 1800 } });
    if (seen.method === "POST") return this.#create(zone, JSON.parse(seen.body));
    if (seen.method === "DELETE") {
      const rest = zone.records.filter((record) => record.id !== id);
      if (rest.length === zone.records.length) return failed(404, "not_found", missing);
      zone.records = rest;
      return new Response(null, { status: 204 });
    }
    return this.#list(zone, url);
  }

  #list(zone: FakeZone, url: URL): Response {
    const { searchParams: query } = url;
    const records = zone.records.filter(
      ({ name, type }) => name === query.get("name") && type === query.get("type"),
    );
    return this.#page(
      url,
      "domain_records",
      records.map((record) => shown(zone, record)),
    );
  }

  #page(url: URL, key: string, items: readonly unknown[]): Response {
    const page = Number(url.searchParams.get("page") ?? 1);
    const asked = Number(url.searchParams.get("per_page") ?? 20);
    if (asked > 200) return failed(422, "unprocessable_entity", "per_page is out of range");
    const size = Math.min(this.pageMax, asked);
    const next = page * size < items.length ? { next: `${this.origin}?page=${page + 1}` } : {};
    return json(200, {
      [key]: pageOf(items, page, size),
      links: { pages: next },
      meta: { total: items.length },
    });
  }

  #create(zone: FakeZone, body: { type: string; name: string; data: string; ttl: number }) {
    if (body.ttl < 30) {
      return failed(422, "unprocessable_entity", "TTL must be greater than or equal to 30");
    }
    const name = absolute(body.name, zone.name);
    const record = this.record(zone, name, body.data, body.ttl, body.type);
    return json(201, { domain_record: shown(zone, record) });
  }
}

function shown(zone: FakeZone, { id, name, type, value, ttl }: FakeRecord): unknown {
  return { id: Number(id), type, name: relative(name, zone.name), data: value, ttl };
}

function failed(
  status: number,
  id: string,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return json(status, { id, message, request_id: "4d9d8375-3c56-4925-a3e7-eb137fed17e9" }, headers);
}
