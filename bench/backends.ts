// The servers behind the contestants: our echoes, iperf3, nginx and nghttpd. One of them serves a whole measurement. Called by
// measure.ts.

import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import {
  endChild,
  firstLine,
  freePort,
  startChild,
  startServer,
  untilAccepts,
} from "./children.ts";
import { certificate } from "./peers/http/certificate.ts";
import { nginxHttp, nginxServer } from "./peers/http/nginx-config.ts";

/**
 * `websocket` echoes messages, `datagrams` answers over UDP, `http` is nginx with a small and a large answer, `grpc` answers in
 * HTTP/2 with trailers.
 */
export type BackendName = "echo" | "datagrams" | "iperf3" | "http" | "websocket" | "grpc";

/** Where a server or a relay listens, on 127.0.0.1. */
export interface Ports {
  /** In clear; HTTP/1.1 where HTTP is spoken. */
  port: number;
  /** HTTP/2 in clear, by prior knowledge. */
  h2cPort?: number;
  /** TLS, with HTTP/2 and HTTP/1.1 by ALPN. */
  tlsPort?: number;
  /** UDP: HTTP/3, and raw QUIC. */
  h3Port?: number;
  quicPort?: number;
}

export interface Backend extends Ports {
  name: BackendName;
  stop(): Promise<void>;
}

/** What the HTTP backends answer to. */
export const SMALL_PATH = "/small";
export const LARGE_PATH = "/large";
export const UNARY_PATH = "/unary.grpc";
export const SMALL_BYTES = 100;
export const LARGE_BYTES = 1024 * 1024;

const START_MS = 10_000;

const STARTS: Record<BackendName, (directory: string) => Promise<Backend>> = {
  echo: () => startOurs("echo", "echo.ts"),
  datagrams: () => startOurs("datagrams", "datagram-backend.ts"),
  websocket: () => startOurs("websocket", "websocket-echo.ts"),
  iperf3: startIperf3,
  http: startHttp,
  grpc: startGrpc,
};

/** @param directory for its files; the caller removes it. */
export function startBackend(name: BackendName, directory: string): Promise<Backend> {
  return STARTS[name](directory);
}

async function startOurs(name: BackendName, file: string): Promise<Backend> {
  const program = Bun.fileURLToPath(new URL(`./load/${file}`, import.meta.url));
  const child = startChild([process.execPath, program]);
  const { port } = JSON.parse(await firstLine(child)) as { port: number };
  return { name, port, stop: () => endChild(child) };
}

async function startIperf3(directory: string): Promise<Backend> {
  const port = await freePort();
  const command = ["iperf3", "--server", "--bind", "127.0.0.1", "--port", String(port)];
  const server = startServer(command, join(directory, "iperf3.log"));
  await untilAccepts(server, port, START_MS);
  return { name: "iperf3", port, stop: () => endChild(server.child) };
}

/** One worker, without a log, for as many requests on a connection as there may be. */
async function startHttp(directory: string): Promise<Backend> {
  const root = join(directory, "www");
  mkdirSync(root, { recursive: true });
  chmodSync(directory, 0o755); // a worker of root's nginx is nobody
  writeFileSync(join(root, LARGE_PATH), new Uint8Array(LARGE_BYTES).fill(0x2a));
  const [port, h2cPort, tlsPort] = [await freePort(), await freePort(), await freePort()];
  const file = join(directory, `nginx-backend-${port}.conf`);
  const server = nginxServer({ port, h2cPort, tlsPort }, certificate(directory));
  const text = "x".repeat(SMALL_BYTES);
  writeFileSync(
    file,
    nginxHttp(
      directory,
      port,
      `open_file_cache max=16;
  server {
    ${server}
    root ${root};
    location = ${SMALL_PATH} { default_type text/plain; return 200 "${text}"; }
  }`,
    ),
  );
  const running = startServer(
    ["nginx", "-e", "stderr", "-c", file],
    join(directory, "nginx-backend.log"),
  );
  await untilAccepts(running, port, START_MS);
  return { name: "http", port, h2cPort, tlsPort, stop: () => endChild(running.child) };
}

/** nghttpd, which is part of nghttp2: no gRPC, but its frames: a message of five bytes and more, and trailers. */
async function startGrpc(directory: string): Promise<Backend> {
  const root = join(directory, "grpc");
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, UNARY_PATH), grpcMessage(SMALL_BYTES));
  const types = join(directory, "grpc-types");
  writeFileSync(types, "application/grpc grpc\n");
  const port = await freePort();
  const command = ["nghttpd", "--no-tls", "--address=127.0.0.1", `--htdocs=${root}`];
  command.push("--trailer=grpc-status: 0", `--mime-types-file=${types}`);
  const server = startServer(
    [...command, "--max-concurrent-streams=1000", String(port)],
    join(directory, "nghttpd.log"),
  );
  await untilAccepts(server, port, START_MS);
  return { name: "grpc", port, h2cPort: port, stop: () => endChild(server.child) };
}

/** A length-prefixed message without compression (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export function grpcMessage(bytes: number): Uint8Array {
  const message = new Uint8Array(5 + bytes).fill(0x2a, 5);
  new DataView(message.buffer).setUint32(1, bytes);
  return message;
}
