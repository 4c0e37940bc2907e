// A way to a target: those of one group are tried one after the other, as l4/targets.ts chooses them, each with its share of the
// connect timeout, until one is connected as a wire. Called by listeners whose connection leads to one target, and by pools.
//
//   Dialer, one for each listener ── dial ──▶ Dial ── connected: a wire and its target, which is left by `leave`
//                                                └─── failed: all were tried, or the time is up
//
// Invariant: an Attempt is told of every target that it gave, once; a target that is connected counts as active until `leave`.

import { type Attempt, type Lack, type Target, Targets } from "../l4/targets.ts";
import type { SocketAddress } from "../shared/address.ts";
import type { ListenerCertificates } from "../shared/certificates.ts";
import { monotonicMs } from "../shared/clock.ts";
import type { CounterWriter } from "../shared/counters.ts";
import type { StreamGroupPlan } from "../shared/http-plan.ts";
import { parseIp } from "../shared/ip.ts";
import type { OpenRequest, Refusal, TargetSlot } from "../shared/messages.ts";
import type { SocketPlan } from "../shared/plan.ts";
import { isOutOfDescriptors, isShortage } from "../shared/shortage.ts";
import { Sweep } from "../shared/sweep.ts";
import type { GatewayHost } from "./host.ts";
import type { FailureCode } from "./http/exchange.ts";
import type { Peer } from "./live-rows.ts";
import type { QuicLink } from "./quic/link.ts";
import { QuicLinks } from "./quic/links.ts";
import { QuicError } from "./quic/transport.ts";
import { TargetsTls } from "./targets-tls.ts";
import type { Connected, Connecting, SetSocketOptions } from "./wire/open.ts";
import { connectPlain } from "./wire/plain.ts";
import type { ClientTls } from "./wire/tls-context.ts";
import { TlsError } from "./wire/tls-error.ts";
import { connectTls } from "./wire/tls.ts";
import type { Watermarks, Wire } from "./wire/wire.ts";

/** A target as a dial needs it. */
export interface Backend {
  readonly address: SocketAddress;
  /** null: a unix socket. */
  readonly peer: Peer | null;
  /** null: in clear. */
  readonly tls: ClientTls | null;
  /** What is offered to it over TLS. */
  readonly alpn: readonly string[];
  /** null: it is not reached over QUIC. */
  readonly link: QuicLink | null;
}

export type BackendTarget = Target<Backend>;
export type BackendAttempt = Attempt<Backend>;

export interface DialFailure {
  /** For counters and the log. */
  readonly reason: Refusal;
  /** An errno's name, or one of TLS; empty if there was no target to try. */
  readonly code: string;
  readonly kind: DialFailureKind;
  /** For the log: the last target that was tried, and what it showed. */
  readonly message: string;
}
type DialFailureKind = Extract<FailureCode, "connect" | "connect_timeout" | "tls">;

/** One of the two is called once, not from within `dial`, and none after `cancel`. */
export interface DialEvents {
  /** The handler of the wire must be set before this returns. */
  connected(wire: Wire, target: BackendTarget): void;
  failed(failure: DialFailure): void;
}

/** What it needs of a listener's request. */
export type DialRequest = Pick<
  OpenRequest,
  "targets" | "targetSlots" | "certificates" | "counters"
> & {
  readonly listener: {
    readonly key: string;
    readonly groups: readonly StreamGroupPlan[];
    readonly socket: SocketPlan;
    /** connectMs is over all targets that are tried, with their handshakes. */
    readonly timeouts: { readonly connectMs: number };
  };
};

export interface DialerOptions {
  /** Of the listener: attempts that fail are counted. */
  readonly counters: CounterWriter;
  readonly watermarks: Watermarks;
  readonly setOptions: SetSocketOptions;
  /** What a target is offered over TLS, in order of preference; empty: nothing. */
  alpn(group: number, index: number): readonly string[];
  /** The QUIC connection to a target broke off with clients on it: which, and why. */
  brokeOff(message: string): void;
}

