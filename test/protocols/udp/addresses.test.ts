// A machine with several addresses answers from the one that was asked: in a network namespace with addresses of its own,
// where the system lets a test make one.

import { expect, test } from "bun:test";

import { run } from "../../support/daemon.ts";

const ADDRESSES = ["10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2", "127.0.0.1", "::1"];
const SCRIPT = `
set -e
ip link set lo up
for address in 10.77.0.1/24 10.77.0.2/24; do ip addr add $address dev lo; done
for address in fd77::1/64 fd77::2/64; do ip addr add $address dev lo nodad; done
exec "$@"
`;

/** Containers often forbid it: said, not counted as skipped, since nothing could be installed for it. */
function mayMakeNamespaces(): boolean {
  if (process.platform !== "linux") return false;
  const script = SCRIPT.replace('exec "$@"', "");
  const { exitCode, stderr } = Bun.spawnSync(["unshare", "-rn", "sh", "-c", script]);
  if (exitCode !== 0) {
    process.stderr.write(`answers of several addresses are not tested: ${stderr.toString()}\n`);
  }
  return exitCode === 0;
}

if (mayMakeNamespaces()) {
  test("on a port of every address, the answer comes from the address that was asked", async () => {
    const client = Bun.fileURLToPath(new URL("./namespace-client.ts", import.meta.url));
    const command = ["unshare", "-rn", "sh", "-c", SCRIPT, "sh", process.execPath, client];
    const { stdout } = await run([...command, ...ADDRESSES]);
    expect(stdout.split(" ")).toEqual(ADDRESSES);
  }, 30_000);
}
