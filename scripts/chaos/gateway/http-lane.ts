// One client of chaos that makes requests: connects, asks for a while, alone or many things at once, and goes, in order or
// in the middle of it.

import { within } from "../../../test/support/until.ts";
import { type Ask, inventAsk } from "./ask.ts";
import { Asking, complaintOf, isCheat, type Outcome } from "./asking.ts";
import { type Group, GROUPS } from "./backends.ts";
import { HttpClient, type Version, type Way } from "./connect.ts";
import type { Journal, Scope } from "./journal.ts";

const HUNG_MS = 30_000;
const REQUESTS_MAX = 12; // of one connection
const STREAMS_MAX = 10; // at once

/** What a lane needs of the run. */
export interface LaneHost {
  readonly journal: Journal;
  readonly random: () => number;
  /** Of the next request, over all lanes. */
  nextId(): number;
}

export interface HttpWay extends Way {
  readonly versions: readonly Version[];
  readonly kind: Ask["kind"];
}

export class HttpLane {
  readonly #host: LaneHost;
  readonly #ways: readonly HttpWay[];

  constructor(host: LaneHost, ways: readonly HttpWay[]) {
    this.#host = host;
    this.#ways = ways;
  }

  #oneOf<T>(list: readonly T[]): T {
    return list[Math.trunc(this.#host.random() * list.length)]!;
  }

  /** One connection from its beginning to its end. */
  async session(): Promise<void> {
    const { random, journal } = this.#host;
    const way = this.#oneOf(this.#ways);
    const version = this.#oneOf(way.versions);
    const sinceMs = performance.now();
    let client: HttpClient;
    try {
      client = await HttpClient.connect(version, way);
    } catch (error) {
      const { message: why, localPort = 0 } = error as Error & { localPort?: number };
      const scopes: Scope[] = [`listener ${way.listener}`, `port ${localPort}`];
      return journal.failed(
        `${version} to ${way.listener} was not let in: ${why}`,
        scopes,
        sinceMs,
      );
    }
    journal.count(`connections ${version}`);
    const requests = 1 + Math.trunc(random() ** 2 * REQUESTS_MAX);
    const vanishes = random() < 0.2;
    if (version === "h1" && way.kind === "request") await this.#inTurn(client, way, requests);
    else await this.#atOnce(client, way, requests);
    if (vanishes) this.#vanish(client, way);
    else client.close();
  }

  async #inTurn(client: HttpClient, way: HttpWay, requests: number): Promise<void> {
    for (let i = 0; i < requests && client.isFree; i++) {
      if (this.#host.random() < 0.2) await Bun.sleep(this.#host.random() * 100);
      if (client.isFree) await this.#ask(client, way);
    }
  }

  async #atOnce(client: HttpClient, way: HttpWay, requests: number): Promise<void> {
    const asked: Promise<void>[] = [];
    for (let i = 0; i < requests && client.isFree; i++) {
      asked.push(this.#ask(client, way));
      if (asked.length % STREAMS_MAX === 0) await Promise.all(asked.splice(0));
      else if (this.#host.random() < 0.3) await Bun.sleep(this.#host.random() * 20);
    }
    await Promise.all(asked);
  }

  /** With requests under way. */
  #vanish(client: HttpClient, way: HttpWay): void {
    const { random } = this.#host;
    const begun: Asking[] = [];
    for (let i = 0; i < 3 && client.isFree; i++) begun.push(this.#begin(client, way).asking);
    setTimeout(() => client.vanish(), random() ** 2 * 50);
    for (const { over, ask } of begun) {
      void over.then(({ wrong }) => wrong !== "" && this.#violate(ask, wrong));
    }
  }

  #begin(client: HttpClient, way: HttpWay): { asking: Asking; group: Group } {
    const ask = inventAsk(this.#host.nextId(), way.kind, this.#host.random);
    const groups = way.kind === "grpc" ? (["h2", "h3"] as const) : GROUPS;
    const group = this.#oneOf<Group>(groups);
    client.requests++;
    return { asking: new Asking(ask, group, client.backend), group };
  }

  #violate(ask: Ask, what: string): void {
    this.#host.journal.violate(`${what} ${JSON.stringify(ask)}`);
  }

  async #ask(client: HttpClient, way: HttpWay): Promise<void> {
    const { journal } = this.#host;
    const sinceMs = performance.now();
    const { asking, group } = this.#begin(client, way);
    const { ask } = asking;
    const who = `${client.version} to ${way.listener} for ${group}`;
    let outcome;
    try {
      outcome = await within("the answer", asking.over, HUNG_MS);
    } catch {
      client.vanish();
      return this.#violate(ask, `${who} hangs`);
    }
    journal.count(`requests ${client.version} ${way.kind}`);
    if (outcome.wrong !== "") return this.#violate(ask, `${who}: ${outcome.wrong}`);
    const complaint = complaintOf(ask, outcome);
    if (complaint === "") return;
    const scopes: Scope[] = [
      `group ${group}`,
      `listener ${way.listener}`,
      `port ${client.port}`,
      ...(isSafe(ask) ? [] : [`group ${group} unsafe` as const]),
      ...(mayBeUnread(client, outcome) ? [`listener ${way.listener} drains` as const] : []),
    ];
    const told = `${who}: ${complaint} ${JSON.stringify(ask)}`;
    if (isCheat(ask, outcome)) return journal.violate(`cut short and passed for whole: ${told}`);
    journal.failed(told, scopes, sinceMs);
  }
}

/** May be sent a second time when a connection that rested is closed under it. */
function isSafe({ method, up, kind }: Ask): boolean {
  return kind === "request" && up === 0 && method !== "POST";
}

/**
 * It came when its connection was being closed, since nobody was heard on it (RFC 9112 section 9.3.1). Versions that say
 * what they have read do not need that, nor does the first request of a connection.
 */
function mayBeUnread({ version, requests }: HttpClient, outcome: Outcome): boolean {
  const { status, failure } = outcome;
  if (version !== "h1" || requests < 2 || status !== 0) return false;
  return failure?.code === "closed" || failure?.code === "reset";
}
