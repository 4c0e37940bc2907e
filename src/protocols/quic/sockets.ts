// Where the clients of a listener over QUIC arrive: an endpoint for each of its addresses, in the one worker that has them, since
// a connection stays with one socket and one thread. Beside a wildcard each address of the machine has an endpoint of its own,
// so that answers leave from the address that was asked (as datagrams/bind.ts). Called by the listeners of http3 and quic.
//
// At an upgrade a socket cannot be shared: packets of one connection would reach either process. So a successor opens its
// endpoints when its predecessor has let go of the port, and tries until then.
//
// Invariant: whoever was given a ticket is told of once, by onConnection or onRefused, unless everything was aborted.

import { formatSocketAddress, type SocketAddress } from "../../shared/address.ts";
import type { ServerCertificates } from "../../shared/certificates.ts";
import { errnoOf, messageOf, ProxyError } from "../../shared/errors.ts";
import { QUIC } from "../../shared/limits.ts";
import { listenError } from "../../shared/listen-error.ts";
import type { BindRequest } from "../../shared/messages.ts";
import type { BufferSizesPlan } from "../../shared/plan.ts";
import { machineAddresses, makeSure, sharesPort } from "../datagrams/bind.ts";
import type { ListenerSockets } from "../host.ts";
import type { Peer } from "../live-rows.ts";
import type {
  QuicConnection,
  QuicDriver,
  QuicEndpoint,
  QuicError,
  QuicListenOptions,
} from "./transport.ts";

export type QuicRequest = BindRequest & {
  readonly listener: { readonly key: string; readonly socket: BufferSizesPlan };
};

/** What the protocol agrees to and asks for, the same for all of its endpoints. */
export type QuicAgreement = Pick<
  QuicListenOptions,
  | "alpn"
  | "clientAuth"
  | "transport"
  | "watermarks"
  | "earlyData"
  | "retryFrom"
  | "keyLog"
  | "wanted"
>;

export interface QuicAccepting<Ticket> {
  /** An Initial of somebody new. @returns null: it is dropped. */
  onAccept(peer: Peer): Ticket | null;
  /** Its handler must be set before this returns. */
  onConnection(connection: QuicConnection, ticket: Ticket): void;
  onRefused(ticket: Ticket, error: QuicError): void;
  /** A sentence for operators. */
  onWarning(message: string): void;
}

export class QuicSockets<Ticket> implements ListenerSockets {
  readonly #driver: () => QuicDriver;
  readonly #request: QuicRequest;
  readonly #agreement: QuicAgreement;
  readonly #accepting: QuicAccepting<Ticket>;
  readonly #endpoints: QuicEndpoint[] = [];
  /** Handshakes that are under way. */
  readonly #tickets = new Map<Peer, Ticket>();
  #certificates: ServerCertificates;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** @param driver asked for only in the worker that has endpoints. */
  constructor(
    driver: () => QuicDriver,
    request: QuicRequest,
    agreement: QuicAgreement,
    certificates: ServerCertificates,
    accepting: QuicAccepting<Ticket>,
  ) {
    this.#driver = driver;
    this.#request = request;
    this.#agreement = agreement;
    this.#certificates = certificates;
    this.#accepting = accepting;
  }

