// pebble-challtestsrv: an HTTP server, a TLS server and a DNS server that answer challenges as they are told, for names that need
// not exist: everything is at 127.0.0.1. And solvers that tell it, for tests of what is before and behind a solver.

import { createHash } from "node:crypto";

import type { ChallengeTask, Solver } from "../../src/control/acme/solver.ts";
import type { ChallengeType } from "../../src/shared/auto-tls-plan.ts";
import { Daemon, freePort } from "./daemon.ts";
import { program } from "./programs.ts";

/** What a server of challenges is told, from any process. */
export class ChallengeAnswers {
  /** Of its management interface. */
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** What an HTTP-01 request of this token gets (RFC 8555 section 8.3). */
  addHttp01(token: string, content: string): Promise<void> {
    return this.tell("add-http01", { token, content });
  }

  removeHttp01(token: string): Promise<void> {
    return this.tell("del-http01", { token });
  }

  /** What a TLS-ALPN-01 handshake for this name shows (RFC 8737). */
  addTlsAlpn01(host: string, content: string): Promise<void> {
    return this.tell("add-tlsalpn01", { host, content });
  }

  removeTlsAlpn01(host: string): Promise<void> {
    return this.tell("del-tlsalpn01", { host });
  }

  /** One more value of a TXT record. @param name without the last dot. */
  addTxt(name: string, value: string): Promise<void> {
    return this.tell("set-txt", { host: `${name}.`, value });
  }

  /** All values of a name. */
  removeTxt(name: string): Promise<void> {
    return this.tell("clear-txt", { host: `${name}.` });
  }

  /** Any request of its management interface: set-default-ipv4, add-caa, set-servfail, add-a. */
  async tell(command: string, body: Readonly<Record<string, unknown>>): Promise<void> {
    const answer = await fetch(`${this.url}/${command}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${command}: ${answer.status} ${await answer.text()}`);
  }
}

export class ChallengeServer extends ChallengeAnswers implements AsyncDisposable {
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly dnsPort: number;
  readonly #daemon: Daemon;

  private constructor(daemon: Daemon, httpPort: number, tlsPort: number, dnsPort: number) {
    super(`http://${daemon.address}`);
    this.#daemon = daemon;
    this.httpPort = httpPort;
    this.tlsPort = tlsPort;
    this.dnsPort = dnsPort;
  }

  static async start(): Promise<ChallengeServer> {
    const [http, tls, dns] = [await freePort(), await freePort(), await freePort()];
    const at = (port: number): string => `127.0.0.1:${port}`;
    const daemon = await Daemon.start((_folder, management) => [
      program("pebble-challtestsrv"),
      `-management=${at(management)}`,
      `-http01=${at(http)}`,
      "-https01=",
      `-tlsalpn01=${at(tls)}`,
      `-dns01=${at(dns)}`,
      "-defaultIPv6=",
    ]);
    return new ChallengeServer(daemon, http, tls, dns);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#daemon[Symbol.asyncDispose]();
  }
}

/** A solver that answers through the server, and notes what is presented and not yet withdrawn. */
export class ServedSolver implements Solver {
  readonly type: ChallengeType;
  /** What the CA finds instead of the right answer; null: nothing. */
  wrong: string | null = null;
  /** Domains of all that was presented, in order. */
  readonly presented: string[] = [];
  /** `domain token` of what is there now. */
  readonly there = new Set<string>();
  readonly #server: ChallengeAnswers;

  constructor(server: ChallengeAnswers, type: ChallengeType) {
    this.#server = server;
    this.type = type;
  }

  unfit(name: string): string | null {
    if (this.type === "dns-01" || !name.startsWith("*.")) return null;
    return "a wildcard is proven by DNS alone";
  }

  async present(task: ChallengeTask): Promise<void> {
    const { domain, token } = task;
    this.presented.push(domain);
    this.there.add(`${domain} ${token}`);
    const answer = this.wrong ?? task.keyAuthorization;
    if (this.type === "http-01") await this.#server.addHttp01(token, answer);
    if (this.type === "tls-alpn-01") await this.#server.addTlsAlpn01(domain, answer);
    const digest = createHash("sha256").update(answer).digest("base64url");
    if (this.type === "dns-01") await this.#server.addTxt(`_acme-challenge.${domain}`, digest);
  }

  async withdraw({ domain, token }: ChallengeTask): Promise<void> {
    if (!this.there.delete(`${domain} ${token}`)) throw new Error(`${domain}: withdrawn twice`);
    if (this.type === "http-01") await this.#server.removeHttp01(token);
    if (this.type === "tls-alpn-01") await this.#server.removeTlsAlpn01(domain);
    // All values go at once: those of a wildcard and its parent are at one name.
    const others = [...this.there].some((each) => each.startsWith(`${domain} `));
    if (this.type === "dns-01" && !others) {
      await this.#server.removeTxt(`_acme-challenge.${domain}`);
    }
  }
}
