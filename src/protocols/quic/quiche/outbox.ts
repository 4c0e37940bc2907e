// Packets on their way out of one UDP socket: those of a connection are written one behind the other, and handed to the
// system in one call, as segments where it cuts them itself (UDP_SEGMENT), otherwise with sendmmsg(2). Called by loops.
//
// Invariant: what the system does not take waits here, a batch at most; meanwhile no connection is asked for packets.

import type { udp } from "bun";

import { QUICHE } from "../../../shared/limits.ts";
import type { SegmentSender } from "../../host.ts";
import type { HostPort, PathInfo } from "./binding.ts";

/** What writes packets: a connection of the binding. */
export interface PacketSource {
  send(into: Uint8Array): [number, PathInfo & { readonly to: HostPort }] | null;
}

export type PacketSocket = udp.Socket<"buffer"> | udp.ConnectedSocket<"buffer">;

type Packets = (Uint8Array | number | string)[];

/** Of a datagram of the loopback interface. */
const PACKET_MAX_BYTES = QUICHE.localPayloadBytes;
/** Of UDP over IPv4. */
const CALL_MAX_BYTES = 65_507;

export class Outbox {
  readonly #connected: boolean;
  readonly #segments: SegmentSender | null;
  readonly #buffer: Uint8Array;
  readonly #segmentsMax: number;
  #socket: PacketSocket | null;
  /** What the system had no room for. */
  #waiting: Packets = [];

  constructor(socket: PacketSocket, connected: boolean, segments: SegmentSender | null) {
    this.#socket = socket;
    this.#connected = connected;
    this.#segments = segments;
    this.#buffer = segments?.buffer ?? new Uint8Array(CALL_MAX_BYTES);
    this.#segmentsMax = segments?.segmentsMax ?? QUICHE.flushPackets;
  }

  /** Nothing goes out any more. */
  detach(): void {
    this.#socket = null;
    this.#waiting = [];
  }

  /** The system has no room: `resume` says when that is over. */
  get blocked(): boolean {
    return this.#waiting.length > 0;
  }

  /** @returns false: there is still no room. */
  resume(): boolean {
    const packets = this.#waiting;
    this.#waiting = [];
    this.#sendMany(packets);
    return !this.blocked;
  }

  /** A packet of no connection: dropped if there is no room. */
  sendAlone(packet: Uint8Array, to: HostPort): void {
    if (!this.blocked) this.#sendMany([packet, to.port, to.host]);
    if (this.blocked) this.#waiting = [];
  }

  /** @returns how many packets it had; less than `most`: it has no more, or the system has no room. */
  pump(source: PacketSource, most: number): number {
    let count = 0;
    let carried: Carried | null = null;
    while ((count < most || carried !== null) && this.#socket !== null) {
      const batch: Batch | null = this.#fill(source, carried, most - count);
      if (batch === null) break;
      count += batch.count;
      this.#flush(batch);
      carried = batch.carried;
      if (this.blocked && carried !== null) this.#waitFor(carried);
      if (batch.over || this.blocked) break;
    }
    return count;
  }

  /** Packets of one size to one address, of which the last may be shorter. One that does not fit to them is carried over. */
  #fill(source: PacketSource, carried: Carried | null, most: number): Batch | null {
    const buffer = this.#buffer;
    let end = 0;
    let count = 0;
    let size = 0;
    let to: HostPort | null = null;
    if (carried !== null) {
      buffer.copyWithin(0, carried.start, carried.start + carried.bytes);
      [end, size, to] = [carried.bytes, carried.bytes, carried.to];
      count = 1;
    }
    const limit = Math.min(most, this.#segmentsMax);
    while (count < limit && end + Math.max(size, PACKET_MAX_BYTES) <= buffer.length) {
      const sent = source.send(buffer.subarray(end, end + PACKET_MAX_BYTES));
      if (sent === null) {
        return count === 0 ? null : { count, end, size, to: to!, carried: null, over: true };
      }
      const [bytes, path] = sent;
      if (to === null) [size, to] = [bytes, path.to];
      else if (bytes > size || (!this.#connected && !sameAddress(path.to, to))) {
        const next = { start: end, bytes, to: path.to };
        return { count, end, size, to, carried: next, over: false };
      }
      end += bytes;
      count++;
      if (bytes < size) break;
    }
    return { count, end, size, to: to!, carried: null, over: false };
  }

  #flush({ count, end, size, to }: Batch): void {
    const sender = this.#segments;
    if (count > 1 && sender?.send(end, size, this.#connected ? null : to) === true) return;
    const packets: Packets = [];
    for (let at = 0; at < end; at += size) {
      const packet = this.#buffer.subarray(at, Math.min(end, at + size));
      if (this.#connected) packets.push(packet);
      else packets.push(packet, to.port, to.host);
    }
    this.#sendMany(packets);
  }

  #sendMany(packets: Packets): void {
    const stride = this.#connected ? 1 : 3;
    let at = 0;
    let failed = false;
    while (at < packets.length && this.#socket !== null) {
      let sent: number;
      try {
        sent = this.#socket.sendMany((at === 0 ? packets : packets.slice(at)) as never[]);
        failed = false;
      } catch {
        // An ICMP error of an earlier packet shows here, once. Whatever cannot be sent is lost, as packets are.
        sent = failed ? 1 : 0;
        failed = !failed;
        at += sent * stride;
        continue;
      }
      if (sent === 0) break;
      at += sent * stride;
    }
    if (at < packets.length) this.#wait(packets.slice(at));
  }

  #waitFor({ start, bytes, to }: Carried): void {
    this.#waiting.push(this.#buffer.slice(start, start + bytes));
    if (!this.#connected) this.#waiting.push(to.port, to.host);
  }

  /** Copies: the buffer is written to again. */
  #wait(packets: Packets): void {
    this.#waiting = packets.map((each) => (each instanceof Uint8Array ? each.slice() : each));
  }
}

interface Carried {
  readonly start: number;
  readonly bytes: number;
  readonly to: HostPort;
}

interface Batch {
  readonly count: number;
  readonly end: number;
  readonly size: number;
  readonly to: HostPort;
  readonly carried: Carried | null;
  /** The source has no more. */
  readonly over: boolean;
}

function sameAddress(a: HostPort, b: HostPort): boolean {
  return a.port === b.port && a.host === b.host;
}
