// A listener's UDP socket with the connections of its clients: packets are routed by the id in them, which is one that we
// gave, or that a client made up in its first packets. Whoever is nobody's is let in, asked to prove his address, or told
// that he is not known; such answers are always smaller than what they answer, and bounded in number. Made by driver.ts.

import { randomBytes } from "node:crypto";

import type { udp } from "bun";

import { formatSocketAddress, type SocketAddress } from "../../../shared/address.ts";
import type { ServerCertificates } from "../../../shared/certificates.ts";
import { monotonicMs } from "../../../shared/clock.ts";
import { errnoOf, messageOf } from "../../../shared/errors.ts";
import { isLoopback, parseIp } from "../../../shared/ip.ts";
import { QUICHE } from "../../../shared/limits.ts";
import { listenError } from "../../../shared/listen-error.ts";
import { errorIn, fdOf } from "../../datagrams/sockets.ts";
import type { WireTls } from "../../wire/wire.ts";
import {
  type QuicEndpoint,
  QuicError,
  type QuicListenOptions,
  type QuicServing,
} from "../transport.ts";
import { Arrivals } from "./arrivals.ts";
import type { Binding, Connection, HostPort } from "./binding.ts";
import { ServerConfigs } from "./config.ts";
import { QuicheConnection } from "./connection.ts";
import { passBugs } from "./errors.ts";
import { Gathered } from "./gathered.ts";
import { giveIds, newCid } from "./ids.ts";
import { KeyLog } from "./key-log.ts";
import { Loop } from "./loop.ts";
import {
  CID_BYTES,
  CLIENT_CID_MIN_BYTES,
  INITIAL_MIN_BYTES,
  isLong,
  type LongHeader,
  parseLongHeader,
  TYPE_INITIAL,
  VERSION_1,
  writeStatelessReset,
  writeVersionNegotiation,
} from "./packets.ts";
import type { ConnectionOwner, EndpointHost } from "./parts.ts";
import { Rate } from "./rate.ts";
import { agreedByClient } from "./tls.ts";
import { TOKENS } from "./tokens.ts";

type Socket = udp.Socket<"buffer">;

/** Room for a Retry packet. */
const RETRY_MAX_BYTES = 512;

export class QuicheEndpoint implements QuicEndpoint, ConnectionOwner {
  readonly #binding: Binding;
  #options: QuicListenOptions;
  #configs: ServerConfigs;
  readonly #host: EndpointHost;
  #loop!: Loop;
  /** By every id that leads to them. */
  readonly #byCid = new Map<string, QuicheConnection>();
  readonly #gathered = new Gathered(this.#byCid);
  #gathers = false;
  /** What each is called. */
  readonly #cids = new Map<QuicheConnection, Set<string>>();
  readonly #arrivals = new Arrivals();
  readonly #handshakes = new Set<QuicheConnection>();
  readonly #keyLogs = new Map<QuicheConnection, KeyLog>();
  readonly #resets = new Rate(QUICHE.answersPerSecond);
  readonly #negotiations = new Rate(QUICHE.answersPerSecond);
  #socket: Socket | null = null;
  #local!: HostPort;
  #address!: SocketAddress;
  #sweep: ReturnType<typeof setInterval> | null = null;
  /** Nobody new is let in. */
  #closed = false;

  /** @throws ProxyError ERR_CERTIFICATE */
  constructor(binding: Binding, options: QuicListenOptions, host: EndpointHost) {
    this.#binding = binding;
    this.#options = options;
    this.#configs = new ServerConfigs(binding, options);
    this.#host = host;
  }

  /** @throws ProxyError ERR_LISTEN */
  async open(bind: (handlers: udp.SocketHandler<"buffer">) => Promise<Socket>): Promise<void> {
    const { address } = this.#options;
    let socket: Socket;
    try {
      socket = await bind({
        data: (_socket, bytes, port, host) => this.#read(bytes, port, host),
        drain: () => this.#loop.resume(),
        // ICMP errors of clients that are gone: their connections time out.
        error: (...args: unknown[]) => passBugs(errorIn(args)),
      });
    } catch (error) {
      throw listenError(formatSocketAddress(address), errnoOf(error), error);
    }
    this.#socket = socket;
    this.#loop = new Loop(socket, false, this.#host.segmentsOf(fdOf(socket)));
    this.#gathers = this.#host.gatherDatagrams(fdOf(socket));
    const host = address.kind === "ip" ? address.host : "";
    this.#address = { kind: "ip", host, port: socket.port };
    this.#local = { host: host === "" ? "::" : (host.split("%")[0] ?? host), port: socket.port };
  }

  get address(): SocketAddress {
    return this.#address;
  }

  get fd(): number {
    return this.#socket === null ? -1 : fdOf(this.#socket);
  }

