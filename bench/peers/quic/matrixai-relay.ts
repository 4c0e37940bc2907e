// Each stream of a QUIC client becomes a TCP connection, by @matrixai/quic as it is meant to be used. Started by matrixai.ts:
//   bun matrixai-relay.ts PORT TARGET_PORT CERT KEY ALPN

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { Readable, Writable } from "node:stream";

import { events, QUICServer, type QUICStream } from "@matrixai/quic";

const [port, targetPort, certFile, keyFile, alpn] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];

const algorithm = { name: "HMAC", hash: "SHA-256" } as const;
const imported = (key: ArrayBuffer): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", key, algorithm, false, ["sign", "verify"]);

function forward(stream: QUICStream): void {
  const socket = connect(Number(targetPort), "127.0.0.1");
  const end = (): void => void socket.destroy();
  socket.on("error", end);
  Readable.fromWeb(stream.readable as never)
    .on("error", end)
    .pipe(socket);
  socket.pipe(Writable.fromWeb(stream.writable).on("error", end));
}

async function serve(): Promise<void> {
  const server = new QUICServer({
    crypto: {
      key: crypto.getRandomValues(new Uint8Array(32)).buffer,
      ops: {
        sign: async (key, data) => crypto.subtle.sign(algorithm, await imported(key), data),
        verify: async (key, data, signature) =>
          crypto.subtle.verify(algorithm, await imported(key), signature, data),
      },
    },
    config: {
      key: readFileSync(keyFile, "utf8"),
      cert: readFileSync(certFile, "utf8"),
      verifyPeer: false,
      applicationProtos: [alpn],
      maxIdleTimeout: 30_000,
    },
  });
  server.addEventListener(events.EventQUICServerConnection.name, (event: Event) => {
    const connection = (event as events.EventQUICServerConnection).detail;
    connection.addEventListener(events.EventQUICConnectionStream.name, (opened: Event) => {
      forward((opened as events.EventQUICConnectionStream).detail);
    });
  });
  await server.start({ host: "127.0.0.1", port: Number(port) });
}

// A client that is gone ends its socket (ICMP), of which nobody there hears, and with it the server: another takes its place,
// unless it goes on after all and has the port.
process.on("uncaughtException", () => void serve().catch(() => {}));
await serve();
