// Chaos for some seconds, so that the script does not rot: the long runs are by hand, scripts/chaos.ts says how.

import { expect, test } from "bun:test";

import { ENGINES } from "../support/engines.ts";

const root = Bun.fileURLToPath(new URL("../..", import.meta.url));

for (const engine of ENGINES.filter((each) => each !== "bun")) {
  test(`six seconds of chaos leave nothing behind, engine ${engine}`, async () => {
    const flags = ["--minutes", "0.1", "--engine", engine, "--lanes", "16"];
    const run = Bun.spawn([process.execPath, "scripts/chaos.ts", ...flags], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const said = await new Response(run.stdout).text();
    expect(said).toContain("violations                        0");
    expect(await run.exited).toBe(0);
  }, 60_000);
}
