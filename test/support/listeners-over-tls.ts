// Proxies with one listener of each kind that shows certificates, whose files tests exchange, and clients that say which
// certificate they were shown. Called by tests of certificates that change while handshakes go on.

import { copyFileSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";

import { checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";
import { compile } from "../../src/control/compile.ts";
import type { TlsPlan } from "../../src/shared/http-plan.ts";
import type { Authority, Issued } from "./certificates.ts";
import { QuicPeer, StreamRelay } from "./quic-relay.ts";
import { within } from "./until.ts";
import { WireServer } from "./wire.ts";

/** How a client comes. */
export type Way = "TCP" | "QUIC";

export interface Kind {
  readonly what: string;
  readonly listener: "tls" | "http2" | "http3" | "quic";
  readonly way: Way;
}

export const KINDS: readonly Kind[] = [
  { what: "tls", listener: "tls", way: "TCP" },
  { what: "http2", listener: "http2", way: "TCP" },
  { what: "http3 over TCP", listener: "http3", way: "TCP" },
  { what: "http3", listener: "http3", way: "QUIC" },
  { what: "quic", listener: "quic", way: "QUIC" },
];

/** A client after its handshake. */
export interface Held {
  /** SHA-256 of the certificate that it was shown, where its kind tells. */
  readonly fingerprint: string;
  readonly socket: TLSSocket | null;
  readonly peer: QuicPeer | null;
  close(): void;
}

export class ListenerOverTls implements AsyncDisposable {
  readonly relay: StreamRelay;
  readonly target: WireServer;
  readonly #kind: Kind;
  readonly #authority: Authority;
  readonly #folder: string;

  private constructor(
    relay: StreamRelay,
    target: WireServer,
    kind: Kind,
    authority: Authority,
    folder: string,
  ) {
    this.relay = relay;
    this.target = target;
    this.#kind = kind;
    this.#authority = authority;
    this.#folder = folder;
  }

  /** Of an echo behind it. */
  static async start(
    kind: Kind,
    authority: Authority,
    first: Issued,
    { onDemand = false, workers = 1 } = {},
  ): Promise<ListenerOverTls> {
    const folder = mkdtempSync(join(tmpdir(), "shown-"));
    const target = await WireServer.echo();
    const tls = { cert_file: join(folder, "cert.pem"), key_file: join(folder, "key.pem") };
    const entry = { name: kind.listener, listen: "127.0.0.1:0", tls, target: target.target };
    const config = { version: "1.0", workers, protocols: [entry] };
    const source = parseSource(JSON.stringify(config), "test.yaml"); // JSON is YAML
    copy(first, folder);
    const machine = { platform: process.platform, cpus: 1, terminal: false, folder };
    const [plan] = compile(checkSource(source), machine).listeners;
    const shown = plan as TlsPlan;
    const listener = { ...shown, tls: { ...shown.tls, onDemand } };
    const relay = await StreamRelay.start(listener, { workers });
    return new ListenerOverTls(relay, target, kind, authority, folder);
  }

  /** Shows another one from now on, to whoever comes then. */
  show(issued: Issued): void {
    copy(issued, this.#folder);
    this.relay.proxy.reloadCertificates();
  }

  /** @throws Error of the handshake. */
  connect(name: string): Promise<Held> {
    return this.#kind.way === "TCP" ? this.#overTcp(name) : this.#overQuic(name);
  }

  async #overTcp(servername: string): Promise<Held> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { ca } = this.#authority;
    const socket = connect({ host: "127.0.0.1", port: this.relay.port, servername, ca });
    socket.once("secureConnect", resolve).once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
    try {
      await within("the handshake", promise);
    } finally {
      socket.on("error", () => {}); // it is the test's to look at bytes
    }
    const fingerprint = socket.getPeerCertificate().fingerprint256;
    return { fingerprint, socket, peer: null, close: () => void socket.destroy() };
  }

  async #overQuic(serverName: string): Promise<Held> {
    const alpn = this.#kind.listener === "quic" ? {} : { alpn: ["h3"] };
    const transport = { ...TRANSPORT_OF_CLIENTS };
    const peer = await QuicPeer.connect(this.relay.port, this.#authority.ca, {
      driver: "quiche",
      serverName,
      transport,
      ...alpn,
    });
    return { fingerprint: "", socket: null, peer, close: () => peer.connection.close(0, "") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.relay[Symbol.asyncDispose]();
    await this.target[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const TRANSPORT_OF_CLIENTS = {
  idleMs: 30_000,
  keepAliveMs: 0,
  handshakeMs: 9_000,
  bidirectionalStreams: 0,
  unidirectionalStreams: 3,
  streamWindow: 1024 * 1024,
  connectionWindow: 16 * 1024 * 1024,
  datagrams: false,
} as const;

/** By rename, so that nobody reads half of one. */
function copy({ certFile, keyFile }: Issued, folder: string): void {
  for (const [from, to] of [
    [keyFile, "key.pem"],
    [certFile, "cert.pem"],
  ] as const) {
    copyFileSync(from, join(folder, `${to}.new`));
    renameSync(join(folder, `${to}.new`), join(folder, to));
  }
}
