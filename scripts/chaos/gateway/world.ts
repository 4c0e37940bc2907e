// Everything around the proxy under test: certificates, backends of every group, and the configuration that names them.

import { pickDriver } from "../../../src/protocols/quic/pick.ts";
import type { QuicEndpoint } from "../../../src/protocols/quic/transport.ts";
import { Authority } from "../../../test/support/certificates.ts";
import { TestHost } from "../../../test/support/gateway-host.ts";
import { TRANSPORT } from "../../../test/support/quic-relay.ts";
import type { Datagrams } from "../../../test/support/udp.ts";
import { type Wire, WireServer } from "../../../test/support/wire.ts";
import { answer } from "../tcp/exchanges.ts";
import { Backend, GROUPS } from "./backends.ts";
import { Configuration } from "./configuration.ts";
import { NAME } from "./connect.ts";
import type { Journal } from "./journal.ts";
import type { GatewaySettings } from "./kinds.ts";
import { SILENT_CONNECTION } from "./quic-handlers.ts";
import { QUIC_ALPN } from "./stream-lane.ts";
import { StreamEnd } from "./streams.ts";
import { openUdpTarget } from "./udp.ts";

const EACH = 2; // targets of a group

export class World {
  readonly authority = new Authority();
  configuration!: Configuration;
  readonly #settings: GatewaySettings;
  readonly #journal: Journal;
  readonly #backends: Backend[] = [];
  readonly #servers: WireServer[] = [];
  readonly #endpoints: QuicEndpoint[] = [];
  readonly #datagrams: Datagrams[] = [];
  readonly #targets = new Map<string, string[]>();

  private constructor(settings: GatewaySettings, journal: Journal) {
    this.#settings = settings;
    this.#journal = journal;
  }

  static async open(settings: GatewaySettings, journal: Journal): Promise<World> {
    const world = new World(settings, journal);
    const { authority } = world;
    const certificate = authority.issue([NAME]);
    for (const group of GROUPS) {
      for (let i = 0; i < EACH; i++) {
        const shown = group === "h3" || i > 0 ? certificate : undefined;
        const backend = await Backend.open(group, journal, shown);
        world.#backends.push(backend);
        world.#add(group, backend.target);
      }
    }
    for (let i = 0; i < EACH; i++) await world.#openStreams(certificate.material);
    world.configuration = await Configuration.of(settings.kinds, {
      targets: world.#targets,
      certificate,
      caFile: authority.caFile,
      workers: settings.workers,
      verbose: settings.log !== "",
    });
    return world;
  }

  /** Sockets that the proxy keeps while nobody needs them: a link to each quic:// target in each worker. */
  get keptSockets(): number {
    return this.#settings.kinds.includes("link") ? EACH * this.#settings.workers : 0;
  }

  /** @param configured with or without its scheme. */
  groupOf(configured: string): string {
    for (const [group, targets] of this.#targets)
      if (targets.some((each) => each.endsWith(configured))) return group;
    return "";
  }

  openBackends(): number {
    return this.#backends.reduce((sum, { connections }) => sum + connections, 0);
  }

  sweep(): void {
    for (const backend of this.#backends) backend.sweep();
  }

  close(): void {
    for (const backend of this.#backends) backend.close();
    for (const server of this.#servers) void server[Symbol.asyncDispose]();
    for (const endpoint of this.#endpoints) endpoint.destroy();
    for (const socket of this.#datagrams) void socket[Symbol.asyncDispose]();
    this.authority[Symbol.dispose]();
  }

  #add(group: string, target: string): void {
    this.#targets.set(group, [...(this.#targets.get(group) ?? []), target]);
  }

  async #openStreams(material: ReturnType<Authority["issue"]>["material"]): Promise<void> {
    const serve = (wire: Wire): void =>
      void answer(wire).catch((error: unknown) =>
        this.#journal.violate(`at a target: ${String(error)}`),
      );
    for (const group of ["tls", "quic"]) {
      const server = await WireServer.listen(serve);
      this.#servers.push(server);
      this.#add(group, server.target);
    }
    const datagrams = await openUdpTarget();
    this.#datagrams.push(datagrams);
    this.#add("udp", datagrams.target);
    const endpoint = await this.#openQuic(material);
    this.#endpoints.push(endpoint);
    const port = endpoint.address.kind === "ip" ? endpoint.address.port : 0;
    this.#add("link", `quic://127.0.0.1:${port}`);
  }

  #openQuic(material: ReturnType<Authority["issue"]>["material"]): Promise<QuicEndpoint> {
    return pickDriver("quiche", new TestHost()).listen({
      address: { kind: "ip", host: "127.0.0.1", port: 0 },
      reusePort: false,
      buffers: { sendBufferBytes: null, receiveBufferBytes: null },
      alpn: [QUIC_ALPN],
      certificates: { certificates: [material], clientCa: null },
      clientAuth: "none",
      transport: {
        ...TRANSPORT,
        idleMs: 2_000,
        bidirectionalStreams: 100,
        unidirectionalStreams: 3,
      },
      watermarks: { highBytes: 64 * 1024, lowBytes: 32 * 1024 },
      earlyData: false,
      retryFrom: 1_000,
      keyLog: null,
      onAccept: () => true,
      onConnection: (connection) => {
        connection.handler = {
          ...SILENT_CONNECTION,
          onStream: (stream) => void this.#serve(stream),
        };
      },
      onRefused: () => {},
    });
  }

  async #serve(stream: Parameters<typeof StreamEnd.answer>[0]): Promise<void> {
    const { wrong } = await StreamEnd.answer(stream).over;
    if (wrong !== "") this.#journal.violate(`at a quic:// target: ${wrong}`);
  }
}
