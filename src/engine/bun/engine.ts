// The engine on the runtime's own sockets: macOS, Windows, and wherever an engine of system calls cannot serve. It lives on
// its worker's event loop; the runtime does the polling, this room the rules of engine.ts. Called by pick.ts and worker.ts.
//
// Two places differ from the engines of system calls: a direction holds at most one read of the runtime (512 KiB), whatever
// the watermarks say, and the runtime's accept would spin without free descriptors, so clients are refused before that.

import { sharedMs } from "../../ffi/clock.ts";
import type { Refused } from "../../l4/entrance.ts";
import { Pacer } from "../../l4/pacer.ts";
import { Strain } from "../../l4/strain.ts";
import type { SocketAddress } from "../../shared/address.ts";
import { Beat } from "../../shared/beat.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { ProxyError } from "../../shared/errors.ts";
import { LAG, RELAY } from "../../shared/limits.ts";
import { LiveTable } from "../../shared/live-table.ts";
import type {
  AdoptRequest,
  ListeningSocket,
  RelayRequest,
  TargetSlot,
} from "../../shared/messages.ts";
import { Sweep } from "../../shared/sweep.ts";
import { descriptorLimit, descriptorReserve, warnIfTooFew } from "../descriptors.ts";
import type { Engine, EngineHost } from "../engine.ts";
import { duplicatePair } from "../linux/sockets.ts";
import { AdoptedPair } from "./adopted.ts";
import { Connection, type ConnectionOwner } from "./connection.ts";
import { BunListener, type Timed } from "./listener.ts";
import type { Mirror, Mirrors } from "./mirror.ts";
import { PaceTimer } from "./pace-timer.ts";

export class BunEngine implements Engine {
  readonly name = "bun";
  readonly wakeFd = -1;
  readonly live: LiveTable;
  readonly host: EngineHost;
  readonly #descriptorLimit: number;
  readonly #fdCeiling: number;
  readonly #listeners = new Map<number, BunListener>();
  /** Closed and not forgotten. */
  readonly #closed = new Map<number, BunListener>();
  readonly #connections: (Connection | undefined)[] = [];
  readonly #freeRows: number[] = [];
  readonly #timed = new Set<Timed>();
  readonly pacer: Pacer;
  readonly #paceTimer = new PaceTimer(() => this.pacer);
  /** Copies that are not over. */
  readonly #copies = new Set<Mirror>();
  readonly mirrors: Mirrors = {
    add: (mirror, timeoutMs) => {
      this.#copies.add(mirror);
      this.#sweep.need(timeoutMs);
    },
    remove: (mirror) => {
      this.#copies.delete(mirror);
      this.#checkDrained();
    },
  };
  readonly #sweep = new Sweep(() => this.#checkTimeouts());
  readonly #strain: Strain;
  readonly #beat: Beat;
  #open = 0;
  #draining = false;

