// A gateway worker's host for tests of what protocols share, in the test's own thread: it notes what is emitted, and has what a
// listener's request has of shared memory. Called by tests of src/protocols.

import { Admissions } from "../../src/control/admissions.ts";
import * as listening from "../../src/engine/listening.ts";
import { Strain } from "../../src/l4/strain.ts";
import { Bandwidth } from "../../src/protocols/bandwidth.ts";
import { ChallengeAnswers } from "../../src/protocols/challenge-answers.ts";
import type { GatewayHost } from "../../src/protocols/host.ts";
import { LiveRows } from "../../src/protocols/live-rows.ts";
import { formatEndpoint, parseEndpoint, type SocketAddress } from "../../src/shared/address.ts";
import type { ListenerCertificates } from "../../src/shared/certificates.ts";
import {
  addCounters,
  createCounters,
  emptyStats,
  type ListenerStats,
} from "../../src/shared/counters.ts";
import type { StreamGroupPlan, TlsClientPlan } from "../../src/shared/http-plan.ts";
import type { Refusal, TargetSlot, WorkerEvent } from "../../src/shared/messages.ts";
import { GROUP_DEFAULTS, type GroupPlan, type RelayPlan } from "../../src/shared/plan.ts";
import { countedRoutesOf } from "../../src/shared/route-names.ts";
import { StrainBoard } from "../../src/shared/strain.ts";
import { type ListenerOptions, listenerPlan } from "./plan.ts";

export class TestHost implements GatewayHost {
  readonly index = 0;
  readonly traceConnections = true;
  keyLog: ((line: string) => void) | null = null;
  readonly events: WorkerEvent[] = [];
  readonly rows: LiveRows;
  readonly bandwidth: Bandwidth;
  /** Shares of new work that is turned away, as the control plane would write them. */
  readonly board = new StrainBoard(StrainBoard.create(2));
  readonly strain = new Strain(this.board, 0);
  readonly challenges = new ChallengeAnswers();
  /** Of `sharedMs`. */
  nowMs = 1_000;
  /** Descriptors from here on are too many. */
  fdMax = Infinity;
  readonly sweeps: number[] = [];
  readonly bind = listening.bind;
  readonly duplicate = listening.duplicate;
  readonly addressOf = listening.addressOf;
  readonly senderOf = listening.senderOf;
  readonly segmentsOf = listening.segmentsOf;
  readonly gatherDatagrams = listening.gatherDatagrams;
  readonly lostDatagrams = listening.lostDatagrams;
  readonly emit = (event: WorkerEvent): void => void this.events.push(event);

  constructor(rows = 1_000) {
    this.rows = new LiveRows(rows);
    this.bandwidth = new Bandwidth(this.rows.table, () => this.sharedMs());
  }

  hasRoom(fd: number): boolean {
    return fd < this.fdMax;
  }

  setBuffers(): readonly string[] {
    return [];
  }

  setSocketOptions(): readonly string[] {
    return [];
  }

  sharedMs(): number {
    return this.nowMs;
  }

  needSweep(timeoutMs: number): void {
    this.sweeps.push(timeoutMs);
  }

  /** What was told of refusals, oldest first. */
  get refusals(): { reason: Refusal; detail: string }[] {
    return this.events.flatMap((event) =>
      event.type === "refused" ? [{ reason: event.reason, detail: event.detail }] : [],
    );
  }

  /** How connections ended, by the reasons that were told. */
  get closes(): string[] {
    return this.events.flatMap((event) =>
      event.type === "connection" && event.phase === "close" ? [event.reason] : [],
    );
  }
}

/** Targets may be spoken to over TLS. */
export type TestPlan = Omit<RelayPlan, "groups"> & { readonly groups: readonly StreamGroupPlan[] };

/** A request for one worker, with a plan of raw TCP, whose limits and groups have the shape that all have. */
export interface TestRequest {
  readonly listener: TestPlan;
  readonly slot: number;
  readonly counters: SharedArrayBuffer;
  readonly active: SharedArrayBuffer;
  readonly clients: SharedArrayBuffer | null;
  readonly accepts: SharedArrayBuffer | null;
  readonly bandwidth: SharedArrayBuffer | null;
  readonly certificates: ListenerCertificates | null;
  readonly targets: readonly TargetSlot[];
  readonly targetSlots: number;
}

export interface TestRequestOptions extends Partial<Omit<ListenerOptions, "groups">> {
  groups?: readonly StreamGroupPlan[];
  certificates?: ListenerCertificates;
}

export function testRequest({
  groups = [groupOf("127.0.0.1:1")],
  certificates,
  ...options
}: TestRequestOptions = {}): TestRequest {
  const listener = { ...listenerPlan({ target: "127.0.0.1:1", ...options }), groups };
  const targets = slotsOf(groups);
  return {
    listener,
    slot: 3,
    counters: createCounters(targets.length, countedRoutesOf(listener).length),
    active: new SharedArrayBuffer(4),
    ...memoryOf(listener),
    bandwidth: null,
    certificates: certificates ?? null,
    targets,
    targetSlots: targets.length,
  };
}

function memoryOf(plan: RelayPlan): Pick<TestRequest, "clients" | "accepts"> {
  const { clients, accepts } = new Admissions(plan);
  return { clients, accepts };
}

/** Targets that stand for each other, as a configuration names them. @param tls null: in clear. */
export function groupOf(
  targets: string | readonly string[],
  tls: TlsClientPlan | null = null,
): StreamGroupPlan {
  const plans = [targets].flat().map((text) => ({
    endpoint: parseEndpoint(text, "target"),
    weight: 1,
    backup: false,
    tls,
    quic: null,
  }));
  return { balance: "round_robin", targets: plans, ...GROUP_DEFAULTS };
}

/** What the control plane makes of targets that are numeric addresses. */
export function slotsOf(groups: readonly GroupPlan[]): TargetSlot[] {
  let slot = 0;
  return groups.flatMap(({ targets }, group) =>
    targets.map(({ endpoint, weight, backup }, index) => {
      const name = formatEndpoint(endpoint);
      const address = { ...endpoint, kind: endpoint.kind === "unix" ? "unix" : "ip" };
      return {
        slot: slot++,
        group,
        index,
        address: address as SocketAddress,
        name,
        weight,
        backup,
        up: true,
        mode: "enabled",
        addedMs: 0,
      };
    }),
  );
}

export function statsOf({ counters, targetSlots, listener }: TestRequest): ListenerStats {
  const stats = emptyStats(targetSlots, countedRoutesOf(listener).length);
  addCounters(stats, counters);
  return stats;
}
