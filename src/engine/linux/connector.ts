// Reaches a target: tries one after the other, as l4/targets.ts chooses them, within one time budget, each with an equal
// share of what is left, so that one dead target cannot use it up. The client is not read meanwhile; what it sends waits in
// its socket.

import { errnoName, errnoText, ETIMEDOUT } from "../../ffi/errno.ts";
import { hasBytes, sendWaitingSyn } from "../../ffi/fastopen.ts";
import { libc } from "../../ffi/libc.ts";
import { AF_UNIX } from "../../ffi/linux.ts";
import type { Sockaddr } from "../../ffi/sockaddr.ts";
import { applySocketOptions } from "../../ffi/socket-options.ts";
import type { Attempt } from "../../l4/targets.ts";
import { IP_BYTES } from "../../shared/ip.ts";
import type { Refusal } from "../../shared/messages.ts";
import { isShortage } from "../../shared/shortage.ts";
import type { EngineHost } from "../engine.ts";
import type { OpenListener } from "./acceptor.ts";
import type { Connections } from "./connections.ts";
import { assertConnectFailure, isOutOfDescriptors } from "./errnos.ts";
import type { FirstBytes } from "./first-bytes.ts";
import type { Relay } from "./relay.ts";
import type { Reports } from "./reports.ts";
import { CONNECTING, OPEN, UNTIL_EAGAIN } from "./rows.ts";
import { isHandshaking, keepUrgentInline, streamSocket } from "./sockets.ts";
import type { Watch } from "./watch.ts";

export class Connector {
  readonly #watch: Watch;
  readonly #connections: Connections;
  readonly #relay: Relay;
  readonly #reports: Reports;
  readonly #host: EngineHost;
  readonly #listenerOf: (row: number) => OpenListener;
  readonly #firstBytes: FirstBytes;
  readonly #warned = new Set<string>();
  /** Of rows that are connecting, and with Fast Open of those that are open. */
  readonly #attempts: (Attempt<Sockaddr> | undefined)[] = [];
  /** The client of the row that a target is chosen for. */
  readonly #ip = new Uint8Array(IP_BYTES);

  constructor(
    watch: Watch,
    connections: Connections,
    relay: Relay,
    reports: Reports,
    host: EngineHost,
    listenerOf: (row: number) => OpenListener,
    firstBytes: FirstBytes,
  ) {
    this.#watch = watch;
    this.#connections = connections;
    this.#relay = relay;
    this.#reports = reports;
    this.#host = host;
    this.#listenerOf = listenerOf;
    this.#firstBytes = firstBytes;
  }

  /** Starts on a target for a row that was just accepted. */
  begin(row: number, listener: OpenListener): void {
    const error = this.#watch.watchClient(row);
    if (error !== 0) return this.#refuse(row, listener, "descriptors", errnoText(error));
    this.choose(row, listener, 0);
  }

  /** Starts on a target of a group, for a row whose client is watched. */
  choose(row: number, listener: OpenListener, group: number): void {
    const { rows } = this.#connections;
    rows.state[row] = CONNECTING;
    rows.deadline[row] = this.#relay.now + listener.plan.timeouts.connectMs;
    const attempt = listener.targets.begin(group);
    if (attempt.left === 0) {
      const { reason, detail } = attempt.lackAt(this.#relay.now);
      return this.#refuse(row, listener, reason, detail);
    }
    this.#attempts[row] = attempt;
    this.#try(row, listener, attempt, 0);
  }

  /** Tries targets until one is under way. @param error of the one before. */
  #try(row: number, listener: OpenListener, attempt: Attempt<Sockaddr>, error: number): void {
    const { rows } = this.#connections;
    const { now } = this.#relay;
    for (;;) {
      const before = attempt.target;
      const target = attempt.next(this.#ipOf(row, listener), now);
      if (target === undefined) {
        this.#attempts[row] = undefined;
        if (before === undefined) {
          const { reason, detail } = attempt.lackAt(now);
          return this.#refuse(row, listener, reason, detail);
        }
        const detail = `${before.name}: ${errnoText(error)}`;
        const reason = isShortage(errnoName(error)) ? "descriptors" : "target_down";
        return this.#refuse(row, listener, reason, detail);
      }
      rows.target[row] = target.slot;
      rows.attemptDeadline[row] = now + Math.max(0, rows.deadline[row]! - now) / attempt.left;
      error = this.#connect(row, listener, target.socket);
      if (error === 0) return;
      // What this machine lacks is not the target's fault: closing the row abandons the attempt.
      if (isOutOfDescriptors(error)) {
        return this.#refuse(row, listener, "descriptors", errnoText(error));
      }
      this.#countFailure(row, listener, error);
      missed(attempt, error, now);
    }
  }

  /** Who is asked for only where the choice depends on it. */
  #ipOf(row: number, { byClient }: OpenListener): Uint8Array | null {
    return byClient && this.#connections.rows.live.copyClientIp(row, this.#ip) ? this.#ip : null;
  }

