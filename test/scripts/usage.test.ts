// Programs beside the product: a wrong argument is a line, not a stack trace.
import { expect, test } from "bun:test";

const root = Bun.fileURLToPath(new URL("../..", import.meta.url));

function run(...words: string[]): { code: number; stdout: string; stderr: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, ...words], { cwd: root });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

test.each(["bench/main.ts", "scripts/build.ts", "scripts/chaos.ts"])(
  "%s -h prints the flags",
  (program) => {
    const { code, stdout, stderr } = run(program, "-h");
    expect(stdout).toStartWith(`bun ${program} [flags]`);
    expect([code, stderr]).toEqual([0, ""]);
  },
);

test.each([
  ["bench/main.ts", "--only", "nope", '"nope" is not one of '],
  ["bench/main.ts", "--runs", "none", "--runs takes a whole number"],
  ["bench/main.ts", "--frobnicate", "", "Unknown option '--frobnicate'"],
  ["scripts/build.ts", "--target", "amiga", '"amiga" is not a target. Targets: linux-x64, '],
  ["scripts/build.ts", "--frobnicate", "", "Unknown option '--frobnicate'"],
  ["scripts/chaos.ts", "--engine", "steam", '"steam" is not one of uring, epoll, bun'],
  ["scripts/chaos.ts", "--minutes", "none", "--minutes takes a number"],
  ["scripts/chaos.ts", "--frobnicate", "", "Unknown option '--frobnicate'"],
])("%s %s %s is refused in two lines", (program, flag, value, message) => {
  const { code, stdout, stderr } = run(program, flag, ...(value === "" ? [] : [value]));
  expect(stderr).toStartWith(message);
  expect(stderr.trimEnd().split("\n")).toHaveLength(2);
  expect([code, stdout]).toEqual([2, ""]);
});