export class Dialer {
  readonly counters: CounterWriter;
  readonly options: DialerOptions;
  readonly socket: SocketPlan;
  readonly connectMs: number;
  readonly #tls: TargetsTls;
  readonly #links: QuicLinks;
  readonly #targets: Targets<Backend>;
  readonly #byClient: boolean;
  readonly #dials = new Set<Dial>();
  readonly #sweep = new Sweep(() => this.#expire());

  constructor(host: GatewayHost, request: DialRequest, options: DialerOptions) {
    const { groups, socket, timeouts } = request.listener;
    this.counters = options.counters;
    this.options = options;
    this.socket = socket;
    this.connectMs = timeouts.connectMs;
    this.#byClient = groups.some(({ balance }) => balance === "source_hash");
    const { emit, index: skip } = host;
    this.#tls = new TargetsTls(groups, request.certificates);
    this.#links = new QuicLinks(groups, request.certificates, {
      host,
      watermarks: options.watermarks,
      connectMs: this.connectMs,
      brokeOff: options.brokeOff,
    });
    const prepare = (address: SocketAddress, slot: TargetSlot): Backend => ({
      address,
      peer: peerOf(address),
      tls: this.#tls.of(slot.group, slot.index),
      alpn: options.alpn(slot.group, slot.index),
      link: this.#links.make(slot),
    });
    this.#targets = new Targets(
      request,
      { prepare, emit, random: Math.random, skip },
      monotonicMs(),
    );
  }

  setTargets(targets: readonly TargetSlot[]): void {
    this.#targets.update(targets, monotonicMs());
    this.#links.retain(targets);
  }

  /** For handshakes that begin later. */
  setCertificates(certificates: ListenerCertificates): void {
    this.#tls.update(certificates);
    this.#links.setCertificates(certificates);
  }

  /** For whoever looks for a connection that is open already: ask it for the `next` target, and give both to `dial`. */
  begin(group: number): BackendAttempt {
    return this.#targets.begin(group);
  }

  /** Whom targets are chosen for; null where it makes no difference. @param client null on a unix socket. */
  clientIp(client: Peer | null): Uint8Array | null {
    return this.#byClient && client !== null ? client.ip : null;
  }

  /**
   * @param attempt of `begin`. If `next` was asked already, its target is tried first.
   * @param ip of `clientIp`.
   */
  dial(attempt: BackendAttempt, ip: Uint8Array | null, events: DialEvents): Dial {
    const dial = new Dial(this, attempt, ip, events);
    this.#dials.add(dial);
    this.#sweep.need(this.connectMs / Math.max(1, attempt.left));
    dial.start();
    return dial;
  }

  /** The connection to a target of this slot, or a use of it that an attempt was told to have succeeded, is over. */
  leave(slot: number): void {
    this.#targets.leave(slot);
  }

  /** Called by a dial that is over. */
  forget(dial: Dial): void {
    this.#dials.delete(dial);
  }

  /** Nobody new comes: connections that several share end with the last that uses them. */
  close(): void {
    this.#links.close();
  }

  /** Whether such connections have ended, after `close`. */
  get closed(): boolean {
    return this.#links.closed;
  }

  /** Gives up whatever is under way, without an event. */
  end(): void {
    for (const dial of this.#dials) dial.cancel();
    this.#links.destroy();
    this.#sweep.stop();
  }

  #expire(): boolean {
    const now = monotonicMs();
    for (const dial of this.#dials) if (now >= dial.deadlineMs) dial.expire();
    return this.#dials.size > 0;
  }
}

function peerOf(address: SocketAddress): Peer | null {
  if (address.kind === "unix") return null;
  return { ip: parseIp(address.host)!, port: address.port };
}

export class Dial {
  /** Of the target that is tried: what is left of the timeout, shared evenly with those that are left. */
  deadlineMs = Infinity;
  readonly #dialer: Dialer;
  readonly #attempt: BackendAttempt;
  readonly #ip: Uint8Array | null;
  readonly #events: DialEvents;
  readonly #endMs: number;
  #connecting: Connecting | null = null;
  #over = false;

