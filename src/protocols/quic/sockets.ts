// Where the clients of a listener over QUIC arrive: an endpoint for each of its addresses, in the one worker that has them, since
// a connection stays with one socket and one thread. Beside a wildcard each address of the machine has an endpoint of its own,
// so that answers leave from the address that was asked (as datagrams/bind.ts). Called by the listeners of http3 and quic.
//
// A socket cannot be shared: packets of one connection would reach either reader. So a reload hands endpoints on to the listener
// that replaces this one (`follow`, `accept`), and at an upgrade a successor opens its own when its predecessor has let go of
// the port, and tries until then.

import { formatSocketAddress, type SocketAddress } from "../../shared/address.ts";
import type { ServerCertificates } from "../../shared/certificates.ts";
import { errnoOf, messageOf, ProxyError } from "../../shared/errors.ts";
import { QUIC } from "../../shared/limits.ts";
import { listenError } from "../../shared/listen-error.ts";
import type { BindRequest } from "../../shared/messages.ts";
import type { BufferSizesPlan } from "../../shared/plan.ts";
import { machineAddresses, makeSure, sharesPort } from "../datagrams/bind.ts";
import type { ListenerSockets } from "../host.ts";
import { BoundEndpoints, type QuicAccepting } from "./bound-endpoints.ts";
import type { QuicDriver, QuicListenOptions, QuicServing } from "./transport.ts";

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

