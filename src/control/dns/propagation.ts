// Waits until every server of a zone has a TXT record. Only they are asked, without recursion, so nothing on the way keeps that
// it was not there; a server has it when one of the name's values is the wanted one.
//
// A server that does not answer, refuses, or does not have the zone is asked DNS.brokenLooks times in a row; then the others
// decide, as they do for the CA, whose resolver goes on to another server too. One that answers without the record is waited
// for: the CA may come to that one. Where none is heard at all, this machine is not let out to port 53, or somebody else answers
// in their place: then the record is taken for visible after DNS.unseenMs.

import { formatDuration } from "../../config/units.ts";
import { ProxyError } from "../../shared/errors.ts";
import { DNS } from "../../shared/limits.ts";
import { pause } from "../backoff.ts";
import type { Place } from "./authoritative.ts";
import { ask, type DnsServer, formatServer, type Reply } from "./exchange.ts";
import { recordsOf } from "./message.ts";

/** `unreachable`: this machine has no route to that family of addresses, which says nothing about the server. */
export type SeenState = "unasked" | "present" | "absent" | "broken" | "unreachable";

/** What is known of one address of one server. */
export interface Sight {
  /** The server's name. */
  readonly server: string;
  /** null: its name has no address. */
  readonly address: DnsServer | null;
  readonly state: SeenState;
  /** For people: `has it`, `has other values: "…"`, `REFUSED`, … */
  readonly detail: string;
}

export interface PropagationOptions {
  readonly place: Place;
  readonly value: string;
  /** Before the first look. */
  readonly delayMs: number;
  /** From the first look to the last. */
  readonly timeoutMs: number;
  /** Between the first two looks; doubled each time, up to DNS.lookMaxMs. Default: DNS.lookFirstMs; another for tests. */
  readonly lookFirstMs?: number | undefined;
  /** For one answer. Default: DNS.tryMs; another for tests. */
  readonly tryMs?: number | undefined;
  /** Waited where no server is heard. Default: DNS.unseenMs; another for tests. */
  readonly unseenMs?: number | undefined;
  /** Called when what is known of an address has changed. */
  readonly seen: (sight: Sight) => void;
}

export interface Visibility {
  /** false: no server was heard, and the record is taken for visible since the provider has it. */
  readonly isSeen: boolean;
  /** Servers that were not waited for, with what they said. */
  readonly givenUp: readonly Sight[];
}

/**
 * @throws ProxyError ERR_CHALLENGE, which says which server has what; or the signal's reason.
 */
export async function waitUntilVisible(
  options: PropagationOptions,
  signal: AbortSignal,
): Promise<Visibility> {
  const { place, delayMs, timeoutMs, lookFirstMs = DNS.lookFirstMs } = options;
  const unseenMs = Math.min(options.unseenMs ?? DNS.unseenMs, timeoutMs);
  const watched = place.zone.servers.flatMap(({ name, addresses }) =>
    addresses.length === 0
      ? [new Watched(name, null)]
      : addresses.map((address) => new Watched(name, address)),
  );
  await rest(delayMs, signal);
  const startMs = performance.now();
  for (let restMs = lookFirstMs; ; restMs = Math.min(restMs * 2, DNS.lookMaxMs)) {
    await Promise.all(watched.map((each) => each.look(options, signal)));
    if (isVisible(watched)) {
      return { isSeen: true, givenUp: watched.filter(({ state }) => state === "broken") };
    }
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs >= unseenMs && isUnheard(watched)) return { isSeen: false, givenUp: watched };
    if (elapsedMs >= timeoutMs) throw timedOut(options, watched);
    await rest(Math.min(restMs, timeoutMs - elapsedMs), signal);
  }
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await pause(ms, signal);
  signal.throwIfAborted();
}

function isVisible(watched: readonly Watched[]): boolean {
  if (!watched.some(({ state }) => state === "present")) return false;
  return watched.every(({ state, failures }) =>
    state === "broken" ? failures >= DNS.brokenLooks : state !== "absent",
  );
}

