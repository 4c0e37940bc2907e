// A session of node:quic as a connection of the seam. Made by driver.ts when its handshake is over, on either side.
//
// The runtime does not say whether the peer allows another stream, and keeps one that it does not allow. So as many are opened
// at once as the peer allowed at first (`initial_max_streams`), which peers keep to.
//
// Invariant: `#streams` are those that are not over; the handler's onClose follows theirs, and nothing follows that.

import type { QuicSession, QuicStream as NodeStream, SessionHandshakeInfo } from "node:quic";

import { parseIp } from "../../../shared/ip.ts";
import { BUN_QUIC } from "../../../shared/limits.ts";
import type { Peer } from "../../live-rows.ts";
import { certificateNames } from "../../wire/tls-wire.ts";
import type { Watermarks, WireTls } from "../../wire/wire.ts";
import {
  type QuicConnection,
  type QuicConnectionHandler,
  QuicError,
  type QuicStream,
  type QuicTransport,
} from "../transport.ts";
import { connectionError } from "./errors.ts";
import { BunQuicStream } from "./stream.ts";

const IGNORE: QuicConnectionHandler = {
  onStream: (stream) => stream.reset(),
  onDatagram: () => {},
  onStreamsAvailable: () => {},
  onClose: () => {},
};

export interface SessionSetup {
  readonly session: QuicSession;
  readonly info: SessionHandshakeInfo;
  readonly isServer: boolean;
  readonly transport: QuicTransport;
  readonly watermarks: Watermarks;
  /** The peer's certificate was verified. */
  readonly authorized: boolean;
  /** It is gone. */
  readonly left: (connection: BunQuicConnection) => void;
}

export class BunQuicConnection implements QuicConnection {
  handler: QuicConnectionHandler = IGNORE;
  peer: Peer;
  local: Peer | null;
  readonly tls: WireTls;
  readonly #session: QuicSession;
  readonly #setup: SessionSetup;
  readonly #streams = new Set<BunQuicStream>();
  /** RFC 9000 section 2.1: the next of ours. */
  #nextBidirectional: number;
  #nextUnidirectional: number;
  readonly #allowed: { readonly bidirectional: number; readonly unidirectional: number };
  #opened = { bidirectional: 0, unidirectional: 0 };
  #blocked = false;
  #sweep: ReturnType<typeof setInterval> | null = null;
  #gone = false;

  constructor(setup: SessionSetup) {
    const { session, info, isServer } = setup;
    this.#setup = setup;
    this.#session = session;
    this.peer = endOf(info.remote);
    this.local = endOf(info.local);
    this.tls = describe(setup);
    this.#nextBidirectional = isServer ? 1 : 0;
    this.#nextUnidirectional = isServer ? 3 : 2;
    const remote = (session as { remoteTransportParams?: Record<string, bigint> })
      .remoteTransportParams;
    this.#allowed = {
      bidirectional: Number(remote?.initialMaxStreamsBidi ?? 0n),
      unidirectional: Number(remote?.initialMaxStreamsUni ?? 0n),
    };
    session.onpathvalidation = (result, newLocal, newRemote) => {
      if (result !== "success") return;
      this.local = endOf(newLocal);
      this.peer = endOf(newRemote);
    };
    if (setup.transport.datagrams) {
      session.ondatagram = (bytes) => {
        if (!this.#gone) this.handler.onDatagram(bytes);
      };
    }
    session.closed.then(
      () => this.#closed(null),
      (error: unknown) => this.#closed(connectionError(error)),
    );
  }

