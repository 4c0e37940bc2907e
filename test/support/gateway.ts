// The whole gateway as a user starts it, from a configuration file, with a certificate of its own: `http` in clear, and `http2`
// or `http3` over TLS. Behind it nginx, Caddy and Node, by the first part of a request's path. For end-to-end tests.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type ProxyProcess, startProxy } from "../commands/proxy-process.ts";
import { Daemon, freePort, run, temporaryFolder } from "./daemon.ts";
import { startNginx } from "./nginx.ts";
import { program } from "./programs.ts";
import { within } from "./until.ts";

/** ECDSA on P-256 for localhost and 127.0.0.1, signed by itself. */
export async function writeCertificate(
  certFile: string,
  keyFile: string,
  commonName = "localhost",
): Promise<void> {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = [
    "-subj",
    `/CN=${commonName}`,
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
  ];
  const files = ["-keyout", keyFile, "-out", certFile];
  await run([program("openssl"), "req", "-x509", ...curve, ...names, "-days", "2", ...files]);
}

/** Keys of a listener besides its name and where it listens. */
export type ListenerKeys = Readonly<Record<string, unknown>>;

export interface GatewayOptions {
  /** Keys of the file besides the listeners. */
  readonly file?: Readonly<Record<string, unknown>>;
  /** It may log warnings: its peers misbehave. */
  readonly complains?: boolean;
  /** The listener over TLS is `http3`, with these keys besides. */
  readonly http3?: ListenerKeys;
}

export class Gateway implements AsyncDisposable {
  /** In clear. */
  readonly port: number;
  readonly tlsPort: number;
  readonly folder: string;
  readonly #process: ProxyProcess;
  readonly #complains: boolean;

  private constructor(
    process: ProxyProcess,
    folder: string,
    [port, tlsPort]: readonly [number, number],
    complains: boolean,
  ) {
    this.#process = process;
    this.folder = folder;
    this.port = port;
    this.tlsPort = tlsPort;
    this.#complains = complains;
  }

  /** @param keys of both listeners: target, routes, limits. */
  static async start(keys: ListenerKeys, options: GatewayOptions = {}): Promise<Gateway> {
    const folder = temporaryFolder();
    const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    await writeCertificate(certFile, keyFile);
    const ports = [await freePort(), await freePort()] as const;
    const listen = (port: number): string => `127.0.0.1:${port}`;
    const { http3 } = options;
    const overTls = {
      name: http3 === undefined ? "http2" : "http3",
      listen: listen(ports[1]),
      ...keys,
      ...http3,
    };
    const config = {
      version: "1.0",
      workers: 1,
      tls: { cert_file: certFile, key_file: keyFile },
      ...options.file,
      protocols: [{ name: "http", listen: listen(ports[0]), ...keys }, overTls],
    };
    const file = join(folder, "proxy.yaml");
    writeFileSync(file, JSON.stringify(config)); // which is YAML
    const child = startProxy("-config", file, "-log-format", "json");
    const gateway = new Gateway(child, folder, ports, options.complains ?? false);
    await child.line(/"msg":"started"/);
    return gateway;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get certFile(): string {
    return join(this.folder, "cert.pem");
  }

  get keyFile(): string {
    return join(this.folder, "key.pem");
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  line(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#process.line(pattern);
  }

  /** Of itself, after a signal of the test: another one that comes at its very end would be what ended it. */
  async ended(): Promise<void> {
    await within("the proxy stops", this.#process.outcome, 40_000);
  }

  /** At once. @returns what it said. */
  async end(): Promise<string> {
    this.#process.kill("SIGKILL");
    const { stderr } = await this.#process.outcome;
    rmSync(this.folder, { recursive: true, force: true });
    return stderr;
  }

  /** @throws Error if the proxy does not end in order, or complained on the way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    const { code, stderr } = await within("the proxy stops", this.#process.outcome, 40_000);
    rmSync(this.folder, { recursive: true, force: true });
    const complaint = this.#complains ? /"level":"error"/ : /"level":"(warn|error)"/;
    if (code !== 0 || complaint.test(stderr)) {
      throw new Error(`the proxy ended with code ${code}:\n${stderr}`);
    }
  }
}

function startNode(): Promise<Daemon> {
  const script = Bun.fileURLToPath(new URL("./node-backend.mjs", import.meta.url));
  return Daemon.start((_folder, port) => [program("node"), script, String(port)]);
}

/** Caddy serves the same files as nginx. */
export function startCaddy(files: Readonly<Record<string, string | Uint8Array>>): Promise<Daemon> {
  return Daemon.start((folder, port) => {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const options = "admin off\n auto_https off\n log {\n level ERROR\n }";
    const site = `bind 127.0.0.1\n root * ${folder}\n file_server`;
    writeFileSync(join(folder, "Caddyfile"), `{\n ${options}\n}\nhttp://:${port} {\n ${site}\n}\n`);
    const home = ["env", `HOME=${folder}`, `XDG_DATA_HOME=${folder}`, `XDG_CONFIG_HOME=${folder}`];
    return [...home, program("caddy"), "run", "--config", join(folder, "Caddyfile")];
  });
}

export const SMALL = "Hello from a file of the backend.\n";

/** What tests with `Stage` need. */
export const STAGE_PROGRAMS = ["nginx", "caddy", "node", "openssl"] as const;

export interface StageOptions extends GatewayOptions {
  /** Served by nginx and Caddy, beside `small`. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Of both listeners. */
  readonly keys?: ListenerKeys;
}

/**
 * The gateway, and behind it `/nginx/*` and `/caddy/*` with files, and `/node/*` with node-backend.mjs.
 * @throws Error with what the proxy said, if `use` throws.
 */
export async function withStage(
  { files = {}, keys = {}, ...options }: StageOptions,
  use: (gateway: Gateway) => Promise<void>,
): Promise<void> {
  const all = { small: SMALL, ...files };
  await using nginx = await startNginx(all);
  await using caddy = await startCaddy(all);
  await using node = await startNode();
  const routes = [
    { match: { path: "/nginx/*" }, rewrite: { strip_prefix: "/nginx" }, target: nginx.address },
    { match: { path: "/caddy/*" }, rewrite: { strip_prefix: "/caddy" }, target: caddy.address },
    { match: { path: "/node/*" }, target: node.address },
  ];
  await withGateway({ routes, ...keys }, options, use);
}

/** @throws Error with what the proxy said, if `use` throws. */
export async function withGateway(
  keys: ListenerKeys,
  options: GatewayOptions,
  use: (gateway: Gateway) => Promise<void>,
): Promise<void> {
  const gateway = await Gateway.start(keys, options);
  try {
    await use(gateway);
  } catch (error) {
    const said = await gateway.end();
    throw new Error(`${(error as Error).message}\nThe proxy said:\n${said}`, { cause: error });
  }
  await gateway[Symbol.asyncDispose]();
}
