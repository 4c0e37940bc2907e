// The native addon of QUIC in several threads at once: each has an image of its own.

import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { loadBinding } from "../../src/protocols/quic/quiche/binding.ts";
import { ProxyError } from "../../src/shared/errors.ts";
import type { Loaded } from "../support/addon-threads.ts";
import { testWith } from "../support/programs.ts";

const PROCESS = Bun.fileURLToPath(new URL("../support/addon-threads.ts", import.meta.url));

async function loaded(
  threads: number,
  temporary: string,
  prefix: readonly string[] = [],
): Promise<Loaded> {
  const child = Bun.spawn([...prefix, process.execPath, PROCESS, String(threads)], {
    env: { ...process.env, TMPDIR: temporary },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, problems, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  expect({ code, problems: problems.slice(0, 2_000) }).toEqual({ code: 0, problems: "" });
  return JSON.parse(out) as Loaded;
}

const quic = process.platform === "linux" && !(loadBinding() instanceof ProxyError);

test.skipIf(!quic)(
  "four threads have four images, with one idle thread of the addon's each, and no directory has to be writable",
  async () => {
    const { images, threads } = await loaded(4, "/nonexistent");
    expect(images).toBe(4);
    const idle = threads.filter((name) => name.startsWith("tokio"));
    expect(idle).toHaveLength(4);
  },
);

testWith(
  ["strace"],
  "where the kernel makes no file in memory, images come from files of which nothing stays",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "addon-"));
    const inject = ["-e", "trace=memfd_create", "-e", "inject=memfd_create:error=ENOSYS"];
    try {
      const trace = join(directory, "trace");
      const strace = ["strace", "-f", "-qq", "-o", trace, ...inject];
      const { images } = await loaded(3, directory, strace);
      expect(images).toBe(3);
      expect(await Bun.file(trace).text()).toContain("(INJECTED)");
      expect(readdirSync(directory)).toEqual(["trace"]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);