/** Whether nothing can be found out from this machine. */
function isUnheard(watched: readonly Watched[]): boolean {
  return watched.every(
    ({ wasHeard, state, failures }) =>
      !wasHeard && (state === "unreachable" || failures >= DNS.brokenLooks),
  );
}

class Watched implements Sight {
  readonly server: string;
  readonly address: DnsServer | null;
  state: SeenState = "unasked";
  detail = "";
  /** Looks in a row that it did not answer. */
  failures = 0;
  /** It has answered for itself: with the zone, or by refusing. */
  wasHeard = false;

  constructor(server: string, address: DnsServer | null) {
    this.server = server;
    this.address = address;
  }

  /** One that had the record is not asked again. */
  async look(options: PropagationOptions, signal: AbortSignal): Promise<void> {
    if (this.state === "present" || this.state === "unreachable") return;
    const { place, value, tryMs = DNS.tryMs, seen } = options;
    const before = `${this.state} ${this.detail}`;
    if (this.address === null) {
      this.#note("broken", "its name has no address");
      this.failures = DNS.brokenLooks;
    } else {
      const question = { name: place.name, type: "TXT" } as const;
      const how = { recursive: false, tries: 1, timeoutMs: tryMs };
      this.#take(await ask(this.address, question, how, signal), place, value);
    }
    if (`${this.state} ${this.detail}` !== before) seen(this);
  }

  #take(reply: Reply, { name, zone }: Place, value: string): void {
    if (reply.kind !== "message") {
      return this.#note(reply.kind === "silent" ? "broken" : "unreachable", reply.reason);
    }
    const { rcode, authoritative, answers } = reply.message;
    const isRefusal = rcode !== "NOERROR" && rcode !== "NXDOMAIN";
    this.wasHeard ||= authoritative || isRefusal;
    if (isRefusal) return this.#note("broken", rcode);
    if (!authoritative) return this.#note("broken", `is lame: it does not have ${zone.name}`);
    const values = recordsOf(answers, { name, type: "TXT" }).map(({ data }) => data);
    if (values.includes(value)) return this.#note("present", "has it");
    const [alias] = recordsOf(answers, { name, type: "CNAME" });
    if (alias !== undefined) return this.#note("absent", `has a CNAME there, to ${alias.data}`);
    if (values.length === 0) return this.#note("absent", `does not have it (${rcode})`);
    const others = values.slice(0, 3).map((each) => JSON.stringify(each.slice(0, 64)));
    this.#note("absent", `has other values there: ${others.join(", ")}`);
  }

  #note(state: SeenState, detail: string): void {
    this.failures = state === "broken" ? this.failures + 1 : 0;
    this.state = state;
    this.detail = detail;
  }
}

/** `ns1.example.com (192.0.2.1)` */
export function formatSight({ server, address }: Sight): string {
  return address === null ? server : `${server} (${formatServer(address)})`;
}

function timedOut({ place, timeoutMs }: PropagationOptions, watched: readonly Watched[]): Error {
  const { name, zone } = place;
  const known = watched.map((each) => `${formatSight(each)} ${describe(each)}`).join("; ");
  const nobody = !watched.some(({ state }) => state === "present" || state === "absent");
  const late = `Give it more time in auto_tls.dns.propagation_timeout, or check that ${zone.name} is served by dns_provider`;
  const lost = `None of the servers that ${zone.name} is delegated to has it: check that at its registrar`;
  return new ProxyError(
    "ERR_CHALLENGE",
    `the TXT record ${name} is not at all servers of ${zone.name} after ${formatDuration(timeoutMs)}: ${known}`,
    { cure: nobody ? lost : late },
  );
}

function describe({ state, detail }: Sight): string {
  return state === "broken" ? `fails: ${detail}` : detail;
}
