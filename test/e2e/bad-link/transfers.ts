// Transfers over a link that is far away and loses packets (test/support/bad-link.ts), run by bad-link.test.ts in a network
// namespace: HTTP/3 through the proxy to a backend of HTTP/3, each way over the link, and TCP over two proxies with raw QUIC
// between them. It prints one JSON line.

import { join } from "node:path";

import { checkSource } from "../../../src/config/check.ts";
import { parseSource } from "../../../src/config/load.ts";
import { compile } from "../../../src/control/compile.ts";
import { Proxy } from "../../../src/control/proxy.ts";
import { badLink, OWN, PEER } from "../../support/bad-link.ts";
import { inFolder } from "../../support/daemon.ts";
import { writeCertificate } from "../../support/gateway.ts";
import { Wire, WireServer } from "../../support/wire.ts";
import { bytesOf, sumOf } from "../http/pairs/protocol.ts";
import { askQuic, QuicBackend } from "../http/pairs/quic.ts";

/** The namespace has nobody else. */
const [HTTP3, QUIC, TCP] = [4401, 4402, 4403];
const BYTES = 200_000;
const AT_ONCE = 3;

const [delayMs, loss, reordering, seed] = process.argv.slice(2).map(Number) as [
  number,
  number,
  number,
  number,
];

function configuration(files: readonly [string, string], backend: number, echo: number): string {
  const [cert_file, key_file] = files;
  const tls = { server_name: "localhost", ca_file: cert_file };
  return JSON.stringify({
    version: "1.0",
    workers: 1,
    tls: { cert_file, key_file },
    protocols: [
      {
        name: "http3",
        listen: `${OWN}:${HTTP3}`,
        target: { address: `h3://${PEER}:${backend}`, tls },
      },
      { name: "quic", listen: `${OWN}:${QUIC}`, target: `127.0.0.1:${echo}` },
      {
        name: "tcp",
        listen: `127.0.0.1:${TCP}`,
        target: { address: `quic://${PEER}:${QUIC}`, tls },
      },
    ],
  });
}

async function overHttp3(): Promise<boolean> {
  const asked = { method: "POST", path: "/echo", bytes: BYTES, trailers: false, cancelAfter: -1 };
  const { sha256, whole } = await askQuic(HTTP3, asked, PEER);
  return whole && sha256 === sumOf(bytesOf(BYTES));
}

async function overLink(): Promise<boolean> {
  const wire = await Wire.connect({ host: "127.0.0.1", port: TCP });
  const chunks: Buffer[] = [];
  wire.socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  wire.socket.end(bytesOf(BYTES));
  return (await wire.ending) === "fin" && Buffer.concat(chunks).equals(bytesOf(BYTES));
}

await inFolder(async (folder) => {
  const counts = await badLink({ delayMs, loss, reordering, seed });
  const files = [join(folder, "cert.pem"), join(folder, "key.pem")] as const;
  await writeCertificate(...files);
  await using backend = await QuicBackend.start(...files, () => {}, OWN);
  await using echo = await WireServer.echo();
  const source = parseSource(configuration(files, backend.port, echo.port), "test.yaml");
  const machine = { platform: process.platform, cpus: 1, folder: "/srv", terminal: false };
  await Proxy.start(compile(checkSource(source), machine), {});
  const all = Array.from({ length: AT_ONCE }, () => [overHttp3(), overLink()]).flat();
  const intact = await Promise.all(all);
  process.stdout.write(JSON.stringify({ intact, ...counts }));
});
// Ends at once what is still open, and the link, which would be read from for ever.
process.exit(0);
