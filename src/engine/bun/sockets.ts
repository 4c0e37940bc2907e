// The listening sockets of a listener of the engine bun: on Linux opened as the other engines open theirs, so that they can be
// shared with workers and handed to a successor, and the runtime gets the descriptor; elsewhere the runtime binds. Called by
// listener.ts.
//
// Invariant: a descriptor that waits is this one's own; one that listens is the runtime's.

import { closeSync } from "node:fs";

import type { SocketAddress } from "../../shared/address.ts";
import type { RelayRequest } from "../../shared/messages.ts";
import * as listening from "../listening.ts";
import { bind, type Bound } from "./bind.ts";
import { RELAY_HANDLERS, type RelaySocket } from "./connection.ts";

export interface SocketsOwner {
  accepted(socket: RelaySocket): void;
  /** Before a client is accepted on it. */
  listens(fd: number): void;
}

export class BunSockets {
  readonly #handlers: Parameters<typeof bind>[2];
  readonly #owner: SocketsOwner;
  #servers: Bound[] = [];
  /** Of `#servers`, where they are of ours. */
  #fds: number[] = [];
  /** What `accept` is to listen on. */
  #waiting: number[] = [];

  constructor(owner: SocketsOwner) {
    this.#owner = owner;
    this.#handlers = { ...RELAY_HANDLERS, open: (socket) => owner.accepted(socket) };
  }

  /** @returns where it is bound. @throws ProxyError ERR_LISTEN; what was opened stays until `close`. */
  open(request: RelayRequest): SocketAddress[] {
    const opened = listening.bind(request);
    if (opened === null) {
      for (const address of request.binds) this.#listen(address, request);
      return this.#servers.map(({ address }) => address);
    }
    this.#waiting = opened.fds;
    if (!request.quiet) this.accept();
    return opened.bound;
  }

  /** On what waits. @throws ProxyError ERR_LISTEN */
  accept(): void {
    for (let fd = this.#waiting[0]; fd !== undefined; fd = this.#waiting[0]) {
      this.#listen(listening.addressOf(fd), { fd, reusePort: false, exclusive: false });
      this.#waiting.shift();
      this.#fds.push(fd);
    }
  }

  #listen(address: SocketAddress, options: Parameters<typeof bind>[1]): void {
    const server = bind(address, options, this.#handlers);
    this.#servers.push(server);
    this.#owner.listens(server.fd);
  }

  /** They are the caller's. @throws ProxyError ERR_LISTEN out of descriptors. */
  duplicates(): number[] {
    return [...this.#fds, ...this.#waiting].map((fd) => listening.duplicate(fd));
  }

  close(): void {
    for (const server of this.#servers) server.stop();
    for (const fd of this.#waiting) closeSync(fd);
    this.#servers = [];
    this.#fds = [];
    this.#waiting = [];
  }
}
