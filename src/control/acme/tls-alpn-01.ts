// The challenge tls-alpn-01 (RFC 8737): listeners over TLS show a certificate made for it to whoever offers acme-tls/1, or a
// listener does that is opened just for it. An issuer calls it.

import type { ListenerPlan } from "../../shared/plan.ts";
import { alpnCertificate, serverNameOf } from "./alpn-certificate.ts";
import { type ChallengeHost, nameOf, Presenter, unlessAborted } from "./presenter.ts";
import type { ChallengeTask, Solver } from "./solver.ts";
import { openTls } from "./temporary-listener.ts";

export class TlsAlpn01Solver implements Solver {
  readonly type = "tls-alpn-01";
  readonly #presenter: Presenter;
  /** By server name: a hello says no more than that, so only one answer can be shown for it at a time. When the last is over. */
  readonly #turns = new Map<string, Promise<void>>();
  /** What ends the turn of each task. */
  readonly #ends = new Map<string, () => void>();

  /** @param port where authorities come to: AutoTlsPlan.tlsPort. */
  constructor(host: ChallengeHost, port: number) {
    this.#presenter = new Presenter(host, {
      port,
      serves,
      open: openTls,
      listener: "a listener over TLS",
      option: "auto_tls.tls_port",
    });
  }

  unfit(name: string): string | null {
    if (!name.startsWith("*.")) return null;
    return `${name} is a wildcard, which only dns-01 proves: configure auto_tls.dns`;
  }

  async present(task: ChallengeTask, signal: AbortSignal): Promise<void> {
    const { domain, keyAuthorization } = task;
    const serverName = serverNameOf(domain);
    await unlessAborted(this.#turn(serverName, nameOf(task)), signal);
    const { chain, key } = await alpnCertificate(domain, keyAuthorization, Date.now());
    const answer = { type: "tls-alpn-01", serverName, chain, key } as const;
    await this.#presenter.present(task, answer, signal);
  }

  async withdraw(task: ChallengeTask): Promise<void> {
    this.#presenter.withdraw(task);
    this.#ends.get(nameOf(task))?.();
  }

  /** Settles when those before it are withdrawn. */
  #turn(serverName: string, name: string): Promise<void> {
    const before = this.#turns.get(serverName) ?? Promise.resolve();
    const own = Promise.withResolvers<void>();
    const over: Promise<void> = Promise.all([before, own.promise]).then(() =>
      this.#forget(serverName, over),
    );
    this.#turns.set(serverName, over);
    this.#ends.set(name, () => {
      this.#ends.delete(name);
      own.resolve();
    });
    return before;
  }

  #forget(serverName: string, last: Promise<void>): void {
    if (this.#turns.get(serverName) === last) this.#turns.delete(serverName);
  }
}

/** Over UDP alone nobody is proven anything. */
function serves(plan: ListenerPlan): boolean {
  if (plan.protocol === "http3") return plan.h3?.tcp === true;
  return plan.protocol === "tls" || plan.protocol === "http2";
}
