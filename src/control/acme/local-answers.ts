// Challenges that this process answers by itself, without a proxy's workers: by servers that ask here what to answer (the
// library's), or by listeners that are opened for as long as an authority may come. Called by the library.
//
// Invariant: a listener of ours is open only while a challenge is pending.

import { createServer, type Server as HttpServer } from "node:http";
import { isIP, type Server } from "node:net";
import { createSecureContext, createServer as createTlsServer, type SecureContext } from "node:tls";

import type { ChallengeType } from "../../shared/auto-tls-plan.ts";
import { ACME_TLS_1, HTTP_01_PATH } from "../../shared/challenges.ts";
import { errnoOf, ProxyError } from "../../shared/errors.ts";
import type { ChallengeTask, Solver } from "./solver.ts";

type Local = Exclude<ChallengeType, "dns-01">;

export class LocalAnswers {
  /** Servers of somebody else answer these with what is asked here: no listener is opened. */
  readonly mounted = new Set<Local>();
  readonly #keyAuthorizations = new Map<string, string>();
  readonly #contexts = new Map<string, SecureContext>();
  readonly #http: ShortListener;
  readonly #tls: ShortListener;

  /** Where the authority comes to. */
  constructor({ httpPort, tlsPort }: { readonly httpPort: number; readonly tlsPort: number }) {
    this.#http = new ShortListener("http-01", httpPort, () => this.#httpServer());
    this.#tls = new ShortListener("tls-alpn-01", tlsPort, () => this.#tlsServer());
  }

  /** @param path of a request. @returns null: it is no challenge that is pending (RFC 8555 section 8.3). */
  http01(path: string): string | null {
    if (!path.startsWith(HTTP_01_PATH)) return null;
    return this.#keyAuthorizations.get(path.slice(HTTP_01_PATH.length)) ?? null;
  }

  /** What a handshake of acme-tls/1 is shown; null: none is pending for this name (RFC 8737). */
  tlsAlpn01(serverName: string): SecureContext | null {
    return this.#contexts.get(serverName.toLowerCase()) ?? null;
  }

  solver(type: Local): Solver {
    return type === "http-01"
      ? {
          type,
          unfit: (name) => unfitWildcard(name, type),
          present: (task) => this.#presentHttp(task),
          withdraw: (task) => this.#withdrawHttp(task),
        }
      : {
          type,
          unfit: (name) => unfitWildcard(name, type) ?? unfitAddress(name),
          present: (task) => this.#presentTls(task),
          withdraw: (task) => this.#withdrawTls(task),
        };
  }

  async #presentHttp({ token, keyAuthorization }: ChallengeTask): Promise<void> {
    this.#keyAuthorizations.set(token, keyAuthorization);
    if (!this.mounted.has("http-01")) await this.#http.open();
  }

  async #withdrawHttp({ token }: ChallengeTask): Promise<void> {
    this.#keyAuthorizations.delete(token);
    if (this.#keyAuthorizations.size === 0) await this.#http.close();
  }

  async #presentTls({ domain, keyAuthorization }: ChallengeTask): Promise<void> {
    // Loaded when it is needed first, as by the issuer.
    const { crypto } = require("acme-client") as typeof import("acme-client");
    const authorization = { identifier: { type: "dns", value: domain } };
    type Authorization = Parameters<typeof crypto.createAlpnCertificate>[0];
    const [key, cert] = await crypto.createAlpnCertificate(
      authorization as Authorization,
      keyAuthorization,
    );
    this.#contexts.set(domain, createSecureContext({ key, cert }));
    if (!this.mounted.has("tls-alpn-01")) await this.#tls.open();
  }

  async #withdrawTls({ domain }: ChallengeTask): Promise<void> {
    this.#contexts.delete(domain);
    if (this.#contexts.size === 0) await this.#tls.close();
  }

  #httpServer(): HttpServer {
    return createServer((request, response) => {
      const answer = this.http01(request.url ?? "");
      response.writeHead(answer === null ? 404 : 200, {
        "content-type": "application/octet-stream",
        connection: "close",
      });
      response.end(answer ?? "");
    });
  }

  #tlsServer(): Server {
    const SNICallback = (
      name: string,
      done: (error: Error | null, context?: SecureContext) => void,
    ): void => {
      const context = this.tlsAlpn01(name);
      if (context === null)
        done(new ProxyError("ERR_STATE", `no challenge is pending for ${name}`));
      else done(null, context);
    };
    const server = createTlsServer({ ALPNProtocols: [ACME_TLS_1], SNICallback }, (socket) => {
      socket.on("error", () => socket.destroy());
      socket.end(); // all that matters was in the handshake
    });
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  }
}

/** A listener that opens for the first who needs it, and is closed with the last. */
class ShortListener {
  readonly #type: Local;
  readonly #port: number;
  readonly #create: () => Server;
  #opening: Promise<Server> | null = null;

  constructor(type: Local, port: number, create: () => Server) {
    this.#type = type;
    this.#port = port;
    this.#create = create;
  }

  /** @throws ProxyError ERR_CHALLENGE */
  async open(): Promise<void> {
    this.#opening ??= this.#open();
    try {
      await this.#opening;
    } catch (cause) {
      this.#opening = null;
      const errno = errnoOf(cause);
      const why = errno === "EADDRINUSE" ? "it is in use" : errno;
      const cure =
        errno === "EADDRINUSE"
          ? "Let the program that has it pass the authority's requests on, or choose another challenge"
          : "Start with the right to open it, or choose another challenge";
      const problem = `port ${this.#port}, where ${this.#type} is answered, cannot be opened: ${why}`;
      throw new ProxyError("ERR_CHALLENGE", problem, { cause, cure });
    }
  }

  #open(): Promise<Server> {
    const { promise, resolve, reject } = Promise.withResolvers<Server>();
    const server = this.#create();
    server.once("error", reject);
    server.listen(this.#port, () => resolve(server));
    return promise;
  }

  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = null;
    const server = await opening?.catch(() => undefined);
    server?.close();
  }
}

function unfitWildcard(name: string, type: Local): string | null {
  return name.startsWith("*.")
    ? `${name} is a wildcard, which ${type} cannot prove. Use dns-01`
    : null;
}

function unfitAddress(name: string): string | null {
  return isIP(name) === 0 ? null : `${name} is an address. Use http-01`;
}
