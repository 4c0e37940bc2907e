// iperf3 through the proxy: to the server, back from it, and in parallel streams. Rates are the benchmark's business, single
// bytes the engine tests'; here iperf3's own bookkeeping over its control connection must come out.

import { expect } from "bun:test";

import { CliRelay } from "../support/cli-relay.ts";
import { Daemon, run } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { program, testWith } from "../support/programs.ts";

const BYTES = 512 * 1024 * 1024;

const WAYS: readonly (readonly [string, readonly string[]])[] = [
  ["to the server", []],
  ["from the server", ["-R"]],
  ["in four streams", ["-P", "4"]],
  ["in four streams from the server", ["-P", "4", "-R"]],
];

interface Report {
  end: { sum_sent: { bytes: number }; sum_received: { bytes: number } };
}

forEveryEngine((engine) => {
  testWith(["iperf3"], `iperf3, one way, the other, and in parallel (${engine})`, async () => {
    await using server = await Daemon.start((_folder, port) => {
      const listen = ["-B", "127.0.0.1", "-p", `${port}`];
      return [program("iperf3"), "-s", ...listen];
    });
    await using relay = await CliRelay.start(engine, `127.0.0.1:${server.port}`);
    for (const [name, flags] of WAYS) {
      const client = ["-c", "127.0.0.1", "-p", `${relay.port}`, "-n", `${BYTES}`, "-J", ...flags];
      const { stdout } = await run([program("iperf3"), ...client]);
      const { sum_sent, sum_received } = (JSON.parse(stdout) as Report).end;
      expect(sum_sent.bytes, name).toBeGreaterThanOrEqual(BYTES);
      // iperf3 stops reading when the sender has sent enough: what two hops of socket buffers hold then, some 20 MB for
      // each stream, is not counted as received.
      expect(sum_received.bytes, name).toBeGreaterThan(BYTES / 2);
    }
  });
});
