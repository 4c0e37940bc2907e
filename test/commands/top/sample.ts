// A snapshot as the API's stream has it, and one a second later, with what a test wants different.

import type {
  Connections,
  ListenerState,
  Snapshot,
  TargetState,
} from "../../../src/control/admin/schemas.ts";

export const PLAIN = (() => {
  const same = (text: string): string => text;
  return { bold: same, dim: same, green: same, cyan: same, red: same, yellow: same };
})();

const START_MS = Date.UTC(2026, 10, 23, 12);

export function tcpListener(more: Partial<ListenerState> = {}): ListenerState {
  return {
    key: "tcp :5432",
    protocol: "tcp",
    addresses: ["[::]:5432"],
    workers: [0, 1],
    connections: { total: 100, active: 7 },
    bytes: { up: 1_000_000, down: 5_000_000 },
    refused: {},
    http: null,
    routes: [],
    targets: [],
    ...more,
  };
}

export function httpListener(more: Partial<ListenerState> = {}): ListenerState {
  return tcpListener({
    key: "http :8080",
    protocol: "http",
    http: {
      requests: 1_000,
      active: 3,
      answers: { "1xx": 0, "2xx": 990, "3xx": 0, "4xx": 6, "5xx": 4 },
      unanswered: 0,
      retries: 0,
      durations: { boundsMs: [1, 10, 100], counts: [500, 400, 90, 10], totalMs: 9_000 },
    },
    ...more,
  });
}

export function aTarget(more: Partial<TargetState> = {}): TargetState {
  return {
    listener: "tcp :5432",
    slot: 0,
    route: null,
    group: "0",
    name: "10.0.0.3:5432",
    configured: "10.0.0.3:5432",
    weight: 1,
    configuredWeight: 1,
    backup: false,
    state: "enabled",
    health: "up",
    states: { up: 2, ejected: 0, half_open: 0, down: 0 },
    ejections: 0,
    connects: 100,
    failures: 0,
    active: 7,
    bytesUp: 1_000_000,
    bytesDown: 5_000_000,
    ...more,
  };
}

type Connection = Connections["connections"][number];

export function aConnection(more: Partial<Connection> = {}): Connection {
  return {
    worker: 0,
    id: 17,
    listener: "tcp :5432",
    client: "192.0.2.7:40000",
    target: "10.0.0.3:5432",
    startedMs: START_MS - 65_000,
    activeMs: START_MS,
    bytesUp: 2_048,
    bytesDown: 1_048_576,
    ...more,
  };
}

/** @param seconds after the first one. */
export function aSnapshot(seconds: number, more: Partial<Snapshot> = {}): Snapshot {
  const connections = [aConnection()];
  return {
    timeMs: START_MS + seconds * 1_000,
    status: {
      version: "0.1.0",
      pid: 4711,
      phase: "serving",
      ready: true,
      reasons: [],
      warnings: [],
      uptimeSeconds: 93_600 + seconds,
      engine: "uring",
      workers: [{ index: 0, kind: "relay" }],
      workerRestarts: 0,
      connections: connections.length,
      reloads: { taken: 0, refused: 0, lastTakenMs: START_MS },
      logLevel: "info",
    },
    listeners: [tcpListener(), httpListener()],
    targets: [aTarget()],
    certificates: { managed: [], files: [] },
    connections: { matching: connections.length, connections },
    events: [],
    reloads: [],
    process: {
      memoryBytes: 220_200_960,
      cpuSeconds: 10,
      lagMs: 2.4,
      descriptors: { open: 120, max: 1_024 },
      overloaded: [],
    },
    ...more,
  };
}

/** A second of traffic between the two. */
export function twoSnapshots(more: Partial<Snapshot> = {}): [Snapshot, Snapshot] {
  const first = aSnapshot(0);
  const [, http] = first.listeners;
  const { process } = first;
  const second = aSnapshot(1, {
    listeners: [
      tcpListener({
        connections: { total: 112, active: 8 },
        bytes: { up: 2_000_000, down: 55_000_000 },
        refused: { limit: 3 },
      }),
      httpListener({
        connections: { total: 100, active: 7 },
        http: {
          ...http!.http!,
          requests: 5_500,
          durations: { boundsMs: [1, 10, 100], counts: [4_500, 880, 105, 15], totalMs: 12_000 },
        },
      }),
    ],
    targets: [aTarget({ connects: 112, bytesUp: 2_000_000, bytesDown: 55_000_000 })],
    connections: {
      matching: 2,
      connections: [
        aConnection({ bytesDown: 51_048_576 }),
        aConnection({ id: 18, client: "[2001:db8::7]:51000", startedMs: START_MS + 500 }),
      ],
    },
    process: { ...process, cpuSeconds: 11.5 },
    ...more,
  });
  return [first, second];
}
