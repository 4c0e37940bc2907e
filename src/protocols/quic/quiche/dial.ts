// A connection to a server: each has a UDP socket of its own, which the system connects, so that it tells of a port that is
// closed. Made by driver.ts.

import { isIP } from "node:net";

import type { udp } from "bun";

import { formatSocketAddress } from "../../../shared/address.ts";
import { monotonicMs } from "../../../shared/clock.ts";
import { errnoOf, ProxyError } from "../../../shared/errors.ts";
import { isLoopback, parseIp } from "../../../shared/ip.ts";
import { errorIn, fdOf } from "../../datagrams/sockets.ts";
import type { WireTls } from "../../wire/wire.ts";
import {
  type QuicConnected,
  type QuicConnecting,
  type QuicConnectOptions,
  QuicError,
} from "../transport.ts";
import type { Binding, HostPort } from "./binding.ts";
import { type Client, clientConfig } from "./config.ts";
import { QuicheConnection } from "./connection.ts";
import { passBugs } from "./errors.ts";
import { Gathered } from "./gathered.ts";
import { giveIds, newCid } from "./ids.ts";
import { KeyLog } from "./key-log.ts";
import { Loop } from "./loop.ts";
import type { ConnectionOwner, PacketHost } from "./parts.ts";
import { agreedByServer } from "./tls.ts";

type Socket = udp.ConnectedSocket<"buffer">;

/** Turns of an open connection in which a session is looked for: servers give theirs right after the handshake. */
const SESSION_TURNS = 8;

export class Dial implements QuicConnecting, ConnectionOwner {
  readonly #binding: Binding;
  readonly #options: QuicConnectOptions;
  readonly #host: PacketHost;
  #local: HostPort = { host: "", port: 0 };
  #connected: QuicConnected | null;
  #client: Client | null = null;
  #socket: Socket | null = null;
  #loop: Loop | null = null;
  #connection: QuicheConnection | null = null;
  #remote: HostPort = { host: "", port: 0 };
  #keyLog: KeyLog | null = null;
  /** What the server calls us, as latin1. */
  readonly #cids = new Set<string>();
  readonly #gathered = new Gathered(this.#cids);
  #gathers = false;
  #sessionTurns = SESSION_TURNS;

  constructor(
    binding: Binding,
    options: QuicConnectOptions,
    connected: QuicConnected,
    host: PacketHost,
  ) {
    this.#binding = binding;
    this.#options = options;
    this.#connected = connected;
    this.#host = host;
  }

  start(): void {
    const { address } = this.#options;
    if (address.kind === "unix") {
      const message = `cannot connect to unix:${address.path}: QUIC has ports`;
      return queueMicrotask(() => this.#fail(new QuicError("ERR_QUIC_NETWORK", message)));
    }
    this.#remote = { host: address.host.split("%")[0] ?? "", port: address.port };
    this.#openSocket(address.host, address.port).then(
      (socket) => this.#begin(socket),
      (error) => this.#socketFailed(error),
    );
  }

