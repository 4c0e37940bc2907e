// One client's connection, decrypted, and the one to its target: each end of what one of them sends is the end of what the other
// is sent, and what one does not take stops the other. Created by the listeners of tls and quic.
//
//   client ── onData ──▶ pass ──▶ target.write ── false: client.pause, until the target's onDrain
//   client ◀── client.write ◀── pass ◀── onData ── target
//
// Invariant: the client is not read before its target is connected, but for what was on its way (`#early`). `ended` is told once,
// when both wires are closed or reset.

import { monotonicMs } from "../shared/clock.ts";
import type { LiveTable } from "../shared/live-table.ts";
import type { TimeoutsPlan } from "../shared/plan.ts";
import type { Admission, Visit } from "./admission.ts";
import type { BackendTarget, Dial, Dialer, DialEvents, DialFailure } from "./dial.ts";
import type { Resident } from "./live-rows.ts";
import type { Wire, WireHandler } from "./wire/wire.ts";

/** What a tunnel needs of its listener. */
export interface TunnelOwner {
  readonly admission: Admission;
  readonly dialer: Dialer;
  readonly table: LiveTable;
  /** What the target is sent before the client's first byte; null: nothing. */
  greeting(client: Wire, visit: Visit): Uint8Array | null;
  /** Told before `ended`. */
  unreachable(tunnel: Tunnel, failure: DialFailure): void;
  /** @param slot of the target that was connected; -1: none was. */
  ended(tunnel: Tunnel, slot: number, reason: string): void;
}

export class Tunnel implements Resident, DialEvents, WireHandler {
  readonly visit: Visit;
  readonly #owner: TunnelOwner;
  readonly #client: Wire;
  #target: Wire | null = null;
  #slot = -1;
  #dial: Dial | null = null;
  /** What the client sent before its target was there. */
  #early: Uint8Array[] = [];
  /** Of the two wires. */
  #closed = 0;
  #over = false;

  constructor(owner: TunnelOwner, visit: Visit, client: Wire, group: number) {
    this.#owner = owner;
    this.visit = visit;
    this.#client = client;
    visit.resident = this;
    client.handler = this;
    client.pause();
    const { dialer } = owner;
    this.#dial = dialer.dial(dialer.begin(group), dialer.clientIp(visit.client), this);
  }

  get targetSlot(): number {
    return this.#slot >= 0 ? this.#slot : (this.#dial?.targetSlot ?? -1);
  }

  /** Bytes may move, so that it can be idle. */
  get open(): boolean {
    return this.#slot >= 0;
  }

  // The way to the target.

  connected(wire: Wire, target: BackendTarget): void {
    this.#dial = null;
    this.#target = wire;
    this.#slot = target.slot;
    wire.handler = new TargetSide(this);
    this.#owner.admission.connected(this.visit, target.slot, target.socket.peer);
    const greeting = this.#owner.greeting(this.#client, this.visit);
    if (greeting !== null) wire.write(greeting);
    const early = this.#early;
    this.#early = [];
    this.#client.resume();
    for (const bytes of early) this.onData(bytes);
  }

  failed(failure: DialFailure): void {
    this.#dial = null;
    this.#owner.unreachable(this, failure);
    this.end(failure.code || failure.reason);
  }

  // What the client does.

  onData(bytes: Uint8Array): void {
    const target = this.#target;
    if (target === null) {
      this.#early.push(bytes);
      return;
    }
    const { table, admission } = this.#owner;
    const { row } = this.visit;
    admission.counters.bytesUp(this.#slot, bytes.length);
    table.bytesUp[row] = table.bytesUp[row]! + bytes.length;
    table.activeMs[row] = monotonicMs();
    if (!target.write(bytes)) this.#client.pause();
  }

  onDrain(): void {
    this.#moved();
    this.#target?.resume();
  }

  onEnd(): void {
    this.#target?.end();
  }

  onClose(error: (Error & { code?: string }) | null): void {
    this.wireClosed(error);
  }

  // What the target does.

  targetData(bytes: Uint8Array): void {
    const { table, admission } = this.#owner;
    const { row } = this.visit;
    admission.counters.bytesDown(this.#slot, bytes.length);
    table.bytesDown[row] = table.bytesDown[row]! + bytes.length;
    table.activeMs[row] = monotonicMs();
    if (!this.#client.write(bytes)) this.#target!.pause();
  }

  targetDrained(): void {
    this.#moved();
    this.#client.resume();
  }

  targetEnded(): void {
    this.#client.end();
  }

  /** A reader that takes bytes now and then is not idle. */
  #moved(): void {
    this.#owner.table.activeMs[this.visit.row] = monotonicMs();
  }

  /** Without an error both directions of this wire have ended, and so will those of the other. */
  wireClosed(error: (Error & { code?: string }) | null): void {
    this.#closed++;
    if (error !== null) this.end(error.code ?? "OTHER");
    else if (this.#closed === 2) this.#finish("end");
  }

  reset(): void {
    this.end("reset");
  }

  /** Both wires end with a reset; what waits is dropped. */
  end(reason: string): void {
    if (this.#over) return;
    this.#client.reset();
    this.#target?.reset();
    this.#finish(reason);
  }

  #finish(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#dial?.cancel();
    this.#early = [];
    this.#owner.ended(this, this.#slot, reason);
  }
}

/** Ends tunnels that have been idle, or open, for too long. Times of 0: never. */
export function sweepTunnels(
  tunnels: Iterable<Tunnel>,
  { activeMs, startedMs }: LiveTable,
  { idleMs, lifetimeMs }: Pick<TimeoutsPlan, "idleMs" | "lifetimeMs">,
  nowMs: number,
): void {
  if (idleMs === 0 && lifetimeMs === 0) return;
  for (const tunnel of tunnels) {
    const { row } = tunnel.visit;
    if (lifetimeMs > 0 && nowMs - startedMs[row]! >= lifetimeMs) tunnel.end("lifetime");
    else if (idleMs > 0 && tunnel.open && nowMs - activeMs[row]! >= idleMs) tunnel.end("idle");
  }
}

/** The target's wire tells its tunnel. */
class TargetSide implements WireHandler {
  readonly #tunnel: Tunnel;

  constructor(tunnel: Tunnel) {
    this.#tunnel = tunnel;
  }

  onData(bytes: Uint8Array): void {
    this.#tunnel.targetData(bytes);
  }

  onDrain(): void {
    this.#tunnel.targetDrained();
  }

  onEnd(): void {
    this.#tunnel.targetEnded();
  }

  onClose(error: (Error & { code?: string }) | null): void {
    this.#tunnel.wireClosed(error);
  }
}
