// What drives the connections of one UDP socket: whoever was touched is served once, after the events of this turn of the
// event loop were handled, and then its packets go out; one timer stands for the nearest deadline of all. Called by
// endpoints and by what connects, which own the socket.

import { monotonicMs } from "../../../shared/clock.ts";
import { QUICHE } from "../../../shared/limits.ts";
import type { SegmentSender } from "../../host.ts";
import type { HostPort } from "./binding.ts";
import { Outbox, type PacketSocket, type PacketSource } from "./outbox.ts";

/** Of a loop: a connection. */
export interface Member extends PacketSource {
  /** When `expire` is wanted; Infinity: never. Looked at after each `sent`. */
  deadlineMs: number;
  /** Tells its owner what came, and takes what its owner wrote. */
  serve(nowMs: number): void;
  /** Its deadline has passed: it is served next. */
  expire(nowMs: number): void;
  /** After it was served: so many of its packets went out. */
  sent(count: number, nowMs: number): void;
}

/** As the runtime keeps them: a deadline further away is looked at then. */
const SLEEP_MAX_MS = 60_000;

export class Loop {
  readonly outbox: Outbox;
  readonly #members = new Set<Member>();
  #touched = new Set<Member>();
  #scheduled = false;
  #serving: Member | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #wakeMs = Infinity;

  /** @param segments of its descriptor. */
  constructor(socket: PacketSocket, connected: boolean, segments: SegmentSender | null) {
    this.outbox = new Outbox(socket, connected, segments);
  }

  add(member: Member): void {
    this.#members.add(member);
    this.touch(member);
  }

  remove(member: Member): void {
    this.#members.delete(member);
    this.#touched.delete(member);
  }

  get size(): number {
    return this.#members.size;
  }

  /** It is served when this turn is over. */
  touch(member: Member): void {
    if (member === this.#serving) return;
    this.#touched.add(member);
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.#run());
    }
  }

  /** The socket has room again. */
  resume(): void {
    if (!this.outbox.resume()) return;
    for (const member of this.#members) this.touch(member);
  }

  /** What it has to send goes out at once, as far as there is room. */
  flush(member: Member): void {
    if (this.outbox.blocked) return;
    member.sent(this.outbox.pump(member, QUICHE.flushPackets), monotonicMs());
  }

  stop(): void {
    this.outbox.detach();
    this.#members.clear();
    this.#touched.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#wakeMs = Infinity;
  }

  sendAlone(packet: Uint8Array, to: HostPort): void {
    this.outbox.sendAlone(packet, to);
  }

  #run(): void {
    this.#scheduled = false;
    const touched = this.#touched;
    this.#touched = new Set();
    const now = monotonicMs();
    for (const member of touched) {
      if (!this.#members.has(member)) continue;
      this.#serving = member;
      member.serve(now);
      this.#serving = null;
      const count = this.outbox.blocked ? 0 : this.outbox.pump(member, QUICHE.flushPackets);
      member.sent(count, now);
      if (count >= QUICHE.flushPackets) this.touch(member);
      if (this.#members.has(member)) this.#wakeAt(member.deadlineMs, now);
    }
  }

  #wakeAt(deadlineMs: number, now: number): void {
    if (deadlineMs >= this.#wakeMs) return;
    this.#wakeMs = deadlineMs;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const delay = Math.min(SLEEP_MAX_MS, Math.max(1, Math.ceil(deadlineMs - now)));
    this.#timer = setTimeout(() => this.#wake(), delay);
  }

  #wake(): void {
    this.#timer = null;
    this.#wakeMs = Infinity;
    const now = monotonicMs();
    let nearest = Infinity;
    for (const member of this.#members) {
      if (member.deadlineMs <= now) {
        member.expire(now);
        this.touch(member);
      } else if (member.deadlineMs < nearest) nearest = member.deadlineMs;
    }
    if (nearest < Infinity) this.#wakeAt(nearest, now);
  }
}