  async open(): Promise<readonly SocketAddress[]> {
    return this.openOn(this.#request.binds);
  }

  /** @param binds in place of the request's, where their ports are known by now. @throws ProxyError ERR_LISTEN */
  async openOn(binds: readonly SocketAddress[]): Promise<readonly SocketAddress[]> {
    if (!this.#request.endpoint) return [];
    if (!this.#request.quiet) return this.#openAll(binds);
    // As soon as the port is free; in the order of binds, so port 0 of a successor is nobody's yet.
    this.#openLater(binds, QUIC.reopenMinMs, false);
    return binds;
  }

  async #openAll(binds: readonly SocketAddress[]): Promise<readonly SocketAddress[]> {
    const bound: SocketAddress[] = [];
    for (const bind of binds) {
      if (bind.kind !== "ip") {
        throw new ProxyError("ERR_LISTEN", `cannot listen on unix:${bind.path}: QUIC has ports`);
      }
      const [first] = bound;
      const port = bind.port === 0 && first?.kind === "ip" ? first.port : bind.port;
      bound.push(await this.#openOne({ ...bind, port }));
    }
    return bound;
  }

  async #openOne(address: SocketAddress & { kind: "ip" }): Promise<SocketAddress> {
    if (!sharesPort(address.host)) return this.#listen(address, false);
    const port = await this.#makeSure(address);
    const bound = await this.#listen({ ...address, port }, true);
    for (const host of machineAddresses(address.host)) {
      try {
        await this.#listen({ kind: "ip", host, port }, true);
      } catch (error) {
        // The wildcard's endpoint serves it.
        if (this.#closed) throw error;
      }
    }
    return bound;
  }

  async #makeSure(address: SocketAddress & { kind: "ip" }): Promise<number> {
    try {
      return await makeSure(address.host, address.port);
    } catch (error) {
      throw listenError(formatSocketAddress(address), errnoOf(error), error);
    }
  }

  async #listen(address: SocketAddress, reusePort: boolean): Promise<SocketAddress> {
    const driver = this.#driver();
    if (this.#agreement.wanted != null && driver.name !== "quiche") {
      this.#accepting.onWarning(
        `the driver ${driver.name} of QUIC asks for no certificates on demand`,
      );
    }
    const endpoint = await driver.listen({
      ...this.#agreement,
      address,
      reusePort,
      buffers: this.#request.listener.socket,
      certificates: this.#certificates,
      onAccept: (peer) => this.#accept(peer),
      onConnection: (connection) => this.#connected(connection),
      onRefused: (peer, error) => this.#refused(peer, error),
    });
    if (this.#closed) {
      endpoint.destroy();
      throw new ProxyError("ERR_CLOSED", "the listener was closed");
    }
    this.#endpoints.push(endpoint);
    return endpoint.address;
  }

  /** A predecessor still has the port, which it drains. */
  #openLater(binds: readonly SocketAddress[], delayMs: number, told: boolean): void {
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#openAll(binds).catch((error: unknown) => {
        if (this.#closed) return;
        for (const endpoint of this.#endpoints.splice(0)) endpoint.destroy();
        if (!told) this.#accepting.onWarning(`QUIC waits: ${reasonOf(error)}`);
        this.#openLater(binds, Math.min(delayMs * 2, QUIC.reopenMaxMs), true);
      });
    }, delayMs);
  }

  #accept(peer: Peer): boolean {
    const ticket = this.#closed ? null : this.#accepting.onAccept(peer);
    if (ticket === null) return false;
    this.#tickets.set(peer, ticket);
    return true;
  }

  #connected(connection: QuicConnection): void {
    const ticket = this.#take(connection.peer);
    if (ticket === undefined) connection.destroy();
    else this.#accepting.onConnection(connection, ticket);
  }

  #refused(peer: Peer, error: QuicError): void {
    const ticket = this.#take(peer);
    if (ticket !== undefined) this.#accepting.onRefused(ticket, error);
  }

  #take(peer: Peer): Ticket | undefined {
    const ticket = this.#tickets.get(peer);
    this.#tickets.delete(peer);
    return ticket;
  }

  setCertificates(certificates: ServerCertificates): void {
    this.#certificates = certificates;
    for (const endpoint of this.#endpoints) {
      try {
        endpoint.setCertificates(certificates);
      } catch (error) {
        // TLS over TCP may take what a driver does not: no reason to end whoever is connected.
        if (!(error instanceof ProxyError)) throw error;
        this.#accepting.onWarning(`QUIC keeps the certificates that it had: ${error.message}`);
      }
    }
  }

  /** What is bound already by somebody else is tried again by itself (see `openOn`). */
  async accept(): Promise<readonly string[]> {
    return [];
  }

  /** None: another process that reads from them would get packets of connections that are here. */
  duplicates(): readonly number[] {
    return [];
  }

  handOn(): void {
    this.close();
  }

  /** Takes nobody any more; each address is free when its last connection is gone. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  /** Ends connections and handshakes that are under way, and tells nobody. */
  abort(): void {
    this.close();
    this.#tickets.clear();
    for (const endpoint of this.#endpoints.splice(0)) endpoint.destroy();
  }
}

/** Mostly that its predecessor still has the port. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return errnoOf(cause) === "EADDRINUSE"
    ? "the process that is replaced has its port until its connections are over (EADDRINUSE)"
    : messageOf(error);
}
