// Reaches a target: tries its addresses in order within one time budget, each attempt with an equal share of what is left,
// so that one dead address cannot use it up. The client is not read meanwhile; what it sends waits in its socket.

import { errnoName, errnoText, ETIMEDOUT } from "../../ffi/errno.ts";
import { hasBytes, sendWaitingSyn } from "../../ffi/fastopen.ts";
import { libc } from "../../ffi/libc.ts";
import { AF_UNIX } from "../../ffi/linux.ts";
import type { Sockaddr } from "../../ffi/sockaddr.ts";
import { applySocketOptions } from "../../ffi/socket-options.ts";
import type { Refusal } from "../../shared/messages.ts";
import type { EngineHost } from "../engine.ts";
import type { OpenListener } from "./acceptor.ts";
import { type Connections, describeSockaddr, TARGET } from "./connections.ts";
import { assertConnectFailure, isOutOfDescriptors } from "./errnos.ts";
import type { Relay } from "./relay.ts";
import type { Reports } from "./reports.ts";
import { OPEN, UNTIL_EAGAIN } from "./rows.ts";
import { isHandshaking, keepUrgentInline, streamSocket } from "./sockets.ts";
import type { Watch } from "./watch.ts";

export class Connector {
  readonly #watch: Watch;
  readonly #connections: Connections;
  readonly #relay: Relay;
  readonly #reports: Reports;
  readonly #host: EngineHost;
  readonly #listenerOf: (row: number) => OpenListener;
  readonly #warned = new Set<string>();
  /** Of rows that are connecting: the addresses as they were when the row began, whatever the listener has since. */
  readonly #targets: (readonly Sockaddr[])[] = [];

  constructor(
    watch: Watch,
    connections: Connections,
    relay: Relay,
    reports: Reports,
    host: EngineHost,
    listenerOf: (row: number) => OpenListener,
  ) {
    this.#watch = watch;
    this.#connections = connections;
    this.#relay = relay;
    this.#reports = reports;
    this.#host = host;
    this.#listenerOf = listenerOf;
  }

  /** Starts on the target of a row that was just accepted. */
  begin(row: number, listener: OpenListener): void {
    const { rows } = this.#connections;
    const { now } = this.#relay;
    const client = row * 2;
    if (listener.plan.listen.kind === "unix") rows.flags[client]! |= UNTIL_EAGAIN;
    rows.attempt[row] = 0;
    rows.deadline[row] = now + listener.plan.timeouts.connectMs;
    this.#targets[row] = listener.targets;
    const error = this.#watch.watchClient(row);
    if (error !== 0) return this.#refuse(row, listener, "descriptors", errnoText(error));
    if (listener.targets.length === 0) return this.#refuse(row, listener, "no_address", "");
    this.#tryFrom(row, listener);
  }

  /** Tries addresses from the row's current one on until one is under way. */
  #tryFrom(row: number, listener: OpenListener): void {
    const { rows } = this.#connections;
    const { now } = this.#relay;
    for (let error = 0; ;) {
      const attempt = rows.attempt[row]!;
      const targets = this.#targets[row]!;
      const target = targets[attempt];
      if (target === undefined) {
        const detail = `${nameOf(targets.at(-1))}: ${errnoText(error)}`;
        return this.#refuse(row, listener, "target_down", detail);
      }
      const left = targets.length - attempt;
      rows.attemptDeadline[row] = now + Math.max(0, rows.deadline[row]! - now) / left;
      error = this.#connect(row, listener, target);
      if (error === 0) return;
      if (isOutOfDescriptors(error)) {
        return this.#refuse(row, listener, "descriptors", errnoText(error));
      }
      this.#countFailure(listener, error);
      rows.attempt[row] = attempt + 1;
    }
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
    const target = this.#targets[row]![rows.attempt[row]!]!;
    this.#connections.establish(row, target.bytes, this.#relay.now);
    this.#watch.startRelay(row);
    if (!listener.plan.socket.fastopen || rows.state[row] !== OPEN) return;
    if (!hasBytes(rows.fd[row * 2]!)) sendWaitingSyn(rows.fd[row * 2 + 1]!);
  }

  /** The row's current attempt has failed: the next address is tried, or the client is refused. */
  failed(row: number, error: number): void {
    const listener = this.#listenerOf(row);
    const { rows } = this.#connections;
    const side = row * 2 + 1;
    libc.close(rows.fd[side]!);
    rows.fd[side] = -1;
    this.#countFailure(listener, error);
    const attempt = rows.attempt[row]! + 1;
    rows.attempt[row] = attempt;
    const targets = this.#targets[row]!;
    if (attempt < targets.length) return this.#tryFrom(row, listener);
    this.#refuse(row, listener, "target_down", `${nameOf(targets.at(-1))}: ${errnoText(error)}`);
  }

  /** The deadline of the current address has passed. */
  expired(row: number): void {
    const listener = this.#listenerOf(row);
    const { rows } = this.#connections;
    if (this.#relay.now < rows.deadline[row]!) {
      rows.attemptDeadline[row] = Infinity;
      return this.#watch.abandonConnect(row);
    }
    this.#timedOut(row, listener);
  }

  /** The connect timeout of a row that is OPEN by Fast Open has passed: its handshake must be over by now. */
  checkHandshake(row: number): void {
    const { rows } = this.#connections;
    rows.deadline[row] = Infinity;
    if (isHandshaking(rows.fd[row * 2 + 1]!)) this.#timedOut(row, this.#listenerOf(row));
  }

  #timedOut(row: number, listener: OpenListener): void {
    const { attempt } = this.#connections.rows;
    const name = nameOf(this.#targets[row]![attempt[row]!]);
    this.#countFailure(listener, ETIMEDOUT);
    const { connectMs } = listener.plan.timeouts;
    this.#refuse(row, listener, "connect_timeout", `${name}: no answer within ${connectMs} ms`);
  }

  #countFailure(listener: OpenListener, error: number): void {
    assertConnectFailure(error);
    listener.counters.error(errnoName(error));
    listener.counters.connectFailed(TARGET);
  }

  #refuse(row: number, listener: OpenListener, reason: Refusal, detail: string): void {
    listener.counters.refused(reason);
    this.#reports.refused(listener.plan.key, reason, detail, this.#relay.now);
    this.#connections.close(row, reason);
  }
}

function nameOf(target: Sockaddr | undefined): string {
  return target === undefined ? "" : describeSockaddr(target.bytes);
}
