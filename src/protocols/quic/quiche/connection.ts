// A connection of quiche, on either side. Driven by a loop (loop.ts): packets come in through `receive`, its owner writes,
// and both take effect when it is served. Made by endpoint.ts and dial.ts, which know what it is called.
//
//   handshake ──▶ open ──▶ closing ──▶ gone        closing: its peer may still send, and is told again that it is over
//
// Invariant: handlers are called from `serve` only; none is called after `close`, `destroy` or `onClose`.

import { monotonicMs } from "../../../shared/clock.ts";
import { parseIp } from "../../../shared/ip.ts";
import { QUICHE } from "../../../shared/limits.ts";
import type { Peer } from "../../live-rows.ts";
import type { Watermarks, WireTls } from "../../wire/wire.ts";
import {
  type QuicConnection,
  type QuicConnectionHandler,
  QuicError,
  type QuicTransport,
} from "../transport.ts";
import { Addresses } from "./addresses.ts";
import type { Connection, HostPort, PathInfo } from "./binding.ts";
import { breakage, codeIn, CRYPTO_ERROR, endingOf } from "./errors.ts";
import { finishAll, LoneEnds } from "./lone-ends.ts";
import type { Loop, Member } from "./loop.ts";
import type { ConnectionOwner, ConnectionParts } from "./parts.ts";
import { SILENT_CONNECTION } from "./silent.ts";
import { QuicheStream } from "./stream.ts";
import { Surplus } from "./surplus.ts";

const EMPTY = new Uint8Array(0);

/** DATAGRAM frames are handed over in it. */
const DATAGRAM = new Uint8Array(65_535);

export class QuicheConnection implements QuicConnection, Member {
  handler: QuicConnectionHandler = SILENT_CONNECTION;
  readonly native: Connection;
  readonly isServer: boolean;
  deadlineMs = 0;
  #peer: Peer;
  /** It moved before the handshake was over, until when its owner knows it by where it began. */
  #movedTo: Peer | null = null;
  /** The peer's, as quiche writes it. */
  #host: string;
  readonly #local: HostPort;
  #tls: WireTls | null = null;
  readonly #loop: Loop;
  readonly #owner: ConnectionOwner;
  readonly #transport: QuicTransport;
  readonly #watermarks: Watermarks;
  #phase: "handshake" | "open" | "closing" | "gone" = "handshake";
  readonly #streams = new Map<number, QuicheStream>();
  /** Streams that wait for room, or have something to tell. */
  #blocked = new Set<QuicheStream>();
  /** Some of them since their last turn. */
  #asked = false;
  #nextBidirectional: number;
  #nextUnidirectional: number;
  #wantsStreams = false;
  /** Packets that may still go out when it is closing. */
  #farewells: number = QUICHE.farewells;
  readonly #addresses: Addresses;
  /** Packets came from several addresses: quiche knows whether the peer has moved. */
  #moving = false;
  #broken: QuicError | null = null;
  readonly #handshakeByMs: number;
  #sentMs: number;
  #stopScanMs = 0;
  /** Packets came since the last look for stopped streams. */
  #stopScanDue = false;
  #turns = 0;
  readonly ends: LoneEnds;
  readonly #surplus: Surplus;
  #surplusDue = false;

  constructor(parts: ConnectionParts) {
    const { remote, local, transport, isServer, nowMs } = parts;
    this.native = parts.native;
    this.ends = new LoneEnds(parts.native);
    this.isServer = isServer;
    this.#loop = parts.loop;
    this.#owner = parts.owner;
    this.#transport = transport;
    this.#watermarks = parts.watermarks;
    this.#local = local;
    this.#addresses = new Addresses(remote, local);
    this.#peer = parts.peer;
    this.#nextBidirectional = isServer ? 1 : 0;
    this.#nextUnidirectional = isServer ? 3 : 2;
    this.#handshakeByMs = nowMs + transport.handshakeMs;
    this.#sentMs = nowMs;
    const { bidirectionalStreams, unidirectionalStreams, streamWindow } = transport;
    const windows = (bidirectionalStreams + unidirectionalStreams) * streamWindow;
    this.#surplus = new Surplus(windows);
    this.#host = remote.host;
  }

  get peer(): Peer {
    return this.#peer;
  }