  constructor(host: EngineHost) {
    this.host = host;
    this.#strain = new Strain(host.strain, host.index);
    this.#beat = new Beat(LAG.restMs, () =>
      this.#strain.beatOfTimer(monotonicMs(), sharedMs(), this.#open > 0),
    );
    const limit = descriptorLimit();
    this.#descriptorLimit = limit;
    this.#fdCeiling = limit - descriptorReserve(limit);
    this.live = LiveTable.create(Math.min(RELAY.rowsMax, Math.ceil(limit / 2)));
    this.pacer = new Pacer({
      resume: (direction) => this.#resume(direction),
      generation: this.live.generation,
      clock: sharedMs,
      waiting: () => this.#paceTimer.arm(),
    });
  }

  #resume(direction: number): void {
    const connection = this.#connections[direction >>> 1];
    const sink = (direction & 1) === 0 ? connection?.target : connection?.client;
    sink?.flush();
  }

  open(request: RelayRequest): { bound: SocketAddress[]; fds: number[] } {
    const listener = new BunListener(this, request);
    const opened = listener.open(request);
    warnIfTooFew(this.host, request, this.#descriptorLimit);
    this.#listeners.set(request.slot, listener);
    return opened;
  }

  setTargets(slot: number, targets: readonly TargetSlot[]): void {
    const listener = this.#listeners.get(slot) ?? this.#closed.get(slot);
    if (listener === undefined) return;
    listener.setTargets(targets);
    const disabled = new Set<number>();
    for (const target of targets) if (target.mode === "disabled") disabled.add(target.slot);
    if (disabled.size === 0) return;
    for (const connection of this.#connections) {
      if (connection?.owner === listener && disabled.has(connection.slot))
        connection.abort("reset");
    }
  }

  setMirror(slot: number, addresses: readonly SocketAddress[]): void {
    this.#listeners.get(slot)?.setMirror(addresses);
  }

  close(slot: number): void {
    const listener = this.#listeners.get(slot);
    if (listener === undefined) return;
    listener.close();
    this.#listeners.delete(slot);
    this.#closed.set(slot, listener);
  }

  forget(slot: number): void {
    this.pacer.remove(this.#closed.get(slot)?.pace ?? null);
    this.#closed.delete(slot);
  }

  accept(): void {
    for (const listener of this.#listeners.values()) listener.accept();
  }

  listening(): ListeningSocket[] {
    return [...this.#listeners.values()].flatMap((listener) =>
      listener.duplicates().map((fd) => ({ key: listener.plan.key, fd })),
    );
  }

  adopt(id: number, request: AdoptRequest): number {
    const fds = duplicate(request.fds);
    const pair = new AdoptedPair(this, id, request.idleMs);
    const connection = this.addConnection(pair, -1);
    const liveId = this.live.idOf(connection.row);
    pair.start(connection, fds);
    return liveId;
  }

  take(): void {
    throw new ProxyError("ERR_ENGINE", "the bun engine takes no clients of other workers");
  }

  disconnect(id: number): void {
    const row = this.live.rowOf(id);
    if (row >= 0) this.#connections[row]?.abort("reset");
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const slot of this.#listeners.keys()) this.close(slot);
    this.#checkDrained();
  }

  #checkDrained(): void {
    const held = this.#open + this.#copies.size;
    if (this.#draining && held === 0) this.host.emit({ type: "drained" });
  }

  end(): number {
    const left = this.#open;
    for (const slot of this.#listeners.keys()) this.close(slot);
    this.#draining = false; // `ended` says it all
    for (const connection of this.#connections) connection?.abort("reset");
    for (const mirror of this.#copies) mirror.abandon();
    this.#sweep.stop();
    this.#beat.stop();
    this.#paceTimer.stop();
    return left;
  }

  run(): void {} // the worker's event loop serves

  /** Descriptors are numbered from the lowest free one, so the newest tells how many the process holds, all workers together. */
  refuses(fd: number): Omit<Refused, "type"> | null {
    if (this.#strain.sheds()) return { reason: "overload", detail: this.#strain.reason };
    const hasRoom = fd < this.#fdCeiling && this.#open < this.live.capacity;
    return hasRoom ? null : { reason: "table_full", detail: "" };
  }

  unused(slot: number): void {
    if (this.#closed.has(slot)) this.host.emit({ type: "over", slot });
  }

  addConnection(owner: ConnectionOwner, slot: number): Connection {
    const row = this.#freeRows.pop() ?? this.#connections.length;
    const connection = new Connection(owner, row);
    this.#connections[row] = connection;
    this.#open++;
    const { live } = this;
    live.startedMs[row] = monotonicMs();
    live.activeMs[row] = live.startedMs[row]!;
    live.bytesUp[row] = 0;
    live.bytesDown[row] = 0;
    live.slot[row] = slot;
    live.clearAddress(live.clients, row);
    live.clearAddress(live.targets, row);
    live.open(row);
    if (owner.idleMs > 0) this.#sweep.need(owner.idleMs);
    if (owner.lifetimeMs > 0) this.#sweep.need(owner.lifetimeMs);
    return connection;
  }

  removeConnection({ row }: Connection): void {
    this.live.close(row);
    this.#connections[row] = undefined;
    this.#freeRows.push(row);
    this.#open--;
    this.#checkDrained();
  }

  watch(timed: Timed, timeoutMs: number): void {
    this.#timed.add(timed);
    this.#sweep.need(timeoutMs);
  }

  /** @returns whether anything can still time out. */
  #checkTimeouts(): boolean {
    const now = monotonicMs();
    for (const timed of this.#timed) {
      if (!timed.settled && now >= timed.deadlineMs) timed.expire();
      if (!timed.settled) continue;
      this.#timed.delete(timed);
      timed.settle?.();
    }
    let watched = 0;
    for (const connection of this.#connections) {
      if (connection === undefined) continue;
      const { idleMs, lifetimeMs } = connection.owner;
      if (idleMs === 0 && lifetimeMs === 0) continue;
      const reason = connection.connected ? this.#timeoutOf(connection, now) : null;
      if (reason === null) watched++;
      else connection.abort(reason);
    }
    for (const mirror of this.#copies) if (now >= mirror.deadlineMs) mirror.expire();
    return this.#timed.size > 0 || watched > 0 || this.#copies.size > 0;
  }

  /** Which of its timeouts has passed. */
  #timeoutOf({ owner, row, held }: Connection, now: number): string | null {
    const { idleMs, lifetimeMs } = owner;
    const { startedMs, activeMs } = this.live;
    if (lifetimeMs > 0 && now - startedMs[row]! >= lifetimeMs) return "lifetime";
    return idleMs > 0 && now - activeMs[row]! >= idleMs && !held ? "idle" : null;
  }
}

/** @throws ProxyError ERR_ENGINE where descriptors cannot be duplicated. */
function duplicate(fds: readonly [number, number]): [number, number] {
  if (process.platform !== "linux") {
    throw new ProxyError(
      "ERR_ENGINE",
      `the bun engine takes no descriptors on ${process.platform}`,
    );
  }
  return duplicatePair(fds);
}
