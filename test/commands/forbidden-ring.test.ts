// Where io_uring is forbidden or lacks something, `auto` takes epoll and says why. strace answers the system call in the
// kernel's stead, so this holds on machines that allow it too.

import { expect } from "bun:test";

import { program, testWith } from "../support/programs.ts";
import { within } from "../support/until.ts";
import { COMMAND, startWith } from "./proxy-process.ts";

/** @param tampering as strace(1) writes it. */
async function versionWith(call: string, tampering: string): Promise<string> {
  const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:${tampering}`];
  const strace = [program("strace"), "-f", "-qq", "-o", "/dev/null", ...inject];
  const child = Bun.spawn([...strace, ...COMMAND, "-version"], { stdin: "ignore", stderr: "pipe" });
  const stdout = within("strace", new Response(child.stdout).text(), 30_000);
  return (await stdout).split("\n").find((line) => line.startsWith("engine"))!;
}

testWith(
  ["strace"],
  "a container's policy that forbids io_uring is the reason for epoll",
  async () => {
    expect(await versionWith("io_uring_setup", "error=EPERM")).toBe(
      "engine    epoll (uring: io_uring is forbidden here (container policy or sysctl io_uring_disabled))",
    );
  },
);

testWith(["strace"], "a kernel without io_uring is", async () => {
  expect(await versionWith("io_uring_setup", "error=ENOSYS")).toBe(
    "engine    epoll (uring: this kernel has no io_uring)",
  );
});

/** struct io_uring_probe of 16 bytes, and 8 for each operation: all zeros up to IORING_OP_POLL_ADD, which is the seventh. */
const NO_OPERATION = "00".repeat(16 + 7 * 8);

for (const [what, tampering, lacks] of [
  [
    "a kernel that cannot be asked",
    "error=EINVAL",
    "IORING_REGISTER_PROBE: invalid argument (EINVAL)",
  ],
  ["an operation that is missing", `poke_exit=@arg3=${NO_OPERATION}`, "IORING_OP_POLL_ADD"],
  // The second registration of a worker.
  [
    "a kernel that takes no buffers",
    "error=EINVAL:when=2",
    "IORING_REGISTER_PBUF_RING: invalid argument (EINVAL)",
  ],
] as const) {
  testWith(["strace"], `${what} is`, async () => {
    const line = await versionWith("io_uring_register", tampering);
    expect(line).toBe(`engine    epoll (uring: this kernel's io_uring lacks ${lacks})`);
  });
}

testWith(["strace"], "the log of a proxy that starts says so, too", async () => {
  const inject = ["-e", "trace=io_uring_setup", "-e", "inject=io_uring_setup:error=EPERM"];
  const by = [program("strace"), "-D", "-f", "-qq", "-o", "/dev/null", ...inject];
  const flags = ["-listen", "127.0.0.1:0", "-target", "127.0.0.1:9", "-log-format", "json"];
  const proxy = startWith({ by }, ...flags);
  const [line] = await proxy.line(/^.*"msg":"started".*$/m);
  expect(JSON.parse(line)).toMatchObject({
    engine: "epoll",
    slowerBecause: expect.stringContaining("uring: io_uring is forbidden here"),
  });
  proxy.kill("SIGTERM");
  expect((await within("the end", proxy.outcome)).code).toBe(0);
});
