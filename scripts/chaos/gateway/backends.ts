// Backends of chaos for requests: two of each version of HTTP, in clear or over TLS, so that one may be taken out while the
// other serves. They speak with the program's own codecs, which its tests hold to those of others, and do what each Ask
// says.

import {
  type ClientConnection,
  type ClientStream,
  type RequestEvents,
  type RequestTaker,
  type ServerConnection,
} from "../../../src/protocols/http/exchange.ts";
import { Http1Server } from "../../../src/protocols/http/h1/server.ts";
import { Http2Server } from "../../../src/protocols/http/h2/server.ts";
import { Http3Server } from "../../../src/protocols/http/h3/server.ts";
import type { RequestHead } from "../../../src/protocols/http/message/heads.ts";
import { pickDriver } from "../../../src/protocols/quic/pick.ts";
import type { QuicConnection, QuicEndpoint } from "../../../src/protocols/quic/transport.ts";
import type { WireListenOptions } from "../../../src/protocols/wire/open.ts";
import { listenPlain } from "../../../src/protocols/wire/plain.ts";
import { ServerTls } from "../../../src/protocols/wire/tls-context.ts";
import { listenTls } from "../../../src/protocols/wire/tls.ts";
import type { Wire } from "../../../src/protocols/wire/wire.ts";
import type { SocketAddress } from "../../../src/shared/address.ts";
import { monotonicMs } from "../../../src/shared/clock.ts";
import type { Issued } from "../../../test/support/certificates.ts";
import { TestHost } from "../../../test/support/gateway-host.ts";
import { LIMITS, SOCKET, TIMEOUTS } from "../../../test/support/h2-server.ts";
import { TRANSPORT } from "../../../test/support/quic-relay.ts";
import { Answering } from "./answering.ts";
import { askOf } from "./ask.ts";
import type { Journal } from "./journal.ts";

const ANY_PORT: SocketAddress = { kind: "ip", host: "127.0.0.1", port: 0 };
const WATERMARKS = { highBytes: 64 * 1024, lowBytes: 32 * 1024 };
const NO_CLIENTS = {
  clientAuth: "none",
  minVersion: "1.3",
  managed: false,
  onDemand: false,
} as const;

export const GROUPS = ["h1", "h2", "h3"] as const;
export type Group = (typeof GROUPS)[number];

/** How paths of requests end that are not to be answered. */
const NOBODYS = "/x";

/** A client's connection, and what it asks at this moment. */
interface Guest {
  readonly server: ServerConnection;
  /** null: over QUIC. */
  readonly wire: Wire | null;
  active: number;
  /** It is being closed: what still comes is not read. */
  slammed: boolean;
}

const IGNORES: RequestEvents = {
  onRequestBody() {},
  onRequestEnd() {},
  onRequestFailure() {},
  onClientDrain() {},
};
/** From the end of a connection to its reset: what was sent before has arrived by then. */
const SLAM_MS = 100;

export class Backend {
  readonly group: Group;
  /** As a configuration names it. */
  readonly target: string;
  readonly #journal: Journal;
  readonly #guests = new Map<ClientConnection, Guest>();
  #stop: () => void = () => {};

  private constructor(group: Group, scheme: string, journal: Journal) {
    this.group = group;
    this.#journal = journal;
    this.target = scheme;
  }

  /** @param certificate none: in clear. */
  static async open(group: Group, journal: Journal, certificate?: Issued): Promise<Backend> {
    const scheme = schemeOf(group, certificate);
    const backend = new Backend(group, scheme, journal);
    const port =
      group === "h3" ? await backend.#listenQuic(certificate!) : backend.#listen(certificate);
    Object.assign(backend, { target: `${scheme}://127.0.0.1:${port}` });
    return backend;
  }

  get connections(): number {
    return this.#guests.size;
  }

