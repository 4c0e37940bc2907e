// Clients' connections of chaos: wires to listeners in clear, over TLS and over QUIC, and requests on them in the versions of
// HTTP that a listener speaks. Each knows its own port, by which the proxy names it.

import type { BackendConnection, BackendEvents } from "../../../src/protocols/http/exchange.ts";
import { Http1Backend } from "../../../src/protocols/http/h1/backend.ts";
import { Http2Backend } from "../../../src/protocols/http/h2/client.ts";
import { Http3Backend } from "../../../src/protocols/http/h3/client.ts";
import { pickDriver } from "../../../src/protocols/quic/pick.ts";
import type { QuicConnection } from "../../../src/protocols/quic/transport.ts";
import { connectPlain } from "../../../src/protocols/wire/plain.ts";
import { ClientTls } from "../../../src/protocols/wire/tls-context.ts";
import { connectTls } from "../../../src/protocols/wire/tls.ts";
import type { Wire } from "../../../src/protocols/wire/wire.ts";
import { TestHost } from "../../../test/support/gateway-host.ts";
import { LIMITS, SOCKET } from "../../../test/support/h2-server.ts";
import { TRANSPORT } from "../../../test/support/quic-relay.ts";
import { within } from "../../../test/support/until.ts";

const HUNG_MS = 20_000;
const WATERMARKS = { highBytes: 64 * 1024, lowBytes: 32 * 1024 };
export const NAME = "a.example";

export type Version = "h1" | "h2" | "h3";

/** Where and how to connect. */
export interface Way {
  /** Key of the proxy's listener. */
  readonly listener: string;
  readonly port: number;
  /** PEM of the authority; null: in clear. */
  readonly ca: string | null;
}

const quicHost = new TestHost();

export function openWire({ port, ca }: Way, alpn: readonly string[]): Promise<Wire> {
  const opened = Promise.withResolvers<Wire>();
  const options = {
    address: { kind: "ip", host: "127.0.0.1", port } as const,
    socket: SOCKET,
    setOptions: () => {},
    watermarks: WATERMARKS,
  };
  const done = (wire: Wire | null, error: Error | null): void =>
    wire === null ? opened.reject(error) : opened.resolve(wire);
  if (ca === null) connectPlain(options, done);
  else {
    const plan = { serverName: NAME, caFile: null, certificate: null, insecure: false };
    const tls = new ClientTls(plan, NAME, { group: 0, index: 0, ca, certificate: null });
    connectTls({ ...options, tls, alpn, tellTruncation: true }, done);
  }
  return within("a connection", opened.promise, HUNG_MS);
}

export function openQuic(
  { port, ca }: Pick<Way, "port" | "ca">,
  alpn: string,
  handshakeMs = 10_000,
): Promise<QuicConnection> {
  const opened = Promise.withResolvers<QuicConnection>();
  pickDriver("quiche", quicHost).connect(
    {
      address: { kind: "ip", host: "127.0.0.1", port },
      serverName: NAME,
      alpn: [alpn],
      certificates: { group: 0, index: 0, ca, certificate: null },
      insecure: false,
      // A worker that crashes may not be heard to leave: who waits for it has to find out before it counts as hung.
      transport: { ...TRANSPORT, idleMs: 10_000, handshakeMs, unidirectionalStreams: 3 },
      watermarks: WATERMARKS,
      earlyData: false,
      keyLog: null,
    },
    (connection, error) =>
      connection === null ? opened.reject(error) : opened.resolve(connection),
  );
  return within("a QUIC connection", opened.promise, HUNG_MS);
}

/** One that requests are made on. */
export class HttpClient implements BackendEvents {
  readonly version: Version;
  readonly port: number;
  backend!: BackendConnection;
  isGone = false;
  /** So far. */
  requests = 0;
  readonly #ready = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<void>();

  private constructor(version: Version, port: number) {
    this.version = version;
    this.port = port;
  }

  /** @throws Error if there is no connection, with `localPort` if it was there for a moment. */
  static async connect(version: Version, way: Way): Promise<HttpClient> {
    const client = version === "h3" ? await overQuic(way) : await overWire(version, way);
    const gone = client.#gone.promise.then(() => {
      throw new Error("it was closed before it was ready");
    });
    gone.catch(() => {});
    try {
      await within("settings", Promise.race([client.#ready.promise, gone]), HUNG_MS);
    } catch (error) {
      throw Object.assign(error as Error, { localPort: client.port });
    }
    return client;

    async function overQuic({ port, ca }: Way): Promise<HttpClient> {
      const quic = await openQuic({ port, ca }, "h3");
      const made = new HttpClient(version, quic.local?.port ?? 0);
      made.backend = new Http3Backend({ quic, events: made, limits: LIMITS });
      return made;
    }

    async function overWire(over: "h1" | "h2", to: Way): Promise<HttpClient> {
      const wire = await openWire(to, [over === "h2" ? "h2" : "http/1.1"]);
      const made = new HttpClient(over, wire.local?.port ?? 0);
      const setup = { wire, events: made, limits: LIMITS };
      made.backend = over === "h2" ? new Http2Backend(setup) : new Http1Backend(setup);
      return made;
    }
  }

  /** Takes a request now. */
  get isFree(): boolean {
    return !this.isGone && !this.backend.closing && this.backend.free > 0;
  }

  onReady(): void {
    this.#ready.resolve();
  }

  onChange(): void {}

  onGone(): void {
    this.isGone = true;
    this.#gone.resolve();
  }

  /** In order. */
  close(): void {
    if (!this.isGone) this.backend.close();
  }

  /** In the middle of whatever it does. */
  vanish(): void {
    if (!this.isGone) this.backend.destroy();
  }
}
