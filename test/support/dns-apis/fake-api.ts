// An HTTP API of a DNS provider as its documentation describes it, with zones in memory. One class for each provider beside this
// file; the test may let something happen to a request before it reaches the provider's code, as networks and APIs do.

/** What happens to a request instead of, or besides, an ordinary answer. */
export type Mishap =
  /** This answer, and nothing is carried out. */
  | Response
  /** Carried out, and the answer is this one: a gateway that lost the real one. */
  | { readonly lost: Response }
  /** No answer, ever. */
  | "hang";

export interface Seen {
  readonly method: string;
  /** Path and query, as sent. */
  readonly target: string;
  readonly headers: Headers;
  readonly body: string;
}

export interface FakeRecord {
  readonly id: string;
  /** Absolute, without the last dot. */
  readonly name: string;
  readonly type: string;
  /** Of TXT: without quotes. */
  readonly value: string;
  readonly ttl: number;
}

export interface FakeZone {
  readonly id: string;
  readonly name: string;
  readonly isPrivate: boolean;
  records: FakeRecord[];
}

export abstract class FakeApi implements AsyncDisposable {
  readonly zones: FakeZone[] = [];
  readonly seen: Seen[] = [];
  /** Asked for each request; the first that is not null happens. */
  mishap: (seen: Seen) => Mishap | null = () => null;
  /** Items on one page, however many are asked for. */
  pageMax = 2;
  /** Under the names that the provider reads; and the same with a secret that is not right. */
  abstract readonly environment: Readonly<Record<string, string>>;
  abstract readonly wrongEnvironment: Readonly<Record<string, string>>;
  #lastId = 0;
  readonly #server: Bun.Server<undefined>;
  readonly #hanging = new Set<PromiseWithResolvers<Response>>();

  constructor() {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: (request) => this.#fetch(request),
    });
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** What the provider is told as its endpoint. */
  get endpoint(): string {
    return this.origin;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { resolve } of this.#hanging) resolve(new Response(null, { status: 500 }));
    await this.#server.stop(true);
  }

  zone(name: string, isPrivate = false): FakeZone {
    const zone = { id: this.newId("Z"), name, isPrivate, records: [] };
    this.zones.push(zone);
    return zone;
  }

  /** A record that is there already. */
  record(zone: FakeZone, name: string, value: string, ttl = 3600, type = "TXT"): FakeRecord {
    const record = { id: this.newId("9"), name, type, value, ttl };
    zone.records.push(record);
    return record;
  }

  newId(prefix: string): string {
    this.#lastId += 1;
    return `${prefix}${this.#lastId}`;
  }

  /** Requests other than looks. */
  get changes(): Seen[] {
    return this.seen.filter((seen) => this.isChange(seen));
  }

  isChange({ method }: Seen): boolean {
    return method !== "GET";
  }

  /** As the API answers who comes too often. @param seconds null: it does not say for how long */
  abstract tooMany(seconds: number | null): Response;
  /** A fault of the API, with a message of the test's own. */
  abstract fault(status: number, message: string): Response;
  /** null: whoever sent it may. */
  protected abstract refuse(seen: Seen): Response | null;
  protected abstract answer(seen: Seen): Response;

  async #fetch(request: Request): Promise<Response> {
    const seen: Seen = {
      method: request.method,
      target: request.url.slice(new URL(request.url).origin.length),
      headers: request.headers,
      body: await request.text(),
    };
    this.seen.push(seen);
    const mishap = this.mishap(seen);
    if (mishap instanceof Response) return mishap;
    if (mishap === "hang") {
      const never = Promise.withResolvers<Response>();
      this.#hanging.add(never);
      return never.promise;
    }
    const answer = this.refuse(seen) ?? this.answer(seen);
    return mishap === null ? answer : mishap.lost;
  }
}

/** The first `count` requests that it applies to, and none after them. */
export function first(
  count: number,
  mishap: () => Mishap,
  applies: (seen: Seen) => boolean = () => true,
): (seen: Seen) => Mishap | null {
  let left = count;
  return (seen) => {
    if (left === 0 || !applies(seen)) return null;
    left -= 1;
    return mishap();
  };
}

export function json(
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): Response {
  return Response.json(body, { status, headers });
}

/** Items of a page, numbered from 1. */
export function pageOf<T>(items: readonly T[], page: number, size: number): T[] {
  return items.slice((page - 1) * size, page * size);
}

export function relative(name: string, zone: string): string {
  return name === zone ? "@" : name.slice(0, -zone.length - 1);
}

export function absolute(name: string, zone: string): string {
  return name === "@" ? zone : `${name}.${zone}`;
}
