// The proxy itself as metrics: workers, configuration, certificates and the process. Names of the process are those that every
// program has (prometheus.io, Standard and runtime collectors). Called by metrics.ts.

import manifest from "../../../package.json" with { type: "json" };
import { OVERLOAD_REASONS } from "../proxy-state.ts";
import type { Family, Reading, Sample } from "./family.ts";

function value(
  name: string,
  help: string,
  read: (reading: Reading) => number | null,
  bare = false,
): Family {
  return {
    name,
    help,
    type: name.endsWith("_total") ? "counter" : "gauge",
    labels: [],
    bare,
    read: (reading) => {
      const found = read(reading);
      return found === null ? [] : [[[], found]];
    },
  };
}

const PROXY: readonly Family[] = [
  {
    name: "build_info",
    help: "1, of this version.",
    type: "gauge",
    labels: ["version", "runtime", "platform"],
    read: () => [
      [[manifest.version, `bun ${Bun.version}`, `${process.platform} ${process.arch}`], 1],
    ],
  },
  value("ready", "1 if the proxy serves as the configuration says (/readyz).", ({ ready }) =>
    Number(ready),
  ),
  {
    name: "workers",
    help: "Threads of the data plane that are up.",
    type: "gauge",
    labels: ["kind"],
    read: ({ workers }) => Object.entries(workers).map(([kind, count]): Sample => [[kind], count]),
  },
  value(
    "worker_restarts_total",
    "Workers that crashed and were replaced.",
    ({ workerRestarts }) => workerRestarts,
  ),
  {
    name: "overloaded",
    help: "1 while new work is turned away, by what is short; of lag, by some worker.",
    type: "gauge",
    labels: ["reason"],
    read: ({ overloaded }) =>
      OVERLOAD_REASONS.map((reason): Sample => [[reason], Number(overloaded.includes(reason))]),
  },
  {
    name: "event_loop_lag_seconds",
    help: "How late a worker, or the control plane, was at worst within the last second.",
    type: "gauge",
    labels: ["worker"],
    read: ({ lagMs }) =>
      Object.entries(lagMs).map(([worker, ms]): Sample => [[worker], ms / 1_000]),
  },
];

const CONFIGURATION: readonly Family[] = [
  value(
    "config_last_reload_successful",
    "1 if the configuration on disk is what is served, 0 if it was refused.",
    ({ taken }) => Number(taken),
  ),
  value(
    "config_last_reload_success_timestamp_seconds",
    "When the configuration that is served was taken up.",
    ({ reloads }) => reloads.lastTakenMs / 1_000,
  ),
  {
    name: "config_reloads_total",
    help: "Reloads of the configuration, by outcome.",
    type: "counter",
    labels: ["outcome"],
    read: ({ reloads }) => [
      [["taken"], reloads.taken],
      [["refused"], reloads.refused],
    ],
  },
];

const CERTIFICATES: readonly Family[] = [
  {
    name: "certificate_expiry_timestamp_seconds",
    help: "When a certificate that clients are shown ends.",
    type: "gauge",
    labels: ["names", "source"],
    *read({ certificates, certificateFiles }) {
      // Two listeners may show the same one: their values must not be added up.
      const ends = new Map<string, Sample>();
      const add = (names: readonly string[], source: string, endMs: number): void => {
        const labels = [names.join(","), source];
        const known = ends.get(labels.join(" "))?.[1] ?? Infinity;
        ends.set(labels.join(" "), [labels, Math.min(known, endMs / 1_000)]);
      };
      for (const { names, notAfterMs } of certificateFiles) add(names, "file", notAfterMs);
      for (const { names, notAfterMs } of certificates) {
        if (notAfterMs !== null) add(names, "managed", notAfterMs);
      }
      yield* ends.values();
    },
  },
  {
    name: "certificate_valid",
    help: "1 if a certificate that is obtained is there and valid.",
    type: "gauge",
    labels: ["names"],
    read: ({ certificates }) =>
      certificates.map(({ names, state }): Sample => [
        [names.join(",")],
        Number(state === "valid"),
      ]),
  },
  {
    name: "certificate_failed_attempts",
    help: "Attempts in a row to obtain a certificate that failed.",
    type: "gauge",
    labels: ["names"],
    read: ({ certificates }) =>
      certificates.map(({ names, failures }): Sample => [[names.join(",")], failures]),
  },
];

const PROCESS: readonly Family[] = [
  value(
    "process_cpu_seconds_total",
    "User and system time of the process.",
    ({ process: { cpuSeconds } }) => cpuSeconds,
    true,
  ),
  value(
    "process_resident_memory_bytes",
    "Resident memory of the process.",
    ({ process: { residentBytes } }) => residentBytes,
    true,
  ),
  value(
    "process_start_time_seconds",
    "When the process was started.",
    ({ process: { startedMs } }) => startedMs / 1_000,
    true,
  ),
  value(
    "process_open_fds",
    "Open descriptors of the process.",
    ({ process: { descriptors } }) => descriptors,
    true,
  ),
  value(
    "process_max_fds",
    "The most descriptors that the process may have open.",
    ({ process: { descriptorsMax } }) => descriptorsMax,
    true,
  ),
];

export const MACHINERY_FAMILIES = [...PROXY, ...CONFIGURATION, ...CERTIFICATES, ...PROCESS];
