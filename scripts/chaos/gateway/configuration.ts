// The configuration of the proxy under test: a listener for each kind that is let loose, all with two targets of each
// group, and short times for whoever rests, so that a quiet point comes soon. Reloads serve it again with something
// changed.

import type { Issued } from "../../../test/support/certificates.ts";
import { freePort } from "../../../test/support/daemon.ts";
import type { Kind } from "./kinds.ts";
import { QUIC_ALPN } from "./stream-lane.ts";

/** Of a group of targets, as it is written; by the name of the group. */
export type Targets = ReadonlyMap<string, readonly string[]>;

export interface Listener {
  readonly protocol: "http" | "http2" | "http3" | "tls" | "quic" | "tcp" | "udp";
  readonly port: number;
  /** As the proxy names it. */
  readonly key: string;
}

const PROTOCOLS: Readonly<Record<Kind, readonly Listener["protocol"][]>> = {
  http: ["http"],
  http2: ["http2"],
  http3: ["http3"],
  websocket: ["http", "http2", "http3"],
  grpc: ["http2", "http3"],
  tls: ["tls"],
  quic: ["quic"],
  link: ["tcp"],
  udp: ["udp"],
};

const RESTS = { backend_keepalive: "1s", keepalive: "3s", head: "3s" };

export class Configuration {
  readonly adminPort: number;
  readonly listeners: readonly Listener[];
  readonly #targets: Targets;
  readonly #certificate: Issued;
  readonly #caFile: string;
  readonly #workers: number;
  readonly #verbose: boolean;
  readonly #guestPort: number;
  /** Of the listeners that a reload replaced, each time another one. */
  #generation = 0;
  #hasGuest = false;

  private constructor(parts: {
    ports: readonly number[];
    listeners: readonly Listener[];
    targets: Targets;
    certificate: Issued;
    caFile: string;
    workers: number;
    verbose: boolean;
  }) {
    [this.adminPort, this.#guestPort] = parts.ports as [number, number];
    this.listeners = parts.listeners;
    this.#targets = parts.targets;
    this.#certificate = parts.certificate;
    this.#caFile = parts.caFile;
    this.#workers = parts.workers;
    this.#verbose = parts.verbose;
  }

  static async of(
    kinds: readonly Kind[],
    parts: {
      targets: Targets;
      certificate: Issued;
      caFile: string;
      workers: number;
      verbose: boolean;
    },
  ): Promise<Configuration> {
    const protocols = new Set(kinds.flatMap((kind) => PROTOCOLS[kind]));
    const listeners: Listener[] = [];
    for (const protocol of protocols) {
      const port = await freePort();
      listeners.push({ protocol, port, key: `${protocol} 127.0.0.1:${port}` });
    }
    return new Configuration({ ports: [await freePort(), await freePort()], listeners, ...parts });
  }

  listener(protocol: Listener["protocol"]): Listener {
    return this.listeners.find((each) => each.protocol === protocol)!;
  }

  /** Something else from now on. @returns keys of the listeners that are replaced. */
  vary(random: () => number): readonly string[] {
    this.#generation++;
    if (random() < 0.5) this.#hasGuest = !this.#hasGuest;
    return this.listeners.map(({ key }) => key);
  }

  /** Listening sockets that are there at this moment, and not always. */
  get guestSockets(): number {
    return this.#hasGuest ? this.#workers : 0;
  }

  /** JSON, which is YAML. */
  get text(): string {
    const protocols = this.listeners.map((listener) => this.#entry(listener));
    if (this.#hasGuest) {
      const listen = `127.0.0.1:${this.#guestPort}`;
      protocols.push({ name: "http", listen, target: "127.0.0.1:1" });
    }
    return JSON.stringify({
      version: "1.0",
      workers: this.#workers,
      log_level: this.#verbose ? "debug" : "info",
      shutdown_timeout: "5s",
      admin: { listen: `127.0.0.1:${this.adminPort}` },
      // This machine is not the proxy's alone.
      overload: { lag: "off", memory: "off", descriptors: "off" },
      protocols,
    });
  }

  #entry({ protocol, port }: Listener): Record<string, unknown> {
    const { certFile: cert_file, keyFile: key_file } = this.#certificate;
    const isClear = protocol === "http" || protocol === "tcp" || protocol === "udp";
    const tls = isClear ? {} : { tls: { cert_file, key_file } };
    const entry = { name: protocol, listen: `127.0.0.1:${port}`, ...tls };
    // Any time that is another makes it another listener.
    const idle = `${60 + (this.#generation % 60)}s`;
    switch (protocol) {
      case "udp":
        return {
          ...entry,
          targets: this.#group("udp"),
          timeouts: { idle: `${1_000 + this.#generation}ms` },
        };
      case "tls":
        return { ...entry, targets: this.#group("tls"), timeouts: { idle } };
      case "quic":
        return {
          ...entry,
          alpn: [QUIC_ALPN],
          quic: { idle: "2s" },
          targets: this.#group("quic"),
          timeouts: { idle },
        };
      case "tcp":
        return { ...entry, targets: this.#group("link"), timeouts: { idle } };
      default:
        return { ...entry, routes: this.#routes(), timeouts: { ...RESTS, idle } };
    }
  }

  #routes(): object[] {
    const set = { "x-generation": String(this.#generation) };
    return ["h1", "h2", "h3"].map((group) => ({
      match: { path: `/${group}/*` },
      targets: this.#group(group),
      headers: { response: { set } },
    }));
  }

  #group(name: string): object[] {
    return (this.#targets.get(name) ?? []).map((address) => {
      const scheme = /^(\w+):/.exec(address)?.[1] ?? "";
      if (!["https", "h2", "h3", "quic"].includes(scheme)) return { address };
      const tls = { server_name: "a.example", ca_file: this.#caFile };
      return {
        address,
        tls,
        ...(scheme === "quic"
          ? { quic: { alpn: [QUIC_ALPN], idle: "2s", keep_alive: "500ms" } }
          : {}),
      };
    });
  }
}
