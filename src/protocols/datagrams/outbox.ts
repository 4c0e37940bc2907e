// Datagrams on their way to one socket: what a turn of the event loop brought goes out in one system call (sendmmsg(2)), and
// what the system does not take at once waits, within bounds. Where turns bring one datagram each, waiting for their end costs a
// sixth of all that a question and its answer take: those go out at once, but for one now and then which shows whether that
// still is so. Invariant: order is kept, and every datagram is either sent or told to `dropped`.
//
// A socket reports an ICMP error on its next call instead of doing that call, be it about another datagram or, on an
// unconnected socket, about another peer. So whatever failed is tried once more before it is dropped.

import type { udp } from "bun";

import { errnoOf } from "../../shared/errors.ts";
import { UDP } from "../../shared/limits.ts";
import type { Drop } from "../../shared/messages.ts";

/** As Bun's sockets take them: data alone on a connected one; data, port and address in turn on others. */
export type Packet = udp.Data | number;

/** A socket of Bun's, of either kind. */
export interface PacketSocket {
  /** @returns how many datagrams the system took. @throws its error if that was about the first of them. */
  sendMany(packets: readonly Packet[]): number;
}

/** Everything that waits in a worker, so that many slow sockets together are bounded too. */
export interface Backlog {
  bytes: number;
}

export interface OutboxEvents {
  dropped(reason: Drop, errno: string): void;
}

/** Flushes outboxes after the events of this turn were handled. */
export class Flusher {
  #waiting: Outbox[] = [];

  /** Called once by each outbox, until it was flushed. */
  add(outbox: Outbox): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#flush());
    this.#waiting.push(outbox);
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const outbox of waiting) outbox.endTurn();
  }
}

export class Outbox {
  readonly #stride: number;
  readonly #flusher: Flusher;
  readonly #backlog: Backlog;
  readonly #events: OutboxEvents;
  #socket: PacketSocket | null = null;
  #packets: Packet[] = [];
  /** The flusher has it. */
  #scheduled = false;
  /** Turns in a row that brought one datagram. */
  #loneTurns = 0;
  /** Datagrams that went out at once since the last turn that was waited for. */
  #hasty = 0;
  /** The system's buffer is full, or there is no socket yet; `resume` says when that is over. */
  #blocked = true;
  /** Of #packets, while they wait. */
  #backlogBytes = 0;

  /** @param connected whether packets are data alone. */
  constructor(connected: boolean, flusher: Flusher, backlog: Backlog, events: OutboxEvents) {
    this.#stride = connected ? 1 : 3;
    this.#flusher = flusher;
    this.#backlog = backlog;
    this.#events = events;
  }

  /** From here on it sends. */
  attach(socket: PacketSocket): void {
    this.#socket = socket;
    this.resume();
  }

  /** To a connected socket. */
  push(data: Uint8Array): void {
    if (this.#admits(data)) {
      this.#packets.push(data);
      this.#added();
    }
  }

  pushTo(data: Uint8Array, port: number, address: string): void {
    if (this.#admits(data)) {
      this.#packets.push(data, port, address);
      this.#added();
    }
  }

  /** The system has room again. */
  resume(): void {
    this.#blocked = false;
    this.#release();
    this.flush();
  }

  /** By the flusher: what this turn brought is all there. */
  endTurn(): void {
    this.#scheduled = false;
    this.#loneTurns = this.#packets.length === this.#stride ? this.#loneTurns + 1 : 0;
    this.flush();
  }

  /** Sends as much as the system takes. */
  flush(): void {
    if (this.#blocked || this.#socket === null || this.#packets.length === 0) return;
    const packets = this.#packets;
    this.#packets = [];
    const rest = this.#send(this.#socket, packets);
    if (rest.length > 0) this.#wait(rest);
  }

  /** Nothing goes out any more, and nothing waits. */
  close(): void {
    this.#blocked = true;
    this.#socket = null;
    this.#packets = [];
    this.#release();
  }

  #admits(data: Uint8Array): boolean {
    if (!this.#blocked) return true;
    const count = this.#packets.length / this.#stride;
    const total = this.#backlog.bytes + data.byteLength;
    if (count < UDP.queueDatagrams && total <= UDP.queuesMaxBytes) {
      this.#hold(data.byteLength);
      return true;
    }
    this.#events.dropped("queue_full", "");
    return false;
  }

  #added(): void {
    if (this.#blocked) return;
    // A flood must not put the end of this turn off.
    if (this.#packets.length >= UDP.batchDatagrams * this.#stride) return this.flush();
    if (this.#scheduled) return;
    if (this.#loneTurns >= UDP.loneTurns && this.#hasty < UDP.hastyDatagrams) {
      this.#hasty++;
      return this.flush();
    }
    this.#hasty = 0;
    this.#scheduled = true;
    this.#flusher.add(this);
  }

  /** @returns what the system has no room for. */
  #send(socket: PacketSocket, packets: Packet[]): Packet[] {
    let rest = packets;
    let failedBefore = false;
    while (rest.length > 0) {
      let sent = 0;
      try {
        sent = socket.sendMany(rest);
        if (sent <= 0) return rest;
        failedBefore = false;
      } catch (error) {
        const errno = errnoOf(error);
        const tooLarge = errno === "EMSGSIZE";
        if (tooLarge || failedBefore) {
          this.#events.dropped(tooLarge ? "too_large" : "send_failed", errno);
          sent = 1;
        }
        failedBefore = !tooLarge && !failedBefore;
      }
      if (sent * this.#stride >= rest.length) return NOTHING;
      if (sent > 0) rest = rest.slice(sent * this.#stride);
    }
    return rest;
  }

  #wait(rest: Packet[]): void {
    this.#blocked = true;
    this.#packets = rest;
    for (let i = 0; i < rest.length; i += this.#stride) {
      this.#hold((rest[i] as Uint8Array).byteLength);
    }
  }

  #hold(bytes: number): void {
    this.#backlogBytes += bytes;
    this.#backlog.bytes += bytes;
  }

  #release(): void {
    this.#backlog.bytes -= this.#backlogBytes;
    this.#backlogBytes = 0;
  }
}

const NOTHING: Packet[] = [];
