// Reaches a target: tries its addresses in order within one time budget, each attempt with an equal share of what is left,
// so that one dead address cannot use it up. The client is not read meanwhile; what it sends waits in its socket.

import { EINPROGRESS, EINTR, errnoName, errnoText, ETIMEDOUT } from "../../ffi/errno.ts";
import { sendWaitingSyn } from "../../ffi/fastopen.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { AF_UNIX, EPOLLERR, EPOLLHUP, EPOLLOUT } from "../../ffi/linux.ts";
import { addressOf } from "../../ffi/memory.ts";
import type { Sockaddr } from "../../ffi/sockaddr.ts";
import { applySocketOptions } from "../../ffi/socket-options.ts";
import type { Refusal } from "../../shared/messages.ts";
import type { EngineHost } from "../engine.ts";
import type { OpenListener } from "./acceptor.ts";
import { type Connections, describeSockaddr, TARGET } from "./connections.ts";
import { assertConnectFailure, isOutOfDescriptors } from "./errnos.ts";
import type { Poller } from "./poller.ts";
import type { Relay } from "./relay.ts";
import type { Reports } from "./reports.ts";
import { UNTIL_EAGAIN } from "./rows.ts";
import { socketError, streamSocket } from "./sockets.ts";

export class Connector {
  readonly #poller: Poller;
  readonly #connections: Connections;
  readonly #relay: Relay;
  readonly #reports: Reports;
  readonly #host: EngineHost;
  readonly #listenerOf: (row: number) => OpenListener;
  readonly #warned = new Set<string>();

  constructor(
    poller: Poller,
    connections: Connections,
    relay: Relay,
    reports: Reports,
    host: EngineHost,
    listenerOf: (row: number) => OpenListener,
  ) {
    this.#poller = poller;
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
    this.#poller.addSocket(rows.fd[client]!, client, rows.live.generation[row]!);
    rows.attempt[row] = 0;
    rows.deadline[row] = now + listener.plan.timeouts.connectMs;
    if (listener.targets.length === 0) return this.#refuse(row, listener, "no_address", "");
    this.#tryFrom(row, listener);
  }

  /** Tries addresses from the row's current one on until one is under way. */
  #tryFrom(row: number, listener: OpenListener): void {
    const { rows } = this.#connections;
    const { now } = this.#relay;
    for (let error = 0; ;) {
      const attempt = rows.attempt[row]!;
      const target = listener.targets[attempt];
      if (target === undefined) {
        const last = listener.targets.at(-1);
        const name = last === undefined ? "" : describeSockaddr(last.bytes);
        return this.#refuse(row, listener, "target_down", `${name}: ${errnoText(error)}`);
      }
      const left = listener.targets.length - attempt;
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
    const fd = streamSocket(target.family);
    if (fd < 0) return -fd;
    if (target.family !== AF_UNIX) this.#setOptions(fd, listener);
    if (libc.connect(fd, addressOf(target.bytes), target.bytes.length) < 0) {
      const error = errno();
      if (error !== EINPROGRESS && error !== EINTR) {
        libc.close(fd);
        return error;
      }
    }
    const side = row * 2 + 1;
    rows.fd[side] = fd;
    rows.flags[side] = target.family === AF_UNIX ? UNTIL_EAGAIN : 0;
    this.#poller.addSocket(fd, side, rows.live.generation[row]!);
    return 0;
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

  /** Events of either side of a row that is CONNECTING. */
  event(d: number, events: number): void {
    const row = d >>> 1;
    if ((d & 1) === 0) {
      this.#relay.note(d, events);
      // A reset: nobody waits for the target any more. EPOLLHUP alone is a unix client that has sent all and closed.
      if ((events & EPOLLERR) !== 0) this.#connections.close(row, "reset");
      return;
    }
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0) {
      const error = socketError(this.#connections.rows.fd[d]!);
      if (error !== 0) return this.#failed(row, error);
    }
    if ((events & EPOLLOUT) === 0) return;
    const listener = this.#listenerOf(row);
    const target = listener.targets[this.#connections.rows.attempt[row]!] ?? listener.targets[0];
    if (target !== undefined) this.#connections.establish(row, target.bytes, this.#relay.now);
    this.#relay.start(row);
    if (!this.#connections.rows.live.isOpen(row)) return;
    if (listener.plan.socket.fastopen) sendWaitingSyn(this.#connections.rows.fd[d]!);
    this.#relay.event(d, events);
  }

  /** The deadline of the current address has passed. */
  expired(row: number): void {
    const listener = this.#listenerOf(row);
    const { rows } = this.#connections;
    const target = listener.targets[rows.attempt[row]!];
    if (this.#relay.now < rows.deadline[row]!) return this.#failed(row, ETIMEDOUT);
    this.#countFailure(listener, ETIMEDOUT);
    const name = target === undefined ? "" : describeSockaddr(target.bytes);
    const { connectMs } = listener.plan.timeouts;
    this.#refuse(row, listener, "connect_timeout", `${name}: no answer within ${connectMs} ms`);
  }

  #failed(row: number, error: number): void {
    const listener = this.#listenerOf(row);
    const { rows } = this.#connections;
    const side = row * 2 + 1;
    libc.close(rows.fd[side]!);
    rows.fd[side] = -1;
    this.#countFailure(listener, error);
    const attempt = rows.attempt[row]! + 1;
    rows.attempt[row] = attempt;
    if (attempt < listener.targets.length) return this.#tryFrom(row, listener);
    const target = listener.targets.at(-1);
    const name = target === undefined ? "" : describeSockaddr(target.bytes);
    this.#refuse(row, listener, "target_down", `${name}: ${errnoText(error)}`);
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
