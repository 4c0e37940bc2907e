// Where io_uring is forbidden or lacks something, `auto` takes epoll and says why. strace answers the system call in the
// kernel's stead, so this holds on machines that allow it too.

import { expect } from "bun:test";

import { program, testWith } from "../support/programs.ts";
import { within } from "../support/until.ts";
import { COMMAND } from "./proxy-process.ts";

async function versionWith(call: string, error: string): Promise<string> {
  const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:error=${error}`];
  const strace = [program("strace"), "-f", "-qq", "-o", "/dev/null", ...inject];
  const child = Bun.spawn([...strace, ...COMMAND, "-version"], { stdin: "ignore", stderr: "pipe" });
  const stdout = within("strace", new Response(child.stdout).text(), 30_000);
  return (await stdout).split("\n").find((line) => line.startsWith("engine"))!;
}

testWith(
  ["strace"],
  "a container's policy that forbids io_uring is the reason for epoll",
  async () => {
    expect(await versionWith("io_uring_setup", "EPERM")).toBe(
      "engine    epoll (uring: io_uring is forbidden here (container policy or sysctl io_uring_disabled))",
    );
  },
);

testWith(["strace"], "a kernel without io_uring is", async () => {
  expect(await versionWith("io_uring_setup", "ENOSYS")).toBe(
    "engine    epoll (uring: this kernel has no io_uring)",
  );
});

testWith(["strace"], "a part that is missing is", async () => {
  const line = await versionWith("io_uring_register", "EINVAL");
  expect(line).toStartWith("engine    epoll (uring: ");
  expect(line).toMatch(/io_uring (lacks IORING_REGISTER_PROBE|is forbidden|is too old)/);
});
