// What a client must pass before a target is chosen for it, as one machine without I/O that every engine asks:
//
//   accept ─▶ admit ───────────────▶ enter ──────▶ Arrival: take, ended, expired ────────────────────────▶ a group of targets
//             deny, allow, trusted,  max_per_ip    PROXY header ─▶ deny, allow, max_per_ip ─▶ ClientHello ─▶ route
//             accept_rate                                          of the client that it names
//
// A listener that asks for none of it has no Entrance, and one that needs no bytes for it has no Arrival: neither costs a
// client anything. Where a PROXY header is asked for, who connects is a proxy: it must be trusted, and needs not stand in
// `allow`; its clients must. A header that names nobody is checked as the proxy itself; LOCAL, its own word, passes.
//
// Invariant: an Arrival says something else than "more" once, and is asked nothing after that.

import { formatIp } from "../shared/ip.ts";
import { FIRST_BYTES } from "../shared/limits.ts";
import type { Refusal, RelayRequest } from "../shared/messages.ts";
import type { LimitsPlan, RelayPlan } from "../shared/plan.ts";
import { AccessList, AddressSet } from "./address-set.ts";
import { ClientCounts } from "./client-counts.ts";
import type { Endpoints } from "./peer.ts";
import type { ProxyExtras } from "./proxy/encode.ts";
import type { ProxyHeader } from "./proxy/header.ts";
import { parseProxyHeader, type ProxyMode } from "./proxy/parse.ts";
import { type ClientHello, parseClientHello } from "./tls/client-hello.ts";
import { RouteTable } from "./tls/routes.ts";
import { acceptRate, TokenBuckets } from "./token-buckets.ts";

export interface Refused {
  readonly type: "refused";
  readonly reason: Refusal;
  /** For the log: the client, and what is wrong. */
  readonly detail: string;
}

export type Verdict =
  /** What is there decides nothing yet. */
  | { readonly type: "more" }
  | Refused
  /** The client has ended without a byte, as probes of a port do: nobody is refused. */
  | { readonly type: "left" }
  /** A target of this group is to be connected, and sent what `rest` gives first. */
  | { readonly type: "go"; readonly group: number };

const MORE: Verdict = Object.freeze({ type: "more" });
const LEFT: Verdict = Object.freeze({ type: "left" });

/** The one bucket of a listener. */
const BUCKET = 0;

/** What one listener asks of its clients, in one worker. */
export class Entrance {
  readonly #isIp: boolean;
  readonly #access: AccessList;
  /** null: nobody is asked, on a unix socket. */
  readonly #trusted: AddressSet | null;
  readonly #accepts: TokenBuckets | null;
  readonly #clients: ClientCounts | null;
  readonly #maxPerIp: number;
  readonly #groups: readonly number[];
  /** null: clients begin with no PROXY header. */
  readonly mode: ProxyMode | null;
  /** null: the first bytes choose no target. */
  readonly routes: RouteTable | null;
  readonly timeouts: FirstBytesTimeouts;
  /** The most that is read before a client is decided on. */
  readonly firstBytesMax: number;

  private constructor({ listener: plan, clients, accepts }: EntranceRequest) {
    const { access, proxyProtocol, routes, limits } = plan;
    this.#access = new AccessList(access.allow, access.deny);
    this.#isIp = plan.listen.kind !== "unix";
    this.#trusted = this.#isIp ? new AddressSet(proxyProtocol.trusted) : null;
    this.#accepts = accepts && new TokenBuckets(acceptRate(limits.acceptRate), accepts);
    this.#clients = clients && new ClientCounts(clients);
    this.#maxPerIp = limits.maxPerIp;
    this.#groups = routes.map(({ group }) => group);
    this.mode = proxyProtocol.accept === "off" ? null : proxyProtocol.accept;
    const rules = routes.map(({ sni, alpn }) => ({
      sni: sni ?? undefined,
      alpn: alpn ?? undefined,
    }));
    this.routes = rules.length > 0 ? new RouteTable(rules) : null;
    this.timeouts = plan.timeouts;
    this.firstBytesMax =
      (this.mode === null ? 0 : FIRST_BYTES.proxyHeaderMaxBytes) +
      (this.routes === null ? 0 : FIRST_BYTES.clientHelloWireMaxBytes);
  }

