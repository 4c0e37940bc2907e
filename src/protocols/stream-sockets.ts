// The listening sockets of a listener of streams in this worker: bound by itself, shared with other workers, or inherited from
// the process that it replaces, in which case nobody is accepted before `accept`. On Linux they are opened as the engines open
// theirs, and the runtime gets the descriptor; elsewhere the runtime binds. Called by the listeners of tls and http.
//
// Invariant: a descriptor that waits is this one's own; one that listens is its server's.

import { closeSync } from "node:fs";

import type { SocketAddress } from "../shared/address.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import type { BindRequest } from "../shared/messages.ts";
import type { BuffersPlan, SocketPlan } from "../shared/plan.ts";
import type { GatewayHost, ListenerSockets } from "./host.ts";
import type { WireListenOptions, WireServer } from "./wire/open.ts";
import { listenPlain } from "./wire/plain.ts";
import type { ServerTls } from "./wire/tls-context.ts";
import { listenTls, type TlsListenOptions } from "./wire/tls.ts";

/** What a server listens on: an address to bind, or the descriptor of a socket that listens there already. */
type Place = Pick<WireListenOptions<never>, "address" | "reusePort" | "exclusive" | "fd">;

export type Accepting<Ticket> = Omit<
  WireListenOptions<Ticket>,
  keyof Place | "socket" | "watermarks"
>;

export type StreamRequest = BindRequest & {
  readonly listener: {
    readonly key: string;
    readonly socket: SocketPlan;
    readonly buffers: BuffersPlan;
    readonly timeouts: { readonly handshakeMs: number };
  };
};

export interface Encryption extends Pick<TlsListenOptions<never>, "tellTruncation" | "wanted"> {
  readonly tls: ServerTls;
}

export class StreamSockets<Ticket> implements ListenerSockets {
  readonly #host: GatewayHost;
  readonly #request: StreamRequest;
  readonly #encryption: Encryption | null;
  readonly #accepting: Accepting<Ticket>;
  #servers: WireServer[] = [];
  /** Of `#servers`, where they are of ours. */
  #fds: number[] = [];
  /** What `accept` is to listen on. */
  #waiting: number[] = [];
  #bound: readonly SocketAddress[] = [];
  #closed = false;

  /** @param encryption null: in clear. */
  constructor(
    host: GatewayHost,
    request: StreamRequest,
    encryption: Encryption | null,
    accepting: Accepting<Ticket>,
  ) {
    this.#host = host;
    this.#request = request;
    this.#encryption = encryption;
    this.#accepting = accepting;
  }

  async open(): Promise<readonly SocketAddress[]> {
    const opened = this.#host.bind(this.#request);
    if (opened === null && this.#accepting.introduce != null) {
      const why = `proxy_protocol.accept of ${this.#request.listener.key} needs Linux`;
      throw new ProxyError("ERR_NOT_AVAILABLE", why, {
        cure: "A tcp listener in front of it can accept them",
      });
    }
    if (opened === null) this.#bindAll();
    else {
      this.#bound = opened.bound;
      this.#waiting = opened.fds;
      if (!this.#request.quiet) this.#listenOnAll();
    }
    return this.#bound;
  }

  #bindAll(): void {
    const { binds, reusePort, exclusive } = this.#request;
    for (const bind of binds) {
      const address = withPortOf(bind, this.#servers[0]?.address);
      this.#servers.push(this.#listen({ address, reusePort, exclusive }));
    }
    this.#bound = this.#servers.map(({ address }) => address);
  }

  #listen(place: Place): WireServer {
    const { socket, buffers, timeouts } = this.#request.listener;
    const { highWatermarkBytes: highBytes, lowWatermarkBytes: lowBytes } = buffers;
    const watermarks = { highBytes, lowBytes };
    const options = { ...this.#accepting, ...place, socket, watermarks };
    if (this.#encryption === null) return listenPlain(options);
    const { handshakeMs } = timeouts;
    const { challenges } = this.#host;
    return listenTls({ ...options, ...this.#encryption, handshakeMs, challenges });
  }

  #listenOnAll(): void {
    for (let fd = this.#waiting[0]; fd !== undefined; fd = this.#waiting[0]) {
      const address = this.#host.addressOf(fd);
      this.#servers.push(this.#listen({ address, reusePort: false, exclusive: false, fd }));
      this.#waiting.shift();
      this.#fds.push(fd);
    }
  }

  async accept(): Promise<readonly string[]> {
    try {
      this.#listenOnAll();
      return [];
    } catch (error) {
      return [messageOf(error)];
    }
  }

  duplicates(): readonly number[] {
    return [...this.#fds, ...this.#waiting].map((fd) => this.#host.duplicate(fd));
  }

  /** Who waits to be accepted is the successor's as soon as these are closed. */
  handOn(): void {
    this.close();
  }

  /** Accepts nobody any more. Who waits in the queue of a socket that another process has too is that one's. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const server of this.#servers) server.close();
    for (const fd of this.#waiting) closeSync(fd);
    this.#fds = [];
    this.#waiting = [];
  }

  /** Ends handshakes that are under way, too. */
  abort(): void {
    this.close();
    for (const server of this.#servers) server.abort();
  }
}

/** A name that has several addresses has one port. */
function withPortOf(address: SocketAddress, first: SocketAddress | undefined): SocketAddress {
  return address.kind === "ip" && first?.kind === "ip" ? { ...address, port: first.port } : address;
}
