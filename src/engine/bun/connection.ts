// One relayed connection: two sides, each with its socket and at most one buffer of bytes that its socket did not take.
//
//   client ──data──▶ receive ──▶ target.send ──▶ socket.write, the rest waits in target.pending while client is paused
//   client ◀─────── client.send ◀── receive ◀──data── target
//
// Invariant: while a side has pending bytes its peer is paused, so a direction holds at most what one read of the runtime
// returns (512 KiB). Under a limit of bandwidth they wait for the pacer, which flushes the side. Created by listener.ts and
// engine.ts; the runtime's socket handlers below drive it.

import type { Socket, SocketHandler } from "bun";

import type { Arrival } from "../../l4/entrance.ts";
import type { Pace } from "../../l4/pacer.ts";
import { monotonicMs } from "../../shared/clock.ts";
import type { CounterWriter } from "../../shared/counters.ts";
import { errnoOf } from "../../shared/errors.ts";
import type { LiveTable } from "../../shared/live-table.ts";
import { isHandshaking } from "../linux/sockets.ts";

/** What a socket's `data` takes: a side of a connection, or an attempt that is still connecting. */
export interface SocketEvents {
  receive(chunk: Uint8Array): void;
  flush(): void;
  receiveFin(): void;
  close(error: Error | undefined): void;
}

/** A copy of what a client sends. */
export interface Mirrored {
  copy(chunk: Uint8Array): void;
  end(): void;
  connectionEnded(): void;
}

export type RelaySocket = Socket<SocketEvents>;

/** What a connection tells its owner. */
export interface ConnectionOwner {
  readonly live: LiveTable;
  /** null for adopted pairs, which no listener counts. */
  readonly counters: CounterWriter | null;
  /** 0: never. */
  readonly idleMs: number;
  /** 0: never. */
  readonly lifetimeMs: number;
  /** null: no limit of bandwidth. */
  readonly pace: Pace | null;
  /** A target's handshake may go on while bytes flow. Linux only. */
  readonly fastopen: boolean;
  /** Called exactly once, when both sockets are closed or reset. */
  ended(connection: Connection, reason: string): void;
}

export class Connection {
  readonly owner: ConnectionOwner;
  readonly row: number;
  readonly client: Side;
  readonly target: Side;
  /** Both sockets are closed, or were reset; late events are ignored. */
  over = false;
  /** A target was reached: bytes flow. */
  connected = false;
  /** Of the target that is tried, or was reached; -1: none. */
  slot = -1;
  /** Where a copy of what the client sends goes. */
  mirror: Mirrored | null = null;
  /** While a target is sought. */
  dialing: { abandon(): void; end(answered: boolean): void } | null = null;
  /** What its first bytes said, until its target is reached; null if they were not read. */
  arrival: Arrival | null = null;

  constructor(owner: ConnectionOwner, row: number) {
    this.owner = owner;
    this.row = row;
    // A direction is named by its source, as in the other engines: row * 2 is from the client to the target.
    this.client = new Side(this, row * 2 + 1);
    this.target = new Side(this, row * 2);
    this.client.peer = this.target;
    this.target.peer = this.client;
  }

  /** It does not move because it may not. */
  get held(): boolean {
    return this.client.waits || this.target.waits;
  }

  /** Notes bytes that `sink` has taken. */
  delivered(sink: Side, bytes: number): void {
    const { live, counters } = this.owner;
    live.activeMs[this.row] = monotonicMs();
    if (sink === this.target) {
      live.bytesUp[this.row] = live.bytesUp[this.row]! + bytes;
      counters?.bytesUp(this.slot, bytes);
    } else {
      live.bytesDown[this.row] = live.bytesDown[this.row]! + bytes;
      counters?.bytesDown(this.slot, bytes);
    }
  }

  /** Both sockets end with a reset; what waits is dropped. */
  abort(reason: string): void {
    if (this.over) return;
    this.over = true;
    this.client.reset();
    this.target.reset();
    this.owner.ended(this, reason);
  }

  /** Ends the connection once both sockets are closed. */
  finishIfClosed(): void {
    if (this.over || !this.client.closed || !this.target.closed) return;
    this.over = true;
    this.owner.ended(this, "end");
  }
}

/** Between two looks at a handshake: shorter than most take. */
const HANDSHAKE_LOOK_MS = 5;

export class Side implements SocketEvents {
  readonly connection: Connection;
  /** Whose sink it is. */
  readonly direction: number;
  peer!: Side;
  socket: RelaySocket | null = null;
  /** While the target is being connected. */
  attempt: { cancel(): void } | null = null;
  /** Bytes from the peer that this socket has not taken yet. */
  pending: Uint8Array | null = null;
  finReceived = false;
  finSent = false;
  closed = false;

  constructor(connection: Connection, direction: number) {
    this.connection = connection;
    this.direction = direction;
  }