  /** null: the listener asks nothing of its clients. */
  static of(request: EntranceRequest): Entrance | null {
    const { access, proxyProtocol, routes } = request.listener;
    const asks =
      access.allow.length + access.deny.length + routes.length > 0 ||
      proxyProtocol.accept !== "off" ||
      request.clients !== null ||
      request.accepts !== null;
    return asks ? new Entrance(request) : null;
  }

  /** Clients are read before a target is chosen: each has an Arrival. */
  get reads(): boolean {
    return this.firstBytesMax > 0;
  }

  /** Who connects is counted, not who a PROXY header names. */
  get countsPeers(): boolean {
    return this.#clients !== null && this.mode === null;
  }

  /**
   * Whether who connects may go on, before anything is spent on them.
   * @param ip 16 bytes; null if there is none: on unix sockets, whose file has permissions, and if the client is gone.
   * @param sharedNow milliseconds of a clock that all workers share.
   */
  admit(ip: Uint8Array | null, sharedNow: number): Refused | null {
    if (ip === null) {
      // The kernel has forgotten its address; what it sent can still be read, and would be nobody's.
      if (this.#isIp) return refused("denied", "a client that has left already");
    } else {
      if (this.mode !== null) {
        if (this.#access.denies(ip)) return refused("denied", formatIp(ip));
        if (this.#trusted?.has(ip) === false) {
          return refused("proxy_untrusted", `${formatIp(ip)} is not in proxy_protocol.trusted`);
        }
      } else if (!this.#access.admits(ip)) return refused("denied", formatIp(ip));
    }
    if (this.#accepts?.claim(BUCKET, 1, sharedNow) === 0) return refused("accept_rate", "");
    return null;
  }

  /** Counts a connection of this client, unless it has as many as it may. `leave` follows when it ends. */
  enter(ip: Uint8Array): Refused | null {
    if (this.#clients === null || this.#clients.enter(ip, this.#maxPerIp)) return null;
    return refused("max_per_ip", formatIp(ip));
  }

  /** A connection that `enter` counted is over. */
  leave(ip: Uint8Array): void {
    this.#clients?.leave(ip);
  }

  /** @param ip of who connects; it is copied. */
  arrive(ip: Uint8Array | null, now: number): Arrival {
    return new Arrival(this, ip === null ? null : ip.slice(), now);
  }

  /** A PROXY header was read. */
  believe(header: ProxyHeader, peer: Uint8Array | null): Refused | null {
    const source = header.endpoints?.source;
    const client = source?.kind === "ip" ? source.ip : peer;
    if (client === null) return null;
    if (header.command !== "LOCAL" && !this.#access.admits(client)) {
      return refused("denied", formatIp(client));
    }
    return this.enter(client);
  }

  /** @returns the group of the first route that fits, or -1. */
  groupFor(hello: ClientHello): number {
    const rule = this.routes!.find(hello);
    return rule < 0 ? -1 : this.#groups[rule]!;
  }
}

export type EntranceRequest = Pick<RelayRequest, "clients" | "accepts"> & {
  readonly listener: Pick<RelayPlan, "listen" | "access" | "proxyProtocol" | "routes"> & {
    readonly limits: Pick<LimitsPlan, "maxPerIp" | "acceptRate">;
    readonly timeouts: FirstBytesTimeouts;
  };
};

type FirstBytesTimeouts = Pick<RelayPlan["timeouts"], "clientHelloMs" | "proxyHeaderMs">;

const NOTHING = new Uint8Array(0);
/** A client that is not one of TLS, for routes. */
const NO_HELLO: ClientHello = Object.freeze({ sni: null, alpn: [] });

/** One client whose first bytes are being read. */
export class Arrival {
  /** null until it was read. */
  header: ProxyHeader | null = null;
  /** The client that the header names is counted. */
  counted = false;
  /** When to call `expired`. */
  deadlineMs: number;
  readonly #entrance: Entrance;
  readonly #peer: Uint8Array | null;
  #hello: ClientHello | null = null;
  #bytes = NOTHING;
  #length = 0;
  /** Where the client's own bytes begin. */
  #start = 0;

  constructor(entrance: Entrance, peer: Uint8Array | null, now: number) {
    this.#entrance = entrance;
    this.#peer = peer;
    const { proxyHeaderMs, clientHelloMs } = entrance.timeouts;
    this.deadlineMs = now + (entrance.mode === null ? clientHelloMs : proxyHeaderMs);
  }

  /** How many bytes it takes at most. */
  get wanted(): number {
    return Math.max(0, this.#entrance.firstBytesMax - this.#length);
  }

  /** Who spoke to whom, as the header says; null if it does not, or there is none. */
  get endpoints(): Endpoints | null {
    return this.header?.endpoints ?? null;
  }

  /** What a header for the target can say besides. */
  get extras(): ProxyExtras {
    const { header } = this;
    const hello = this.#hello;
    // Of several that are offered nobody knows yet which one it will be.
    const only = hello?.alpn.length === 1 ? Buffer.from(hello.alpn[0]!, "latin1") : null;
    return {
      authority: hello?.sni ?? header?.authority ?? null,
      alpn: only ?? header?.alpn ?? null,
    };
  }

  /** The client's own bytes so far: what its target is to be sent first. */
  get rest(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#length);
  }

  /** @param chunk what follows; it is copied. */
  take(chunk: Uint8Array, now: number): Verdict {
    this.#append(chunk);
    if (this.#entrance.mode !== null && this.header === null) {
      const verdict = this.#readHeader(this.#entrance.mode, now);
      if (verdict !== null) return verdict;
    }
    return this.#entrance.routes === null ? { type: "go", group: 0 } : this.#readHello();
  }

  #append(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(
        this.#length === 0 ? length : Math.max(length, 2 * this.#length),
      );
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = length;
  }

  /** @returns null if it is there, and its client may go on. */
  #readHeader(mode: ProxyMode, now: number): Verdict | null {
    const outcome = parseProxyHeader(this.rest, mode);
    if (outcome.type === "more") return MORE;
    if (outcome.type === "invalid") return this.#refuse("proxy_header", outcome.reason);
    this.header = outcome.header;
    this.#start = outcome.length;
    this.deadlineMs = now + this.#entrance.timeouts.clientHelloMs;
    const refusal = this.#entrance.believe(outcome.header, this.#peer);
    this.counted = refusal === null;
    return refusal;
  }

  #readHello(): Verdict {
    const outcome = parseClientHello(this.rest);
    if (outcome.type === "invalid") return this.#refuse("client_hello", outcome.reason);
    if (outcome.type === "more") {
      return this.wanted > 0 ? MORE : this.#refuse("client_hello", "its hello is too long");
    }
    if (outcome.type === "hello") this.#hello = outcome.hello;
    const group = this.#entrance.groupFor(this.#hello ?? NO_HELLO);
    if (group >= 0) return { type: "go", group };
    return this.#refuse("no_route", `no route for ${nameOf(this.#hello)}`);
  }

  /** The client's FIN came. */
  ended(): Verdict {
    if (this.rest.length === 0) return LEFT;
    return this.#isInHeader
      ? this.#refuse("proxy_header", "it ended inside its PROXY header")
      : this.#refuse("client_hello", "it ended inside its hello");
  }

  /** The deadline has passed. */
  expired(): Refused {
    const { proxyHeaderMs, clientHelloMs } = this.#entrance.timeouts;
    const came = `${this.rest.length} bytes`;
    return this.#isInHeader
      ? this.#refuse("proxy_timeout", `${came} of a PROXY header within ${proxyHeaderMs} ms`)
      : this.#refuse("hello_timeout", `${came} of a hello within ${clientHelloMs} ms`);
  }

  get #isInHeader(): boolean {
    return this.#entrance.mode !== null && this.header === null;
  }

  #refuse(reason: Refusal, detail: string): Refused {
    const source = this.endpoints?.source;
    const ip = source?.kind === "ip" ? source.ip : this.#peer;
    return refused(reason, ip === null ? detail : `${formatIp(ip)}: ${detail}`);
  }
}

function refused(reason: Refusal, detail: string): Refused {
  return { type: "refused", reason, detail };
}

/** Protocols may hold any byte: quoted, none of them reaches a terminal as it is. */
function nameOf(hello: ClientHello | null): string {
  if (hello === null) return "a client that does not speak TLS";
  const name = hello.sni === null ? "a client that names no server" : `"${hello.sni}"`;
  return hello.alpn.length === 0 ? name : `${name} with ${JSON.stringify(hello.alpn.join(","))}`;
}
