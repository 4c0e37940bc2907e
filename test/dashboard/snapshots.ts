// Snapshots for tests of the dashboard: a proxy with nothing wrong, and whatever a test changes in it.

import type {
  Connections,
  ListenerState,
  LogEvent,
  Snapshot,
  TargetState,
} from "../../src/control/admin/schemas.ts";

export const NOW_MS = Date.UTC(2026, 10, 23, 12, 0, 0);

/** What a test says of a snapshot; the rest is as it should be. */
export type Changes = Partial<Omit<Snapshot, "status" | "process">> & {
  readonly status?: Partial<Snapshot["status"]>;
  readonly process?: Partial<Snapshot["process"]>;
};

export function snapshotOf({ status = {}, process = {}, ...rest }: Changes = {}): Snapshot {
  return {
    timeMs: NOW_MS,
    status: {
      version: "0.1.0",
      pid: 7,
      phase: "serving",
      ready: true,
      reasons: [],
      warnings: [],
      uptimeSeconds: 60,
      engine: "epoll",
      workers: [{ index: 0, kind: "relay" }],
      workerRestarts: 0,
      connections: 0,
      reloads: { taken: 0, refused: 0, lastTakenMs: NOW_MS - 60_000 },
      logLevel: "info",
      ...status,
    },
    listeners: [listenerOf({})],
    targets: [targetOf({})],
    certificates: { managed: [], files: [] },
    connections: { matching: 0, connections: [] },
    events: [],
    reloads: [],
    process: {
      memoryBytes: 50e6,
      cpuSeconds: 1,
      lagMs: 0,
      descriptors: { open: 20, max: 1024 },
      overloaded: [],
      ...process,
    },
    ...rest,
  };
}

export function listenerOf(changes: Partial<ListenerState>): ListenerState {
  return {
    key: "tcp :8080",
    protocol: "tcp",
    addresses: ["127.0.0.1:8080"],
    workers: [0],
    connections: { total: 0, active: 0 },
    bytes: { up: 0, down: 0 },
    refused: {},
    http: null,
    routes: [],
    targets: [],
    ...changes,
  };
}

export function targetOf(changes: Partial<TargetState>): TargetState {
  return {
    listener: "tcp :8080",
    slot: 0,
    route: null,
    group: "0",
    name: "127.0.0.1:3000",
    configured: "127.0.0.1:3000",
    weight: 1,
    configuredWeight: 1,
    backup: false,
    state: "enabled",
    health: "up",
    states: { up: 1, ejected: 0, half_open: 0, down: 0 },
    ejections: 0,
    connects: 0,
    failures: 0,
    active: 0,
    bytesUp: 0,
    bytesDown: 0,
    ...changes,
  };
}

export type Connection = Connections["connections"][number];

export function connectionOf(changes: Partial<Connection>): Connection {
  return {
    worker: 0,
    id: 1,
    listener: "tcp :8080",
    client: "192.0.2.1:50000",
    target: "127.0.0.1:3000",
    startedMs: NOW_MS - 10_000,
    activeMs: NOW_MS,
    bytesUp: 0,
    bytesDown: 0,
    ...changes,
  };
}

export function eventOf(changes: Partial<LogEvent>): LogEvent {
  return { timeMs: NOW_MS, level: "warn", message: "refused", fields: {}, ...changes };
}
