// Bulk: how many bytes iperf3 brings through the relay in one direction, and what a gigabyte costs the relay.

import { tryChild } from "../children.ts";
import { cpuSince, cpuTime } from "../load/usage.ts";
import type { Measurement } from "./measurement.ts";

interface Iperf3Report {
  error?: string;
  end: { sum_received?: { bytes: number; bits_per_second: number } };
}

const GRACE_MS = 20_000;
const SMOKE_BYTES = "16M";
const BUSY_MS = 5_000;
const BUSY_POLL_MS = 100;

/** The server serves one test at a time, and is busy for a moment after one has ended. */
async function iperf3(command: string[], timeoutMs: number): Promise<Iperf3Report> {
  const deadline = Date.now() + BUSY_MS;
  for (;;) {
    const { code, output, errors } = await tryChild(command, timeoutMs);
    const report = JSON.parse(output || "{}") as Iperf3Report;
    const isWhole = code === 0 && report.error === undefined;
    const isEmpty = isWhole && (report.end.sum_received?.bytes ?? 0) === 0;
    if (isWhole && !isEmpty) return report;
    // A server that has just ended another test may be busy, or cut this one off before it began; of a very short one it may have
    // read nothing when the client says that it is over.
    if (
      (!isEmpty && !/busy|unable to receive control message/.test(output)) ||
      Date.now() > deadline
    ) {
      const reason = isEmpty
        ? "no byte was received"
        : `exit code ${code}: ${report.error ?? errors}`;
      throw new Error(`iperf3: ${reason}`);
    }
    await Bun.sleep(BUSY_POLL_MS);
  }
}

export function bulk(streams: number): Measurement {
  return {
    name: `bulk-${streams}`,
    group: "bulk",
    title: `Bulk, ${streams} ${streams === 1 ? "stream" : "streams"}`,
    backend: "iperf3",
    freshPeer: false,
    columns: [
      { key: "rate", title: "Gbit/s", digits: 2, better: "higher" },
      { key: "userMs", title: "user ms per GB", digits: 1, better: "lower" },
      { key: "systemMs", title: "system ms per GB", digits: 1, better: "lower" },
      { key: "cpuMs", title: "CPU ms per GB", digits: 1, better: "lower" },
    ],
    async run(peer, scale) {
      const command = ["iperf3", "--client", "127.0.0.1", "--port", String(peer.port)];
      command.push("--parallel", String(streams), "--json");
      // iperf3 takes whole seconds only.
      const seconds = String(Math.max(1, Math.round(scale.durationMs / 1000)));
      command.push(...(scale.smoke ? ["--bytes", SMOKE_BYTES] : ["--time", seconds]));
      const pids = peer.pids();
      const before = cpuTime(pids);
      const { end } = await iperf3(command, scale.durationMs + GRACE_MS);
      const cpu = cpuSince(before, pids);
      const received = end.sum_received!;
      const gigabytes = received.bytes / 1e9;
      return {
        rate: received.bits_per_second / 1e9,
        userMs: cpu.userMs / gigabytes,
        systemMs: cpu.systemMs / gigabytes,
        cpuMs: (cpu.userMs + cpu.systemMs) / gigabytes,
      };
    },
  };
}
