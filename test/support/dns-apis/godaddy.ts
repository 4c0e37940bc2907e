// GoDaddy's Domains API v1, as far as a DNS provider needs it: https://developer.godaddy.com/doc/endpoint/domains. Records have
// no ids; PUT replaces those of a name, PATCH adds.

import { absolute, FakeApi, type FakeZone, json, relative, type Seen } from "./fake-api.ts";

const KEY = "dKD9x2mQ_7hZ1";
const SECRET = "Pq83nLmWz0RtYv5e";

interface Entry {
  readonly type?: string;
  readonly name?: string;
  readonly data: string;
  readonly ttl: number;
}

export class FakeGoDaddy extends FakeApi {
  readonly environment: Record<string, string> = {
    GODADDY_API_KEY: KEY,
    GODADDY_API_SECRET: SECRET,
  };
  readonly wrongEnvironment = { GODADDY_TOKEN: `${KEY}:wrong-secret-1234` };
  /** Accounts with fewer than ten domains may not use the API. */
  isSmallAccount = false;

  tooMany(seconds: number | null): Response {
    return json(429, {
      code: "TOO_MANY_REQUESTS",
      message: "Too many requests received within interval",
      ...(seconds === null ? {} : { retryAfterSec: seconds }),
    });
  }

  fault(status: number, message: string): Response {
    return failed(status, "ERROR_INTERNAL", message);
  }

  protected refuse({ headers }: Seen): Response | null {
    if (headers.get("authorization") !== `sso-key ${KEY}:${SECRET}`) {
      const message = "Unauthorized : Could not authenticate API key/secret";
      return failed(401, "UNABLE_TO_AUTHENTICATE", message);
    }
    return this.isSmallAccount
      ? failed(403, "ACCESS_DENIED", "Authenticated user is not allowed access")
      : null;
  }

  protected answer(seen: Seen): Response {
    const url = new URL(seen.target, this.origin);
    const [, , , domain, , type, host] = url.pathname.split("/");
    const zone = this.zones.find(({ name }) => name === domain);
    if (zone === undefined) {
      const message = "The given domain is not registered, or does not have a zone file";
      return failed(404, "UNKNOWN_DOMAIN", message);
    }
    if (seen.method === "PATCH") return this.#add(zone, JSON.parse(seen.body));
    const name = absolute(decodeURIComponent(host ?? "@"), zone.name);
    const isIt = (each: { name: string; type: string }): boolean =>
      each.name === name && each.type === type;
    if (seen.method === "GET") {
      const shown = zone.records
        .filter(isIt)
        .map(({ value, ttl }) => ({ type, name: relative(name, zone.name), data: value, ttl }));
      return json(200, shown);
    }
    const others = zone.records.filter((each) => !isIt(each));
    if (seen.method === "DELETE") {
      if (others.length === zone.records.length) return failed(404, "NOT_FOUND", "Not found");
      zone.records = others;
      return new Response(null, { status: 204 });
    }
    const entries: Entry[] = JSON.parse(seen.body);
    if (entries.length === 0) return invalid("[0]", "is required");
    zone.records = others;
    for (const { data, ttl } of entries) this.record(zone, name, data, ttl, type);
    return new Response(null, { status: 200 });
  }

  #add(zone: FakeZone, entries: readonly Entry[]): Response {
    for (const { name: host = "@", data, ttl, type = "TXT" } of entries) {
      if (ttl < 600) return invalid("[0].ttl", "must be at least 600");
      const name = absolute(host, zone.name);
      if (zone.records.some((each) => each.name === name && each.value === data)) {
        const message = "Another record with the same attributes already exists";
        return failed(422, "DUPLICATE_RECORD", message);
      }
      this.record(zone, name, data, ttl, type);
    }
    return new Response(null, { status: 200 });
  }
}

function failed(status: number, code: string, message: string): Response {
  return json(status, { code, message });
}

function invalid(path: string, message: string): Response {
  return json(422, {
    code: "INVALID_BODY",
    fields: [{ code: "INVALID", message, path }],
    message: "Request body doesn't fulfill schema, see details in `fields`",
  });
}