  prepare(serving: QuicServing): () => readonly string[] {
    const options = { ...this.#options, ...serving };
    const configs = new ServerConfigs(this.#binding, options, this.#configs);
    return () => {
      this.#options = options;
      this.#configs = configs;
      return this.#host.setBuffers(this.fd, serving.buffers);
    };
  }

  setCertificates(certificates: ServerCertificates): void {
    this.#configs.update(certificates);
  }

  close(): void {
    this.#closed = true;
    this.#endIfEmpty();
  }

  get isFree(): boolean {
    return this.#socket === null;
  }

  reopen(): boolean {
    this.#closed = false;
    return true;
  }

  destroy(): void {
    this.#closed = true;
    for (const connection of this.#cids.keys()) {
      connection.destroy();
      this.#loop.flush(connection);
    }
    this.#stop();
  }

  #endIfEmpty(): void {
    if (this.#closed && this.#cids.size === 0 && this.#arrivals.size === 0) this.#stop();
  }

  #stop(): void {
    this.#loop.stop();
    for (const log of this.#keyLogs.values()) log.close();
    this.#keyLogs.clear();
    this.#cids.clear();
    this.#byCid.clear();
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
    this.#socket?.close();
    this.#socket = null;
  }

  /** One datagram, or several. */
  #read(bytes: Buffer, port: number, host: string): void {
    const size = this.#gathers ? this.#gathered.sizeIn(bytes) : bytes.length;
    if (size === bytes.length) return this.#receive(bytes, port, host);
    for (let at = 0; at < bytes.length; at += size) {
      this.#receive(bytes.subarray(at, at + size), port, host);
    }
  }

  #receive(datagram: Buffer, port: number, host: string): void {
    if (datagram.length === 0 || this.#socket === null) return;
    // quiche's addresses have no zone: a neighbour by a link-local address would have no way back.
    if (host.includes("%")) return;
    if (isLong(datagram)) {
      const dcid = datagram.toString("latin1", 6, 6 + (datagram[5] ?? 0));
      const connection = this.#byCid.get(dcid);
      if (connection !== undefined) connection.receive(datagram, port, host);
      else this.#meet(datagram, dcid, port, host);
      return;
    }
    const dcid = datagram.toString("latin1", 1, 1 + CID_BYTES);
    const connection = this.#byCid.get(dcid);
    if (connection !== undefined) connection.receive(datagram, port, host);
    else this.#disown(datagram, port, host);
  }

  /** A packet of a connection that is not there any more (RFC 9000 section 10.3). */
  #disown(datagram: Buffer, port: number, host: string): void {
    if (datagram.length < 1 + CID_BYTES || !this.#resets.take(monotonicMs())) return;
    const token = TOKENS.reset(datagram.subarray(1, 1 + CID_BYTES), this.#local);
    const reset = writeStatelessReset(datagram.length, token, randomBytes(43));
    if (reset !== null) this.#loop.sendAlone(reset, { host, port });
  }

  /** A packet of somebody new, or a stray one. */
  #meet(datagram: Buffer, dcid: string, port: number, host: string): void {
    const header = parseLongHeader(datagram);
    if (header === null || this.#closed || datagram.length < INITIAL_MIN_BYTES) return;
    if (header.version !== VERSION_1) {
      // Version 0 is an answer itself (RFC 9000 section 6.1).
      if (header.version === 0 || !this.#negotiations.take(monotonicMs())) return;
      const answer = writeVersionNegotiation(header, randomBytes(1)[0]!);
      return this.#loop.sendAlone(answer, { host, port });
    }
    if (header.type !== TYPE_INITIAL || header.dcid.length < CLIENT_CID_MIN_BYTES) return;
    const arrival = this.#arrivals.get(dcid);
    if (arrival !== undefined) return this.#collect(dcid, datagram, header);
    const ip = parseIp(host);
    if (ip === null) return;
    const peer = { ip, port };
    const now = monotonicMs();
    const originalCid = TOKENS.openRetry(header.token, peer, header.dcid, now);
    if (originalCid === null && this.#underWay >= this.#options.retryFrom) {
      return this.#retry(header, peer, { host, port }, now);
    }
    if (this.#configs.needsName && this.#arrivals.full) return;
    if (!this.#options.onAccept(peer)) return;
    if (!this.#configs.needsName) {
      this.#accept("", dcid, [datagram], { peer, host, originalCid });
      return;
    }
    this.#arrivals.begin(dcid, header.dcid, { peer, host, originalCid }, now);
    this.#sweep ??= setInterval(() => this.#expire(), QUICHE.arrivalMs / 4);
    this.#collect(dcid, datagram, header);
  }

  get #underWay(): number {
    return this.#handshakes.size + this.#arrivals.size;
  }

  /** RFC 9000 section 8.1.2: nothing is kept of a client that has not proved its address. */
  #retry(header: LongHeader, peer: QuicheConnection["peer"], to: HostPort, now: number): void {
    const cid = newCid();
    const token = TOKENS.sealRetry(peer, header.dcid, cid, now + QUICHE.retryTokenMs);
    const packet = new Uint8Array(RETRY_MAX_BYTES);
    const { scid, dcid } = header;
    const length = this.#binding.retry(scid, dcid, cid, token, VERSION_1, packet);
    this.#loop.sendAlone(packet.subarray(0, length), to);
  }

  #collect(dcid: string, datagram: Buffer, header: LongHeader): void {
    const arrival = this.#arrivals.get(dcid)!;
    const name = this.#arrivals.add(arrival, datagram, header);
    if (name === null) return;
    this.#arrivals.end(dcid);
    if (!this.#configs.isWanted(name)) {
      return this.#accept(name, dcid, arrival.datagrams, arrival);
    }
    const message = `there is no certificate for ${name} yet`;
    this.#options.onRefused(arrival.peer, new QuicError("ERR_QUIC_TIMEOUT", message));
    this.#endIfEmpty();
  }

  #expire(): void {
    for (const { peer } of this.#arrivals.expired(monotonicMs())) {
      const message = "its hello did not come whole";
      this.#options.onRefused(peer, new QuicError("ERR_QUIC_TIMEOUT", message));
    }
    if (this.#arrivals.size > 0 || this.#sweep === null) return;
    clearInterval(this.#sweep);
    this.#sweep = null;
    this.#endIfEmpty();
  }

  #accept(
    name: string,
    dcid: string,
    datagrams: readonly Uint8Array[],
    about: { peer: QuicheConnection["peer"]; host: string; originalCid: Uint8Array | null },
  ): void {
    const { peer, host, originalCid } = about;
    const { transport, watermarks, keyLog } = this.#options;
    const configs = this.#configs.find(name);
    const config = isLoopback(peer.ip) ? configs.loopback : configs.network;
    // After a Retry it goes on to call us what we told it to.
    const cid = originalCid === null ? newCid() : Buffer.from(dcid, "latin1");
    config.setStatelessResetToken(TOKENS.resetNumber(cid, this.#local));
    const remote = { host, port: peer.port };
    let native: Connection;
    try {
      native = this.#binding.Connection.accept(cid, originalCid, this.#local, remote, config);
    } catch (error) {
      const message = `quiche does not take it: ${messageOf(error)}`;
      return this.#options.onRefused(peer, new QuicError("ERR_QUIC_PROTOCOL", message));
    }
    const connection = new QuicheConnection({
      native,
      loop: this.#loop,
      owner: this,
      isServer: true,
      remote,
      peer,
      local: this.#local,
      transport,
      watermarks,
      nowMs: monotonicMs(),
    });
    if (keyLog !== null) this.#keyLogs.set(connection, new KeyLog(native, keyLog));
    this.#cids.set(connection, new Set());
    this.#name(connection, cid.toString("latin1"));
    this.#name(connection, dcid);
    this.#handshakes.add(connection);
    this.#loop.add(connection);
    for (const datagram of datagrams) connection.receive(datagram, peer.port, host);
  }

  #name(connection: QuicheConnection, cid: string): void {
    this.#byCid.set(cid, connection);
    this.#cids.get(connection)!.add(cid);
  }

  agree({ native }: QuicheConnection): WireTls | QuicError | null {
    return agreedByClient(native);
  }

  ready(connection: QuicheConnection): void {
    this.#handshakes.delete(connection);
    this.#options.onConnection(connection);
  }

  failed(connection: QuicheConnection, error: QuicError): void {
    this.#handshakes.delete(connection);
    this.#options.onRefused(connection.peer, error);
  }

  turn(connection: QuicheConnection): void {
    this.#keyLogs.get(connection)?.read();
    const { native } = connection;
    if (!native.isEstablished()) return;
    for (let cid = native.retiredScidNext(); cid !== null; cid = native.retiredScidNext()) {
      const key = Buffer.from(cid).toString("latin1");
      this.#byCid.delete(key);
      this.#cids.get(connection)!.delete(key);
    }
    giveIds(connection, this.#local, (cid) => this.#name(connection, cid.toString("latin1")));
  }

  gone(connection: QuicheConnection): void {
    this.#handshakes.delete(connection);
    for (const cid of this.#cids.get(connection) ?? []) this.#byCid.delete(cid);
    this.#cids.delete(connection);
    this.#keyLogs.get(connection)?.close();
    this.#keyLogs.delete(connection);
    this.#endIfEmpty();
  }
}