  constructor(dialer: Dialer, attempt: BackendAttempt, ip: Uint8Array | null, events: DialEvents) {
    this.#dialer = dialer;
    this.#attempt = attempt;
    this.#ip = ip;
    this.#events = events;
    this.#endMs = monotonicMs() + dialer.connectMs;
  }

  start(): void {
    const { target } = this.#attempt;
    if (target !== undefined) this.#try(target, monotonicMs());
    else this.#next(null);
  }

  /** Of the target that is tried; -1: none is. */
  get targetSlot(): number {
    return this.#attempt.target?.slot ?? -1;
  }

  /** Nobody wants it any more. No event follows. */
  cancel(): void {
    if (this.#over) return;
    const trying = this.#connecting !== null;
    this.#finish();
    if (trying) this.#attempt.abandoned();
  }

  /** The target took its share of the time. */
  expire(): void {
    this.#connecting?.cancel();
    this.#failed(LATE);
  }

  #finish(): void {
    this.#over = true;
    this.#dialer.forget(this);
    this.#connecting?.cancel();
    this.#connecting = null;
  }

  /** @param failure of the target before; null: there was none. */
  #next(failure: DialFailure | null): void {
    const now = monotonicMs();
    const target = this.#attempt.next(this.#ip, now);
    if (target !== undefined) return this.#try(target, now);
    // Not from within the call that began it.
    if (failure === null) queueMicrotask(() => this.#fail(nothingToTry(this.#attempt.lackAt(now))));
    else this.#fail(failure);
  }

  #try({ socket: { address, tls, alpn, link } }: BackendTarget, now: number): void {
    this.deadlineMs = now + (this.#endMs - now) / this.#attempt.left;
    const { options, socket } = this.#dialer;
    const { watermarks, setOptions } = options;
    const plain = { address, socket, watermarks, setOptions };
    const done: Connected = (wire, error) => {
      if (wire !== null) this.#connected(wire);
      else this.#failed(error!);
    };
    if (link !== null) {
      this.#connecting = link.open(done);
      return;
    }
    this.#connecting =
      tls === null
        ? connectPlain(plain, done)
        : connectTls({ ...plain, tls, alpn, tellTruncation: true }, done);
  }

  #connected(wire: Wire): void {
    this.#attempt.succeeded(monotonicMs());
    this.#connecting = null;
    this.#finish();
    this.#events.connected(wire, this.#attempt.target!);
  }

  #failed(error: Error & { code?: string }): void {
    if (this.#over) return;
    this.#connecting = null;
    const { counters } = this.#dialer;
    const { name, slot } = this.#attempt.target!;
    const code = error.code ?? "OTHER";
    const message = `${name}: ${explains(error) ? `${error.message} (${code})` : code}`;
    const now = monotonicMs();
    const isOurs = isShortage(code);
    if (isOurs) this.#attempt.abandoned();
    else {
      counters.connectFailed(slot);
      this.#attempt.failed(now);
    }
    const late = code === "ETIMEDOUT";
    const kind = late ? "connect_timeout" : error instanceof TlsError ? "tls" : "connect";
    const reason = isOurs ? "descriptors" : late ? "connect_timeout" : "target_down";
    const failure: DialFailure = { reason, code, kind, message };
    if (isOutOfDescriptors(code)) return this.#fail(failure);
    if (now >= this.#endMs || this.#attempt.left === 0) return this.#fail(failure);
    counters.error(code); // the last one is counted as the connection's own
    this.#next(failure);
  }

  #fail(failure: DialFailure): void {
    if (this.#over) return;
    this.#finish();
    this.#events.failed(failure);
  }
}

/** What went wrong above TCP has words of its own. */
function explains(error: Error): boolean {
  return error instanceof TlsError || error instanceof QuicError;
}

const LATE = Object.assign(new Error("no answer in time"), { code: "ETIMEDOUT" });

function nothingToTry({ reason, detail }: Lack): DialFailure {
  const message = detail || "no address of the target is known";
  return { reason, code: "", kind: "connect", message };
}
