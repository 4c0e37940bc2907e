// What connections of one kind have in common: those of one listener, or adopted pairs with the same settings. A row names
// its profile; the relay reads its sizes from there.

import type { Sockaddr } from "../../ffi/sockaddr.ts";
import type { Entrance } from "../../l4/entrance.ts";
import type { Pace } from "../../l4/pacer.ts";
import type { Targets } from "../../l4/targets.ts";
import type { CounterWriter } from "../../shared/counters.ts";
import type { BufferPool, PipePool } from "./holders.ts";
import type { MirrorTarget } from "./mirrors.ts";

export interface Profile {
  /** ListenerPlan.key; empty for adopted pairs. */
  readonly key: string;
  /** OpenRequest.slot; -1 for adopted pairs. */
  readonly slot: number;
  /** null for adopted pairs. */
  readonly targets: Targets<Sockaddr> | null;
  /** null: nothing is asked of clients. */
  readonly entrance: Entrance | null;
  /** A target's SYN may wait for bytes, or be under way with them, while its row is OPEN. */
  readonly fastopen: boolean;
  /** 0: never. */
  readonly idleMs: number;
  /** 0: never. */
  readonly lifetimeMs: number;
  /** null: no limit of bandwidth. */
  readonly pace: Pace | null;
  /** null: no copy is made. */
  readonly mirror: MirrorTarget | null;
  readonly copyBytes: number;
  readonly highBytes: number;
  readonly lowBytes: number;
  readonly pipes: PipePool;
  readonly buffers: BufferPool;
  /** null for adopted pairs, whose bytes are reported when they end. */
  readonly counters: CounterWriter | null;
  /** Connections open over all workers, one Int32; null for adopted pairs. */
  readonly active: Int32Array | null;
  /** In whatever state they are. */
  rows: number;
}

/** What clients send is, and not what they are sent. */
export function isMirrored(d: number, { mirror }: Profile): boolean {
  return mirror !== null && (d & 1) === 0;
}
