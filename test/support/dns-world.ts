// A small DNS for tests: a resolver and servers on addresses of the loopback network, all on one port, zones that some of them
// have, and a provider that writes into those zones. Real packets, nothing outside this machine.

import type { DnsProvider, TxtRecord } from "../../src/control/dns/provider.ts";
import { Resolvers } from "../../src/control/dns/resolvers.ts";
import type { Endpoint } from "../../src/shared/address.ts";
import { ProxyError } from "../../src/shared/errors.ts";
import { TestDnsServer, type TestType, TestZone } from "./dns-server.ts";

const RESOLVER = "127.0.0.1";
/** Tries to find a port that is free on all addresses. */
const PORT_TRIES = 20;

export class DnsWorld implements AsyncDisposable {
  readonly resolver: TestDnsServer;
  readonly #servers = new Map<string, TestDnsServer>();
  /** What the resolver knows: where servers are, and every zone as its first server has it. */
  readonly #hosts = new TestZone("hosts.test", ["ns.hosts.test"]);

  private constructor(servers: readonly TestDnsServer[]) {
    this.resolver = servers[0]!;
    this.resolver.isResolver = true;
    this.resolver.zones.push(this.#hosts);
    for (const server of servers.slice(1)) {
      const name = `ns${this.#servers.size + 1}.hosts.test`;
      this.#servers.set(name, server);
      this.#hosts.add(name, server.host.includes(":") ? "AAAA" : "A", server.host);
    }
  }

  /** @param count of servers beside the resolver. @param ipv6 one more, at ::1. */
  static async start(count: number, { ipv6 = false } = {}): Promise<DnsWorld> {
    const hosts = [RESOLVER, ...Array.from({ length: count }, (_, i) => `127.0.0.${i + 2}`)];
    if (ipv6) hosts.push("::1");
    for (let attempt = 1; ; attempt++) {
      const servers: TestDnsServer[] = [];
      try {
        for (const host of hosts) {
          servers.push(await TestDnsServer.start(host, servers[0]?.port ?? 0));
        }
        return new DnsWorld(servers);
      } catch (error) {
        await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
        if (attempt === PORT_TRIES) throw error;
      }
    }
  }

  get port(): number {
    return this.resolver.port;
  }

  get resolvers(): Resolvers {
    return new Resolvers([{ host: RESOLVER, port: this.port }]);
  }

  /** For a plan. */
  get endpoints(): Endpoint[] {
    return [{ kind: "tcp", host: RESOLVER, port: this.port }];
  }

  /** The first has number 1. */
  server(number: number): TestDnsServer {
    return this.#servers.get(nameOf(number))!;
  }

  /** A zone that these servers have, each a copy of its own. */
  zone(origin: string, numbers: readonly number[], more: readonly string[] = []): void {
    const names = [...numbers.map(nameOf), ...more];
    for (const number of numbers) this.server(number).zones.push(new TestZone(origin, names));
    const [first] = numbers;
    const own = first === undefined ? new TestZone(origin, names) : this.copy(origin, first);
    this.resolver.zones.push(own);
  }

  /** From now on the resolver keeps the zone as it is, whatever the servers get. */
  freeze(origin: string): void {
    const { zones } = this.resolver;
    const kept = new TestZone(origin, []);
    const known = zones.find((zone) => zone.origin === origin)!;
    kept.records.splice(0, Infinity, ...known.records);
    zones[zones.indexOf(known)] = kept;
  }

  /** A server's copy of a zone. */
  copy(origin: string, number: number): TestZone {
    return this.server(number).zones.find((zone) => zone.origin === origin)!;
  }

  /** Adds a record on all servers of the zone. */
  add(origin: string, name: string, type: TestType, data: string): void {
    for (const zone of this.copies(origin)) zone.add(name, type, data);
  }

  copies(origin: string): TestZone[] {
    return [...this.#servers.values()].flatMap(({ zones }) =>
      zones.filter((zone) => zone.origin === origin),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [this.resolver, ...this.#servers.values()];
    await Promise.all(all.map((server) => server[Symbol.asyncDispose]()));
  }
}

function nameOf(number: number): string {
  return `ns${number}.hosts.test`;
}

/** Writes into the zones of a world. */
export class WorldProvider implements DnsProvider {
  readonly name = "cloudflare";
  readonly calls: string[] = [];
  /** Which servers see a record at once; the others get it by `deliver`. Default: all. */
  sees: (zone: TestZone) => boolean = () => true;
  /** Called before each call is carried out; what it throws is the API's answer. */
  before: (call: "add" | "remove" | "find", signal: AbortSignal) => Promise<void> | void = () => {};
  /** The same, after it was carried out. */
  after: (call: "add" | "remove" | "find", signal: AbortSignal) => Promise<void> | void = () => {};
  readonly #world: DnsWorld;
  readonly #origins: readonly string[];

  /** @param origins of the zones that the account has. */
  constructor(world: DnsWorld, ...origins: string[]) {
    this.#world = world;
    this.#origins = origins;
  }

  async add(name: string, value: string, ttl: number, signal: AbortSignal): Promise<TxtRecord> {
    this.calls.push(`add ${name} ${ttl}`);
    await this.before("add", signal);
    const zone = this.#zoneOf(name);
    for (const copy of this.#world.copies(zone)) if (this.sees(copy)) copy.add(name, "TXT", value);
    await this.after("add", signal);
    return { name, value, zone, id: `${name} ${value}` };
  }

  async remove({ name, value, zone }: TxtRecord, signal: AbortSignal): Promise<void> {
    this.calls.push(`remove ${name}`);
    await this.before("remove", signal);
    for (const copy of this.#world.copies(zone)) copy.remove(name, "TXT", value);
    await this.after("remove", signal);
  }

  async find(name: string, values: readonly string[], signal: AbortSignal): Promise<TxtRecord[]> {
    this.calls.push(`find ${name}`);
    await this.before("find", signal);
    const zone = this.#zoneOf(name);
    const there = new Set(this.#world.copies(zone).flatMap((copy) => copy.values(name, "TXT")));
    return values
      .filter((value) => there.has(value))
      .map((value) => ({ name, value, zone, id: `${name} ${value}` }));
  }

  #zoneOf(name: string): string {
    const zone = this.#origins.find((origin) => name === origin || name.endsWith(`.${origin}`));
    if (zone !== undefined) return zone;
    throw new ProxyError("ERR_DNS_PROVIDER", `Cloudflare has no zone for ${name}`, {
      cure: "Add the zone to the account",
    });
  }
}
