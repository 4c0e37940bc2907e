// The driver `bun`: node:quic behind the seam, for machines without the driver `quiche`. What the runtime cannot do, which is
// why `auto` prefers the other:
//
// - It goes on receiving for a reader that stands still (see stream.ts), so that slow readers of much data are broken off.
// - It shows the address of a client when the handshake is over: `onAccept` is asked then, and who fails before is not told of.
//   There is no Retry, no descriptor, and no port that several endpoints share (`reusePort`).
// - A client offers one protocol, the first. The authorities of client certificates stay as they were at the start.
// - Early data is not sent, and sessions are not resumed.

import { createPrivateKey, type KeyObject } from "node:crypto";
import { isIP, SocketAddress as NodeAddress } from "node:net";
import type {
  QuicEndpoint as NodeEndpoint,
  QuicSession,
  SessionHandshakeInfo,
  SessionOptions,
  SNIEntry,
} from "node:quic";
import { isDeepStrictEqual } from "node:util";

import { formatSocketAddress, type SocketAddress } from "../../../shared/address.ts";
import type { CertificateMaterial, ServerCertificates } from "../../../shared/certificates.ts";
import { messageOf, ProxyError } from "../../../shared/errors.ts";
import { BUN_QUIC } from "../../../shared/limits.ts";
import { listenError } from "../../../shared/listen-error.ts";
import { nameError, type TlsError, verificationError } from "../../wire/tls-error.ts";
import {
  type QuicConnected,
  type QuicConnecting,
  type QuicConnectOptions,
  type QuicDriver,
  type QuicEndpoint,
  QuicError,
  type QuicListenOptions,
  type QuicServing,
  type QuicTransport,
} from "../transport.ts";
import { BunQuicConnection } from "./connection.ts";
import { connectionError } from "./errors.ts";
import { loadQuic } from "./load.ts";

export const bunDriver: QuicDriver = { name: "bun", listen, connect };

/** TLS's own; the typings leave out `keepAlive`. */
function sessionOptions(transport: QuicTransport): SessionOptions {
  const { idleMs, keepAliveMs, handshakeMs, streamWindow, connectionWindow } = transport;
  const options: SessionOptions & { keepAlive?: number } = {
    handshakeTimeout: Math.min(handshakeMs, BUN_QUIC.handshakeMaxMs),
    maxStreamWindow: streamWindow,
    maxWindow: connectionWindow,
    transportParams: {
      maxIdleTimeout: Math.ceil(idleMs / 1_000),
      initialMaxStreamDataBidiLocal: streamWindow,
      initialMaxStreamDataBidiRemote: streamWindow,
      initialMaxStreamDataUni: streamWindow,
      initialMaxData: connectionWindow,
      initialMaxStreamsBidi: transport.bidirectionalStreams,
      initialMaxStreamsUni: transport.unidirectionalStreams,
      maxDatagramFrameSize: transport.datagrams ? BUN_QUIC.datagramBytes : 0,
    },
  };
  if (keepAliveMs > 0) options.keepAlive = keepAliveMs;
  return options;
}

// Listening.

async function listen(options: QuicListenOptions): Promise<QuicEndpoint> {
  const { address, buffers, certificates, clientAuth, transport, keyLog } = options;
  const written = formatSocketAddress(address);
  if (address.kind !== "ip") throw listenError(written, "EAFNOSUPPORT");
  if (options.fd !== undefined) {
    throw new ProxyError("ERR_LISTEN", `the driver bun cannot take over a socket of ${written}`);
  }
  const quic = await loadQuic();
  const endpoint = new Endpoint(options);
  const ca = certificates.clientCa === null ? {} : { ca: Buffer.from(certificates.clientCa) };
  try {
    endpoint.node = await quic.listen((session) => endpoint.arrived(session), {
      ...sessionOptions(transport),
      endpoint: {
        address: new NodeAddress({
          address: address.host === "" ? "::" : address.host,
          port: address.port,
          family: address.host === "" || address.host.includes(":") ? "ipv6" : "ipv4",
        }),
        ...(buffers.receiveBufferBytes === null
          ? {}
          : { udpReceiveBufferSize: buffers.receiveBufferBytes }),
        ...(buffers.sendBufferBytes === null ? {} : { udpSendBufferSize: buffers.sendBufferBytes }),
      },
      alpn: options.alpn,
      sni: identities(certificates),
      ...ca,
      verifyClient: clientAuth !== "none",
      rejectUnauthorized: clientAuth === "require",
      enableEarlyData: options.earlyData,
      keylog: keyLog !== null,
    });
  } catch (error) {
    throw refused(written, error);
  }
  return endpoint;
}

