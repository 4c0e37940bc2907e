// Host names to addresses, for the data plane, which never looks a name up. A name that stops resolving keeps its last
// addresses, with a warning; one that never resolved is tried again soon. Called by the proxy, one watch for each name.

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

import type { Endpoint, SocketAddress } from "../shared/address.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import { CONTROL } from "../shared/limits.ts";
import type { Log } from "../shared/log.ts";

/** The numeric addresses of a name, in the order in which they should be tried. Rejects or gives none if there are none. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** getaddrinfo(3): the system's resolver with /etc/hosts, in the order of RFC 6724. */
export const systemLookup: Lookup = async (host) =>
  (await lookup(host, { all: true, order: "verbatim" })).map((entry) => entry.address);

/** Addresses of an endpoint without any watching. @throws ProxyError ERR_RESOLVE. */
export async function resolveOnce(
  endpoint: Endpoint,
  look: Lookup = systemLookup,
): Promise<SocketAddress[]> {
  if (endpoint.kind === "unix") return [endpoint];
  const { host, port } = endpoint;
  if (host === "" || isIP(host) !== 0) return [{ kind: "ip", host, port }];
  let hosts: readonly string[];
  try {
    hosts = await look(host);
  } catch (cause) {
    throw unresolved(host, messageOf(cause), cause);
  }
  if (hosts.length === 0) throw unresolved(host, "it has no address");
  return [...new Set(hosts)].map((address) => ({ kind: "ip", host: address, port }));
}

function unresolved(host: string, reason: string, cause?: unknown): ProxyError {
  return new ProxyError("ERR_RESOLVE", `the name "${host}" does not resolve: ${reason}`, {
    cause,
    cure: "Check the spelling and the system's resolver",
  });
}

/** Whether an endpoint's addresses have to be looked up. */
export function isName(endpoint: Endpoint): boolean {
  return endpoint.kind === "tcp" && endpoint.host !== "" && isIP(endpoint.host) === 0;
}

/** A name that stays unknown is told of when it becomes so, after a minute, and every ten minutes from then on. */
const REMIND_FIRST_MS = 60_000;
const REMIND_AGAIN_MS = 600_000;

/** What does not happen as long as a name has not resolved. */
const WITHOUT = {
  target: "clients are refused until it does",
  mirror: "nothing is copied to it until it does",
} as const;

/** What a watch tells, and how it looks names up. */
export interface WatchOptions {
  /** Called when the set of addresses changes after the start. */
  readonly changed: (addresses: readonly SocketAddress[]) => void;
  readonly log: Log;
  /** Fields that say in every log line which listener and target it is about. */
  readonly about: object;
  readonly lookup?: Lookup;
  /** Whose name it is; default: a target's. */
  readonly what?: keyof typeof WITHOUT;
}

/** Watches one endpoint's addresses. */
export class AddressWatch {
  #current: SocketAddress[] = [];
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  /** When to tell again that the name does not resolve; null: it does. */
  #remindAtMs: number | null = null;
  readonly #endpoint: Endpoint;
  readonly #options: WatchOptions;

  private constructor(endpoint: Endpoint, options: WatchOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
  }

  /** Resolves once and goes on watching. Never rejects. */
  static async start(endpoint: Endpoint, options: WatchOptions): Promise<AddressWatch> {
    const watch = new AddressWatch(endpoint, options);
    await watch.refresh();
    return watch;
  }

  get current(): readonly SocketAddress[] {
    return this.#current;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Looks the name up now. Public for tests; otherwise a timer calls it. */
  async refresh(nowMs = performance.now()): Promise<void> {
    clearTimeout(this.#timer);
    let next: SocketAddress[];
    let failure: unknown = null;
    try {
      next = await resolveOnce(this.#endpoint, this.#options.lookup);
    } catch (error) {
      failure = error;
      next = this.#current;
    }
    if (this.#stopped) return;
    if (failure === null) this.#tellResolved();
    else this.#tellUnresolved(failure, nowMs);
    const changed = JSON.stringify(next) !== JSON.stringify(this.#current);
    const first = this.#timer === undefined;
    this.#current = next;
    this.#schedule();
    if (changed && !first) this.#options.changed(next);
  }

  #tellUnresolved(error: unknown, nowMs: number): void {
    if (this.#remindAtMs !== null && nowMs < this.#remindAtMs) return;
    this.#remindAtMs = nowMs + (this.#remindAtMs === null ? REMIND_FIRST_MS : REMIND_AGAIN_MS);
    const { log, about, what = "target" } = this.#options;
    log.warn(
      { ...about, error: messageOf(error), kept: this.#current.length },
      this.#current.length > 0
        ? `${what} does not resolve any more, keeping its last addresses`
        : `${what} does not resolve, ${WITHOUT[what]}`,
    );
  }

  #tellResolved(): void {
    if (this.#remindAtMs === null) return;
    this.#remindAtMs = null;
    const { log, about, what = "target" } = this.#options;
    log.info(about, `${what} resolves again`);
  }

  #schedule(): void {
    if (!isName(this.#endpoint)) return; // numeric and unix addresses do not change
    const delay = this.#current.length > 0 ? CONTROL.resolveIntervalMs : CONTROL.resolveRetryMs;
    this.#timer = setTimeout(() => void this.refresh(), delay);
    this.#timer.unref();
  }
}
