// What the stream tells: everything that a page shows, as it is at one moment. Called by admin.ts, once a second at most.

import type { z } from "zod";

import { ADMIN } from "../../shared/limits.ts";
import { BusiestConnections } from "../live-connections.ts";
import { processReading } from "../metrics/reading.ts";
import type { Proxy } from "../proxy.ts";
import { certificatesOf } from "./api/certificates.ts";
import { shown } from "./api/connections.ts";
import { listenersOf } from "./api/listeners.ts";
import { statusOf } from "./api/status.ts";
import { targetsOf } from "./api/targets.ts";
import type { ApiSubject } from "./health.ts";
import type * as schemas from "./schemas.ts";

const EVENTS = 50;
const RELOADS = 5;

export class Snapshots {
  readonly #subject: ApiSubject;
  #busiest: BusiestConnections | null = null;

  constructor(subject: ApiSubject) {
    this.#subject = subject;
  }

  take(): z.input<typeof schemas.snapshot> {
    const subject = this.#subject;
    const { proxy, events, history } = subject;
    return {
      timeMs: Date.now(),
      status: statusOf(subject),
      listeners: listenersOf(proxy),
      targets: targetsOf(proxy),
      certificates: certificatesOf(subject),
      connections: this.#connections(proxy),
      events: events.newest(EVENTS),
      reloads: history.newest(RELOADS),
      process: processOf(proxy),
    };
  }

  /** The next one comes after a while: what moved since the last is not what moves. */
  rest(): void {
    this.#busiest = null;
  }

  #connections(proxy: Proxy | undefined): z.input<typeof schemas.connections> {
    if (proxy === undefined) return { matching: 0, connections: [] };
    this.#busiest ??= new BusiestConnections(proxy.live);
    const { matching, connections } = this.#busiest.look(ADMIN.streamConnections);
    return { matching, connections: connections.map(shown) };
  }
}

function processOf(proxy: Proxy | undefined): schemas.Snapshot["process"] {
  const { residentBytes, cpuSeconds, descriptors, descriptorsMax } = processReading();
  const health = proxy?.health();
  const lags = health === undefined ? [] : health.lagMs.workers.map(({ lagMs }) => lagMs);
  return {
    memoryBytes: residentBytes,
    cpuSeconds,
    lagMs: Math.max(0, health?.lagMs.control ?? 0, ...lags),
    descriptors: { open: descriptors, max: descriptorsMax },
    overloaded: [...(health?.overloaded ?? [])],
  };
}