  /** With the peer's first address: the owner of a count goes by it. */
  get local(): Peer | null {
    const ip = parseIp(this.#local.host);
    return ip === null || ip.every((byte) => byte === 0) ? null : { ip, port: this.#local.port };
  }

  get tls(): WireTls {
    return this.#tls!;
  }

  get streams(): number {
    return this.#streams.size;
  }

  get isOpen(): boolean {
    return this.#phase === "open";
  }

  openStream(): QuicheStream | null {
    if (!this.#mayOpen(this.native.peerStreamsLeftBidi())) return null;
    const id = this.#nextBidirectional;
    this.#nextBidirectional += 4;
    return this.#open(id);
  }

  openUnidirectional(): QuicheStream | null {
    if (!this.#mayOpen(this.native.peerStreamsLeftUni())) return null;
    const id = this.#nextUnidirectional;
    this.#nextUnidirectional += 4;
    return this.#open(id);
  }

  #mayOpen(left: number): boolean {
    if (this.#phase !== "open") return false;
    this.#wantsStreams ||= left <= 0;
    return left > 0;
  }

  #open(id: number): QuicheStream {
    this.native.streamSend(id, EMPTY, false); // counts against the peer's limit from here on
    return this.#adopt(id, false);
  }

  #adopt(id: number, early: boolean): QuicheStream {
    const stream = new QuicheStream(this, id, this.#watermarks, early);
    this.#streams.set(id, stream);
    return stream;
  }

  sendDatagram(bytes: Uint8Array): boolean {
    if (this.#phase !== "open") return false;
    const most = this.native.dgramMaxWritableLen();
    if (most === null || bytes.length > most) return false;
    try {
      if (this.native.dgramSend(bytes) === null) return false;
    } catch {
      return false; // the peer takes none
    }
    this.touch();
    return true;
  }

  close(code: number, reason: string): void {
    if (this.#phase === "closing" || this.#phase === "gone") return;
    if (this.#phase === "open") {
      this.#loop.flush(this);
    }
    this.shut(true, code, reason);
  }

  destroy(): void {
    this.close(0, "");
  }

  /** CONNECTION_CLOSE; nothing is told of it. */
  shut(isApp: boolean, code: number, reason: string): void {
    this.#phase = "closing";
    this.handler = SILENT_CONNECTION;
    for (const stream of this.#streams.values()) stream.forget();
    try {
      this.native.close(isApp, code, Buffer.from(reason));
    } catch {
      // it was closed by its peer meanwhile
    }
    // At once: quiche 0.18 goes on repeating a lost part of the handshake for ever if it finds one before the close is out.
    this.#loop.flush(this);
    this.touch();
  }

  touch(): void {
    this.#loop.touch(this);
  }

  /** It is served even if no packet came. */
  block(stream: QuicheStream): void {
    this.#blocked.add(stream);
    this.#asked = true;
    this.touch();
  }

  /** It was reset with bytes that nobody had read: no more than its window. */
  forgive(): void {
    this.#surplus.forgive(this.#transport.streamWindow);
  }

  drop(stream: QuicheStream): void {
    this.#streams.delete(stream.id);
    this.#blocked.delete(stream);
  }

  /** One datagram, which is changed. */
  receive(datagram: Uint8Array, port: number, host: string): void {
    this.#stopScanDue = true;
    this.#surplusDue ||= this.#surplus.arrived(datagram.length);
    try {
      if (this.#addresses.isLast(port, host)) this.native.recv(datagram, this.#addresses.last);
      else this.#receiveElsewhere(datagram, port, host);
    } catch (error) {
      this.#broken ??= breakage(this.native, error);
    }
    this.touch();
  }

  #receiveElsewhere(datagram: Uint8Array, port: number, host: string): void {
    const { native } = this;
    const path = this.#addresses.pathOf(port, host);
    const before = native.stats().recv;
    native.recv(datagram, path);
    if (native.stats().recv === before) return; // somebody else's, or a copy
    this.#moving ||= path !== this.#addresses.last;
    if (this.#addresses.moved(path, port, monotonicMs()) && host === this.#host) {
      const peer = { ip: this.#peer.ip, port };
      if (this.#phase === "handshake") this.#movedTo = peer;
      else this.#peer = peer;
    }
  }

  serve(nowMs: number): void {
    if (this.#phase === "handshake") this.#shakeHands(nowMs);
    if (this.#phase === "open") this.#work(nowMs);
    this.#lookForEnd();
  }

  #shakeHands(nowMs: number): void {
    if (this.#broken !== null || this.native.isDraining() || this.native.isClosed()) return;
    const agreed = this.#owner.agree(this);
    if (agreed === null) {
      if (nowMs < this.#handshakeByMs) return;
      const { handshakeMs } = this.#transport;
      const error = new QuicError("ERR_QUIC_TIMEOUT", `no handshake within ${handshakeMs} ms`);
      this.shut(false, 0, "");
      this.#owner.failed(this, error);
    } else if (agreed instanceof QuicError) {
      this.shut(false, Math.max(0, agreed.wireCode), "");
      this.#owner.failed(this, agreed);
    } else {
      this.#tls = agreed;
      this.#phase = "open";
      this.#owner.ready(this);
      this.#peer = this.#movedTo ?? this.#peer;
    }
  }

  #work(nowMs: number): void {
    if (this.#moving) this.#follow();
    this.#read();
    if (this.#transport.datagrams) this.#readDatagrams();
    this.#lookForStops(nowMs);
    do {
      this.#asked = false;
      const blocked = this.#blocked;
      this.#blocked = new Set();
      // Whoever still waits goes behind those that asked meanwhile: they take turns.
      for (const stream of blocked) if (stream.serve()) this.#blocked.add(stream);
    } while (this.#asked && this.#phase === "open");
    if (this.#wantsStreams && this.#mayOpen(this.native.peerStreamsLeftBidi())) {
      this.#wantsStreams = false;
      this.handler.onStreamsAvailable();
    }
    if (this.#phase !== "open") return;
    if (this.#turns++ < QUICHE.firstTurns || this.#turns % QUICHE.turnsBetween === 0) {
      this.#owner.turn(this);
    }
    if (this.#surplusDue && this.#surplus.isTooMuch(this.native.stats())) {
      this.#broken = new QuicError("ERR_QUIC_PROTOCOL", "the peer sends more than it may", 0x0a);
      this.native.close(false, 0x0a, EMPTY);
    }
    this.#surplusDue = false;
  }

  #read(): void {
    const { native } = this;
    if (!native.isReadable()) return;
    for (const id of native.readable()) {
      const stream = this.#streams.get(id) ?? this.#arrive(id);
      if (stream === null) continue;
      this.#surplus.delivered(stream.read());
      if (this.#phase !== "open") return;
    }
  }

  /** The peer opened it. */
  #arrive(id: number): QuicheStream | null {
    if ((id & 1) === (this.isServer ? 1 : 0)) return null; // ours, which is over
    const stream = this.#adopt(id, this.isServer && !this.native.isEstablished());
    this.handler.onStream(stream);
    return stream;
  }

  #readDatagrams(): void {
    const { native } = this;
    for (let i = 0; i < QUICHE.datagramsQueued && this.#phase === "open"; i++) {
      const bytes = native.dgramRecv(DATAGRAM);
      if (bytes === null) return;
      this.#surplus.delivered(bytes);
      this.handler.onDatagram(DATAGRAM.subarray(0, bytes));
    }
  }

  /** STOP_SENDING is not told but by a look at each stream that could be written to. */
  #lookForStops(nowMs: number): void {
    if (!this.#stopScanDue || nowMs < this.#stopScanMs) return;
    this.#stopScanDue = false;
    this.#stopScanMs = nowMs + QUICHE.stopScanMs;
    // Not those that quiche calls writable: it forgets a stopped one as soon as the peer has its RESET_STREAM.
    for (const stream of this.#streams.values()) {
      if (!stream.mayBeStopped) continue;
      try {
        this.native.streamCapacity(stream.id);
      } catch (error) {
        stream.wasStopped(Math.max(0, codeIn(error)));
        if (this.#phase !== "open") return;
      }
    }
  }

  /** The peer's address changes when quiche has asked the new one whether it is there. */
  #follow(): void {
    for (let event = this.native.pathEventNext(); event !== null;) {
      if (event.type === "PeerMigrated" && event.new !== undefined) {
        this.#host = event.new.host;
        this.#peer = peerOf(this.#addresses.targetOf(event.new));
      }
      event = this.native.pathEventNext();
    }
  }

  /** Nor does it wait for its peer: nobody is told of what began with a packet that was none. */
  #hasNoMoreToSay(): boolean {
    const { native } = this;
    if (this.#farewells <= 0 && !native.isDraining()) return true;
    if (this.#tls !== null || !this.isServer || native.stats().recv > 0) return false;
    const error = native.localError();
    return error === null || error.isApp || error.errorCode < CRYPTO_ERROR;
  }

  /** Also of quiche's own doing: idle, a reset without a connection, CONNECTION_CLOSE. */
  #lookForEnd(): void {
    const { native } = this;
    if (this.#phase !== "closing" && this.#phase !== "gone") {
      const error = this.#broken ?? endingOf(native, this.#phase === "open");
      if (error === undefined) return;
      this.#lose(error);
    }
    if (this.#phase === "closing" && (native.isClosed() || this.#hasNoMoreToSay())) {
      this.#phase = "gone";
      this.#loop.remove(this);
      this.#owner.gone(this);
    }
  }

  #lose(error: QuicError | null): void {
    const wasOpen = this.#phase === "open";
    const { handler } = this;
    this.#phase = "closing";
    this.handler = SILENT_CONNECTION;
    if (!wasOpen) {
      this.#owner.failed(this, error ?? new QuicError("ERR_QUIC_CLOSED", "the peer left"));
      return;
    }
    const why = error ?? this.#silentEnd();
    for (const stream of this.#streams.values()) stream.lose(why);
    handler.onClose(error);
  }

  /** For streams that were not over: theirs is an error also if the connection's is none. */
  #silentEnd(): QuicError {
    if (!this.native.isTimedOut()) {
      return new QuicError("ERR_QUIC_CLOSED", "the peer closed the connection", 0);
    }
    return new QuicError("ERR_QUIC_TIMEOUT", "nothing came from the peer for too long");
  }

  #nextDeadline(nowMs: number): number {
    const timeout = this.native.timeout();
    let deadline = timeout === null ? Infinity : nowMs + timeout + 1;
    if (this.#phase === "handshake") deadline = Math.min(deadline, this.#handshakeByMs);
    if (this.#phase !== "open") return deadline;
    if (this.#stopScanDue) deadline = Math.min(deadline, this.#stopScanMs);
    deadline = Math.min(deadline, this.ends.dueMs);
    const { keepAliveMs } = this.#transport;
    return keepAliveMs > 0 ? Math.min(deadline, this.#sentMs + keepAliveMs) : deadline;
  }

  expire(nowMs: number): void {
    const timeout = this.native.timeout();
    if (timeout !== null && timeout <= 0) this.native.onTimeout();
    this.ends.look(nowMs);
    const { keepAliveMs } = this.#transport;
    if (this.#phase !== "open" || keepAliveMs === 0 || nowMs < this.#sentMs + keepAliveMs) return;
    this.#sentMs = nowMs;
    this.native.sendAckEliciting();
  }

  send(into: Uint8Array): [number, PathInfo] | null {
    if (this.#phase === "gone") return null;
    if (this.#phase === "closing" && this.#farewells-- <= 0) return null;
    const again = this.#phase === "open" ? this.ends.next(into) : null;
    if (again !== null) return again;
    try {
      let sent = this.native.send(into);
      if (sent === null && this.#phase === "open" && finishAll(this.#blocked)) {
        sent = this.native.send(into);
      }
      if (sent !== null && this.isServer) {
        const { to } = sent[1];
        const target = this.#addresses.targetOf(to);
        if (target !== to) sent[1] = { from: this.#addresses.last.to, to: target };
      }
      this.ends.wrote(into, sent);
      return sent;
    } catch (error) {
      this.#broken ??= breakage(this.native, error);
      this.touch();
      return null;
    }
  }

  /** quiche has other timers then. */
  sent(count: number, nowMs: number): void {
    if (count > 0) this.#sentMs = nowMs;
    if (count > 0) this.ends.out(nowMs);
    if (this.#phase !== "gone") this.deadlineMs = this.#nextDeadline(nowMs);
  }
}

function peerOf({ host, port }: HostPort): Peer {
  return { ip: parseIp(host) ?? new Uint8Array(16), port };
}
