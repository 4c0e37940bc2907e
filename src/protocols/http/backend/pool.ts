// Connections to one address of one target, in one worker: kept open between requests, and made when requests wait. HTTP/1.1
// takes one request at a time on each, the one that rested last first, so that those that are not needed grow old; HTTP/2
// takes as many as it has streams for. Called by exchanges (relay.ts) through tries.ts.
//
// Invariants:
// 1. `#ready` holds exactly the open members with room that nobody waits for, oldest rest first, each once (`Member.listed`).
// 2. Nobody waits while there is room on a connection; who waits is told exactly once, or forgotten.
// 3. A connection is being made for each that waits, as far as the limits go (HTTP/2: one at a time).

import type { CounterWriter } from "../../../shared/counters.ts";
import { HTTP_POOL } from "../../../shared/limits.ts";
import type { TargetMode } from "../../../shared/messages.ts";
import { isShortage } from "../../../shared/shortage.ts";
import type { Connecting } from "../../wire/open.ts";
import type {
  BackendConnection,
  BackendEvents,
  BackendStream,
  Failure,
  ResponseEvents,
} from "../exchange.ts";
import type { RequestHead } from "../message/heads.ts";

/** Who waits for a connection. One of the two is called, once, and not from within `wait`. */
export interface Asker {
  onMember(member: Member): void;
  onNoMember(failure: Failure): void;
}

/**
 * Makes a connection, over whatever is below it. `done` is called once, and not from within this call; the connection's `onReady`
 * may come before that, from within what makes it.
 */
export type ConnectBackend = (
  events: BackendEvents,
  done: (connection: BackendConnection | null, error: (Error & { code?: string }) | null) => void,
) => Connecting;

/** How the target is spoken to. */
export interface PoolOptions {
  /** For people. */
  readonly name: string;
  /** In counters. */
  readonly slot: number;
  /** What a backend sees as :scheme. */
  readonly scheme: "http" | "https";
  /** For Host where the route asks for the target's own. */
  readonly authority: string;
  /** HTTP/2: many requests at once on each connection. */
  readonly multiplexed: boolean;
  readonly connectMs: number;
  readonly keepaliveMs: number;
  readonly counters: CounterWriter;
  readonly connect: ConnectBackend;
  clock(): number;
}

export class Pool {
  readonly name: string;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly options: PoolOptions;
  readonly #members = new Set<Member>();
  readonly #ready: Member[] = [];
  /** In the order in which they came. */
  readonly #waiting = new Set<Asker>();
  /** Members that are not open yet. */
  #opening = 0;
  #retired = false;
  #mode: TargetMode = "enabled";

  constructor(options: PoolOptions) {
    this.options = options;
    this.name = options.name;
    this.scheme = options.scheme;
    this.authority = options.authority;
  }

  /** Connections that are open. */
  get members(): number {
    return this.#members.size - this.#opening;
  }

  /** Retired, and nothing is left of it. */
  get over(): boolean {
    return this.#retired && this.#members.size === 0 && this.#waiting.size === 0;
  }

  /** @param fresh none that has rested. @returns a connection with room, which must be used at once; null: wait. */
  take(fresh: boolean): Member | null {
    const ready = this.#ready;
    if (fresh && !this.options.multiplexed) return null;
    while (ready.length > 0) {
      const member = ready[ready.length - 1]!;
      const { free, closing } = member.connection!;
      if (free <= 1 || closing) {
        ready.pop();
        member.listed = false;
      }
      if (free > 0 && !closing) return member;
    }
    return null;
  }

