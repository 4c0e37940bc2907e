// `bun src/cli.ts` with auto_tls, as a user starts it, beside a Pebble that comes to its ports: a listener of http, one of
// http2, and a storage that outlives the process. Called by end-to-end tests.

import type { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";

import { type ProxyProcess, startWith } from "../commands/proxy-process.ts";
import { freePort } from "./daemon.ts";
import type { Pebble, PebbleOptions } from "./pebble.ts";
import { until, within } from "./until.ts";

/** Where the authority comes to, known before either is started. */
export interface Ports {
  readonly httpPort: number;
  readonly tlsPort: number;
}

/** Ports of a proxy, as options of Pebble. */
export async function challengePorts(): Promise<Ports & PebbleOptions> {
  return { httpPort: await freePort(), tlsPort: await freePort() };
}

export interface AutoTlsOptions extends Ports {
  /** For the configuration and, unless it is named, the storage. */
  readonly folder: string;
  readonly storage?: string;
  readonly authorities: readonly Pebble[];
  /** As in `domains`: a list is one certificate. */
  readonly domains: readonly (string | readonly string[])[];
  readonly challenge?: string;
  /** Lines of YAML below `auto_tls`. */
  readonly more?: readonly string[];
  /** Default: a port where nobody is. */
  readonly target?: string;
  /** The listener over TLS, if it is not where the authority comes to. */
  readonly listenPort?: number;
  /** A program that starts it. */
  readonly by?: readonly string[];
  readonly flags?: readonly string[];
}

export class AutoTlsProxy implements AsyncDisposable {
  readonly process: ProxyProcess;
  readonly port: number;

  private constructor(process: ProxyProcess, port: number) {
    this.process = process;
    this.port = port;
  }

  /** Writes its configuration. @returns the file. */
  static configure(options: AutoTlsOptions): string {
    const { folder, storage = join(folder, "storage"), httpPort, tlsPort, target } = options;
    const authorities = options.authorities.map(({ directory, caFile }) => {
      return `{ url: "${directory}", root_file: "${caFile}" }`;
    });
    const { domains, challenge = "auto" } = options;
    const port = options.listenPort ?? tlsPort;
    const to = `target: "${target ?? "127.0.0.1:1"}"`;
    const lines = [
      "workers: 2",
      "shutdown_timeout: 5s",
      "auto_tls:",
      "  agree_terms: true",
      "  email: somebody@example.com",
      `  ca: [${authorities.join(", ")}]`,
      ...(domains.length === 0 ? [] : [`  domains: ${JSON.stringify(domains)}`]),
      `  challenge: ${challenge}`,
      `  storage: "${storage}"`,
      ...(challenge === "tls-alpn-01" ? [] : [`  http_port: ${httpPort}`]),
      ...(challenge === "http-01" ? [] : [`  tls_port: ${tlsPort}`]),
      ...(options.more ?? []).map((line) => `  ${line}`),
      "protocols:",
      `  - { name: http, listen: "127.0.0.1:${httpPort}", ${to} }`,
      `  - { name: http2, listen: "127.0.0.1:${port}", ${to} }`,
    ];
    mkdirSync(folder, { recursive: true });
    const file = join(folder, "proxy.yaml");
    writeFileSync(file, `${lines.join("\n")}\n`);
    return file;
  }

  /** Started when its listeners are open, which does not wait for any certificate. */
  static async start(options: AutoTlsOptions): Promise<AutoTlsProxy> {
    const started = AutoTlsProxy.spawn(options);
    await started.process.line(/"msg":"started"/);
    return started;
  }

  static spawn(options: AutoTlsOptions): AutoTlsProxy {
    const file = AutoTlsProxy.configure(options);
    const flags = ["-config", file, "-log-format", "json", ...(options.flags ?? [])];
    const child = startWith(options.by === undefined ? {} : { by: options.by }, ...flags);
    return new AutoTlsProxy(child, options.listenPort ?? options.tlsPort);
  }

  /** What a client that asks for this name is shown. */
  shown(name: string): Promise<X509Certificate> {
    return shownAt(this.port, name);
  }

  /** Resolves when a certificate of an authority is shown for it. */
  async obtained(name: string, timeoutMs = 20_000): Promise<X509Certificate> {
    let shown: X509Certificate | undefined;
    const what = `a certificate for ${name}`;
    const isReal = async (): Promise<boolean> => !isStandIn((shown = await this.shown(name)));
    await until(what, isReal, timeoutMs);
    return shown!;
  }

  /** Ends it in order. @returns what it has logged. */
  async stop(): Promise<string> {
    this.process.kill("SIGTERM");
    return (await within("the proxy stops", this.process.outcome, 15_000)).stderr;
  }

  /** As a crash of the machine would. */
  async crash(): Promise<string> {
    this.process.kill("SIGKILL");
    return (await within("the proxy is killed", this.process.outcome)).stderr;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.outcome;
  }
}

export async function shownAt(port: number, name: string): Promise<X509Certificate> {
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername: name,
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
  });
  try {
    await within(`the handshake for ${name}`, once(socket, "secureConnect"));
    return socket.getPeerX509Certificate()!;
  } finally {
    socket.destroy();
  }
}

export function isStandIn({ subject }: X509Certificate): boolean {
  return subject.includes("not obtained yet");
}

/** How many certificates an authority has issued. */
export function issuedBy(pebble: Pebble): number {
  return pebble.log().match(/Issued certificate serial/g)?.length ?? 0;
}
