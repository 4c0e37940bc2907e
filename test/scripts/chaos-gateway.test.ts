// Chaos of everything that gateway workers speak, for three rounds, so that the script does not rot: the long runs are by hand,
// scripts/chaos.ts says how.

import { expect, test } from "bun:test";

const KINDS = "http,http2,http3,websocket,grpc,tls,link,udp";
const root = Bun.fileURLToPath(new URL("../..", import.meta.url));

test.if(process.platform === "linux")(
  "three rounds of chaos leave nothing behind in gateway workers",
  async () => {
    const flags = ["--kind", KINDS, "--rounds", "3", "--lanes", "8", "--seed", "7"];
    const run = Bun.spawn([process.execPath, "scripts/chaos.ts", ...flags], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const said = await new Response(run.stdout).text();
    expect(said).toContain("violations                        0");
    expect(await run.exited).toBe(0);
  },
  180_000,
);