  /** Async: the runtime throws at once for some addresses (EAFNOSUPPORT). */
  async #openSocket(hostname: string, port: number): Promise<Socket> {
    return Bun.udpSocket({
      binaryType: "buffer",
      connect: { hostname, port },
      socket: {
        data: (_socket, bytes) => this.#read(bytes),
        drain: () => this.#loop?.resume(),
        error: (...args: unknown[]) => {
          passBugs(errorIn(args));
          this.#socketFailed(errorIn(args));
        },
      },
    });
  }

  /** One datagram, or several. */
  #read(bytes: Buffer): void {
    const { port, host } = this.#remote;
    const size = this.#gathers ? this.#gathered.sizeIn(bytes) : bytes.length;
    if (size === bytes.length) return this.#connection?.receive(bytes, port, host);
    for (let at = 0; at < bytes.length; at += size) {
      this.#connection?.receive(bytes.subarray(at, at + size), port, host);
    }
  }

  cancel(): void {
    this.#connected = null;
    this.#connection?.destroy();
  }

  #begin(socket: Socket): void {
    if (this.#connected === null) return socket.close();
    this.#socket = socket;
    try {
      this.#connect(socket);
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      this.#stop();
      this.#fail(new QuicError("ERR_QUIC_HANDSHAKE", error.message));
    }
  }

  #connect(socket: Socket): void {
    const { serverName, transport, watermarks, keyLog } = this.#options;
    const remote = this.#remote;
    const peer = { ip: parseIp(remote.host)!, port: remote.port };
    this.#client = clientConfig(this.#binding, this.#options, isLoopback(peer.ip));
    const local = { host: socket.address.address.split("%")[0]!, port: socket.port };
    this.#local = local;
    const name = isIP(serverName) === 0 && serverName !== "" ? serverName : null;
    const cid = newCid();
    this.#cids.add(cid.toString("latin1"));
    const native = this.#binding.Connection.connect(name, cid, local, remote, this.#client.config);
    if (keyLog !== null) this.#keyLog = new KeyLog(native, keyLog);
    const session = this.#client.sessions.get(this.#sessionKey);
    if (session !== undefined) native.setSession(session);
    this.#loop = new Loop(socket, true, this.#host.segmentsOf(fdOf(socket)));
    this.#gathers = this.#host.gatherDatagrams(fdOf(socket));
    this.#connection = new QuicheConnection({
      native,
      loop: this.#loop,
      owner: this,
      isServer: false,
      remote,
      peer,
      local,
      transport,
      watermarks,
      nowMs: monotonicMs(),
    });
    // The hello is on its way when the connection is first served: early data may follow it then.
    this.#loop.flush(this.#connection);
    this.#loop.add(this.#connection);
  }

  get #sessionKey(): string {
    const { host, port } = this.#remote;
    return `${host} ${port} ${this.#options.serverName}`;
  }

  /** The socket reports what ICMP says of a port: before the handshake is over, that nobody is there. */
  #socketFailed(error: unknown): void {
    if (this.#connection !== null && this.#connected === null) return;
    const { address } = this.#options;
    const message = `cannot connect to ${formatSocketAddress(address)}: ${errnoOf(error)}`;
    this.#stop();
    this.#fail(new QuicError("ERR_QUIC_NETWORK", message));
  }

  #fail(error: QuicError): void {
    const connected = this.#connected;
    this.#connected = null;
    connected?.(null, error);
  }

  #stop(): void {
    this.#loop?.stop();
    this.#keyLog?.close();
    this.#keyLog = null;
    this.#socket?.close();
    this.#socket = null;
  }

  agree({ native }: QuicheConnection): WireTls | QuicError | null {
    const { insecure, serverName, earlyData } = this.#options;
    if (!native.isEstablished() && !(earlyData && native.isInEarlyData())) return null;
    return agreedByServer(native, serverName, insecure);
  }

  ready(connection: QuicheConnection): void {
    const connected = this.#connected;
    this.#connected = null;
    connected?.(connection, null);
  }

  failed(_connection: QuicheConnection, error: QuicError): void {
    this.#client!.sessions.delete(this.#sessionKey);
    this.#fail(error);
  }

  turn(connection: QuicheConnection): void {
    this.#keyLog?.read();
    const { native } = connection;
    if (!native.isEstablished()) return;
    for (let cid = native.retiredScidNext(); cid !== null; cid = native.retiredScidNext()) {
      this.#cids.delete(Buffer.from(cid).toString("latin1"));
    }
    giveIds(connection, this.#local, (cid) => this.#cids.add(cid.toString("latin1")));
    if (this.#sessionTurns === 0) return;
    this.#sessionTurns--;
    const session = native.session();
    if (session === null) return;
    this.#sessionTurns = 0;
    this.#client!.sessions.set(this.#sessionKey, session);
  }

  gone(): void {
    this.#stop();
  }
}
