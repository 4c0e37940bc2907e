// A wire in clear: a TCP or unix socket of the runtime. Made by plain.ts, driven by the runtime's socket handlers.
//
// Invariant: the handler is never called from within a call of its owner (the runtime closes a socket within write and shutdown,
// which is told a microtask later), nor after `reset`, nor after onClose.

import type { RelaySocket } from "../../engine/bun/connection.ts";
import type { AttemptSide } from "../../engine/bun/dial.ts";
import { AHEAD, type AheadReader } from "../../engine/bun/read-ahead.ts";
import { CAN_RECEIVE, ENDED, NOTHING_YET, receive } from "../../engine/bun/receive.ts";
import { parseIp } from "../../shared/ip.ts";
import { READ_AHEAD, WIRE } from "../../shared/limits.ts";
import type { Peer } from "../live-rows.ts";
import { SILENT } from "./handler.ts";
import { HELD, type Sipper } from "./held.ts";
import { Pending } from "./pending.ts";
import type { Watermarks, Wire, WireHandler, WireTls } from "./wire.ts";

type SystemError = Error & { code?: string };

export class PlainWire implements Wire, AttemptSide, AheadReader, Sipper {
  handler: WireHandler = SILENT;
  readonly peer: Peer;
  readonly tls: WireTls | null = null;
  /** Set before the wire is given to its owner. */
  socket: RelaySocket | null = null;
  /** What it brings is for clients, who may read slowly. Set as `socket` is. */
  isTarget = false;
  readonly #marks: Watermarks;
  readonly #pending = new Pending();
  /** A call of the runtime, made by a call of the owner, has not returned. */
  #calling = false;
  /** `write` has said false. */
  #full = false;
  #paused = false;
  /** The owner has ended its direction; the FIN is sent once nothing is pending. */
  #ending = false;
  #endSent = false;
  /** The peer has ended its direction, and the owner knows. */
  #ended = false;
  /** It ended while the wire was paused. */
  #endHeld = false;
  /** The runtime has closed the socket: `undefined` without an error. */
  #closed: { error: SystemError | undefined } | null = null;
  /** Reset, or the owner knows that it is closed. */
  #gone = false;
  /** It is paused towards the runtime, and a sip is due. */
  #sipping = false;
  /** The runtime does not read it: see held.ts. */
  #sparing = false;
  readonly #sipLater = (): void => void this.sip();
  /** Of a socket that is read and written past the runtime, too; -1: it is not. */
  #fd = -1;
  /** The last read brought more than a message. */
  #bulk = false;
  /** The socket has failed in a call past the runtime, which takes that for an end. */
  #loss: SystemError | undefined = undefined;
  readonly #send = (buffer: Uint8Array, start: number, length: number): number =>
    this.socket!.write(buffer, start, length);

  constructor(peer: Peer, marks: Watermarks) {
    this.peer = peer;
    this.#marks = marks;
  }

  /** The socket is there, and its bytes are the wire's own: it is read ahead, and written to without the runtime. */
  shorten(): void {
    const { fd } = this;
    if (AHEAD.watch(fd, this)) this.#fd = fd;
  }

