// The challenge http-01 (RFC 8555 section 8.3): listeners of HTTP answer it, or one that is opened just for it. An issuer calls
// it.

import { HTTP_01_PATH } from "../../shared/challenges.ts";
import { formatIp, parseIp } from "../../shared/ip.ts";
import { CHALLENGES } from "../../shared/limits.ts";
import type { PendingAnswers } from "./pending-answers.ts";
import { type ChallengeHost, Presenter, type TemporaryListener } from "./presenter.ts";
import type { ChallengeTask, Solver } from "./solver.ts";
import { onEveryAddress } from "./temporary-listener.ts";

export class Http01Solver implements Solver {
  readonly type = "http-01";
  readonly #presenter: Presenter;

  /** @param port where authorities come to: AutoTlsPlan.httpPort. */
  constructor(host: ChallengeHost, port: number) {
    this.#presenter = new Presenter(host, {
      port,
      serves: (plan) => plan.protocol === "http",
      open: openHttp,
      listener: "an http listener",
      option: "auto_tls.http_port",
    });
  }

  unfit(name: string): string | null {
    if (!name.startsWith("*.")) return null;
    return `${name} is a wildcard, which only dns-01 proves: configure auto_tls.dns`;
  }

  async present(task: ChallengeTask, signal: AbortSignal): Promise<void> {
    const { token, keyAuthorization } = task;
    const ip = parseIp(task.domain);
    const domain = ip === null ? task.domain.toLowerCase() : formatIp(ip);
    const answer = { type: "http-01", domain, token, keyAuthorization } as const;
    await this.#presenter.present(task, answer, signal);
  }

  async withdraw(task: ChallengeTask): Promise<void> {
    this.#presenter.withdraw(task);
  }
}

/** @throws Error with an errno. */
async function openHttp(port: number, answers: PendingAnswers): Promise<TemporaryListener> {
  const server = onEveryAddress((hostname) =>
    Bun.serve({
      port,
      hostname,
      development: false,
      idleTimeout: CHALLENGES.handshakeMs / 1_000,
      maxRequestBodySize: 0,
      fetch: ({ method, url }) => {
        const found =
          method === "GET" || method === "HEAD" ? find(new URL(url), answers) : undefined;
        const headers = { "content-type": "application/octet-stream", "cache-control": "no-store" };
        return found === undefined
          ? new Response("404 Not Found\n", { status: 404 })
          : new Response(found, { headers });
      },
    }),
  );
  return { close: () => server.stop(true) };
}

function find({ hostname, pathname }: URL, answers: PendingAnswers): string | undefined {
  if (!pathname.startsWith(HTTP_01_PATH)) return undefined;
  const token = pathname.slice(HTTP_01_PATH.length);
  const host = hostname.replace(/\.$/, "").replace(/^\[|\]$/g, "");
  for (const answer of answers.all) {
    if (answer.type === "http-01" && answer.token === token && answer.domain === host) {
      return answer.keyAuthorization;
    }
  }
  return undefined;
}
