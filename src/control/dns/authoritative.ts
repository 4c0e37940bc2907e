// Where a record has to be written, and who is to have it: CNAME records are followed to their end, whose zone is found by
// walking up (RFC 2308: what says that a record is not there names the zone), and the zone's servers by their NS records.
//
// Invariant: whether a name is a CNAME is asked of its zone's servers. A resolver is asked only if none of them answers: it may
// keep for hours that there was none.

import { randomBytes } from "node:crypto";

import { ProxyError } from "../../shared/errors.ts";
import { DNS } from "../../shared/limits.ts";
import { ask, type DnsServer } from "./exchange.ts";
import { type DnsMessage, recordsOf, type RecordType } from "./message.ts";
import { isWithin, normalName, parentName } from "./names.ts";
import { isAnswer, type Resolvers } from "./resolvers.ts";

export interface NameServer {
  readonly name: string;
  /** None: its name does not resolve. */
  readonly addresses: readonly DnsServer[];
}

export interface Zone {
  readonly name: string;
  readonly servers: readonly NameServer[];
}

export interface Place {
  /** Where the record is written. */
  readonly name: string;
  readonly zone: Zone;
  /** CNAME records on the way there; the first is the name that was asked for. */
  readonly aliases: readonly string[];
}

export interface AuthoritativeOptions {
  readonly resolvers: Resolvers;
  /** Of the zones' servers. Default: 53; another for tests. */
  readonly port?: number | undefined;
  /** For one answer of theirs. Default: DNS.tryMs; another for tests. */
  readonly tryMs?: number | undefined;
}

export class Authoritative {
  readonly #resolvers: Resolvers;
  readonly #port: number;
  readonly #tryMs: number;

  constructor({ resolvers, port = DNS.port, tryMs = DNS.tryMs }: AuthoritativeOptions) {
    this.#tryMs = tryMs;
    this.#resolvers = resolvers;
    this.#port = port;
  }

  /** @throws ProxyError ERR_RESOLVE; or the signal's reason. */
  async locate(name: string, signal: AbortSignal): Promise<Place> {
    const aliases: string[] = [];
    for (let current = normalName(name); ;) {
      const zone = await this.zoneOf(current, signal);
      const target = await this.#alias(current, zone, signal);
      if (target === null) return { name: current, zone, aliases };
      aliases.push(current);
      const way = [...aliases, target].join(" -> ");
      if (aliases.includes(target)) throw badAlias(`CNAME records lead in a circle: ${way}`);
      if (aliases.length > DNS.aliasesMax) {
        throw badAlias(`more than ${DNS.aliasesMax} CNAME records in a row: ${way}`);
      }
      current = target;
    }
  }

  /** The zone that a name is in, with its servers. @throws ProxyError ERR_RESOLVE; or the signal's reason. */
  async zoneOf(name: string, signal: AbortSignal): Promise<Zone> {
    const wanted = normalName(name);
    let failed = false;
    for (let at = wanted; at !== ""; at = parentName(at)) {
      const message = await this.#resolvers.ask({ name: at, type: "SOA" }, signal, isFailure);
      failed ||= isFailure(message);
      const apex = apexIn(message, at);
      if (apex !== null) return { name: apex, servers: await this.#serversOf(apex, signal) };
    }
    const said = failed ? " (this machine's resolvers say SERVFAIL)" : "";
    throw new ProxyError("ERR_RESOLVE", `no DNS zone has the name "${wanted}"${said}`, {
      cure: "Check the spelling, and that the domain is registered and delegated",
    });
  }

  async #serversOf(zone: string, signal: AbortSignal): Promise<NameServer[]> {
    const message = await this.#resolvers.ask({ name: zone, type: "NS" }, signal);
    const names = recordsOf(message.answers, { name: zone, type: "NS" })
      .map(({ data }) => data)
      .slice(0, DNS.serversMax);
    const servers = await Promise.all(
      names.map(async (name) => ({ name, addresses: await this.#addressesOf(name, signal) })),
    );
    if (servers.some(({ addresses }) => addresses.length > 0)) return servers;
    const what =
      names.length === 0 ? "has no NS records" : `has no server with an address: ${names.join()}`;
    throw new ProxyError("ERR_RESOLVE", `the DNS zone "${zone}" ${what}`, {
      cure: "Check the zone's delegation at its registrar",
    });
  }

  /** Of both families. None if the name has none, or if they cannot be looked up: other servers may do. */
  async #addressesOf(name: string, signal: AbortSignal): Promise<DnsServer[]> {
    const look = async (type: RecordType): Promise<DnsServer[]> => {
      try {
        const { answers } = await this.#resolvers.ask({ name, type }, signal);
        return answers
          .filter((record) => record.type === type)
          .slice(0, DNS.addressesMax / 2)
          .map(({ data }) => ({ host: data, port: this.#port }));
      } catch (error) {
        if (error instanceof ProxyError) return [];
        throw error;
      }
    };
    return (await Promise.all([look("A"), look("AAAA")])).flat();
  }

  /** What the name is a CNAME of; null: it is none, or only because of a wildcard, which a record of its own overrides. */
  async #alias(name: string, zone: Zone, signal: AbortSignal): Promise<string | null> {
    if (name === zone.name) return null; // RFC 1034 section 3.6.2: there are other records
    const target = await this.#cname(name, zone, signal);
    if (target === null) return null;
    const other = `${randomBytes(8).toString("hex")}.${parentName(name)}`;
    return (await this.#cname(other, zone, signal)) === target ? null : target;
  }

  async #cname(name: string, zone: Zone, signal: AbortSignal): Promise<string | null> {
    const question = { name, type: "CNAME" } as const;
    const targetIn = ({ answers }: DnsMessage): string | null =>
      recordsOf(answers, question)[0]?.data ?? null;
    const first = zone.servers.flatMap(({ addresses }) => addresses.slice(0, 1));
    const how = { recursive: false, tries: 1, timeoutMs: this.#tryMs };
    for (const server of first.slice(0, DNS.aliasServersMax)) {
      const reply = await ask(server, question, how, signal);
      if (reply.kind !== "message") continue;
      const { message } = reply;
      if (message.authoritative && isAnswer(message)) return targetIn(message);
    }
    return targetIn(await this.#resolvers.ask(question, signal));
  }
}

/** What a resolver says of a name whose CNAME records lead in a circle, or to a zone that fails: the zones above do not. */
function isFailure({ rcode }: DnsMessage): boolean {
  return rcode === "SERVFAIL";
}

/** The zone that an answer to a question for the SOA record of a name tells of; null: it tells nothing. */
function apexIn({ answers, authority }: DnsMessage, name: string): string | null {
  if (recordsOf(answers, { name, type: "SOA" }).length > 0) return name;
  // What follows a CNAME is of the zone that it leads to, and a name with a CNAME is no apex.
  if (recordsOf(answers, { name, type: "CNAME" }).length > 0) return null;
  const soa = authority.find((record) => record.type === "SOA" && isWithin(name, record.name));
  return soa === undefined || soa.name === "" ? null : soa.name;
}

function badAlias(problem: string): ProxyError {
  return new ProxyError("ERR_RESOLVE", problem, {
    cure: "Let the first of them lead straight to a name in a zone that dns_provider serves",
  });
}