function refused(written: string, error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  const text = messageOf(error);
  const errno = /\bE[A-Z]{4,}\b/.exec(text)?.[0] ?? "EADDRINUSE";
  return listenError(written, errno, error);
}

/** By name; `*` is for those that none covers. */
function identities({ certificates }: ServerCertificates): Record<string, SNIEntry> {
  const entries: Record<string, SNIEntry> = { "*": identity(certificates[0]!) };
  for (const certificate of certificates) {
    for (const name of certificate.names) entries[name] ??= identity(certificate);
  }
  return entries;
}

function identity(certificate: CertificateMaterial): SNIEntry {
  return { keys: keyOf(certificate), certs: chainOf(certificate) };
}

function keyOf({ key }: CertificateMaterial): KeyObject {
  return createPrivateKey(Buffer.from(key));
}

/** Each certificate for itself, as the runtime wants them. */
function chainOf({ chain }: CertificateMaterial): Buffer[] {
  const blocks = chain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  return blocks.map((block) => Buffer.from(`${block}\n`));
}

class Endpoint implements QuicEndpoint {
  readonly fd = -1;
  node!: NodeEndpoint;
  /** As the runtime has them, and as they are wanted now. */
  readonly #begun: QuicListenOptions;
  #options: QuicListenOptions;
  readonly #connections = new Set<BunQuicConnection>();
  #closing = false;

  constructor(options: QuicListenOptions) {
    this.#begun = options;
    this.#options = options;
  }

  get address(): SocketAddress {
    const { address } = this.#options;
    const host = address.kind === "ip" ? address.host : "";
    return { kind: "ip", host, port: this.node.address?.port ?? 0 };
  }

  arrived(session: QuicSession): void {
    Object.assign(session, { onerror: () => {} }); // `closed` says it
    const { keyLog } = this.#options;
    if (keyLog !== null) session.onkeylog = (line) => keyLog(line);
    const early: Parameters<BunQuicConnection["accept"]>[0][] = [];
    session.onstream = (stream) => early.push(stream);
    session.opened.then(
      (info) => this.#opened(session, info, early),
      () => {}, // nobody knows who it was
    );
  }

  #opened(
    session: QuicSession,
    info: Awaited<QuicSession["opened"]>,
    early: readonly Parameters<BunQuicConnection["accept"]>[0][],
  ): void {
    if (this.#closing || session.destroyed) return session.destroy();
    const { clientAuth, watermarks } = this.#options;
    const { transport } = this.#begun;
    const authorized = clientAuth !== "none" && session.peerCertificate !== undefined;
    // Opened when none was required, the runtime lets everybody in; otherwise it refuses by itself, and says why.
    const enforces = this.#begun.clientAuth === "require";
    if (clientAuth === "require" && !enforces && !authorized) return session.destroy();
    const connection = new BunQuicConnection({
      session,
      info,
      isServer: true,
      transport,
      watermarks,
      authorized,
      left: (gone) => this.#left(gone),
    });
    if (!this.#options.onAccept(connection.peer)) return connection.destroy();
    this.#connections.add(connection);
    session.onstream = (stream) => connection.accept(stream);
    this.#options.onConnection(connection);
    for (const stream of early) connection.accept(stream);
  }

  #left(connection: BunQuicConnection): void {
    this.#connections.delete(connection);
    this.#checkOver();
  }

  prepare(serving: QuicServing): () => readonly string[] {
    identities(serving.certificates); // or it throws
    return () => {
      const kept = this.#kept(serving);
      this.#options = { ...this.#options, ...serving };
      this.setCertificates(serving.certificates);
      return kept;
    };
  }

  /** The runtime takes all but identities once, when it begins to listen. */
  #kept({ buffers, alpn, clientAuth, transport, earlyData, certificates }: QuicServing): string[] {
    const before = this.#begun;
    const differs = {
      alpn: !isDeepStrictEqual(alpn, before.alpn),
      "tls.client_auth":
        clientAuth !== before.clientAuth || certificates.clientCa !== before.certificates.clientCa,
      "quic and timeouts": !isDeepStrictEqual(transport, before.transport),
      "quic.early_data": earlyData !== before.earlyData,
      socket: !isDeepStrictEqual(buffers, before.buffers),
    };
    const keys = Object.entries(differs).flatMap(([key, is]) => (is ? [key] : []));
    if (keys.length === 0) return [];
    return [
      `the driver bun of QUIC keeps ${keys.join(", ")} as it was until the proxy is restarted`,
    ];
  }

  setCertificates(certificates: ServerCertificates): void {
    try {
      this.node.setSNIContexts(identities(certificates), { replace: true });
    } catch (error) {
      throw new ProxyError("ERR_CERTIFICATE", messageOf(error), { cause: error });
    }
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.node.busy = true;
    this.#checkOver();
  }

  get isFree(): boolean {
    return this.node.destroyed;
  }

  /** Whoever comes next may agree to something else, which cannot be changed. */
  reopen(): boolean {
    return false;
  }

  #checkOver(): void {
    if (!this.#closing || this.#connections.size > 0) return;
    // What closes a connection is still to be sent.
    this.node.close().catch(() => {});
  }

  destroy(): void {
    this.#closing = true;
    for (const connection of this.#connections) connection.destroy();
    this.node.closed.catch(() => {});
    setImmediate(() => this.node.destroy());
  }
}

