// A wire in clear: a TCP or unix socket of the runtime. Made by plain.ts, driven by the runtime's socket handlers.
//
// Invariant: the handler is never called from within a call of its owner (the runtime closes a socket within write and shutdown,
// which is told a microtask later), nor after `reset`, nor after onClose.

import type { RelaySocket } from "../../engine/bun/connection.ts";
import type { AttemptSide } from "../../engine/bun/dial.ts";
import { parseIp } from "../../shared/ip.ts";
import { WIRE } from "../../shared/limits.ts";
import type { Peer } from "../live-rows.ts";
import { SILENT } from "./handler.ts";
import { Pending } from "./pending.ts";
import type { Watermarks, Wire, WireHandler, WireTls } from "./wire.ts";

type SystemError = Error & { code?: string };

export class PlainWire implements Wire, AttemptSide {
  handler: WireHandler = SILENT;
  readonly peer: Peer;
  readonly tls: WireTls | null = null;
  /** Set before the wire is given to its owner. */
  socket: RelaySocket | null = null;
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
  readonly #send = (buffer: Uint8Array, start: number, length: number): number =>
    this.socket!.write(buffer, start, length);

  constructor(peer: Peer, marks: Watermarks) {
    this.peer = peer;
    this.#marks = marks;
  }

  get local(): Peer | null {
    const { socket } = this;
    if (socket === null || this.#closed !== null) return null;
    const ip = parseIp((socket.localAddress as string | undefined) ?? "");
    return ip === null ? null : { ip, port: socket.localPort };
  }

  get fd(): number {
    return (this.socket as { fd?: number } | null)?.fd ?? -1;
  }

  get pending(): number {
    return this.#pending.bytes;
  }

  write(bytes: Uint8Array): boolean {
    return this.writeRange(bytes, 0, bytes.length);
  }

  writeRange(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#gone || this.#closed !== null || this.#ending) return false;
    if (this.#pending.bytes === 0) {
      this.#calling = true;
      const written = this.socket!.write(bytes, start, end - start);
      this.#calling = false;
      if (written === end - start) return true;
      if (this.#closed !== null) return false;
      this.#pending.push(bytes, start + Math.max(0, written), end);
    } else this.#pending.push(bytes, start, end);
    this.#full ||= this.#pending.bytes >= this.#marks.highBytes;
    return !this.#full;
  }

  end(): void {
    if (this.#ending) return;
    this.#ending = true;
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
    this.#gone = true;
    this.handler = SILENT;
    this.#pending.clear();
    if (this.#closed === null) this.socket!.terminate();
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
    if (this.#closed === null) this.socket!.resume();
    if (this.#endHeld) queueMicrotask(() => this.#tellEnd());
  }

  receive(chunk: Uint8Array): void {
    if (!this.#gone) this.handler.onData(chunk);
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
    this.#closed = { error };
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