  sweep(): void {
    const now = monotonicMs();
    for (const { server } of this.#guests.values()) server.sweep(now);
  }

  close(): void {
    this.#stop();
    for (const { server } of this.#guests.values()) server.destroy();
  }

  #listen(certificate: Issued | undefined): number {
    const options: WireListenOptions<true> = {
      address: ANY_PORT,
      reusePort: false,
      exclusive: false,
      socket: SOCKET,
      setOptions: () => {},
      watermarks: WATERMARKS,
      onAccept: () => true,
      onWire: (wire) => this.#adopt(wire),
      onRefused: () => {}, // whoever gave up, as probes and cancelled requests do
    };
    const server =
      certificate === undefined
        ? listenPlain(options)
        : listenTls({
            ...options,
            tls: new ServerTls(
              {
                ...NO_CLIENTS,
                certificates: [],
                clientCaFile: null,
                alpn: [this.group === "h2" ? "h2" : "http/1.1"],
              },
              { certificates: [certificate.material], clientCa: null },
            ),
            handshakeMs: 10_000,
            tellTruncation: false,
          });
    this.#stop = () => server.close();
    return server.address.kind === "ip" ? server.address.port : 0;
  }

  #adopt(wire: Wire): void {
    const setup = { ...this.#setup(wire.peer.port), wire };
    const server = this.group === "h2" ? new Http2Server(setup) : new Http1Server(setup);
    this.#guests.set(setup.connection, { server, wire, active: 0, slammed: false });
  }

  async #listenQuic({ material }: Issued): Promise<number> {
    const driver = pickDriver("quiche", new TestHost());
    const endpoint: QuicEndpoint = await driver.listen({
      address: ANY_PORT,
      reusePort: false,
      buffers: { sendBufferBytes: null, receiveBufferBytes: null },
      alpn: ["h3"],
      certificates: { certificates: [material], clientCa: null },
      clientAuth: "none",
      transport: { ...TRANSPORT, bidirectionalStreams: 100, unidirectionalStreams: 3 },
      watermarks: WATERMARKS,
      earlyData: false,
      retryFrom: 1_000,
      keyLog: null,
      onAccept: () => true,
      onConnection: (quic) => this.#adoptQuic(quic),
      onRefused: () => {},
    });
    this.#stop = () => endpoint.destroy();
    return endpoint.address.kind === "ip" ? endpoint.address.port : 0;
  }

  #adoptQuic(quic: QuicConnection): void {
    const setup = { ...this.#setup(quic.peer.port), quic };
    const server = new Http3Server(setup);
    this.#guests.set(setup.connection, { server, wire: null, active: 0, slammed: false });
  }

  #setup(port: number) {
    const connection: ClientConnection = { address: "127.0.0.1", port, tls: null, trusted: false };
    const take: RequestTaker = (stream, head) => this.#take(connection, stream, head);
    return {
      connection,
      take,
      events: {
        onGone: () => void this.#guests.delete(connection),
        onRefused: (reason: string, detail: string) => {
          // Requests that break off within their head or body are told so.
          this.#journal.count(`refused by a backend: ${reason}`);
          if (reason === "http_malformed") this.#journal.violate(`at a backend: ${detail}`);
        },
      },
      limits: LIMITS,
      timeouts: TIMEOUTS,
      nowMs: monotonicMs(),
    };
  }

  #take(connection: ClientConnection, stream: ClientStream, head: RequestHead): void {
    const guest = this.#guests.get(connection);
    const ask = askOf(head);
    if (head.path.endsWith(NOBODYS)) {
      stream.events = IGNORES;
      stream.reset({ code: "reset", message: "it is nobody's", unprocessed: false });
      return;
    }
    if (ask === null || guest === undefined) {
      this.#journal.violate(`at a backend: a request that nobody made: ${head.path}`);
      return;
    }
    if (guest.slammed) {
      stream.events = IGNORES;
      return;
    }
    guest.active++;
    this.#journal.count(`asked of ${this.group}`);
    const answering: Answering = new Answering(stream, head, ask, {
      violate: (what) => this.#journal.violate(what),
      over: () => void guest.active--,
      leave: () => guest.server.drain(),
      slam: () => this.#slam(connection, guest),
    });
    stream.events = answering;
  }

  #slam(connection: ClientConnection, guest: Guest): void {
    if (this.#guests.get(connection) !== guest) return;
    // Of HTTP/1.1, requests that may be sent twice are, when a connection that rested is closed under them.
    if (this.group === "h1" && guest.active > 0) return;
    const scope =
      this.group === "h1" ? (`group h1 unsafe` as const) : (`group ${this.group}` as const);
    this.#journal.disturbNow(scope, `a backend that closes (${this.group})`);
    guest.slammed = true;
    // As close(2): what was sent arrives. A reset at once could take it back.
    if (this.group === "h1") guest.wire?.end();
    setTimeout(() => guest.server.destroy(), this.group === "h1" ? SLAM_MS : 0);
  }
}

function schemeOf(group: Group, certificate: Issued | undefined): string {
  if (group === "h3") return "h3";
  if (group === "h2") return certificate === undefined ? "h2c" : "h2";
  return certificate === undefined ? "http" : "https";
}
