// The clients of a run: as many lanes as it is told, each of which has one session after another with whatever the kinds are.

import type { Listener } from "./configuration.ts";
import type { Version } from "./connect.ts";
import { HttpLane, type HttpWay, type LaneHost } from "./http-lane.ts";
import type { Journal } from "./journal.ts";
import type { GatewaySettings, Kind } from "./kinds.ts";
import { QUIC_ALPN, StreamLane } from "./stream-lane.ts";
import { UdpLane } from "./udp.ts";
import { type QuicPort, Vandals } from "./vandals.ts";
import type { World } from "./world.ts";

interface Lane {
  session(): Promise<void>;
}

const VERSIONS: Readonly<Record<string, readonly Version[]>> = {
  http: ["h1", "h1", "h2"],
  http2: ["h2", "h2", "h1"],
  http3: ["h3", "h3", "h3", "h2", "h1"],
};
const VANDALS_SHARE = 0.15;
const REST_MS = 200;

export class Lanes {
  readonly #settings: GatewaySettings;
  readonly #world: World;
  readonly #host: LaneHost;
  /** One for each kind, at random for each session. */
  readonly #kinds: readonly Lane[];
  readonly #vandals: Vandals;
  #ids = 0;

  constructor(settings: GatewaySettings, journal: Journal, world: World, random: () => number) {
    this.#settings = settings;
    this.#world = world;
    this.#host = { journal, random, nextId: () => ++this.#ids };
    this.#kinds = settings.kinds.map((kind) => this.#laneOf(kind));
    this.#vandals = this.#makeVandals();
  }

  /** Settles when every lane has had so many sessions. */
  async round(sessions: number): Promise<void> {
    const { random } = this.#host;
    const lane = async (): Promise<void> => {
      for (let i = 0; i < sessions; i++) {
        await Bun.sleep(random() ** 3 * REST_MS);
        const vandal = random() < VANDALS_SHARE;
        const who = vandal
          ? this.#vandals
          : this.#kinds[Math.trunc(random() * this.#kinds.length)]!;
        await who.session();
      }
    };
    await Promise.all(Array.from({ length: this.#settings.lanes }, lane));
  }

  #laneOf(kind: Kind): Lane {
    const { configuration, authority } = this.#world;
    const way = ({ key, port }: Listener, ca: string | null) => ({ listener: key, port, ca });
    const { ca } = authority;
    const http = (
      protocols: readonly ("http" | "http2" | "http3")[],
      asked: HttpWay["kind"],
    ): Lane => {
      const ways = protocols.map((protocol): HttpWay => {
        const to = way(configuration.listener(protocol), protocol === "http" ? null : ca);
        return { ...to, versions: versionsOf(protocol, asked), kind: asked };
      });
      return new HttpLane(this.#host, ways);
    };
    switch (kind) {
      case "http":
      case "http2":
      case "http3":
        return http([kind], "request");
      case "websocket":
        return http(["http", "http2", "http3"], "websocket");
      case "grpc":
        return http(["http2", "http3"], "grpc");
      case "tls":
      case "quic":
        return new StreamLane(this.#host, { ...way(configuration.listener(kind), ca), kind });
      case "link":
        return new StreamLane(this.#host, { ...way(configuration.listener("tcp"), null), kind });
      case "udp": {
        const { key, port } = configuration.listener("udp");
        return new UdpLane(this.#host, key, port);
      }
    }
  }

  #makeVandals(): Vandals {
    const { configuration, authority } = this.#world;
    const { ca } = authority;
    const of = (...protocols: Listener["protocol"][]): Listener[] =>
      configuration.listeners.filter(({ protocol }) => protocols.includes(protocol));
    const quic = of("quic", "http3").map(({ protocol, port }): QuicPort => ({
      port,
      ca,
      alpn: protocol === "quic" ? QUIC_ALPN : "h3",
    }));
    return new Vandals(this.#host, {
      clear: of("http", "tcp")[0]?.port ?? 0,
      tls: of("http2", "http3", "tls").map(({ port }) => port),
      quic,
    });
  }
}

function versionsOf(protocol: string, kind: HttpWay["kind"]): readonly Version[] {
  const all = VERSIONS[protocol]!;
  return kind === "grpc" ? all.filter((version) => version !== "h1") : all;
}
