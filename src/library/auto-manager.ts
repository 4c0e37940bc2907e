// Certificates that are obtained and renewed, for servers of the user's own: node:tls, node:http2, node:http and Bun.serve. What
// it is told is compiled as `auto_tls` is; the work is the proxy's own manager's.

import type { IncomingMessage, ServerResponse } from "node:http";
import { createSecureContext, type SecureContext } from "node:tls";

import { Dns01Solver, logDns01Steps } from "../control/acme/dns-01.ts";
import { Http01Solver } from "../control/acme/http-01.ts";
import { type Issuer, REVOCATION_REASONS } from "../control/acme/issuer.ts";
import { composeIssuers } from "../control/acme/issuers.ts";
import { CertificateManager } from "../control/acme/manager.ts";
import type { Solver } from "../control/acme/solver.ts";
import type { CertificateStatus } from "../control/acme/status.ts";
import { CertificateStorage } from "../control/acme/storage.ts";
import { TlsAlpn01Solver } from "../control/acme/tls-alpn-01.ts";
import type { DnsProvider } from "../control/dns/provider.ts";
import type { AutoTlsPlan, ChallengeType } from "../shared/auto-tls-plan.ts";
import { parseCertificateName } from "../shared/certificate-names.ts";
import type { CertificateMaterial } from "../shared/certificates.ts";
import { ACME_TLS_1 } from "../shared/challenges.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import { type Log, silentLog } from "../shared/log.ts";
import type { Secret } from "../shared/secret.ts";
import { type AutoManagerConfig, compileAutoManager } from "./auto-manager-config.ts";
import { MountedServers } from "./mounted-servers.ts";

/** A certificate as it is shown. */
export interface AutoCertificate {
  /** PEM: the certificate, then its intermediates. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly names: readonly string[];
}

/** For `tls.createServer` and `http2.createSecureServer`. */
export interface AutoTlsOptions {
  readonly ALPNProtocols: string[];
  readonly SNICallback: (
    serverName: string,
    done: (error: Error | null, context?: SecureContext) => void,
  ) => void;
}

type Domains = readonly (string | readonly string[])[];

/**
 * Obtains certificates, keeps them in a folder and renews them, for as long as it is not closed.
 *
 *     const manager = new AutoManager({ email: "admin@example.com", agreeTerms: true });
 *     await manager.addDomains("example.com", "www.example.com");
 *     tls.createServer(manager.tlsOptions(), serve).listen(443);
 *     http.createServer(manager.httpHandler()).listen(80);
 */
export class AutoManager implements AsyncDisposable {
  #config: AutoManagerConfig;
  #plan: AutoTlsPlan;
  /** As they were given: an entry is one certificate. */
  #domains: (readonly string[])[] = [];
  readonly #log: Log;
  readonly #storage: CertificateStorage;
  readonly #manager: CertificateManager;
  readonly #servers = new MountedServers();
  #issuersFor: (names: readonly string[]) => readonly Issuer[];
  #started: Promise<void> | null = null;
  /** Names that come: whoever asks for one waits until it is kept. */
  #adding: Promise<unknown> = Promise.resolve();
  #closed = false;
  readonly #contexts = new WeakMap<CertificateMaterial<Secret>, SecureContext>();
  readonly #listeners = new Set<() => void>();

