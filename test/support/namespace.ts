// Tests in a network namespace of their own (network_namespaces(7)), with nothing but loopback: settings of the kernel can be
// changed there without being root and without anybody noticing. Where none is to be had, as in most containers, they skip
// loudly, with CI=true too: nothing could be installed for it.

import { test } from "bun:test";

import { type Output, run } from "./daemon.ts";

/** Without and with rights of one's own: some systems keep user namespaces from everybody, root included. */
const WAYS = [
  ["unshare", "--user", "--map-root-user", "--net"],
  ["unshare", "--net"],
];
const SETTINGS = "/proc/sys/net/ipv4";
const CURE =
  "run as root, or allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0)";

const LOOPBACK_UP = "ip link set lo up";
/** One setting of net.ipv4 changed. */
const change = (setting: string, value: number): string => `echo ${value} > ${SETTINGS}/${setting}`;

function findWay(): readonly string[] | null {
  if (process.platform !== "linux") return null;
  const quiet = { stdout: "ignore", stderr: "ignore" } as const;
  const works = (way: readonly string[]): boolean =>
    Bun.spawnSync([...way, "sh", "-c", `${LOOPBACK_UP} && ${change("tcp_fastopen", 3)}`], quiet)
      .exitCode === 0;
  return WAYS.find(works) ?? null;
}

const way = findWay();

/** A test that runs a script of this project with `net.ipv4.tcp_fastopen` at this value; `check` gets what it said. */
export function testWithFastOpen(
  value: number,
  name: string,
  script: readonly string[],
  check?: (output: Output) => void,
): void {
  testInNamespace([change("tcp_fastopen", value)], name, script, check);
}

/** A test that runs a script of this project after these commands of the shell; `check` gets what it said. */
export function testInNamespace(
  commands: readonly string[],
  name: string,
  script: readonly string[],
  check: (output: Output) => void = () => {},
): void {
  if (way === null) {
    process.stderr.write(`SKIPPED "${name}": no network namespace is to be had, ${CURE}\n`);
    test.skip(name, () => {});
    return;
  }
  test(
    name,
    async () => {
      const steps = [LOOPBACK_UP, ...commands, 'exec "$0" "$@"'];
      const shell = ["sh", "-c", steps.join(" && ")];
      check(await run([...way, ...shell, process.execPath, ...script]));
    },
    40_000,
  );
}