// Connecting.

function connect(options: QuicConnectOptions, connected: QuicConnected): QuicConnecting {
  const attempt = new Attempt(options, connected);
  void attempt.start();
  return attempt;
}

class Attempt implements QuicConnecting {
  readonly #options: QuicConnectOptions;
  readonly #connected: QuicConnected;
  #session: QuicSession | null = null;
  #over = false;

  constructor(options: QuicConnectOptions, connected: QuicConnected) {
    this.#options = options;
    this.#connected = connected;
  }

  cancel(): void {
    this.#over = true;
    this.#session?.destroy();
  }

  async start(): Promise<void> {
    const { address, alpn, transport, watermarks, serverName, insecure, keyLog } = this.#options;
    try {
      if (address.kind !== "ip")
        throw new QuicError("ERR_QUIC_NETWORK", "QUIC has no unix sockets");
      const quic = await loadQuic();
      if (this.#over) return;
      const { host, port } = address;
      const family = host.includes(":") ? "ipv6" : "ipv4";
      const session = await quic.connect(new NodeAddress({ address: host, port, family }), {
        ...sessionOptions(transport),
        ...trust(this.#options),
        ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
        alpn: alpn[0]!,
        // The runtime says only that it refuses, and knows no certificates for addresses.
        verifyPeer: "manual",
        rejectUnauthorized: false,
        keylog: keyLog !== null,
        onerror: () => {},
        ...(keyLog === null ? {} : { onkeylog: (line: string) => keyLog(line) }),
      });
      this.#session = session;
      if (this.#over) return session.destroy();
      const info = await session.opened;
      if (this.#over) return;
      const wrong = insecure ? null : verify(session, info, serverName);
      if (wrong !== null) {
        session.destroy(undefined, { code: BAD_CERTIFICATE, type: "transport" });
        throw new QuicError("ERR_QUIC_HANDSHAKE", `${wrong.message} (${wrong.code})`);
      }
      this.#over = true;
      const connection = new BunQuicConnection({
        session,
        info,
        isServer: false,
        transport,
        watermarks,
        authorized: !insecure,
        left: () => {},
      });
      session.onstream = (stream) => connection.accept(stream);
      this.#connected(connection, null);
    } catch (error) {
      if (this.#over) return;
      this.#over = true;
      this.#session?.destroy();
      const known = error instanceof QuicError ? error : connectionError(error);
      const late = "no handshake in time";
      this.#connected(null, known ?? new QuicError("ERR_QUIC_TIMEOUT", late));
    }
  }
}

/** @returns what is wrong with the server's certificate. */
function verify(
  session: QuicSession,
  { validationErrorReason: reason, validationErrorCode: code }: SessionHandshakeInfo,
  name: string,
): TlsError | null {
  if (reason !== undefined) {
    return verificationError({ code: String(code), message: reason });
  }
  const certificate = session.peerCertificate;
  const fits = isIP(name) === 0 ? certificate?.checkHost(name) : certificate?.checkIP(name);
  return fits === undefined ? nameError(name, certificate?.subjectAltName ?? "") : null;
}

/** RFC 9001 section 4.8: an alert of TLS, in this case bad_certificate. */
const BAD_CERTIFICATE = 0x12a;

function trust({ certificates, insecure }: QuicConnectOptions): SessionOptions {
  const { ca = null, certificate = null } = certificates ?? {};
  return {
    ...(ca === null || insecure ? {} : { ca: Buffer.from(ca) }),
    ...(certificate === null ? {} : { keys: keyOf(certificate), certs: chainOf(certificate) }),
  };
}
