// Ends of streams without bytes. quiche 0.18 takes a stream whose bytes are all acknowledged for complete as soon as it knows
// of its FIN: it forgets the stream with the next acknowledgement, whether the FIN was written or not, and does not send a FIN
// again whose bytes were acknowledged. So quiche is given a lone FIN when there is nothing else to write and the very next
// packet is its own. When quiche has counted a loss since, it is given it again; or, if it has forgotten the stream, that packet
// goes out once more, as it was: a receiver that has had it drops its copy (RFC 9000 section 12.3). One that is made of quiche
// drops what is 128 packets old as well, so that packets of streams that quiche will forget go out twice in any case, and that
// the first look is as soon as there is a loss. Called by connection.ts.
//
// Invariant: at most `endsKept` packets are kept, each for no longer than the sum of END_LOOKS_MS. If there were more of them,
// the one goes that had the most looks.

import { QUICHE } from "../../../shared/limits.ts";
import type { Connection, HostPort, PathInfo } from "./binding.ts";

export type Sent = [number, PathInfo & { readonly to: HostPort }];

interface Kept {
  readonly ending: Ending;
  readonly packet: Uint8Array;
  readonly path: Sent[1];
  /** Packets that quiche had counted as lost before. */
  readonly lost: number;
  dueMs: number;
}

/** A stream whose FIN may be due. */
export interface Ending {
  /** @param spentBytes of the congestion window, unknown to quiche. @returns whether it was given a lone FIN. */
  finish(spentBytes: number): boolean;
  /** The other direction is over, too: quiche will forget it. */
  readonly mayBeForgotten: boolean;
  /** quiche does not know it any more. */
  readonly isForgotten: boolean;
  /** Gives it once more. */
  finishAgain(): void;
}

/** From one look for losses to the next: after a round trip, and after probes that find out about the last packet. */
const END_LOOKS_MS = [50, 150, 400, 1_200, 3_000, 6_000] as const;

export class LoneEnds {
  readonly #native: Pick<Connection, "stats">;
  /** By how many looks they have had; each in the order in which they are due. */
  readonly #kept: Kept[][] = END_LOOKS_MS.map(() => []);
  #count = 0;
  /** Written since the last `out`. */
  #fresh: Kept[] = [];
  /** For the next turn, whether something was lost or not. */
  #later: Kept[] = [];
  readonly #again = new Set<Kept>();
  /** Where `finishNext` goes on; null: at the beginning. */
  #endings: Iterator<Ending> | null = null;
  /** Whose FIN is in the next packet. */
  #ending: Ending | null = null;
  /** quiche's count when it was given the FINs of this turn, or looked at last. */
  #lost = 0;
  #spentBytes = 0;
  /** When `look` is wanted. */
  dueMs = Infinity;

  constructor(native: Pick<Connection, "stats">) {
    this.#native = native;
  }

  /** A packet came, with which quiche counts its congestion window anew. */
  received(): void {
    this.#spentBytes = 0;
  }

  /**
   * Gives quiche the next FIN that is due; to be called when it has nothing to write.
   * @returns false: there is none. Else the next packet has it, and `keep` is to be called with it.
   */
  finishNext(streams: Iterable<Ending>): boolean {
    this.#endings ??= streams[Symbol.iterator]();
    for (;;) {
      const { done, value } = this.#endings.next();
      if (done === true) break;
      if (!value.finish(this.#spentBytes)) continue;
      this.#ending = value;
      return true;
    }
    this.#endings = null;
    return false;
  }

  /** The packet with the FIN that `finishNext` has given. */
  keep(into: Uint8Array, [bytes, path]: Sent): void {
    this.#spentBytes += bytes;
    if (this.#fresh.length === 0) this.#lost = this.#native.stats().lost;
    const ending = this.#ending!;
    const kept = { ending, packet: into.slice(0, bytes), path, lost: this.#lost, dueMs: 0 };
    this.#fresh.push(kept);
    if (ending.mayBeForgotten) this.#later.push(kept);
    if (this.#count + this.#fresh.length > QUICHE.endsKept) this.#dropOldest();
  }

  #dropOldest(): void {
    const oldest = this.#kept.findLast(({ length }) => length > 0) ?? this.#fresh;
    if (oldest !== this.#fresh) this.#count--;
    oldest.shift();
  }

  /** What was written is out. */
  out(nowMs: number): void {
    if (this.#fresh.length === 0) return;
    for (const each of this.#fresh) each.dueMs = nowMs + END_LOOKS_MS[0];
    this.#kept[0]!.push(...this.#fresh);
    this.#count += this.#fresh.length;
    this.#fresh = [];
    this.#findDue();
  }

  /** The next turn, with streams that may be others: of the packets that were written lately, one may have been lost. */
  glance(): void {
    this.#endings = null;
    for (const each of this.#later.splice(0)) this.#again.add(each);
    const [line] = this.#kept;
    if (line!.length === 0) return;
    const { lost } = this.#native.stats();
    if (lost === this.#lost) return;
    this.#lost = lost;
    for (const each of line!) {
      // What quiche knows it sends again, as a rule.
      if (each.ending.mayBeForgotten && each.ending.isForgotten) this.#again.add(each);
    }
  }

  /** Timers ran. */
  look(nowMs: number): void {
    if (nowMs < this.dueMs) return;
    const { lost } = this.#native.stats();
    // From the last to the first: a packet is looked at once.
    for (let looks = END_LOOKS_MS.length - 1; looks >= 0; looks--) {
      const line = this.#kept[looks]!;
      const due = line.findIndex(({ dueMs }) => dueMs > nowMs);
      for (const each of line.splice(0, due < 0 ? line.length : due)) {
        if (lost > each.lost) this.#repeat(each);
        this.#wait(each, looks + 1, nowMs);
      }
    }
    this.#findDue();
  }

  #repeat(each: Kept): void {
    if (each.ending.isForgotten) this.#again.add(each);
    else each.ending.finishAgain();
  }

  #wait(each: Kept, looks: number, nowMs: number): void {
    const line = this.#kept[looks];
    if (line === undefined) {
      this.#count--;
      return;
    }
    each.dueMs = nowMs + END_LOOKS_MS[looks]!;
    line.push(each);
  }

  #findDue(): void {
    this.dueMs = this.#kept.reduce(
      (least, [first]) => Math.min(least, first?.dueMs ?? Infinity),
      Infinity,
    );
  }

  /** A packet that goes out once more. */
  next(into: Uint8Array): Sent | null {
    for (const each of this.#again) {
      this.#again.delete(each);
      into.set(each.packet);
      return [each.packet.length, each.path];
    }
    return null;
  }
}