  /** @returns false: too many wait already. */
  wait(asker: Asker): boolean {
    if (this.#waiting.size >= HTTP_POOL.waitingMax) return false;
    this.#waiting.add(asker);
    this.#openMore();
    return true;
  }

  /** It does not wait any more. What is being made for it is kept for others. */
  forget(asker: Asker): void {
    this.#waiting.delete(asker);
  }

  #openMore(): void {
    const { multiplexed, connect } = this.options;
    const most = multiplexed ? HTTP_POOL.multiplexedMax : HTTP_POOL.connectionsMax;
    const wanted = multiplexed ? Math.min(1, this.#waiting.size) : this.#waiting.size;
    while (this.#opening < wanted && this.#members.size < most) {
      const member = new Member(this);
      this.#members.add(member);
      this.#opening++;
      member.connect(connect);
    }
  }

  // What members tell.

  opened(member: Member): void {
    this.#opening--;
    this.options.counters.connected(this.options.slot);
    this.changed(member);
  }

  /** It has room, or has none. */
  changed(member: Member): void {
    const connection = member.connection!;
    for (const asker of this.#waiting) {
      if (connection.free === 0 || connection.closing) break;
      this.#waiting.delete(asker);
      asker.onMember(member);
    }
    if (this.#waiting.size > 0) this.#openMore();
    if (connection.active === 0) member.restsSinceMs = this.options.clock();
    if (member.listed || connection.free === 0 || connection.closing) return;
    if (this.#retired || this.#mode !== "enabled" || this.#ready.length >= HTTP_POOL.idleMax) {
      if (connection.active === 0) connection.close();
      return;
    }
    member.listed = true;
    this.#ready.push(member);
  }

  gone(member: Member): void {
    this.#members.delete(member);
    this.options.counters.disconnected(this.options.slot);
    this.#unlist(member);
    this.#openMore();
  }

  failed(member: Member, failure: Failure, errno: string): void {
    const { counters, slot, multiplexed } = this.options;
    this.#members.delete(member);
    this.#opening--;
    if (errno !== "") counters.error(errno);
    if (failure.code !== "shortage") counters.connectFailed(slot);
    // The others have connections that are being made for them, or open ones to wait for.
    const all = multiplexed && this.#members.size === 0;
    for (const asker of this.#waiting) {
      if (!all && this.#waiting.size <= this.#opening) break;
      this.#waiting.delete(asker);
      asker.onNoMember(failure);
      if (!all) break;
    }
    this.#openMore();
  }

  #unlist(member: Member): void {
    if (!member.listed) return;
    member.listed = false;
    this.#ready.splice(this.#ready.indexOf(member), 1);
  }

  /** Closes what has rested for too long, and gives up what takes too long to be made. @returns whether anything can time out. */
  sweep(now: number): boolean {
    const { connectMs, keepaliveMs, multiplexed } = this.options;
    if (this.#opening > 0) {
      for (const member of this.#members) {
        if (!member.open && now - member.restsSinceMs >= connectMs) member.giveUp();
      }
    }
    if (multiplexed) for (const { connection } of this.#members) connection?.sweep?.(now);
    // The oldest come first; of those that take several requests, some may be busy.
    for (const member of this.#ready.filter((each) => now - each.restsSinceMs >= keepaliveMs)) {
      if (member.connection!.active > 0) continue;
      this.#unlist(member);
      member.connection!.close();
    }
    return this.#members.size > 0;
  }

  /** Its target is not the listener's any more: requests under way go on. */
  retire(): void {
    this.#retired = true;
    this.#closeIdle();
  }

  /** What the operator wants of its target. draining: requests under way, and those that wait here, go on. */
  setMode(mode: TargetMode): void {
    this.#mode = mode;
    if (mode === "enabled") return;
    this.#closeIdle();
    if (mode === "disabled") this.#drop();
  }

  get isDisabled(): boolean {
    return this.#mode === "disabled";
  }

  /** Everything ends; requests are told, and may go elsewhere. */
  #drop(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const member of this.#members) {
      if (member.open) {
        member.connection!.destroy();
        continue;
      }
      this.#members.delete(member);
      this.#opening--;
      member.destroy();
    }
    for (const asker of waiting) asker.onNoMember(DISABLED);
  }

  #closeIdle(): void {
    for (const member of this.#ready.splice(0)) {
      member.listed = false;
      member.connection!.close();
    }
  }

  /** At once. */
  destroy(): void {
    this.#retired = true;
    this.#waiting.clear();
    const { counters, slot } = this.options;
    for (const member of this.#members) {
      if (member.open) counters.disconnected(slot); // it tells nobody any more: counts outlive the listener
      member.destroy();
    }
    this.#members.clear();
    this.#ready.length = 0;
    this.#opening = 0;
  }
}

/** One connection of a pool: on its way, open, or gone. */
export class Member implements BackendEvents {
  readonly pool: Pool;
  connection: BackendConnection | null = null;
  open = false;
  /** In the pool's list of those with room. */
  listed = false;
  /** Requests that it was given. */
  served = 0;
  /** When its last request was over; of one that is not open, when it was begun. */
  restsSinceMs: number;
  #connecting: Connecting | null = null;
  #gone = false;

  constructor(pool: Pool) {
    this.pool = pool;
    this.restsSinceMs = pool.options.clock();
  }

  connect(connect: PoolOptions["connect"]): void {
    this.#connecting = connect(this, (connection, error) => {
      this.#connecting = null;
      if (connection !== null) this.connection = connection;
      else this.#failed(failureOf(error), error?.code ?? "OTHER");
    });
  }

  request(head: RequestHead, events: ResponseEvents): BackendStream {
    return this.connection!.request(head, events);
  }

  onReady(connection: BackendConnection): void {
    this.connection = connection; // what makes it may not have returned yet
    this.open = true;
    this.pool.opened(this);
  }

  onChange(): void {
    if (this.open && !this.#gone) this.pool.changed(this);
  }

  onGone(_connection: BackendConnection, failure: Failure | null): void {
    if (this.open) {
      if (this.#gone) return;
      this.#gone = true;
      this.pool.gone(this);
    } else this.#failed(failure ?? CLOSED, "");
  }

  /** It takes too long to be made. */
  giveUp(): void {
    this.#failed(LATE, "ETIMEDOUT");
    this.#connecting?.cancel();
    this.connection?.destroy();
  }

  destroy(): void {
    this.#gone = true;
    this.#connecting?.cancel();
    this.connection?.destroy();
  }

  #failed(failure: Failure, errno: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.pool.failed(this, failure, errno);
  }
}

const DISABLED: Failure = { code: "drain", message: "the target is disabled", unprocessed: true };
const CLOSED: Failure = { code: "connect", message: "it closed the connection", unprocessed: true };
const LATE: Failure = { code: "connect_timeout", message: "ETIMEDOUT", unprocessed: true };

/** Errors of the system have an errno's name, those of TLS and QUIC have others. */
function failureOf(error: (Error & { code?: string }) | null): Failure {
  const name = error?.code ?? "";
  if (isShortage(name)) return { code: "shortage", message: name, unprocessed: true };
  if (name === "ERR_QUIC_TIMEOUT") return { ...LATE, message: error!.message };
  if (name.startsWith("ERR_QUIC_") && name !== "ERR_QUIC_HANDSHAKE") {
    return { code: "connect", message: error!.message, unprocessed: true };
  }
  if (/^E[A-Z0-9]+$/.test(name)) return { code: "connect", message: name, unprocessed: true };
  return { code: "tls", message: error?.message ?? "", unprocessed: true };
}
