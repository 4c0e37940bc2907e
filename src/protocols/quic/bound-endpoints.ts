// An address that a listener over QUIC has, with its endpoints there. A reload hands it from one generation of the listener to
// the next: connections that are open stay with the generation that let them in, and so do handshakes that are under way;
// whoever comes later is the new one's. Called by sockets.ts.
//
// Invariant: whoever was given a ticket is told of once, by onConnection or onRefused of the same generation, unless that was
// aborted.

import type { SocketAddress } from "../../shared/address.ts";
import type { ServerCertificates } from "../../shared/certificates.ts";
import type { Peer } from "../live-rows.ts";
import type {
  QuicConnection,
  QuicDriverName,
  QuicEndpoint,
  QuicError,
  QuicListenOptions,
  QuicServing,
} from "./transport.ts";

/** A generation. */
export interface QuicAccepting<Ticket> {
  /** An Initial of somebody new. @returns null: it is dropped. */
  onAccept(peer: Peer): Ticket | null;
  /** Its handler must be set before this returns. */
  onConnection(connection: QuicConnection, ticket: Ticket): void;
  onRefused(ticket: Ticket, error: QuicError): void;
  /** A sentence for operators. */
  onWarning(message: string): void;
}

export class BoundEndpoints<Ticket> {
  /** As it was asked for. */
  readonly bind: SocketAddress;
  readonly driver: QuicDriverName;
  readonly #endpoints: QuicEndpoint[] = [];
  /** Handshakes that are under way. */
  readonly #tickets = new Map<Peer, { ticket: Ticket; of: QuicAccepting<Ticket> }>();
  #owner: QuicAccepting<Ticket>;
  #closed = false;

  constructor(bind: SocketAddress, driver: QuicDriverName, owner: QuicAccepting<Ticket>) {
    this.bind = bind;
    this.driver = driver;
    this.#owner = owner;
  }

  /** With the port that the system chose. There is an endpoint. */
  get address(): SocketAddress {
    return this.#endpoints[0]!.address;
  }

  /** Its listener was removed, and of one endpoint at least the last connection is gone. */
  get isFree(): boolean {
    return this.#closed && this.#endpoints.some(({ isFree }) => isFree);
  }

  /** Its listener was removed, and connections are left. */
  get lingers(): boolean {
    return this.#closed && this.#endpoints.some(({ isFree }) => !isFree);
  }

  /** What an endpoint that is added must be opened with. */
  get events(): Pick<QuicListenOptions, "onAccept" | "onConnection" | "onRefused"> {
    return {
      onAccept: (peer) => this.#accept(peer),
      onConnection: (connection) => this.#connected(connection),
      onRefused: (peer, error) => this.#refused(peer, error),
    };
  }

  add(endpoint: QuicEndpoint): void {
    this.#endpoints.push(endpoint);
  }

  #accept(peer: Peer): boolean {
    const ticket = this.#owner.onAccept(peer);
    if (ticket === null) return false;
    this.#tickets.set(peer, { ticket, of: this.#owner });
    return true;
  }

  #connected(connection: QuicConnection): void {
    const taken = this.#take(connection.peer);
    if (taken === undefined) connection.destroy();
    else taken.of.onConnection(connection, taken.ticket);
  }

  #refused(peer: Peer, error: QuicError): void {
    const taken = this.#take(peer);
    if (taken !== undefined) taken.of.onRefused(taken.ticket, error);
  }

  #take(peer: Peer): { ticket: Ticket; of: QuicAccepting<Ticket> } | undefined {
    const taken = this.#tickets.get(peer);
    this.#tickets.delete(peer);
    return taken;
  }

  /**
   * Nothing changes yet.
   * @returns what hands it over, for handshakes that begin later; it returns a sentence for all that stays as it was, or null: it
   * was closed, and cannot be opened again.
   * @throws ProxyError ERR_CERTIFICATE
   */
  prepare(serving: QuicServing, next: QuicAccepting<Ticket>): () => readonly string[] | null {
    const changes = this.#endpoints.map((endpoint) => endpoint.prepare(serving));
    return () => {
      if (this.#closed && !this.#reopen()) return null;
      this.#owner = next;
      this.#closed = false;
      return changes.flatMap((change) => change());
    };
  }

  #reopen(): boolean {
    return !this.isFree && this.#endpoints.every((endpoint) => endpoint.reopen());
  }

  /** @throws ProxyError ERR_CERTIFICATE */
  setCertificates(certificates: ServerCertificates, by: QuicAccepting<Ticket>): void {
    if (by !== this.#owner) return;
    for (const endpoint of this.#endpoints) endpoint.setCertificates(certificates);
  }

  /** Takes nobody any more, unless they are another generation's by now; free when the last connection is gone. */
  close(by: QuicAccepting<Ticket>): void {
    if (by !== this.#owner) return;
    this.#closed = true;
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  /** Ends handshakes that are under way, and connections unless they are another's; tells nobody. */
  abort(by: QuicAccepting<Ticket>): void {
    for (const [peer, { of }] of this.#tickets) if (of === by) this.#tickets.delete(peer);
    if (by !== this.#owner) return;
    for (const endpoint of this.#endpoints.splice(0)) endpoint.destroy();
  }
}
