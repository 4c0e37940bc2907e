// A TCP conversation made up from what a relay saw: the proxy has bytes and ends of streams, not packets, and an analyser wants
// segments. Pure: events in, packets out. Called by pcapng-trace.ts.
// Invariants: every segment begins where the one before it of its side ended; no segment acknowledges what was not sent before
// it; after a reset there is nothing more.

import { CAPTURE } from "../shared/limits.ts";
import { ACK, type End, FIN, PSH, RST, type Segment, SYN, tcpPacket } from "./packets.ts";

/** Whose packet it is. */
export type Side = "client" | "proxy";

/** What one side has sent and acknowledged, as sequence numbers: modulo 2^32 (RFC 9293 section 3.4). */
interface Sender {
  readonly end: End;
  /** Of the next byte. */
  next: number;
  /** Of the next byte that it expects: the acknowledgment in all of its segments. Before the peer's SYN, no number at all. */
  expected: number;
}

/** With the scale below, a window of a GiB: more than is ever under way. */
const WINDOW = 0xffff;

/** Maximum segment size (RFC 9293 section 3.7.1), no operation, and a window scale of 14 (RFC 7323 section 2.2). */
const SYN_OPTIONS = Uint8Array.from(
  [[2, 4, CAPTURE.segmentMaxBytes >>> 8, CAPTURE.segmentMaxBytes & 0xff], [1], [3, 3, 14]].flat(),
);

export class Conversation {
  readonly #senders: Readonly<Record<Side, Sender>>;
  #over = false;

  /** @param initial sequence numbers; different ones tell two conversations of the same addresses apart. */
  constructor(ends: Readonly<Record<Side, End>>, initial: Readonly<Record<Side, number>>) {
    const sender = (side: Side): Sender => ({
      end: ends[side],
      next: initial[side],
      expected: Number.NaN,
    });
    this.#senders = { client: sender("client"), proxy: sender("proxy") };
  }

  /** A reset has ended it. */
  get over(): boolean {
    return this.#over;
  }

  /** RFC 9293 section 3.5: SYN, SYN-ACK, ACK. */
  handshake(): Uint8Array[] {
    const { client, proxy } = this.#senders;
    const syn = this.#packet("client", SYN, { options: SYN_OPTIONS, acknowledgment: 0 });
    client.next = plus(client.next, 1);
    proxy.expected = client.next;
    const synAck = this.#packet("proxy", SYN | ACK, { options: SYN_OPTIONS });
    proxy.next = plus(proxy.next, 1);
    return [syn, synAck, ...this.acknowledge("client")];
  }

  /** Segments of up to 65,495 bytes, the last of them pushed; none for no bytes. */
  data(from: Side, bytes: Uint8Array): Uint8Array[] {
    if (this.#over) return [];
    const sender = this.#senders[from];
    const packets: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += CAPTURE.segmentMaxBytes) {
      const payload = bytes.subarray(at, at + CAPTURE.segmentMaxBytes);
      const last = at + payload.length === bytes.length;
      packets.push(this.#packet(from, last ? PSH | ACK : ACK, { payload }));
      sender.next = plus(sender.next, payload.length);
    }
    return packets;
  }

  /** An ACK, if there is something to acknowledge. */
  acknowledge(by: Side): Uint8Array[] {
    const sender = this.#senders[by];
    const sent = this.#senders[by === "client" ? "proxy" : "client"].next;
    if (this.#over || sender.expected === sent) return [];
    sender.expected = sent;
    return [this.#packet(by, ACK)];
  }

  /** The side has sent everything. */
  fin(from: Side): Uint8Array[] {
    if (this.#over) return [];
    const packet = this.#packet(from, FIN | ACK);
    this.#senders[from].next = plus(this.#senders[from].next, 1);
    return [packet];
  }

  reset(from: Side): Uint8Array[] {
    if (this.#over) return [];
    const packet = this.#packet(from, RST | ACK);
    this.#over = true;
    return [packet];
  }

  #packet(from: Side, flags: number, rest: Partial<Segment> = {}): Uint8Array {
    const sender = this.#senders[from];
    return tcpPacket({
      from: sender.end,
      to: this.#senders[from === "client" ? "proxy" : "client"].end,
      sequence: sender.next,
      acknowledgment: sender.expected,
      flags,
      window: WINDOW,
      ...rest,
    });
  }
}

function plus(sequence: number, bytes: number): number {
  return (sequence + bytes) >>> 0;
}
