// A connection's way through its states, and the only place that changes them:
//
//   take ──▶ CONNECTING ──establish──▶ OPEN ──close──▶ CLOSING ──▶ FREE
//     │       ▲   └────────close (refused)─────────────┘      an adopted pair starts OPEN
//     └──▶ ARRIVING, where a client's first bytes choose its target
//
// CLOSING lasts as long as the kernel still works on the row's sockets: nothing is closed under an operation in flight. With
// epoll there never is one, and close goes on to FREE at once.
//
// Invariant: a row that is not FREE owns its descriptors; `close` gives back descriptors, pipes, buffers, counters and the
// row together, so that nothing of a connection can outlive it.

import { libc } from "../../ffi/libc.ts";
import { SO_LINGER, SOL_SOCKET } from "../../ffi/linux.ts";
import { addressOf, pinnedInt32 } from "../../ffi/memory.ts";
import { decodeSockaddr, liveFamily, portOf } from "../../ffi/sockaddr.ts";
import type { Entrance } from "../../l4/entrance.ts";
import { formatSocketAddress } from "../../shared/address.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { IP_BYTES } from "../../shared/ip.ts";
import { FAMILY_UNIX } from "../../shared/live-table.ts";
import { connectionsOfProcess } from "../descriptors.ts";
import type { EngineHost } from "../engine.ts";
import type { Profile } from "./profile.ts";
import { CLOSING, CONNECTING, FREE, IN_PIPE, OPEN, type Rows } from "./rows.ts";

/** struct linger { int l_onoff; int l_linger; }: close(2) then sends RST instead of FIN (socket(7)). */
const LINGER_RESET = pinnedInt32(2);
LINGER_RESET[0] = 1;
const LINGER_RESET_ADDRESS = addressOf(LINGER_RESET);

/** Closes a socket so that its peer sees a reset. */
export function resetSocket(fd: number): void {
  libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, LINGER_RESET_ADDRESS, LINGER_RESET.byteLength);
  libc.close(fd);
}

/** What the live table says of a unix socket, which tells no path when it is connected. */
const UNIX = "unix:";

/** How a connection ended: `end` is a FIN from both sides; anything else is passed on as a reset. */
export type CloseReason = "end" | "reset" | "idle" | "disconnect" | "shutdown" | string;

export class Connections {
  readonly rows: Rows;
  /** A row has just become OPEN; none of its bytes has been delivered. */
  onOpened: (row: number) => void = () => {};
  /** A row that is OPEN has these bytes of its client, which were read before a limit or a mirror was asked. */
  onFirstBytes: (row: number, bytes: Uint8Array) => void = () => {};
  /** A row is about to be closed, in whatever state it is. */
  onClosing: (row: number) => void = () => {};
  /** The last row of this profile is FREE. */
  onUnused: (profile: number) => void = () => {};
  /** By the index that rows have. That of a profile which is forgotten is used again, and until then it stays in its place. */
  readonly profiles: Profile[] = [];
  /** Of all workers together. */
  readonly #most: number;
  readonly #host: EngineHost;
  readonly #quiesce: (row: number) => boolean;
  readonly #onClose: () => void;
  readonly #ip = new Uint8Array(IP_BYTES);
  /** Of rows that are CLOSING. */
  readonly #reasons = new Map<number, CloseReason>();

  /**
   * @param descriptors that the process may have.
   * @param quiesce see Watch. @param onClose called after each row that became FREE.
   */
  constructor(
    rows: Rows,
    descriptors: number,
    host: EngineHost,
    quiesce: (row: number) => boolean,
    onClose: () => void,
  ) {
    this.rows = rows;
    this.#most = connectionsOfProcess(descriptors, host.load.places);
    this.#host = host;
    this.#quiesce = quiesce;
    this.#onClose = onClose;
  }

  /** No row is free, or the process has no descriptors for one. */
  get full(): boolean {
    return this.rows.full || this.#host.load.total >= this.#most;
  }

  /**
   * A row for an accepted client, CONNECTING until somebody says otherwise; the caller has made sure that one is free. The row
   * owns `fd` from here on.
   */
  accept(profile: number, fd: number, client: Uint8Array, now: number): number {
    const row = this.#take(profile, now);
    const { rows } = this;
    rows.fd[row * 2] = fd;
    rows.state[row] = CONNECTING;
    this.#setLiveAddress(rows.live.clients, row, client);
    rows.live.clearAddress(rows.live.targets, row);
    rows.live.open(row);
    this.profiles[profile]!.counters?.accepted();
    return row;
  }

  /** A row for two sockets that are connected already, OPEN; the caller has made sure that one is free. */
  pair(profile: number, id: number, fds: readonly [number, number], now: number): number {
    const row = this.#take(profile, now);
    const { rows } = this;
    rows.fd[row * 2] = fds[0];
    rows.fd[row * 2 + 1] = fds[1];
    rows.pair[row] = id;
    rows.state[row] = OPEN;
    rows.live.clearAddress(rows.live.clients, row);
    rows.live.clearAddress(rows.live.targets, row);
    rows.live.open(row);
    return row;
  }

