// A client's wire under limits of bandwidth: what it may not move yet waits here, and the wire below is not read meanwhile. It
// keeps the contract of every wire, so whoever has one does not know. Only listeners with such limits have them (bandwidth.ts).
//
//   client ──▶ wire below ── onData ──▶ held ──── granted ──▶ handler
//   client ◀── wire below ◀── granted ── pending ◀── write ── owner
//
// Invariant: what is held, or pending, goes before everything that comes later; while something is held, the wire below is
// paused.

import type { Pace } from "../../l4/pacer.ts";
import type { Peer } from "../live-rows.ts";
import { SILENT } from "./handler.ts";
import { Pending } from "./pending.ts";
import type { Watermarks, Wire, WireHandler, WireTls } from "./wire.ts";

export class PacedWire implements Wire, WireHandler {
  handler: WireHandler = SILENT;
  readonly peer: Peer;
  readonly tls: WireTls | null;
  readonly #below: Wire;
  readonly #pace: Pace;
  readonly #marks: Watermarks;
  /** Directions of the pacer: from the client, and to it. */
  readonly #up: number;
  readonly #down: number;
  readonly #gone: () => void;
  /** Came, and may not go up yet. */
  #held: Uint8Array | null = null;
  /** The client's end came behind what is held. */
  #endHeld = false;
  /** By the owner. */
  #paused = false;
  readonly #pending = new Pending();
  /** The wire below has said that it is full. */
  #fullBelow = false;
  /** `write` has said false. */
  #full = false;
  #ending = false;
  #over = false;
  #granted = 0;
  readonly #send = (buffer: Uint8Array, start: number, length: number): number => {
    const bytes = Math.min(length, this.#granted);
    this.#fullBelow = !this.#below.writeRange(buffer, start, start + bytes);
    return bytes;
  };

  /**
   * @param row of the client in the table of live connections.
   * @param gone called once, when nothing is to be resumed any more.
   */
  constructor(below: Wire, pace: Pace, row: number, marks: Watermarks, gone: () => void) {
    this.peer = below.peer;
    this.tls = below.tls;
    this.#below = below;
    this.#pace = pace;
    this.#marks = marks;
    this.#up = row * 2;
    this.#down = row * 2 + 1;
    this.#gone = gone;
    below.handler = this;
  }

  get local(): Peer | null {
    return this.#below.local ?? null;
  }

  get fd(): number {
    return this.#below.fd;
  }

  get pending(): number {
    return this.#pending.bytes + this.#below.pending;
  }

  get isHeldUp(): boolean {
    return this.#held !== null || this.#pace.waits(this.#up);
  }

  get isHeldDown(): boolean {
    return this.#pending.bytes > 0 && this.#below.pending === 0;
  }

  // The pacer.

  /** @param direction has its turn. */
  resumed(direction: number): void {
    if (this.#over) return;
    if (direction === this.#up) this.#goOn();
    else this.#flush();
  }

  // The owner.

  write(bytes: Uint8Array): boolean {
    return this.writeRange(bytes, 0, bytes.length);
  }

  writeRange(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#over || this.#ending) return false;
    const pace = this.#pace;
    while (start < end && this.#pending.bytes === 0 && !this.#fullBelow) {
      const granted = pace.waits(this.#down) ? 0 : pace.grant(this.#down, end - start);
      if (granted === 0) break;
      this.#fullBelow = !this.#below.writeRange(bytes, start, start + granted);
      start += granted;
    }
    pace.settle();
    if (start < end) this.#pending.push(bytes, start, end);
    this.#full ||= this.#fullBelow || this.pending >= this.#marks.highBytes;
    return !this.#full;
  }

  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    if (!this.#over && this.#pending.bytes === 0) this.#below.end();
  }

  reset(): void {
    if (this.#over) return;
    this.handler = SILENT;
    this.#leave();
    this.#below.reset();
  }

  pause(): void {
    this.#paused = true;
    this.#below.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#held === null && !this.#endHeld) this.#below.resume();
    else queueMicrotask(() => this.#goOn()); // not within the owner's call
  }

  // What is held, and what is pending.

  #goOn(): void {
    const held = this.#held;
    if (this.#over || this.#paused || this.#pace.waits(this.#up)) return;
    this.#held = null;
    if (held !== null) this.#deliver(held);
    if (this.#over || this.#paused || this.#held !== null) return;
    if (this.#endHeld) {
      this.#endHeld = false;
      this.handler.onEnd();
    }
    if (!this.#over && !this.#paused) this.#below.resume();
  }

  #deliver(bytes: Uint8Array): void {
    const pace = this.#pace;
    let at = 0;
    while (at < bytes.length && !this.#paused && !this.#over) {
      const granted = pace.waits(this.#up) ? 0 : pace.grant(this.#up, bytes.length - at);
      if (granted === 0) break;
      at += granted;
      this.handler.onData(bytes.subarray(at - granted, at));
    }
    pace.settle();
    if (at === bytes.length || this.#over) return;
    this.#held = bytes.subarray(at);
    this.#below.pause();
  }

  #flush(): void {
    const pace = this.#pace;
    while (this.#pending.bytes > 0 && !this.#fullBelow && !this.#over) {
      const { bytes } = this.#pending;
      this.#granted = pace.waits(this.#down) ? 0 : pace.grant(this.#down, bytes);
      if (this.#granted === 0) break;
      this.#pending.flush(this.#send);
    }
    pace.settle();
    if (this.#over) return;
    if (this.#pending.bytes === 0 && this.#ending) this.#below.end();
    if (!this.#full || this.#fullBelow || this.pending > this.#marks.lowBytes) return;
    this.#full = false;
    this.handler.onDrain();
  }

  #leave(): void {
    this.#over = true;
    this.#pending.clear();
    this.#held = null;
    this.#gone();
  }

  // The wire below.

  onData(bytes: Uint8Array): void {
    if (this.#held === null && !this.#paused) return this.#deliver(bytes);
    // It was on its way when the wire was paused.
    this.#held = this.#held === null ? bytes : Buffer.concat([this.#held, bytes]);
  }

  onDrain(): void {
    this.#fullBelow = false;
    this.#flush();
  }

  onEnd(): void {
    if (this.#held === null && !this.#paused) this.handler.onEnd();
    else this.#endHeld = true;
  }

  onClose(error: (Error & { code?: string }) | null): void {
    const held = this.#held;
    // What came before it still goes up, as it does without a limit.
    if (held !== null && !this.#paused) {
      this.#held = null;
      this.#pace.spend(this.#up, held.length);
      this.handler.onData(held);
    }
    if (this.#over) return;
    this.#leave();
    this.handler.onClose(error);
  }
}
