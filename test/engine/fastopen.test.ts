// Fast Open towards targets with the kernel's cooperation: a SYN that waits for bytes must not wait for ever. The setting of
// the kernel that it needs is changed in a network namespace only.
import { expect, test } from "bun:test";
import { join } from "node:path";

import { run } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";

/** With loopback up and Fast Open for clients and servers. */
const NAMESPACE = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"];
const PREPARE = "ip link set lo up && echo 3 > /proc/sys/net/ipv4/tcp_fastopen";

const canRun =
  process.platform === "linux" &&
  Bun.spawnSync([...NAMESPACE, PREPARE], { stdout: "ignore", stderr: "ignore" }).exitCode === 0;
/** Containers may forbid it: said, not counted as skipped, since nothing could be installed for it. */
if (!canRun) process.stderr.write("Fast Open is not tested: no network namespace is to be had\n");

forEveryEngine((engine) => {
  test("with Fast Open both a target and a client may speak first, and a target may be gone", async () => {
    if (!canRun) return;
    const script = `${PREPARE} && exec "$0" "$@"`;
    const child = [process.execPath, join(import.meta.dir, "fastopen-process.ts"), engine];
    const { stdout } = await run([...NAMESPACE, script, ...child]);
    expect(stdout.trim().split("\n")).toHaveLength(3);
  }, 40_000);
});
