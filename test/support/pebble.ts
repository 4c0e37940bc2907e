// Pebble, the small authority of Let's Encrypt, with a server of challenges beside it: it speaks ACME as RFC 8555 has it, forgets
// everything when it ends, and rejects nonces at will. Its roots and what it revoked are read from its management interface.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { AuthorityPlan } from "../../src/shared/auto-tls-plan.ts";
import { Authority } from "./certificates.ts";
import { ChallengeServer } from "./challenge-server.ts";
import { Daemon, freePort } from "./daemon.ts";
import { program } from "./programs.ts";

/** For `testWith` of programs.ts. */
export const PEBBLE_PROGRAMS = ["pebble", "pebble-challtestsrv", "openssl"] as const;

/** It makes an RSA key for each root and intermediate first, which takes as long as chance will have it. */
const START_MS = 60_000;

export interface PebbleOptions {
  /** Of good nonces, how many of a hundred are rejected. Default: 5, as Pebble's own. */
  nonceReject?: number;
  /** Of valid authorisations, how many of a hundred are used again. Default: 0. */
  authzReuse?: number;
  /** Accounts need an external binding with one of these: key id to base64url. Default: they need none. */
  eab?: Readonly<Record<string, string>>;
  /** Chains offered besides the first. Default: 0. */
  alternateRoots?: number;
  /** Intermediates of a chain. Default: 1. */
  chainLength?: number;
  /** Where it comes to for http-01 and tls-alpn-01, on 127.0.0.1. Default: the server of challenges. */
  httpPort?: number;
  tlsPort?: number;
  /** `127.0.0.1:53`. Default: the server of challenges. */
  dnsServer?: string;
  /** A challenge is looked at only after up to so many seconds. Default: at once. */
  sleepSeconds?: number;
  /** Of certificates. Default: five years. */
  validitySeconds?: number;
}

export class Pebble implements AsyncDisposable {
  readonly challenges: ChallengeServer;
  /** Signed the certificate of its directory. */
  readonly #authority: Authority;
  readonly #daemon: Daemon;
  readonly #management: string;

  private constructor(
    daemon: Daemon,
    management: number,
    challenges: ChallengeServer,
    authority: Authority,
  ) {
    this.#daemon = daemon;
    this.#management = `https://127.0.0.1:${management}`;
    this.challenges = challenges;
    this.#authority = authority;
  }

  static async start(options: PebbleOptions = {}): Promise<Pebble> {
    const challenges = await ChallengeServer.start();
    const authority = new Authority();
    const management = await freePort();
    try {
      const command = (folder: string, port: number): string[] => {
        const config = join(folder, "pebble.json");
        const settings = configuration(port, management, challenges, authority, options);
        writeFileSync(config, JSON.stringify(settings));
        const dns = options.dnsServer ?? `127.0.0.1:${challenges.dnsPort}`;
        const flags = ["-config", config, "-dnsserver", dns];
        return ["env", ...environment(options), program("pebble"), ...flags];
      };
      const daemon = await Daemon.start(command, { timeoutMs: START_MS });
      return new Pebble(daemon, management, challenges, authority);
    } catch (error) {
      authority[Symbol.dispose]();
      await challenges[Symbol.asyncDispose]();
      throw error;
    }
  }

  get directory(): string {
    return `https://${this.#daemon.address}/dir`;
  }

  /** Of the root that the directory's own TLS is verified by: AuthorityPlan.rootFile. */
  get caFile(): string {
    return this.#authority.caFile;
  }

  /** PEM of the same. */
  get ca(): string {
    return this.#authority.ca;
  }

  plan(changes: Partial<AuthorityPlan> = {}): AuthorityPlan {
    return {
      name: "pebble",
      directory: this.directory,
      email: "somebody@example.com",
      rootFile: this.caFile,
      eab: null,
      profile: null,
      preferredChain: null,
      ...changes,
    };
  }

  /** PEM of the root that its certificates lead to. @param number of the chain: 0 is the first, others are alternates. */
  root(number = 0): Promise<string> {
    return this.#ask(`roots/${number}`);
  }

  intermediate(number = 0): Promise<string> {
    return this.#ask(`intermediates/${number}`);
  }

  /** What it knows of a certificate. @param serial in hexadecimal, as X509Certificate.serialNumber. */
  async status(serial: string): Promise<{ Status: string; Reason?: number }> {
    // As it prints the number, without zeros in front.
    const number = serial.toLowerCase().replace(/^0+/, "");
    return JSON.parse(await this.#ask(`cert-status-by-serial/${number}`));
  }

  /** All that it has logged: a line for each request, order and certificate. */
  log(): string {
    return readFileSync(join(this.#daemon.folder, "output.log"), "utf8");
  }

  async #ask(path: string): Promise<string> {
    const answer = await fetch(`${this.#management}/${path}`, { tls: { ca: this.ca } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
    await this.challenges[Symbol.asyncDispose]();
    this.#authority[Symbol.dispose]();
  }
}

function configuration(
  port: number,
  management: number,
  challenges: ChallengeServer,
  authority: Authority,
  options: PebbleOptions,
): unknown {
  const { certFile, keyFile } = authority.issue(["localhost", "IP:127.0.0.1"]);
  return {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: certFile,
      privateKey: keyFile,
      httpPort: options.httpPort ?? challenges.httpPort,
      tlsPort: options.tlsPort ?? challenges.tlsPort,
      ocspResponderURL: "",
      externalAccountBindingRequired: options.eab !== undefined,
      externalAccountMACKeys: options.eab ?? {},
      ...(options.validitySeconds !== undefined && {
        certificateValidityPeriod: options.validitySeconds,
      }),
    },
  };
}

function environment(options: PebbleOptions): string[] {
  const { nonceReject = 5, authzReuse = 0, alternateRoots = 0, chainLength = 1 } = options;
  const settings = {
    PEBBLE_WFE_NONCEREJECT: nonceReject,
    PEBBLE_AUTHZREUSE: authzReuse,
    PEBBLE_ALTERNATE_ROOTS: alternateRoots,
    PEBBLE_CHAIN_LENGTH: chainLength,
    ...(options.sleepSeconds === undefined
      ? { PEBBLE_VA_NOSLEEP: 1 }
      : { PEBBLE_VA_SLEEPTIME: options.sleepSeconds }),
  };
  return Object.entries(settings).map(([name, value]) => `${name}=${value}`);
}
