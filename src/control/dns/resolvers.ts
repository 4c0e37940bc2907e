// Resolvers, which ask others: those that are configured, or the system's. They say which zone a name is in and where its servers
// are; whether a record is there is never asked of them, since they keep what was not there (RFC 2308).
//
// Invariant: the first that has an answer is believed; that a name does not exist is an answer.

import { getServers } from "node:dns";
import { isIP } from "node:net";

import { type Endpoint, parseEndpoint } from "../../shared/address.ts";
import { ProxyError } from "../../shared/errors.ts";
import { DNS } from "../../shared/limits.ts";
import { resolveOnce } from "../resolver.ts";
import { ask, type DnsServer, formatServer } from "./exchange.ts";
import type { DnsMessage, Question } from "./message.ts";

export class Resolvers {
  readonly #servers: readonly DnsServer[];

  constructor(servers: readonly DnsServer[]) {
    this.#servers = servers;
  }

  /** @param configured none: the system's. @throws ProxyError ERR_RESOLVE */
  static async from(configured: readonly Endpoint[]): Promise<Resolvers> {
    const endpoints = configured.length === 0 ? systemResolvers() : configured;
    const addresses = await Promise.all(endpoints.map((endpoint) => resolveOnce(endpoint)));
    const servers = addresses.flat().filter((address) => address.kind === "ip");
    if (servers.length > 0) return new Resolvers(servers);
    const cure = "Write them in auto_tls.dns.resolvers: [1.1.1.1]";
    throw new ProxyError("ERR_RESOLVE", "this system has no DNS resolvers", { cure });
  }

  /**
   * @param orElse what counts as an answer if no resolver has a better one.
   * @throws ProxyError ERR_RESOLVE, which says what each answered; or the signal's reason.
   */
  async ask(
    question: Question,
    signal: AbortSignal,
    orElse: (message: DnsMessage) => boolean = () => false,
  ): Promise<DnsMessage> {
    const refusals: string[] = [];
    let second: DnsMessage | null = null;
    for (const server of this.#servers) {
      const reply = await ask(server, question, { recursive: true }, signal);
      if (reply.kind === "message" && isAnswer(reply.message)) return reply.message;
      if (reply.kind === "message" && orElse(reply.message)) second = reply.message;
      const said = reply.kind === "message" ? reply.message.rcode : reply.reason;
      refusals.push(`${formatServer(server)}: ${said}`);
    }
    if (second !== null) return second;
    const what = `the ${question.type} records of "${question.name}" cannot be looked up`;
    throw new ProxyError("ERR_RESOLVE", `${what} (${refusals.join("; ")})`, {
      cure: "Check this machine's resolvers, or write others in auto_tls.dns.resolvers",
    });
  }
}

export function isAnswer({ rcode }: DnsMessage): boolean {
  return rcode === "NOERROR" || rcode === "NXDOMAIN";
}

/** As the system's configuration has them: `10.0.0.53`, or `[::1]:5353`. */
function systemResolvers(): Endpoint[] {
  return getServers().map((text) =>
    isIP(text) === 0 ? parseEndpoint(text, "target") : { kind: "tcp", host: text, port: DNS.port },
  );
}
