// This project's gateway, with one worker. It adds the X-Forwarded fields by itself.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Backend } from "../../backends.ts";
import type { Availability, Peer, RunningPeer } from "../peer.ts";
import { certificate } from "./certificate.ts";
import { type GatewayPorts, HTTP_ONLY, startGateway } from "./gateway.ts";

const NAME = "proxy-http";
const cli = Bun.fileURLToPath(new URL("../../../src/cli.ts", import.meta.url));

/** What the others add: X-Forwarded-*, and neither Via nor an id. */
const FORWARDED = { via: false, request_id: false };

function configuration(backend: Backend, ports: GatewayPorts, directory: string): string {
  const { certFile, keyFile } = certificate(directory);
  const target = `${backend.name === "grpc" ? "h2c" : "http"}://127.0.0.1:${backend.port}`;
  const listener = (name: string, port: number): object => ({
    name,
    listen: `127.0.0.1:${port}`,
    target,
    forwarded: FORWARDED,
  });
  // JSON is YAML.
  return JSON.stringify({
    version: "1.0",
    workers: 1,
    tls: { cert_file: certFile, key_file: keyFile },
    protocols: [listener("http", ports.port), listener("http2", ports.tlsPort)],
  });
}

function start(backend: Backend, directory: string): Promise<RunningPeer> {
  return startGateway(NAME, directory, true, (ports) => {
    const file = join(directory, `${NAME}-${ports.port}.yaml`);
    writeFileSync(file, configuration(backend, ports, directory));
    const command = [process.execPath, cli, "-config", file, "-log-format=json"];
    return { command };
  });
}

/** Nobody is forwarded to while it is tried: the discard service, which no machine has any more (RFC 863). */
const NO_TARGET: Backend = { name: "http", port: 9, stop: async () => {} };

async function available(directory: string): Promise<Availability> {
  try {
    await (await start(NO_TARGET, directory)).stop();
    const manifest = Bun.file(new URL("../../../package.json", import.meta.url));
    return { version: (await manifest.json()).version };
  } catch (error) {
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { missing: reason instanceof Error ? reason.message : String(reason) };
  }
}

/** @param directory takes the files of the trial start. */
export function proxyGateway(directory: string): Peer {
  return {
    name: NAME,
    setup: "protocols http and http2, 1 worker, without Via and request ids",
    only: HTTP_ONLY,
    available: () => available(directory),
    start: (_targetPort, runDirectory, backend) => start(backend, runDirectory),
  };
}