  /** The runtime has closed it, whether or not its owner knows. */
  get ended(): boolean {
    return this.#session.destroyed;
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** The peer opened one. */
  accept(stream: NodeStream): void {
    const id = Number(stream.id);
    const direction = stream.direction === "uni" ? "in" : "both";
    const accepted = new BunQuicStream(this, id, direction, this.#setup.watermarks);
    this.#streams.add(accepted);
    stream.closed.catch(() => {});
    this.handler.onStream(accepted);
    accepted.attach(stream);
    this.#watch();
  }

  openStream(): QuicStream | null {
    return this.#open("bidirectional");
  }

  openUnidirectional(): QuicStream | null {
    return this.#open("unidirectional");
  }

  #open(kind: "bidirectional" | "unidirectional"): QuicStream | null {
    if (this.#gone) return null;
    if (this.#opened[kind] >= this.#allowed[kind]) {
      this.#blocked = true;
      return null;
    }
    this.#opened[kind]++;
    const isBoth = kind === "bidirectional";
    const id = isBoth ? this.#nextBidirectional : this.#nextUnidirectional;
    if (isBoth) this.#nextBidirectional += 4;
    else this.#nextUnidirectional += 4;
    const stream = new BunQuicStream(this, id, isBoth ? "both" : "out", this.#setup.watermarks);
    this.#streams.add(stream);
    const session = this.#session;
    const opening = isBoth
      ? session.createBidirectionalStream()
      : session.createUnidirectionalStream();
    void this.#attach(stream, opening);
    this.#watch();
    return stream;
  }

  async #attach(stream: BunQuicStream, opening: Promise<NodeStream>): Promise<void> {
    try {
      const opened = await opening;
      opened.closed.catch(() => {});
      stream.attach(opened);
    } catch (error) {
      const closed = new QuicError("ERR_QUIC_CLOSED", "the connection is closed");
      stream.closed(connectionError(error) ?? closed);
    }
  }

  /** Called by a stream that is over. */
  left(stream: BunQuicStream): void {
    if (!this.#streams.delete(stream)) return;
    const isOurs = (stream.id & 1) === (this.#setup.isServer ? 1 : 0);
    if (!isOurs) return;
    this.#opened[stream.direction === "both" ? "bidirectional" : "unidirectional"]--;
    if (!this.#blocked) return;
    this.#blocked = false;
    queueMicrotask(() => {
      if (!this.#gone) this.handler.onStreamsAvailable();
    });
  }

  sendDatagram(bytes: Uint8Array): boolean {
    if (this.#gone || bytes.length > this.#session.maxDatagramSize) return false;
    this.#session.sendDatagram(bytes.slice()).catch(() => {});
    return true;
  }

  close(code: number, reason: string): void {
    this.#end({ code, type: "application", reason });
  }

  destroy(): void {
    this.#end({ code: 0, type: "application" });
  }

  #end(options: { code: number; type: "application"; reason?: string }): void {
    if (this.#gone) return;
    this.#leave();
    for (const stream of this.#streams) stream.reset();
    this.#session.destroy(undefined, options);
  }

  #closed(error: QuicError | null): void {
    if (this.#gone) return;
    const { handler } = this;
    this.#leave();
    const reason = error ?? new QuicError("ERR_QUIC_CLOSED", "the connection was closed");
    for (const stream of this.#streams) stream.closed(reason);
    handler.onClose(error);
  }

  #leave(): void {
    this.#gone = true;
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
    this.#setup.left(this);
  }

  /** What waits for readers. */
  #bound(): void {
    let total = 0;
    let most: BunQuicStream | null = null;
    for (const stream of this.#streams) {
      total += stream.unread;
      if (most === null || stream.unread > most.unread) most = stream;
    }
    if (total > BUN_QUIC.unreadMaxBytes) most?.drop();
  }

  /** While there are streams. */
  #watch(): void {
    this.#sweep ??= setInterval(() => {
      this.#bound();
      if (this.#streams.size > 0 || this.#sweep === null) return;
      clearInterval(this.#sweep);
      this.#sweep = null;
    }, BUN_QUIC.sweepMs);
  }
}

function endOf({ address, port }: { readonly address: string; readonly port: number }): Peer {
  return { ip: parseIp(address)!, port };
}

function describe({ session, info, authorized, isServer }: SessionSetup): WireTls {
  const certificate = isServer && authorized ? session.peerCertificate : undefined;
  return {
    alpn: info.protocol,
    serverName: (info.servername ?? "").toLowerCase(),
    version: info.cipherVersion,
    cipher: info.cipher,
    resumed: info.earlyDataAccepted,
    ...certificateNames(certificate),
  };
}