  /** What is pending may not go yet. */
  get waits(): boolean {
    return this.connection.owner.pace?.waits(this.direction) === true;
  }

  receive(chunk: Uint8Array): void {
    const { connection } = this;
    if (connection.over) return;
    if (this === connection.client) connection.mirror?.copy(chunk);
    this.peer.send(chunk);
  }

  send(chunk: Uint8Array): void {
    // A reset delivers what had arrived before it even to a paused socket, and even before the target is connected.
    if (this.pending !== null) this.pending = Buffer.concat([this.pending, chunk]);
    else if (this.socket === null) this.pending = chunk;
    else this.#write(chunk);
  }

  /** The target is connected, and is sent this before the client's bytes, which it is none of. */
  greet(header: Uint8Array): void {
    const rest = header.subarray(Math.max(0, this.socket!.write(header)));
    if (rest.length === 0) return;
    this.pending = this.pending === null ? rest : Buffer.concat([rest, this.pending]);
  }

  /** The target is connected: its client, paused so far, may send. */
  start(): void {
    if (this.pending !== null) this.flush();
    else this.#askForMore();
  }

  #askForMore(): void {
    if (this.peer.finReceived) this.sendFin();
    else this.peer.socket?.resume();
  }

  /** The socket takes bytes again, or may be given some. */
  flush(): void {
    const { pending, connection } = this;
    if (pending === null || connection.over || this.waits) return;
    this.pending = null;
    this.#write(pending);
    if (this.pending === null && !connection.over) this.#askForMore();
  }

  #write(chunk: Uint8Array): void {
    const { pace } = this.connection.owner;
    const written = pace === null ? this.#writeNow(chunk) : this.#writePaced(chunk, pace);
    if (this.connection.over || written === chunk.length) return;
    this.pending = written === 0 ? chunk : chunk.subarray(written);
    this.peer.socket?.pause();
  }

  /** As far as the limits allow: for the rest the pacer flushes this side. */
  #writePaced(chunk: Uint8Array, pace: Pace): number {
    let at = 0;
    while (at < chunk.length) {
      const granted = pace.grant(this.direction, chunk.length - at);
      if (granted === 0) break;
      const written = this.#writeNow(chunk.subarray(at, at + granted));
      pace.giveBack(this.direction, granted - written);
      at += written;
      if (written < granted || this.connection.over) break;
    }
    pace.settle();
    return at;
  }

  /** @returns how many bytes the socket took. */
  #writeNow(chunk: Uint8Array): number {
    const { connection } = this;
    const written = this.closed ? -1 : this.socket!.write(chunk);
    if (connection.over) return 0;
    if (written < 0) connection.abort("EPIPE");
    else if (written > 0) connection.delivered(this, written);
    return Math.max(0, written);
  }

  receiveFin(): void {
    if (this.finReceived || this.connection.over) return;
    this.finReceived = true;
    const { peer } = this;
    if (peer.pending === null && peer.socket !== null) peer.sendFin();
  }

  sendFin(): void {
    if (this === this.connection.target) this.connection.mirror?.end();
    if (this.handshakes) {
      // The runtime does not tell when it is over; nothing else is to do on this side until then.
      setTimeout(() => this.#finAfterHandshake(), HANDSHAKE_LOOK_MS);
      return;
    }
    this.finSent = true;
    // After a FIN each way the runtime closes the socket, within this call.
    if (!this.closed) this.socket!.shutdown();
  }

  /** A target's SYN is still under way, with bytes (Fast Open): shutdown(2) would end the connection. */
  get handshakes(): boolean {
    const { connection, socket } = this;
    if (!connection.owner.fastopen || this !== connection.target || this.closed) return false;
    return isHandshaking((socket as { fd?: number } | null)?.fd ?? -1);
  }

  #finAfterHandshake(): void {
    if (!this.connection.over && !this.finSent) this.sendFin();
  }

  /** The runtime has closed the socket: `error` names why, or both directions are over. */
  close(error: Error | undefined): void {
    this.closed = true;
    const { connection } = this;
    if (connection.over) return;
    if (error !== undefined) {
      connection.abort(errnoOf(error));
      return;
    }
    // Without an error everything was read up to the peer's FIN. A unix socket whose peer called close(2) ends like this
    // too while our own direction is open: bytes that are still to be written have nowhere to go.
    this.receiveFin();
    if (this.pending !== null) connection.abort("EPIPE");
    else connection.finishIfClosed();
  }

  reset(): void {
    this.pending = null;
    this.attempt?.cancel();
    if (!this.closed) this.socket?.terminate();
    this.closed = true;
  }
}

/** `data` is unset on a socket that was refused in `open`. */
export const RELAY_HANDLERS: SocketHandler<SocketEvents> = {
  data: (socket, chunk) => socket.data?.receive(chunk),
  drain: (socket) => socket.data?.flush(),
  end: (socket) => socket.data?.receiveFin(),
  close: (socket, error) => socket.data?.close(error),
};
