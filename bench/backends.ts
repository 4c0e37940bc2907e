// The servers behind the contestants: our echo and iperf3. One of them serves a whole measurement. Called by main.ts.

import { join } from "node:path";

import {
  endChild,
  firstLine,
  freePort,
  startChild,
  startServer,
  untilAccepts,
} from "./children.ts";

export type BackendName = "echo" | "iperf3";

export interface Backend {
  port: number;
  stop(): Promise<void>;
}

const START_MS = 10_000;

export function startBackend(name: BackendName, directory: string): Promise<Backend> {
  return name === "echo" ? startEcho() : startIperf3(directory);
}

async function startEcho(): Promise<Backend> {
  const program = Bun.fileURLToPath(new URL("./load/echo.ts", import.meta.url));
  const child = startChild([process.execPath, program]);
  const { port } = JSON.parse(await firstLine(child)) as { port: number };
  return { port, stop: () => endChild(child) };
}

async function startIperf3(directory: string): Promise<Backend> {
  const port = await freePort();
  const command = ["iperf3", "--server", "--bind", "127.0.0.1", "--port", String(port)];
  const server = startServer(command, join(directory, "iperf3.log"));
  await untilAccepts(server, port, START_MS);
  return { port, stop: () => endChild(server.child) };
}
