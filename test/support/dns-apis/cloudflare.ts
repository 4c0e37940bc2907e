// Cloudflare's API v4, as far as a DNS provider needs it: https://developers.cloudflare.com/api/. Two tokens: one may read the
// list of zones, the other edit their records.

import { FakeApi, type FakeRecord, type FakeZone, json, pageOf, type Seen } from "./fake-api.ts";

const TOKEN = "v1.0-dns-edit-7f3c2a9be0d84c11";
const ZONE_TOKEN = "v1.0-zone-read-55aa10c3d2e94b7f";

export class FakeCloudflare extends FakeApi {
  readonly environment = { CLOUDFLARE_API_TOKEN: TOKEN, CLOUDFLARE_ZONE_TOKEN: ZONE_TOKEN };
  readonly wrongEnvironment = { CLOUDFLARE_API_TOKEN: "v1.0-revoked-000011112222" };

  override get endpoint(): string {
    return `${this.origin}/client/v4`;
  }

  tooMany(seconds: number | null): Response {
    const wait: Record<string, string> = seconds === null ? {} : { "retry-after": `${seconds}` };
    return failed(429, 971, "Please wait and consider throttling your request speed", wait);
  }

  fault(status: number, message: string): Response {
    return failed(status, 1001, message);
  }

  protected refuse({ headers, target }: Seen): Response | null {
    const wanted = target.startsWith("/client/v4/zones?") ? ZONE_TOKEN : TOKEN;
    if (headers.get("authorization") === `Bearer ${wanted}`) return null;
    return failed(403, 9109, "Invalid access token");
  }

  protected answer(seen: Seen): Response {
    const url = new URL(seen.target, this.origin);
    const [, , , , zoneId, , recordId] = url.pathname.split("/");
    if (zoneId === undefined) {
      const zones = this.zones.filter(({ name }) => name === url.searchParams.get("name"));
      return this.#page(
        url,
        zones.map(({ id, name }) => ({ id, name, status: "active" })),
      );
    }
    const zone = this.zones.find(({ id }) => id === zoneId);
    if (zone === undefined) return failed(404, 7003, "Could not route to the zone");
    if (seen.method === "POST") return this.#create(zone, JSON.parse(seen.body));
    if (seen.method === "DELETE") return remove(zone, recordId);
    const { searchParams: query } = url;
    const records = zone.records.filter(
      ({ name, type }) => name === query.get("name") && type === query.get("type"),
    );
    return this.#page(url, records.map(shown));
  }

  #create(zone: FakeZone, body: { type: string; name: string; content: string; ttl: number }) {
    const { type, name, content, ttl } = body;
    const isInside = name === zone.name || name.endsWith(`.${zone.name}`);
    if (!isInside || !/^"[^"]*"$/.test(content)) return failed(400, 9007, "Content is invalid");
    if (ttl < 60 || ttl > 86_400) {
      return failed(
        400,
        9021,
        "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic",
      );
    }
    const value = content.slice(1, -1);
    if (zone.records.some((each) => each.name === name && each.value === value)) {
      return failed(400, 81058, "An identical record already exists.");
    }
    return succeeded(shown(this.record(zone, name, value, ttl, type)));
  }

  #page(url: URL, items: readonly unknown[]): Response {
    const asked = Number(url.searchParams.get("per_page") ?? 20);
    if (asked < 5 || asked > 50) return failed(400, 1004, "per_page is out of range");
    const page = Number(url.searchParams.get("page") ?? 1);
    const size = Math.min(this.pageMax, asked);
    return succeeded(pageOf(items, page, size), {
      page,
      per_page: size,
      total_count: items.length,
      total_pages: Math.ceil(items.length / size),
    });
  }
}

/** Records from before quotes were asked for have none. */
function shown({ id, name, type, value, ttl }: FakeRecord): unknown {
  return { id, name, type, content: ttl === 3600 ? value : `"${value}"`, ttl, proxied: false };
}

function remove(zone: FakeZone, id: string | undefined): Response {
  const rest = zone.records.filter((record) => record.id !== id);
  if (rest.length === zone.records.length) return failed(404, 81044, "Record does not exist.");
  zone.records = rest;
  return succeeded({ id });
}

function succeeded(result: unknown, info?: unknown): Response {
  return json(200, { success: true, errors: [], messages: [], result, result_info: info });
}

function failed(
  status: number,
  code: number,
  message: string,
  headers: Record<string, string> = {},
): Response {
  const body = { success: false, errors: [{ code, message }], messages: [], result: null };
  return json(status, body, headers);
}
