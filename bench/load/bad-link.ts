// HTTP/2 and HTTP/3 in turn over the same bad link (test/support/bad-link.ts), through the same listener of the proxy, in a
// network namespace of their own. Prints one JSON line. Started by bench/quic/loss.ts:
//   bun bad-link.ts DELAY_MS LOSS ROUNDS OBJECTS BYTES CERT KEY DIRECTORY

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { badLink, PEER } from "../../test/support/bad-link.ts";
import { runChild, startServer, untilAccepts } from "../children.ts";

const PORT = 4401;
const PAGE_MS = 60_000;
const START_MS = 15_000;
const CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control";

const [delayMs, loss, rounds, objects, bytes] = process.argv.slice(2, 7).map(Number) as [
  number,
  number,
  number,
  number,
  number,
];
const [cert_file, key_file, directory] = process.argv.slice(7) as [string, string, string];
const here = (file: string): string => Bun.fileURLToPath(new URL(file, import.meta.url));

// What most systems have for TCP, whatever this one does.
if (existsSync(CONGESTION) && process.getuid?.() === 0) {
  try {
    writeFileSync(CONGESTION, "cubic");
  } catch {
    // Not for those who are root in the namespace alone.
  }
}
await badLink({ delayMs, loss, reordering: 0, seed: 1 });
const content = new Uint8Array(bytes);
const backend = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(content) });
const file = join(directory, "bad-link.yaml");
const target = `127.0.0.1:${backend.port}`;
writeFileSync(
  file,
  JSON.stringify({
    version: "1.0",
    workers: 1,
    tls: { cert_file, key_file },
    protocols: [{ name: "http3", listen: `0.0.0.0:${PORT}`, target }],
  }),
);
const proxy = startServer(
  [process.execPath, here("../../src/cli.ts"), "-config", file],
  join(directory, "bad-link.log"),
);
await untilAccepts(proxy, PORT, START_MS);
const times: Record<string, number[]> = { h2: [], h3: [] };
for (let round = 0; round < rounds; round++) {
  for (const protocol of ["h2", "h3"]) {
    const page = [here("page.ts"), protocol, `https://${PEER}:${PORT}`, objects, bytes].map(String);
    times[protocol]!.push(Number(await runChild([process.execPath, ...page], PAGE_MS)));
  }
}
proxy.child.kill("SIGKILL");
console.log(JSON.stringify(times));
process.exit(0);
