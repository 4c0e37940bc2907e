// What a relay engine is. An engine lives in one worker thread, owns that worker's listeners and connections, and knows
// nothing of the configuration: commands come from worker.ts, events go back through its host.
//
// Contract, held by test/engine/contract.test.ts for every engine:
// - a FIN becomes shutdown(SHUT_WR) on the other side after all bytes; the other direction goes on
// - a reset is passed on as a reset
// - a direction holds at most highWatermarkBytes undelivered, then stops reading until lowWatermarkBytes
// - the client is not read before its target is connected

import type { SocketAddress } from "../shared/address.ts";
import type { LiveTable } from "../shared/live-table.ts";
import type { LoadBoard } from "../shared/load.ts";
import type {
  AdoptRequest,
  ListeningSocket,
  RelayRequest,
  TargetSlot,
  WorkerEvent,
} from "../shared/messages.ts";
import type { EngineName, RingPlan } from "../shared/plan.ts";
import type { StrainBoard } from "../shared/strain.ts";

/** What an engine needs of the worker around it. */
export interface EngineHost {
  emit(event: WorkerEvent): void;
  /** Reads the worker's mailbox and calls the engine back. Engines that block call this when they are woken. */
  readMailbox(): void;
  /** Emits `connection` events. */
  readonly traceConnections: boolean;
  readonly ring: RingPlan;
  /** This worker's place in `load`. */
  readonly index: number;
  readonly load: LoadBoard;
  /** Where it tells how late it is. */
  readonly strain: StrainBoard;
}

export interface Engine {
  readonly name: EngineName;
  /** An eventfd that ends the engine's wait; -1 for engines that live on the event loop. The control plane closes it. */
  readonly wakeFd: number;
  readonly live: LiveTable;

  /**
   * Binds and listens.
   * @returns the bound addresses, with the ports that the system chose, and duplicates of listening descriptors that other
   * workers can accept from. The control plane closes those.
   * @throws ProxyError ERR_LISTEN, naming the address, the reason and the cure. Nothing stays bound.
   */
  open(request: RelayRequest): { bound: SocketAddress[]; fds: number[] };
  /** New target addresses for new connections. */
  setTargets(slot: number, targets: readonly TargetSlot[]): void;
  /** New addresses of the mirror for new connections. */
  setMirror(slot: number, addresses: readonly SocketAddress[]): void;
  /**
   * Closes the listening sockets; its connections go on. Whoever waits to be accepted still is, for two reasons: nobody else
   * might have the socket, and if another process has, the kernel may have woken us alone for this client.
   */
  close(slot: number): void;
  /**
   * Nothing names this listener any more, which was closed: what is kept of it goes when the last of its connections is gone. The
   * engine emits `over` whenever a closed listener has none, until it is forgotten.
   */
  forget(slot: number): void;
  /** Accepts on listeners that were opened quietly. */
  accept(): void;
  /** Duplicates of every listening descriptor; none where the platform has no descriptors to hand on. */
  listening(): ListeningSocket[];
  /**
   * Relays between two connected stream sockets until both directions have ended, then emits `pair_closed`. Both
   * descriptors are duplicated before this returns.
   * @returns its id in the live table.
   * @throws ProxyError ERR_ENGINE where the engine cannot take descriptors.
   */
  adopt(id: number, request: AdoptRequest): number;
  /**
   * Serves a client that another worker accepted, as if it had been accepted here. The descriptor is the engine's from here on.
   * Never called on an engine that does not set its place in the host's `load`.
   */
  take(slot: number, fd: number): void;
  /** Resets one connection, named as in the live table. Nothing happens if it is over. */
  disconnect(id: number): void;
  /** Closes every listener; emits `drained` once, when no connection is left. */
  drain(): void;
  /**
   * Resets what is left, closes every descriptor but wakeFd, and makes `run` return.
   * @returns how many connections were reset.
   */
  end(): number;
  /** Serves. Blocking engines return after `end`; event-loop engines return at once. */
  run(): void;
}
