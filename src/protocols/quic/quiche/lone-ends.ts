// Packets that may carry the end of a stream without bytes of it. quiche 0.18 takes a stream whose bytes are all acknowledged for
// complete as soon as it knows of its FIN, forgets it, and does not send a lone FIN again whose packet is lost. So these packets
// are kept for a while and go out once more, as they were, when quiche has counted a loss since: a receiver that has had
// one drops its copy (RFC 9000 section 12.3). Called by connection.ts.
//
// Invariant: at most `endsKept` packets of `endBytes` are kept, and none longer than the sum of END_LOOKS_MS.

import { QUICHE } from "../../../shared/limits.ts";
import type { Connection, HostPort, PathInfo } from "./binding.ts";

export type Sent = [number, PathInfo & { readonly to: HostPort }];

interface Kept {
  readonly packet: Uint8Array;
  readonly path: Sent[1];
  /** Packets that quiche had counted as lost before. */
  readonly lost: number;
  looks: number;
  /** Infinity until the packet is out. */
  dueMs: number;
}

/** From one look for losses to the next: after a round trip, and after probes that find out about the last packet. */
const END_LOOKS_MS = [50, 150, 400, 1_200, 3_000, 6_000] as const;

/** @returns whether there is a FIN to be sent, of those that wait until all else is written. */
export function finishAll(streams: Iterable<{ finish(): boolean }>): boolean {
  let any = false;
  for (const stream of streams) any = stream.finish() || any;
  return any;
}

export class LoneEnds {
  readonly #native: Pick<Connection, "stats">;
  #kept: Kept[] = [];
  #again: Kept[] = [];
  /** Losses so far, while packets are to be kept; -1: they are not. */
  #armed = -1;
  /** When `look` is wanted. */
  dueMs = Infinity;

  constructor(native: Pick<Connection, "stats">) {
    this.#native = native;
  }

  /** quiche is given a lone FIN: the packets from here on may carry it. */
  arm(): void {
    if (this.#armed < 0) this.#armed = this.#native.stats().lost;
  }

  /** One that quiche wrote; null: it has no more. */
  wrote(into: Uint8Array, sent: Sent | null): void {
    if (this.#armed < 0) return;
    if (sent === null) {
      this.#armed = -1;
    } else if (sent[0] <= QUICHE.endBytes && this.#kept.length < QUICHE.endsKept) {
      const packet = into.slice(0, sent[0]);
      const [, path] = sent;
      this.#kept.push({ packet, path, lost: this.#armed, looks: 0, dueMs: Infinity });
    }
  }

  /** What was written is out. */
  out(nowMs: number): void {
    for (const each of this.#kept) {
      if (each.dueMs === Infinity) each.dueMs = nowMs + END_LOOKS_MS[0];
    }
    this.#findDue();
  }

  look(nowMs: number): void {
    if (nowMs < this.dueMs) return;
    const { lost } = this.#native.stats();
    for (const each of this.#kept) {
      if (each.dueMs > nowMs) continue;
      if (lost > each.lost) this.#again.push(each);
      each.dueMs = nowMs + (END_LOOKS_MS[++each.looks] ?? 0);
    }
    this.#kept = this.#kept.filter(({ looks }) => looks < END_LOOKS_MS.length);
    this.#findDue();
  }

  #findDue(): void {
    this.dueMs = this.#kept.reduce((least, { dueMs }) => Math.min(least, dueMs), Infinity);
  }

  /** A packet that goes out once more. */
  next(into: Uint8Array): Sent | null {
    const again = this.#again.pop();
    if (again === undefined) return null;
    into.set(again.packet);
    return [again.packet.length, again.path];
  }
}