export class QuicSockets<Ticket> implements ListenerSockets {
  readonly #driver: () => QuicDriver;
  readonly #request: QuicRequest;
  readonly #agreement: QuicAgreement;
  readonly #accepting: QuicAccepting<Ticket>;
  /** What it has, or had: those that were handed on still have its connections. */
  readonly #held: BoundEndpoints<Ticket>[] = [];
  /** Those whose endpoints it takes over, where they have what it needs. */
  #before: QuicSockets<Ticket>[] = [];
  #coming: {
    readonly endpoints: BoundEndpoints<Ticket>;
    readonly take: () => readonly string[] | null;
  }[] = [];
  /** Of addresses that somebody else still has. */
  #later: SocketAddress[] = [];
  #certificates: ServerCertificates;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #accepts: boolean;
  #closed = false;

  /** @param driver asked for only in the worker that has endpoints. */
  constructor(
    driver: () => QuicDriver,
    request: QuicRequest,
    agreement: QuicAgreement,
    certificates: ServerCertificates,
    accepting: QuicAccepting<Ticket>,
  ) {
    const { onAccept } = accepting;
    this.#driver = driver;
    this.#request = request;
    this.#agreement = agreement;
    this.#certificates = certificates;
    this.#accepting = {
      ...accepting,
      onAccept: (peer) => (this.#accepts && !this.#closed ? onAccept(peer) : null),
    };
    this.#accepts = !request.quiet || request.replaces === "process";
  }

  get #key(): string {
    return this.#request.listener.key;
  }

  get overQuic(): this {
    return this;
  }

  get lingers(): boolean {
    return this.#held.some(({ lingers }) => lingers);
  }

  follow({ overQuic }: ListenerSockets): void {
    if (overQuic instanceof QuicSockets) this.#before.push(overQuic);
  }

  async open(): Promise<readonly SocketAddress[]> {
    return this.openOn(this.#request.binds);
  }

  /** @param binds in place of the request's, where their ports are known by now. @throws ProxyError ERR_LISTEN */
  async openOn(binds: readonly SocketAddress[]): Promise<readonly SocketAddress[]> {
    if (!this.#request.endpoint) return [];
    if (this.#request.replaces !== "process") return this.#openAll(binds);
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
      const address = { ...bind, port };
      bound.push(this.#inherit(address) ?? (await this.#openOne(address)));
    }
    return bound;
  }

  /**
   * @returns where it will be, once those who have it now have let go of it; null: nobody has it.
   * @throws ProxyError ERR_CERTIFICATE
   */
  #inherit(address: SocketAddress & { kind: "ip" }): SocketAddress | null {
    const held = this.#before.flatMap((before) => before.#held);
    // Several may be written alike, on port 0.
    const own = this.#before.filter((before) => before.#key === this.#key);
    const endpoints =
      held.find((each) => isSame(each.address, address)) ??
      own.flatMap((before) => before.#held).find((each) => isSame(each.bind, address));
    if (endpoints?.isFree === false && endpoints.driver === this.#driver().name) {
      const take = endpoints.prepare(this.#serving(), this.#accepting);
      this.#coming.push({ endpoints, take });
      return endpoints.address;
    }
    const waits = this.#before.flatMap((before) => before.#later);
    const isHeld =
      waits.some((each) => isSame(each, address)) ||
      held.some((each) => portOf(each.address) === address.port);
    if (endpoints === undefined && !isHeld) return null;
    const bound = endpoints?.address ?? address;
    this.#later.push(bound);
    return bound;
  }

  #serving(): QuicServing {
    const { sendBufferBytes, receiveBufferBytes } = this.#request.listener.socket;
    const buffers = { sendBufferBytes, receiveBufferBytes };
    return { ...this.#agreement, buffers, certificates: this.#certificates };
  }

  async #openOne(address: SocketAddress & { kind: "ip" }): Promise<SocketAddress> {
    const endpoints = new BoundEndpoints(address, this.#driver().name, this.#accepting);
    if (!sharesPort(address.host)) return this.#listen(endpoints, address, false);
    const port = await this.#makeSure(address);
    const bound = await this.#listen(endpoints, { ...address, port }, true);
    for (const host of machineAddresses(address.host)) {
      try {
        await this.#listen(endpoints, { kind: "ip", host, port }, true);
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

  async #listen(
    endpoints: BoundEndpoints<Ticket>,
    address: SocketAddress,
    reusePort: boolean,
  ): Promise<SocketAddress> {
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
      ...this.#serving(),
      ...endpoints.events,
    });
    if (this.#closed) {
      endpoint.destroy();
      throw new ProxyError("ERR_CLOSED", "the listener was closed");
    }
    endpoints.add(endpoint);
    if (!this.#held.includes(endpoints)) this.#held.push(endpoints);
    return endpoint.address;
  }

  /** A predecessor still has the port, which it drains. */
  #openLater(binds: readonly SocketAddress[], delayMs: number, told: boolean): void {
    if (this.#closed) return;
    this.#later = [...binds];
    this.#retry = setTimeout(() => void this.#openAgain(binds, delayMs, told), delayMs);
  }

  async #openAgain(binds: readonly SocketAddress[], delayMs: number, told: boolean): Promise<void> {
    const error = await this.#openNow(binds);
    if (error === null || this.#closed) return;
    if (!told) this.#accepting.onWarning(`QUIC waits: ${reasonOf(error)}`);
    this.#openLater(binds, Math.min(delayMs * 2, QUIC.reopenMaxMs), true);
  }

  /** All of these or none. Never rejects. @returns why they are not open; null: they are. */
  async #openNow(binds: readonly SocketAddress[]): Promise<unknown> {
    const kept = this.#held.length;
    try {
      await this.#openAll(binds);
      this.#later = [];
      return null;
    } catch (error) {
      if (!this.#closed) {
        for (const endpoints of this.#held.splice(kept)) endpoints.abort(this.#accepting);
      }
      return error;
    }
  }

  setCertificates(certificates: ServerCertificates): void {
    this.#certificates = certificates;
    for (const endpoints of this.#held) {
      try {
        endpoints.setCertificates(certificates, this.#accepting);
      } catch (error) {
        // TLS over TCP may take what a driver does not: no reason to end whoever is connected.
        if (!(error instanceof ProxyError)) throw error;
        this.#accepting.onWarning(`QUIC keeps the certificates that it had: ${error.message}`);
      }
    }
  }

  /** Takes over what it is to; what another process has is tried by itself (see `openOn`). */
  async accept(): Promise<readonly string[]> {
    if (this.#accepts || this.#closed) return [];
    this.#accepts = true;
    this.#before = [];
    const kept = this.#coming.flatMap(({ endpoints, take }) => {
      const sentences = take();
      if (sentences === null) this.#later.push(endpoints.address);
      else this.#held.push(endpoints);
      return sentences ?? [];
    });
    this.#coming = [];
    // The last connection of whoever had an address may be gone since: then it is free already.
    const later = this.#later;
    if (later.length > 0 && (await this.#openNow(later)) !== null) {
      this.#openLater(later, QUIC.reopenMinMs, false);
    }
    return [...new Set(kept)];
  }

  /** None: another process that reads from them would get packets of connections that are here. */
  duplicates(): readonly number[] {
    return [];
  }

  handOn(): void {
    this.close();
  }

  /** Takes nobody any more; each address that was not handed on is free when its last connection is gone. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#before = [];
    this.#coming = [];
    clearTimeout(this.#retry);
    for (const endpoints of this.#held) endpoints.close(this.#accepting);
  }

  /** Ends connections and handshakes that are under way, and tells nobody. */
  abort(): void {
    this.close();
    for (const endpoints of this.#held.splice(0)) endpoints.abort(this.#accepting);
  }
}

/** Mostly that its predecessor still has the port. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return errnoOf(cause) === "EADDRINUSE"
    ? "whoever is replaced has its port until its connections are over (EADDRINUSE)"
    : messageOf(error);
}

function isSame(one: SocketAddress, other: SocketAddress): boolean {
  return formatSocketAddress(one) === formatSocketAddress(other);
}

function portOf(address: SocketAddress): number {
  return address.kind === "ip" ? address.port : 0;
}
