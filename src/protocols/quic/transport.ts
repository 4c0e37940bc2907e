// The seam between what is spoken over QUIC (RFC 9000) and who implements it: a driver gives endpoints, an endpoint connections,
// a connection streams, and a stream is a wire. The drivers are `quiche` (the native binding, driven by a packet loop of ours)
// and `bun` (node:quic). test/protocols/quic/contract.ts holds both to what stands here.
//
//   QuicDriver ── listen ──▶ QuicEndpoint ── onConnection ──▶ QuicConnection ── onStream ──▶ QuicStream (a Wire)
//              └─ connect ─▶ QuicConnecting ── Connected ──▶ QuicConnection ── openStream ─▶ QuicStream
//
// Nothing here awaits but `listen`. As with wires, no handler is called from within a call of its owner, and errors are
// values: a driver throws for bugs of ours only. What a peer can make a driver hold is bounded by the windows and limits given.

import type { SocketAddress } from "../../shared/address.ts";
import type { ServerCertificates, TargetCertificates } from "../../shared/certificates.ts";
import type { BufferSizesPlan } from "../../shared/plan.ts";
import type { Peer } from "../live-rows.ts";
import type { WantedNames } from "../wanted-names.ts";
import type { Watermarks, Wire, WireHandler, WireTls } from "../wire/wire.ts";

export interface QuicDriver {
  readonly name: QuicDriverName;
  /** @throws ProxyError ERR_LISTEN, ERR_CERTIFICATE */
  listen(options: QuicListenOptions): Promise<QuicEndpoint>;
  connect(options: QuicConnectOptions, connected: QuicConnected): QuicConnecting;
}

export type QuicDriverName = "quiche" | "bun";

/** What both sides say in their transport parameters (RFC 9000 section 18), and hold themselves to. Times in milliseconds. */
export interface QuicTransport {
  /** Without a packet for so long, a connection is gone. */
  readonly idleMs: number;
  /** A PING after so long without a packet of ours; 0: none. */
  readonly keepAliveMs: number;
  readonly handshakeMs: number;
  /** Of the peer, open at once. */
  readonly bidirectionalStreams: number;
  readonly unidirectionalStreams: number;
  /** Bytes of one stream, and of a whole connection, that a peer may send ahead of their reader. */
  readonly streamWindow: number;
  readonly connectionWindow: number;
  /** DATAGRAM frames (RFC 9221) are taken. */
  readonly datagrams: boolean;
}

export interface QuicListenOptions {
  readonly address: SocketAddress;
  /** A UDP socket that is bound there already, and is the endpoint's from here on; none: the address is to be bound. */
  readonly fd?: number | undefined;
  /** SO_REUSEPORT: endpoints of single addresses stand beside that of the wildcard. */
  readonly reusePort: boolean;
  readonly buffers: BufferSizesPlan;
  /** What is agreed to: the client's first choice among them. One that offers none is refused (no_application_protocol). */
  readonly alpn: readonly string[];
  readonly certificates: ServerCertificates;
  readonly clientAuth: "none" | "request" | "require";
  readonly transport: QuicTransport;
  /** Of each stream. */
  readonly watermarks: Watermarks;
  /** Requests of resumed clients before their handshake is over; they can be replayed (RFC 9001 section 9.2). */
  readonly earlyData: boolean;
  /** When an address is validated by a Retry (RFC 9000 section 8.1.2): always, or from so many handshakes under way on. */
  readonly retryFrom: number;
  /** NSS key log lines, for decrypting captures; null: none are made. */
  readonly keyLog: ((line: string) => void) | null;
  /**
   * Asked for certificates of names that have none; the client's packet is dropped meanwhile, and comes again. Left out or
   * null: the first certificate is shown.
   */
  readonly wanted?: WantedNames | null;
  /** An Initial of somebody new. @returns false: it is dropped, before anything is allocated for it. */
  onAccept(peer: Peer): boolean;
  /** The handshake is over (with early data: begun). Its handler must be set before this returns. */
  onConnection(connection: QuicConnection): void;
  /**
   * The handshake of somebody whom `onAccept` let in failed: he is forgotten. For each whom `onAccept` let in, one of the two
   * is called, once, with the same `peer` (as `connection.peer`, while he has not moved), unless the endpoint is destroyed.
   */
  onRefused(peer: Peer, error: QuicError): void;
}

/** What of a listener can change while its endpoints are there. */
export type QuicServing = Pick<
  QuicListenOptions,
  | "buffers"
  | "alpn"
  | "certificates"
  | "clientAuth"
  | "transport"
  | "watermarks"
  | "earlyData"
  | "retryFrom"
  | "wanted"
>;

export interface QuicEndpoint {
  /** With the port that the system chose. */
  readonly address: SocketAddress;
  /** -1 where the runtime does not show it. */
  readonly fd: number;
  /**
   * Makes ready to serve otherwise, and changes nothing yet.
   * @returns what changes it for handshakes that begin later; it returns a sentence for all that stays as it was.
   * @throws ProxyError ERR_CERTIFICATE
   */
  prepare(serving: QuicServing): () => readonly string[];
  /** For handshakes that begin later. @throws ProxyError ERR_CERTIFICATE */
  setCertificates(certificates: ServerCertificates): void;
  /** Takes no new connections; frees the address when the last one is gone. */
  close(): void;
  /** It was closed, and its last connection is gone. */
  readonly isFree: boolean;
  /** Takes new connections again, after `close` and before its address is free. @returns false: the driver cannot. */
  reopen(): boolean;
  /** At once: connections are closed as by `destroy`, and none is told. */
  destroy(): void;
}

