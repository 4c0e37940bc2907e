// A page over a link 50 ms away that loses packets, by HTTP/2 and by HTTP/3 from the same listener: what QUIC is for. One lost
// packet holds up everything behind it over TCP, and over QUIC the object that it is of.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { tryChild } from "../children.ts";
import { CannotMeasure, type Measurement } from "../engine/measurement.ts";
import { certificate } from "../peers/http/certificate.ts";
import { spread } from "../statistics.ts";

const DELAY_MS = 25;
const LOSS = 0.02;
const OBJECTS = 30;
const BYTES = 20_000;
const ROUNDS = 5;
const RUN_MS = 180_000;
/** Only root may choose TCP's congestion control there. */
const ROOT = process.getuid?.() === 0;
const NAMESPACE = ["unshare", ...(ROOT ? [] : ["--user", "--map-root-user"]), "--net", "sh", "-c"];
const program = Bun.fileURLToPath(new URL("../load/bad-link.ts", import.meta.url));

async function load(rounds: number): Promise<{ h2: number[]; h3: number[] }> {
  const directory = mkdtempSync(join(tmpdir(), "proxy-bench-link-"));
  try {
    const { certFile, keyFile } = certificate(directory);
    const scale = [DELAY_MS, LOSS, rounds, OBJECTS, BYTES].map(String);
    const command = [process.execPath, program, ...scale, certFile, keyFile, directory];
    const within = 'ip link set lo up && exec "$0" "$@"';
    const { code, output, errors } = await tryChild([...NAMESPACE, within, ...command], RUN_MS);
    if (code !== 0) throw new CannotMeasure(`has no link to be measured on: ${errors.trim()}`);
    return JSON.parse(output) as { h2: number[]; h3: number[] };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export const http3Loss: Measurement = {
  name: "http3-loss",
  group: "quic",
  backend: "http",
  freshPeer: false,
  contestants: /^proxy-quic$/,
  relayWarmMs: 1,
  runs: 3,
  title:
    `A page of ${OBJECTS} objects of ${BYTES / 1000} kB over a new connection, ` +
    `${2 * DELAY_MS} ms away, ${LOSS * 100} % of packets lost each way`,
  columns: [
    { key: "h3Ms", title: "ms by HTTP/3", digits: 0, better: "lower" },
    { key: "h2Ms", title: "ms by HTTP/2", digits: 0, better: "lower" },
    { key: "h3WorstMs", title: "worst by HTTP/3", digits: 0, better: "lower" },
    { key: "h2WorstMs", title: "worst by HTTP/2", digits: 0, better: "lower" },
  ],
  async run(_peer, { smoke }) {
    const { h2, h3 } = await load(smoke ? 1 : ROUNDS);
    const [slow, fast] = [spread(h2), spread(h3)];
    return { h3Ms: fast.median, h2Ms: slow.median, h3WorstMs: fast.max, h2WorstMs: slow.max };
  },
};
