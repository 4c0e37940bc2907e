// wrk and h2load see no error through the gateway, to each kind of backend.

import { expect } from "bun:test";

import { run } from "../../support/daemon.ts";
import { type Gateway, STAGE_PROGRAMS, withStage } from "../../support/gateway.ts";
import { program, testWith } from "../../support/programs.ts";

const PATHS = ["/nginx/small", "/caddy/small", "/node/request"];
const LARGE = new Uint8Array(1_000_000).fill(0x2a);

async function wrk(url: string, ...flags: readonly string[]): Promise<void> {
  const { stdout } = await run([program("wrk"), "-t1", "-d2s", ...flags, url]);
  expect(stdout).not.toContain("Socket errors");
  expect(stdout).not.toContain("Non-2xx");
  expect(Number(/(\d+) requests in/.exec(stdout)?.[1])).toBeGreaterThan(20);
}

async function h2load(requests: number, ...flags: readonly string[]): Promise<void> {
  const command = [program("h2load"), "-t1", "-n", String(requests), ...flags];
  const { stdout } = await run(command, { timeoutMs: 60_000 });
  expect(stdout).toContain(`${requests} succeeded, 0 failed, 0 errored, 0 timeout`);
  expect(stdout).toContain(`${requests} 2xx`);
}

function loaded(
  name: string,
  tool: "wrk" | "h2load",
  use: (gateway: Gateway) => Promise<void>,
): void {
  // wrk leaves its first connection in the middle of a handshake, which is told as a warning.
  const options = { files: { large: LARGE }, complains: true };
  testWith([...STAGE_PROGRAMS, tool], name, () => withStage(options, use));
}

loaded("wrk on 64 connections, in clear and over TLS", "wrk", async ({ port, tlsPort }) => {
  for (const path of PATHS) await wrk(`http://127.0.0.1:${port}${path}`, "-c64");
  await wrk(`https://127.0.0.1:${tlsPort}/nginx/small`, "-c64");
  await wrk(`http://127.0.0.1:${port}/nginx/large`, "-c16");
});

loaded("wrk with a connection for each request", "wrk", async ({ port }) => {
  await wrk(`http://127.0.0.1:${port}/nginx/small`, "-c16", "-H", "Connection: close");
});

loaded(
  "h2load with 16 × 16 streams, over TLS and in clear",
  "h2load",
  async ({ port, tlsPort }) => {
    for (const path of PATHS) {
      await h2load(5_000, "-c16", "-m16", `https://127.0.0.1:${tlsPort}${path}`);
    }
    await h2load(5_000, "-c16", "-m16", `http://127.0.0.1:${port}/nginx/small`);
    await h2load(5_000, "-c4", "-m100", `http://127.0.0.1:${port}/nginx/small`);
  },
);

loaded("h2load with large answers, wide windows and narrow ones", "h2load", async ({ tlsPort }) => {
  const url = `https://127.0.0.1:${tlsPort}/nginx/large`;
  await h2load(200, "-c4", "-m8", url);
  await h2load(100, "-c4", "-m8", "-w10", "-W16", url);
});

loaded(
  "h2load as a client of HTTP/1.1 that does not wait for answers",
  "h2load",
  async ({ port }) => {
    await h2load(5_000, "--h1", "-c16", "-m8", `http://127.0.0.1:${port}/nginx/small`);
  },
);

loaded("h2load with bodies", "h2load", async (gateway) => {
  const body = `${gateway.folder}/body`;
  await Bun.write(body, LARGE.subarray(0, 100_000));
  const { port, tlsPort } = gateway;
  await h2load(300, "-c4", "-m4", "-d", body, `https://127.0.0.1:${tlsPort}/node/sum`);
  await h2load(300, "--h1", "-c16", "-d", body, `http://127.0.0.1:${port}/node/sum`);
});