  /**
   * Nothing is asked before `addDomains`, unless the configuration has domains.
   * @throws ProxyError `ERR_USAGE` with a line for each mistake.
   */
  constructor(config: AutoManagerConfig = {}) {
    this.#config = { ...config };
    this.#log = config.log ?? silentLog;
    this.#plan = compileAutoManager(this.#config, config.domains ?? []);
    this.#storage = new CertificateStorage(this.#plan.storage);
    this.#issuersFor = this.#composeIssuers();
    this.#manager = new CertificateManager({
      storage: this.#storage,
      keyType: this.#plan.keyType,
      issuersFor: (names) => this.#issuersFor(names),
      solvers: this.#plan.challenges.map((type) => this.#solver(type)),
      log: this.#log,
      changed: () => this.#changed(),
    });
    if (config.domains === undefined) return;
    this.#domains = [...this.#plan.certificates];
    this.#start().catch((error: unknown) => {
      this.#log.error({ error: messageOf(error) }, "certificates cannot be kept");
    });
  }

  /** Every name, in the order in which it was added. */
  get domains(): readonly string[] {
    return this.#domains.flat();
  }

  /**
   * Keeps certificates for these names as well: those of the folder at once, and what is missing is ordered. It does not wait
   * for the authority; `getCertificate` does.
   * @param domains each gets a certificate of its own; a list is one certificate with all of its names.
   * @throws ProxyError `ERR_USAGE` for what is no name, or a name that nobody would sign.
   */
  async addDomains(...domains: Domains): Promise<void> {
    this.#throwIfClosed();
    const known = new Set(this.#domains.map(String));
    const wanted = domains.flatMap(
      (entry) => compileAutoManager(this.#config, [entry]).certificates,
    );
    const all = [...this.#domains, ...wanted.filter((names) => !known.has(String(names)))];
    this.#plan = compileAutoManager(this.#config, all);
    this.#domains = [...this.#plan.certificates];
    const added = this.#start().then(() => this.#manager.addDomains(this.#domains));
    this.#adding = Promise.allSettled([this.#adding, added]);
    await added;
  }

  /** Keeps them no more. The folder still has their certificates. */
  removeDomains(...domains: readonly string[]): void {
    const gone = new Set(domains.map(parseCertificateName));
    const [kept, removed] = [false, true].map((wanted) =>
      this.#domains.filter((names) => names.some((name) => gone.has(name)) === wanted),
    );
    this.#domains = kept!;
    this.#manager.removeDomains(removed!.map(([first]) => first!));
  }

  /**
   * For servers of node:tls and node:http2: the certificate by the name that a client asks for; a handshake for a name whose
   * certificate is on its way waits for it. Clients that name none are refused. TLS-ALPN-01 is answered by such a server: while
   * an authority may come, a few seconds, whoever asks for that name is shown the answer.
   * @param alpn what else is agreed upon. Default `http/1.1`.
   */
  tlsOptions(alpn: readonly string[] = ["http/1.1"]): AutoTlsOptions {
    this.#servers.mount(this.#plan.tlsPort);
    return {
      ALPNProtocols: [...alpn, ACME_TLS_1],
      SNICallback: (serverName, done) => void this.#show(serverName, done),
    };
  }

  /**
   * For `Bun.serve({ tls })`, which takes certificates only when it starts: those that are there now. `onChange` tells when they
   * are others.
   */
  bunTls(): { cert: string; key: string; serverName: string }[] {
    return this.#manager.materials().flatMap((material) => {
      const { cert, key } = certificateOf(material);
      return material.names.map((serverName) => ({ cert, key, serverName }));
    });
  }

  /** @returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * For a server of node:http on port 80: answers HTTP-01, and has `fallback` answer the rest. Without a server that has it,
   * the port is opened for as long as an order takes.
   * @param fallback default: a redirect to https.
   */
  httpHandler(
    fallback: (request: IncomingMessage, response: ServerResponse) => void = redirectToHttps,
  ): (request: IncomingMessage, response: ServerResponse) => void {
    this.#servers.mount(this.#plan.httpPort);
    return (request, response) => {
      const answer = this.#servers.http01(request.url ?? "");
      if (answer === null) return fallback(request, response);
      response.writeHead(200, { "content-type": "application/octet-stream" });
      response.end(answer);
    };
  }

  /** The same for `Bun.serve({ fetch })`. @param fallback default: a redirect to https. */
  fetchHandler(
    fallback: (request: Request) => Response | Promise<Response> = redirectedToHttps,
  ): (request: Request) => Response | Promise<Response> {
    this.#servers.mount(this.#plan.httpPort);
    return (request) => {
      const answer = this.#servers.http01(new URL(request.url).pathname);
      if (answer === null) return fallback(request);
      return new Response(answer, { headers: { "content-type": "application/octet-stream" } });
    };
  }

  /**
   * The certificate that is shown for a name; if there is none yet, it waits for the attempt that is next or under way.
   * @throws ProxyError `ERR_STATE` if the name is not among `domains`; what went wrong with the attempt.
   */
  async getCertificate(name: string): Promise<AutoCertificate> {
    return certificateOf(await this.#materialFor(name));
  }

  /**
   * Renews what is due, and waits for it.
   * @param options.force also what is not due: authorities count, and refuse after a few.
   * @throws ProxyError of the first that failed, when all have ended.
   */
  async renewAll({ force = false }: { readonly force?: boolean } = {}): Promise<void> {
    await this.#start();
    await this.#manager.renew(null, force);
  }

  /**
   * Revokes a certificate, and orders another at once, until when the revoked one is shown.
   * @throws ProxyError `ERR_STATE` if there is none; `ERR_ISSUE`; `ERR_STORAGE`.
   */
  async revoke(
    name: string,
    reason: keyof typeof REVOCATION_REASONS = "unspecified",
  ): Promise<void> {
    await this.#start();
    await this.#manager.revoke(parseCertificateName(name), REVOCATION_REASONS[reason]);
  }

  /** How each certificate stands, by its names. */
  cacheStatus(): Record<string, CertificateStatus> {
    const all = this.#manager.status();
    return Object.fromEntries(all.flatMap((each) => each.names.map((name) => [name, each])));
  }

  /** From now on, of Let's Encrypt's test environment. What is there stays until it is renewed. */
  useStaging(): this {
    return this.#use("letsencrypt-staging");
  }

  /** From now on, of Let's Encrypt. */
  useProduction(): this {
    return this.#use("letsencrypt");
  }

  /** From now on, of ZeroSSL. @throws ProxyError `ERR_USAGE` without an e-mail address. */
  useZeroSSL(): this {
    return this.#use("zerossl");
  }

  /** Orders end; certificates stay in the folder. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#manager.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #use(ca: string): this {
    const config = { ...this.#config, ca: [ca, "internal"] };
    this.#plan = compileAutoManager(config, this.#domains);
    this.#config = config;
    this.#issuersFor = this.#composeIssuers();
    if (this.#started === null) return this;
    // Whoever is kept has the authorities of its beginning.
    this.#manager.removeDomains(this.#domains.map(([first]) => first!));
    const added = this.#manager.addDomains(this.#domains).catch((error: unknown) => {
      this.#log.error({ error: messageOf(error) }, "certificates cannot be kept");
    });
    this.#adding = Promise.allSettled([this.#adding, added]);
    return this;
  }

  #composeIssuers(): (names: readonly string[]) => readonly Issuer[] {
    // Whatever name is added later: authorities that nothing is asked of yet are there all the same.
    const plan = compileAutoManager(this.#config, []);
    return composeIssuers(plan, this.#storage, this.#log);
  }

  #solver(type: ChallengeType): Solver {
    const { httpPort, tlsPort, dns: plan } = this.#plan;
    if (type === "http-01") return new Http01Solver(this.#servers, httpPort);
    if (type === "tls-alpn-01") return new TlsAlpn01Solver(this.#servers, tlsPort);
    const { dnsProvider } = this.#config;
    const tell = logDns01Steps(this.#log);
    if (typeof dnsProvider !== "object") return new Dns01Solver({ plan, tell });
    return new Dns01Solver({ plan, tell, makeProvider: async () => dnsProvider as DnsProvider });
  }

  #start(): Promise<void> {
    this.#throwIfClosed();
    this.#started ??= this.#manager.load(this.#domains).then(() => this.#manager.start());
    return this.#started;
  }

  #throwIfClosed(): void {
    if (this.#closed) throw new ProxyError("ERR_STATE", "the manager was closed");
  }

  async #materialFor(written: string): Promise<CertificateMaterial<Secret>> {
    const name = parseCertificateName(written);
    await this.#start();
    await this.#adding;
    const found = this.#manager.materialFor(name);
    if (found !== null) return found;
    const names = this.#domains.find((each) =>
      each.some((own) => own === name || own === wildcardOf(name)),
    );
    if (names === undefined) {
      throw new ProxyError("ERR_STATE", `${name} is not among the names of this manager`, {
        cure: `Call addDomains("${name}") first`,
      });
    }
    await this.#manager.obtain(names[0]!, async () => {
      throw new ProxyError("ERR_STATE", `${name} was removed meanwhile`);
    });
    return this.#materialFor(name);
  }

  async #show(
    serverName: string,
    done: Parameters<AutoTlsOptions["SNICallback"]>[1],
  ): Promise<void> {
    let context: SecureContext;
    try {
      context = await this.#contextFor(serverName);
    } catch (error) {
      return done(error as Error);
    }
    done(null, context);
  }

  async #contextFor(serverName: string): Promise<SecureContext> {
    const answer = this.#servers.tlsAlpn01(serverName);
    if (answer !== null) return answer;
    const material = await this.#materialFor(serverName);
    const known = this.#contexts.get(material);
    if (known !== undefined) return known;
    const context = createSecureContext(certificateOf(material));
    this.#contexts.set(material, context);
    return context;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

const wildcardOf = (name: string): string => `*${name.slice(name.indexOf("."))}`;

function certificateOf({ chain, key, names }: CertificateMaterial<Secret>): AutoCertificate {
  return { cert: chain, key: Buffer.from(key.reveal()).toString(), names };
}

function redirectToHttps(request: IncomingMessage, response: ServerResponse): void {
  const host = request.headers.host?.replace(/:\d+$/, "") ?? "";
  if (host === "" || !["GET", "HEAD"].includes(request.method ?? "")) {
    response.writeHead(400).end();
    return;
  }
  response.writeHead(308, { location: `https://${host}${request.url ?? "/"}` }).end();
}

function redirectedToHttps({ url, method }: Request): Response {
  if (!["GET", "HEAD"].includes(method)) return new Response(null, { status: 400 });
  const { hostname, pathname, search } = new URL(url);
  return Response.redirect(`https://${hostname}${pathname}${search}`, 308);
}

/** A manager of Let's Encrypt, whose terms it agrees to. */
export function defaultAutoManager(email: string): AutoManager {
  return new AutoManager({ email, agreeTerms: true });
}

/** The same, with names to begin with. @throws ProxyError `ERR_USAGE` */
export async function quickSetup(email: string, ...domains: string[]): Promise<AutoManager> {
  const manager = defaultAutoManager(email);
  await manager.addDomains(...domains);
  return manager;
}