  #take(profile: number, now: number): number {
    const { rows } = this;
    const row = rows.take();
    this.#host.load.set(this.#host.index, rows.open);
    rows.listener[row] = profile;
    rows.live.slot[row] = this.profiles[profile]!.slot;
    this.profiles[profile]!.rows++;
    rows.live.startedMs[row] = now;
    rows.live.activeMs[row] = now;
    return row;
  }

  /** The target's socket is connected. */
  establish(row: number, target: Uint8Array, now: number): void {
    const { rows } = this;
    rows.state[row] = OPEN;
    rows.live.activeMs[row] = now;
    this.#setLiveAddress(rows.live.targets, row, target);
    const profile = this.profiles[rows.listener[row]!]!;
    profile.counters?.connected(rows.target[row]!);
    if (this.#host.traceConnections) this.#trace(row, profile, "open", "");
    this.onOpened(row);
  }

  /** Ends a connection in whatever state it is. Both peers see a reset unless the reason is `end`. */
  close(row: number, reason: CloseReason): void {
    const { rows } = this;
    if (rows.state[row] === CLOSING) return;
    const profile = this.profiles[rows.listener[row]!]!;
    if (this.#host.traceConnections) this.#trace(row, profile, "close", reason);
    if (rows.state[row] === OPEN) profile.counters?.closed(rows.target[row]!);
    else profile.counters?.closedUnconnected();
    this.onClosing(row);
    if (profile.entrance !== null) this.#countOut(row, profile.entrance);
    if (profile.active !== null) Atomics.sub(profile.active, 0, 1);
    if (profile.slot < 0) this.#reportPair(row, reason);
    rows.live.close(row);
    rows.state[row] = CLOSING;
    if (this.#quiesce(row)) this.#free(row, reason);
    else this.#reasons.set(row, reason);
  }

  /** limits.max_per_ip: the client has one connection less. */
  #countOut(row: number, entrance: Entrance): void {
    const { live } = this.rows;
    if (!live.isCounted(row)) return;
    live.setCounted(row, false);
    if (live.copyClientIp(row, this.#ip)) entrance.leave(this.#ip);
  }

  /** No operation is left on the sockets of a row that is CLOSING. */
  finishClose(row: number): void {
    const reason = this.#reasons.get(row);
    if (reason === undefined) return;
    this.#reasons.delete(row);
    this.#free(row, reason);
  }

  #free(row: number, reason: CloseReason): void {
    const { rows } = this;
    const profile = this.profiles[rows.listener[row]!]!;
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      this.#dropHeld(d, profile);
      const fd = rows.fd[d]!;
      if (fd < 0) continue;
      if (reason === "end") libc.close(fd);
      else resetSocket(fd);
    }
    rows.give(row);
    this.#host.load.set(this.#host.index, rows.open);
    if (--profile.rows === 0) this.onUnused(rows.listener[row]!);
    this.#onClose();
  }

  /** Resets every connection of a profile that is open to this target, or on the way to it. */
  closeTarget(profile: number, target: number): void {
    const { rows } = this;
    for (let row = 0; row < rows.used; row++) {
      const state = rows.state[row]!;
      if (state !== OPEN && state !== CONNECTING) continue;
      if (rows.listener[row] === profile && rows.target[row] === target) {
        this.close(row, "disconnect");
      }
    }
  }

  /** Resets every connection. @returns how many there were. */
  closeAll(reason: CloseReason): number {
    const { rows } = this;
    const count = rows.open;
    for (let row = 0; row < rows.used; row++) {
      if (rows.state[row] !== FREE) this.close(row, reason);
    }
    return count;
  }

  #dropHeld(d: number, profile: Profile): void {
    const { rows } = this;
    const held = rows.held[d]!;
    if (held < 0) return;
    if ((rows.flags[d]! & IN_PIPE) === 0) profile.buffers.release(held);
    else if (rows.pending[d]! > 0) profile.pipes.discard(held);
    else profile.pipes.release(held);
    rows.held[d] = -1;
  }

  #reportPair(row: number, reason: CloseReason): void {
    const { live, pair } = this.rows;
    this.#host.emit({
      type: "pair_closed",
      id: pair[row]!,
      bytesUp: live.bytesUp[row]!,
      bytesDown: live.bytesDown[row]!,
      error:
        reason === "end" ? null : { code: "ERR_RESET", message: `the pair was reset: ${reason}` },
    });
  }

  #trace(row: number, profile: Profile, phase: "open" | "close", reason: string): void {
    const { live } = this.rows;
    const { client, target } = live.addressesOf(row);
    this.#host.emit({
      type: "connection",
      key: profile.key,
      id: live.idOf(row),
      phase,
      client,
      target:
        target === UNIX ? (profile.targets?.nameOf(this.rows.target[row]!) ?? target) : target,
      durationMs: Math.round(monotonicMs() - live.startedMs[row]!),
      bytesUp: live.bytesUp[row]!,
      bytesDown: live.bytesDown[row]!,
      reason,
    });
  }

  #setLiveAddress(column: Uint8Array, row: number, sockaddr: Uint8Array): void {
    const { family, offset } = liveFamily(sockaddr);
    const port = family === FAMILY_UNIX ? 0 : portOf(sockaddr);
    this.rows.live.setAddress(column, row, family, port, sockaddr, offset);
  }
}

/** For messages: `127.0.0.1:80`. */
export function describeSockaddr(bytes: Uint8Array): string {
  return formatSocketAddress(decodeSockaddr(bytes, bytes.length));
}