  get readsAhead(): boolean {
    return !(this.#paused || this.#sipping || this.#sparing || this.#gone || this.#bulk);
  }

  get local(): Peer | null {
    const { socket } = this;
    if (socket === null || this.#closed !== null) return null;
    const ip = parseIp((socket.localAddress as string | undefined) ?? "");
    return ip === null ? null : { ip, port: socket.localPort };
  }

  get fd(): number {
    return this.socket === null ? -1 : fdOf(this.socket);
  }

  get pending(): number {
    return this.#pending.bytes;
  }

  write(bytes: Uint8Array): boolean {
    return this.writeRange(bytes, 0, bytes.length);
  }

  writeRange(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#gone || this.#closed !== null || this.#ending) return false;
    if (this.isTarget && HELD.isMuch && !this.#sparing && this.canSip) this.#spare();
    if (this.#pending.bytes === 0) {
      if (this.#fd >= 0) start = AHEAD.write(this, this.#fd, bytes, start, end);
      if (start === end) return !this.#full;
    }
    this.unsent(bytes, start, end);
    return !this.#full && this.#closed === null;
  }

  /** What the socket does not take now waits, and the runtime tells when there is room. */
  unsent(bytes: Uint8Array, start: number, end: number): void {
    if (this.#pending.bytes === 0) {
      this.#calling = true;
      const written = this.socket!.write(bytes, start, end - start);
      this.#calling = false;
      if (written === end - start || this.#closed !== null) return;
      start += Math.max(0, written);
    }
    this.#pending.push(bytes, start, end);
    this.#full ||= this.#pending.bytes >= this.#marks.highBytes;
  }

  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    if (this.#fd >= 0) AHEAD.flush();
    if (this.#pending.bytes === 0) this.#shutdown();
  }

  #shutdown(): void {
    if (this.#gone || this.#endSent) return;
    const when = this.#closed === null ? this.whenToEnd() : "now";
    if (when !== "now") {
      const again = (): void => this.#shutdown();
      if (when === "next turn") setImmediate(again);
      else setTimeout(again, WIRE.endLookMs);
      return;
    }
    this.#endSent = true;
    if (this.#closed !== null) return;
    this.#calling = true;
    this.socket!.shutdown(); // after a FIN each way the runtime closes the socket, within this call
    if (this.#ended) this.bothEnded();
    this.#calling = false;
  }

  /** Asked when nothing is pending, and again if it is not now. */
  protected whenToEnd(): "now" | "next turn" | "later" {
    return "now";
  }

  /** Called once the peer has ended its direction and we have ended ours. */
  protected bothEnded(): void {}

  reset(): void {
    if (this.#gone) return;
    if (this.#fd >= 0) AHEAD.flush();
    this.#gone = true;
    this.handler = SILENT;
    this.#pending.clear();
    this.#lengthen();
    if (this.#closed === null) this.socket!.terminate();
  }

  /** The descriptor is not ours any more. */
  #lengthen(): void {
    if (this.#fd >= 0) AHEAD.forget(this.#fd, this);
    this.#fd = -1;
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    if (!this.#gone && this.#closed === null) this.socket!.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#gone) return;
    if (this.#endHeld) queueMicrotask(() => this.#tellEnd());
    else if (this.#closed === null && this.canSip) {
      if (this.#sipping) return;
      this.#sipping = true;
      queueMicrotask(this.#sipLater);
      return;
    }
    if (this.#closed === null) this.socket!.resume();
  }

  /** Whether its bytes can be read past the runtime. */
  protected get canSip(): boolean {
    return CAN_RECEIVE;
  }

  /** Nobody is to hold more than a little for it. */
  #spare(): void {
    this.#sparing = true;
    if (!this.#paused) this.socket!.pause();
    HELD.add(this);
  }

  gulp(): void {
    this.#sparing = false;
    if (!this.#paused && !this.#gone && this.#closed === null) this.socket!.resume();
  }

  /**
   * Whoever has paused the wire may soon do so again, so it is given little at a time at first: what comes behind the pause is
   * held by somebody, for as long as a slow reader likes.
   */
  sip(): boolean {
    this.#sipping = false;
    for (let sips = 0; !this.#paused && !this.#gone && this.#closed === null; sips++) {
      const got = sips === WIRE.sipsMax ? NOTHING_YET : receive(fdOf(this.socket!));
      if (typeof got !== "string") this.handler.onData(got);
      else if (got !== NOTHING_YET && got !== ENDED) this.#failed(got);
      else if (!this.#sparing || got === ENDED) this.gulp();
      if (typeof got === "string") break;
    }
    return this.#sparing && !this.#gone && this.#closed === null;
  }

  /** The kernel has told an error to us, which the runtime will take for an end in order. */
  #failed(code: string): void {
    this.close(Object.assign(new Error(`the connection failed: ${code}`), { code }));
    this.socket!.terminate();
  }

  receive(chunk: Uint8Array): void {
    this.#bulk = chunk.length >= READ_AHEAD.readBytes;
    if (!this.#gone) this.handler.onData(chunk);
  }

  lost(code: string): void {
    this.#loss ??= Object.assign(new Error(`the connection was lost: ${code}`), { code });
  }

  flush(): void {
    if (this.#gone || this.#closed !== null || this.#pending.bytes === 0) return;
    this.#calling = true;
    this.#pending.flush(this.#send);
    this.#calling = false;
    if (this.#pending.bytes === 0 && this.#ending) this.#shutdown();
    if (!this.#full || this.#pending.bytes > this.#marks.lowBytes) return;
    this.#full = false;
    if (!this.#gone) this.handler.onDrain();
  }

  receiveFin(): void {
    if (this.#loss !== undefined && this.#closed === null) {
      this.close(this.#loss);
      this.socket!.terminate();
      return;
    }
    this.#endHeld = true;
    this.#tellEnd();
  }

  /** The peer's end, and the socket's if that is closed: not while paused. */
  #tellEnd(): void {
    if (this.#gone || this.#paused || !this.#endHeld) return;
    this.#endHeld = false;
    if (!this.#ended) {
      this.#ended = true;
      this.handler.onEnd();
      if (this.#endSent && this.#closed === null && !this.#gone) this.bothEnded();
    }
    this.#tellClose();
  }

  #tellClose(): void {
    if (this.#closed === null || this.#gone) return;
    const { error } = this.#closed;
    this.#gone = true;
    const unsent = this.#pending.bytes > 0 || !this.#endSent;
    this.#pending.clear();
    this.handler.onClose(error ?? (unsent ? brokenPipe() : null));
  }

  close(error: SystemError | undefined): void {
    if (this.#closed !== null) return;
    this.#closed = { error: error ?? this.#loss };
    this.#lengthen();
    if (this.#calling) queueMicrotask(() => this.#wasClosed());
    else this.#wasClosed();
  }

  /**
   * Without an error everything was read up to the peer's FIN, of which there is no event of its own after our FIN, nor on a
   * unix socket whose peer called close(2).
   */
  #wasClosed(): void {
    if (this.#closed?.error !== undefined) return this.#tellClose();
    this.#endHeld = true;
    this.#tellEnd();
  }
}

/** The peer has closed both directions, which a unix socket tells at once, and we had not ended ours. */
function brokenPipe(): SystemError {
  return Object.assign(new Error("the peer closed the connection"), { code: "EPIPE" });
}

/** The runtime's typings leave it out. */
export function fdOf(socket: RelaySocket): number {
  return (socket as { fd?: number }).fd ?? -1;
}