export interface QuicConnectOptions {
  readonly address: SocketAddress;
  /** For SNI and verification; an IP address sends no SNI. */
  readonly serverName: string;
  readonly alpn: readonly string[];
  /** Trusted authorities and our own certificate; null: the system's roots and none. */
  readonly certificates: TargetCertificates | null;
  /** `insecure_skip_verify` was asked for by name. */
  readonly insecure: boolean;
  readonly transport: QuicTransport;
  /** Of each stream. */
  readonly watermarks: Watermarks;
  /**
   * Where the last connection's session allows it, `connected` comes before the handshake is over, and what is written until
   * then goes out as early data, which anybody may replay. If the server declines it, it is sent again after the handshake.
   */
  readonly earlyData: boolean;
  readonly keyLog: ((line: string) => void) | null;
}

export interface QuicConnecting {
  /** `connected` is not called any more; what connects all the same is closed. */
  cancel(): void;
}

/** Called once, and not before `connect` returned. The handler must be set before it returns. */
export type QuicConnected = (connection: QuicConnection | null, error: QuicError | null) => void;

export interface QuicConnection {
  handler: QuicConnectionHandler;
  /** Where packets come from now: a client may move (RFC 9000 section 9). A new object after a move. */
  readonly peer: Peer;
  readonly local: Peer | null;
  /** `cipher` is empty where the driver does not show it. */
  readonly tls: WireTls;
  /** Opened by either side and not over. */
  readonly streams: number;
  /** @returns null: the peer allows no more now; `onStreamsAvailable` follows. */
  openStream(): QuicStream | null;
  openUnidirectional(): QuicStream | null;
  /** One DATAGRAM frame. @returns false: it was dropped (too long, or too many wait). */
  sendDatagram(bytes: Uint8Array): boolean;
  /** CONNECTION_CLOSE of the application's kind, with what is on its way first as far as one packet goes. No event follows. */
  close(code: number, reason: string): void;
  /** At once: H3_NO_ERROR's like, without a reason. No event follows. */
  destroy(): void;
}

export interface QuicConnectionHandler {
  /** The peer opened a stream. Its handler must be set before this returns; it is not paused. */
  onStream(stream: QuicStream): void;
  /** The bytes are valid during the call only. */
  onDatagram(bytes: Uint8Array): void;
  onStreamsAvailable(): void;
  /** It is gone, after its streams' `onClose`. @param error null: closed by the peer without an error, or idle. */
  onClose(error: QuicError | null): void;
}

/**
 * A stream is a wire: `end` is FIN, and a peer's FIN is `onEnd`. `reset` and `abort` send RESET_STREAM and STOP_SENDING. A
 * RESET_STREAM or STOP_SENDING of the peer ends the stream both ways: `onClose` has a QuicError with its code. `peer`,
 * `local` and `tls` are the connection's; `fd` is -1.
 */
export interface QuicStream extends Wire {
  handler: QuicStreamHandler;
  /** RFC 9000 section 2.1. */
  readonly id: number;
  readonly direction: "both" | "in" | "out";
  readonly connection: QuicConnection;
  /** It came before the handshake was over, and may be a replay. */
  readonly early: boolean;
  /**
   * Within `onData`: the peer's FIN came with these bytes, and `onEnd` follows. HTTP/3 needs it: by a head that ends its stream a
   * request has no body. False where the driver does not know yet.
   */
  readonly finished: boolean;
  /**
   * FIN. @param last goes out before it, in one frame: a FIN by itself that is lost is not sent again by every driver, once all
   * bytes before it were acknowledged. Whoever can say something that means nothing does so.
   */
  end(last?: Uint8Array): void;
  /** As `reset`, with an error code of the application. */
  abort(code: number): void;
  /** STOP_SENDING: what the peer still sends is not wanted, and nothing of it is told any more. Writing goes on. */
  stopSending(code: number): void;
}

export interface QuicStreamHandler extends WireHandler {
  /**
   * STOP_SENDING came: RESET_STREAM went back, nothing more can be written, and reading goes on. HTTP/3 needs it (RFC 9114
   * section 4.1: an answer before the request's end). A handler without it is told `onClose` instead, as of a reset.
   */
  onStopSending?(code: number): void;
}

/** `code` is stable, for logs and counters. */
export type QuicErrorCode =
  | "ERR_QUIC_RESET" // a stream: RESET_STREAM or STOP_SENDING
  | "ERR_QUIC_CLOSED" // CONNECTION_CLOSE of the peer; for a stream that was not over, also one without an error
  | "ERR_QUIC_HANDSHAKE" // TLS refused: certificate, ALPN, version
  | "ERR_QUIC_TIMEOUT" // handshake or idle
  | "ERR_QUIC_PROTOCOL" // the peer broke the rules
  | "ERR_QUIC_NETWORK"; // the socket; errno in the message

/** Why a connection or a stream broke off. */
export class QuicError extends Error {
  override readonly name = "QuicError";
  readonly code: QuicErrorCode;
  /** The error code on the wire; -1 if there was none. */
  readonly wireCode: number;

  constructor(code: QuicErrorCode, message: string, wireCode = -1) {
    super(message);
    this.code = code;
    this.wireCode = wireCode;
  }
}