  /** @returns 0 if the connection is made or under way, otherwise the error number. */
  #connect(row: number, listener: OpenListener, target: Sockaddr): number {
    const { rows } = this.#connections;
    const fd = streamSocket(target.family, this.#watch.socketFlags);
    if (fd < 0) return -fd;
    keepUrgentInline(fd);
    if (target.family !== AF_UNIX) this.#setOptions(fd, listener);
    const side = row * 2 + 1;
    rows.fd[side] = fd;
    rows.flags[side] = target.family === AF_UNIX ? UNTIL_EAGAIN : 0;
    const error = this.#watch.startConnect(row, fd, target);
    if (error === 0) return 0;
    libc.close(fd);
    rows.fd[side] = -1;
    return error;
  }

  #setOptions(fd: number, listener: OpenListener): void {
    for (const message of applySocketOptions(fd, listener.targetOptions)) {
      const { key } = listener.plan;
      const name = `${key} ${message}`;
      if (this.#warned.has(name)) continue;
      this.#warned.add(name);
      this.#host.emit({ type: "warning", key, message: `towards the target: ${message}` });
    }
  }

  /** The row's current attempt has reached its target. */
  connected(row: number): void {
    const { rows } = this.#connections;
    const listener = this.#listenerOf(row);
    const attempt = this.#attempts[row]!;
    const { fastopen } = listener.plan.socket;
    // With Fast Open it may turn out later that the target does not answer.
    if (!fastopen || !isHandshaking(rows.fd[row * 2 + 1]!)) attempt.succeeded(this.#relay.now);
    if (!fastopen) this.#attempts[row] = undefined;
    this.#connections.establish(row, attempt.target!.socket.bytes, this.#relay.now);
    if (listener.greets) {
      this.#firstBytes.greet(row, listener);
      if (rows.state[row] !== OPEN) return;
    }
    this.#watch.startRelay(row);
    if (listener.greets) this.#firstBytes.goOn(row);
    if (!fastopen || rows.state[row] !== OPEN) return;
    if (!hasBytes(rows.fd[row * 2]!)) sendWaitingSyn(rows.fd[row * 2 + 1]!);
  }

  /** The row's current attempt has failed: the next target is tried, or the client is refused. */
  failed(row: number, error: number): void {
    const listener = this.#listenerOf(row);
    const { rows } = this.#connections;
    const side = row * 2 + 1;
    libc.close(rows.fd[side]!);
    rows.fd[side] = -1;
    this.#countFailure(row, listener, error);
    const attempt = this.#attempts[row]!;
    missed(attempt, error, this.#relay.now);
    this.#try(row, listener, attempt, error);
  }

  /** A row is about to be closed: what was counted for its target ends. */
  closing(row: number): void {
    const { rows, profiles } = this.#connections;
    const attempt = this.#attempts[row];
    this.#attempts[row] = undefined;
    if (rows.state[row] === OPEN) {
      attempt?.settled(rows.live.bytesDown[row]! > 0, this.#relay.now);
      profiles[rows.listener[row]!]!.targets?.leave(rows.target[row]!);
    } else attempt?.abandoned();
  }

  /** The deadline of the current address has passed. */
  expired(row: number): void {
    const listener = this.#listenerOf(row);
    const { rows } = this.#connections;
    if (this.#relay.now < rows.deadline[row]!) {
      rows.attemptDeadline[row] = rows.deadline[row]!; // an attempt that cannot be abandoned ends with the whole
      return this.#watch.abandonConnect(row);
    }
    this.#timedOut(row, listener);
  }

  /** The connect timeout of a row that is OPEN by Fast Open has passed: its handshake must be over by now. */
  checkHandshake(row: number): void {
    const { rows } = this.#connections;
    rows.deadline[row] = Infinity;
    if (isHandshaking(rows.fd[row * 2 + 1]!)) this.#timedOut(row, this.#listenerOf(row));
    else this.#attempts[row]?.settled(true, this.#relay.now);
  }

  #timedOut(row: number, listener: OpenListener): void {
    const attempt = this.#attempts[row]!;
    const { name } = attempt.target!;
    this.#countFailure(row, listener, ETIMEDOUT);
    if (this.#connections.rows.state[row] === OPEN) attempt.brokeOff(this.#relay.now);
    else {
      attempt.failed(this.#relay.now);
      this.#attempts[row] = undefined;
    }
    const { connectMs } = listener.plan.timeouts;
    this.#refuse(row, listener, "connect_timeout", `${name}: no answer within ${connectMs} ms`);
  }

  #countFailure(row: number, listener: OpenListener, error: number): void {
    assertConnectFailure(error);
    listener.counters.error(errnoName(error));
    if (isShortage(errnoName(error))) return; // none of the target's
    listener.counters.connectFailed(this.#connections.rows.target[row]!);
  }

  #refuse(row: number, listener: OpenListener, reason: Refusal, detail: string): void {
    listener.counters.refused(reason);
    this.#reports.refused(listener.plan.key, reason, detail, this.#relay.now);
    this.#connections.close(row, reason);
  }
}

/** The target was not reached, which is its fault or not. */
function missed(attempt: Attempt<Sockaddr>, error: number, now: number): void {
  if (isShortage(errnoName(error))) attempt.abandoned();
  else attempt.failed(now);
}
