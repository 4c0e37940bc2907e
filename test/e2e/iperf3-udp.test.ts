// iperf3 -u: its control connection goes through a TCP listener, its datagrams through a UDP listener on the same port. It
// counts what was lost and what came out of order.

import { expect } from "bun:test";
import { join } from "node:path";

import { startProxy } from "../commands/proxy-process.ts";
import { Daemon, freePort, inFolder, run } from "../support/daemon.ts";
import { program, testWith } from "../support/programs.ts";
import { within } from "../support/until.ts";

interface Report {
  end: { sum: { packets: number; lost_packets: number; lost_percent: number; bytes: number } };
}

const WAYS: readonly (readonly [string, readonly string[]])[] = [
  ["to the server", []],
  ["from the server", ["-R"]],
  ["in four streams", ["-P", "4"]],
  ["in datagrams of 65,507 bytes", ["-l", "65507"]],
  ["in datagrams of 64 bytes", ["-l", "64", "-b", "2M"]],
];

testWith(["iperf3"], "iperf3 -u, one way, the other, in parallel, large and small", async () => {
  await using server = await Daemon.start((_folder, port) => {
    return [program("iperf3"), "-s", "-B", "127.0.0.1", "-p", `${port}`];
  });
  await inFolder(async (folder) => {
    const port = await freePort();
    const entries = ["tcp", "udp"].map(
      (name) =>
        `  - { name: ${name}, listen: "127.0.0.1:${port}", target: "127.0.0.1:${server.port}" }`,
    );
    const file = join(folder, "proxy.yaml");
    await Bun.write(file, `log_format: json\nprotocols:\n${entries.join("\n")}\n`);
    const proxy = startProxy("-config", file);
    await proxy.line(/"msg":"started"/);
    for (const [name, flags] of WAYS) {
      const at = ["-c", "127.0.0.1", "-p", `${port}`];
      const load = ["-u", "-b", "10M", "-t", "1", "-J"];
      const { stdout } = await run([program("iperf3"), ...at, ...load, ...flags]);
      const { packets, lost_percent: lost } = (JSON.parse(stdout) as Report).end.sum;
      expect(packets, name).toBeGreaterThan(0);
      // A machine that stalls for a tenth of a second loses some where a socket's buffer is full; the proxy itself loses none.
      expect(lost, name).toBeLessThan(25);
    }
    proxy.kill("SIGTERM");
    const { code, stderr } = await within("the proxy stops", proxy.outcome, 15_000);
    const problems = stderr.split("\n").filter((line) => /"level":"(warn|error)"/.test(line));
    // iperf3 closes its socket when a test is over, and a datagram that was still on its way is refused by the kernel.
    const others = problems.filter((line) => !/"reason":"target_down".*ECONNREFUSED/.test(line));
    expect([code, others]).toEqual([0, []]);
  });
});
