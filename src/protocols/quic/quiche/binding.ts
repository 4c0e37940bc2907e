// The native binding of quiche 0.18 (Cloudflare's QUIC), which the package @matrixai/quic brings for some platforms; of that
// package nothing else is used. Typed by hand, as far as it is used here. Called by every file of this driver.
//
// Calls do not block and do no I/O. What a call cannot do for now is null; what goes wrong is an Error whose message is the
// name of quiche's error (`StreamReset(5)`, `TlsFail`). Objects are freed by the garbage collector.

import { loadOwnImage } from "../../../ffi/addon-image.ts";
import { messageOf, ProxyError } from "../../../shared/errors.ts";
import { addonFile } from "./addon-file.ts";

/** An address as quiche reads and tells it. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Whence a packet came, and where to. quiche takes the pair for a path (RFC 9000 section 9). */
export interface PathInfo {
  readonly from: HostPort;
  readonly to: HostPort;
}

export interface ConnectionError {
  readonly isApp: boolean;
  readonly errorCode: number;
  readonly reason: Uint8Array;
}

export interface PathEvent {
  readonly type: string;
  readonly peer?: HostPort;
  readonly new?: HostPort;
}

export const SHUTDOWN_READ = 0;
export const SHUTDOWN_WRITE = 1;

/** Of many connections: TLS, and what is said in transport parameters. */
export interface Config {
  logKeys(): void;
  /** Without an effect on what `withBoringSslCtx` was given; asks for a certificate without insisting on one. */
  verifyPeer(verify: boolean): void;
  grease(grease: boolean): void;
  /** @param key of 48 bytes, which encrypts session tickets. */
  setTicketKey(key: Uint8Array): void;
  enableEarlyData(): void;
  setApplicationProtos(protocols: readonly string[]): void;
  setMaxIdleTimeout(ms: number): void;
  setMaxRecvUdpPayloadSize(bytes: number): void;
  setMaxSendUdpPayloadSize(bytes: number): void;
  setInitialMaxData(bytes: number): void;
  setInitialMaxStreamDataBidiLocal(bytes: number): void;
  setInitialMaxStreamDataBidiRemote(bytes: number): void;
  setInitialMaxStreamDataUni(bytes: number): void;
  setInitialMaxStreamsBidi(count: number): void;
  setInitialMaxStreamsUni(count: number): void;
  setActiveConnectionIdLimit(count: number): void;
  setCcAlgorithmName(name: string): void;
  enableHystart(enabled: boolean): void;
  enablePacing(enabled: boolean): void;
  enableDgram(enabled: boolean, receiveQueue: number, sendQueue: number): void;
  setMaxStreamWindow(bytes: number): void;
  setMaxConnectionWindow(bytes: number): void;
  /** Of the connections that are made next. @param token 16 bytes as a number, the first byte the highest. */
  setStatelessResetToken(token: bigint): void;
  setDisableDcidReuse(disabled: boolean): void;
}

/** One connection. Stream ids are RFC 9000's. */
export interface Connection {
  /** Creates the file. */
  setKeylog(path: string): void;
  setSession(session: Uint8Array): void;
  /** One datagram, which is decrypted in place. @throws Error if the connection ends over it. */
  recv(datagram: Uint8Array, info: PathInfo): number;
  /** Writes the next datagram. @returns its length and its path; null: there is none. */
  send(into: Uint8Array): [number, PathInfo] | null;
  /** @returns how much, and whether the stream ends behind it. */
  streamRecv(id: number, into: Uint8Array): [number, boolean] | null;
  streamSend(id: number, bytes: Uint8Array, fin: boolean): number | null;
  /** @returns null: there is nothing to shut down. */
  streamShutdown(id: number, direction: number, code: number): void | null;
  streamCapacity(id: number): number;
  peerStreamsLeftBidi(): number;
  peerStreamsLeftUni(): number;
  /** Whether there is something in `readable`, or a DATAGRAM frame: an eighth of its time. */
  isReadable(): boolean;
  readable(): Iterable<number>;
  writable(): Iterable<number>;
  dgramRecv(into: Uint8Array): number | null;
  dgramSend(bytes: Uint8Array): void | null;
  dgramMaxWritableLen(): number | null;
  /** Milliseconds until `onTimeout` is due, rounded down. */
  timeout(): number | null;
  onTimeout(): void;
  newSourceCid(cid: Uint8Array, resetToken: bigint, retireIfNeeded: boolean): number;
  sourceCidsLeft(): number;
  retiredScidNext(): Uint8Array | null;
  pathEventNext(): PathEvent | null;
  close(isApp: boolean, code: number, reason: Uint8Array): void | null;
  applicationProto(): Uint8Array;
  serverName(): string | null;
  peerCertChain(): Uint8Array[] | null;
  session(): Uint8Array | null;
  isEstablished(): boolean;
  isResumed(): boolean;
  isInEarlyData(): boolean;
  isDraining(): boolean;
  isClosed(): boolean;
  isTimedOut(): boolean;
  peerError(): ConnectionError | null;
  localError(): ConnectionError | null;
  /** Packets that were authentic, their bytes, and packets of ours that were taken for lost. */
  stats(): { readonly recv: number; readonly recvBytes: number; readonly lost: number };
  /** Of a PING, for the next packet. */
  sendAckEliciting(): void;
}

export interface Binding {
  readonly Config: {
    /**
     * @param verify the peer's certificate, and ask for one. @param key of PEM; the first counts, as of `chain`.
     * @throws Error of BoringSSL
     */
    withBoringSslCtx(
      verify: boolean,
      allowFailure: boolean,
      authorities: Uint8Array | null,
      keys: Uint8Array[] | null,
      chains: Uint8Array[] | null,
      signatureAlgorithms: string | null,
    ): Config;
  };
  readonly Connection: {
    connect(
      serverName: string | null,
      sourceCid: Uint8Array,
      local: HostPort,
      remote: HostPort,
      config: Config,
    ): Connection;
    accept(
      sourceCid: Uint8Array,
      /** After a Retry: what the client called us first. */
      originalCid: Uint8Array | null,
      local: HostPort,
      remote: HostPort,
      config: Config,
    ): Connection;
  };
  /** Writes a Retry packet (RFC 9000 section 17.2.5). @returns its length. */
  retry(
    clientCid: Uint8Array,
    originalCid: Uint8Array,
    newCid: Uint8Array,
    token: Uint8Array,
    version: number,
    into: Uint8Array,
  ): number;
}

let loaded: Binding | ProxyError | null = null;

/**
 * Loaded at the first question, for each thread anew. The layer between quiche and Node-API (napi-rs 2.10) has static
 * variables for the whole process: references that it made in one thread it drops in the thread that loaded it last, which
 * ends in the middle of that one's heap. With an image of its own a thread is the only one that there is for it.
 * @returns why there is none.
 */
export function loadBinding(): Binding | ProxyError {
  loaded ??= load();
  return loaded;
}

function load(): Binding | ProxyError {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const file = addonFile();
    if (file === null) return unavailable(`there is no prebuilt addon for ${platform}`);
    return loadOwnImage(file) as Binding;
  } catch (error) {
    // An executable that was built without it, a system with another C library, a package that was not installed.
    return unavailable(`its addon for ${platform} cannot be loaded: ${messageOf(error)}`, error);
  }
}

function unavailable(reason: string, cause?: unknown): ProxyError {
  return new ProxyError("ERR_ENGINE", `the QUIC driver quiche is not available: ${reason}`, {
    cause,
    cure: "Write driver: bun, or leave it out",
  });
}
