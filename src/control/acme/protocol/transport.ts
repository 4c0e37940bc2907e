// HTTP to an authority: the runtime's fetch, with the authority's own roots where it has some, and every answer bounded in time
// and size. HTTPS_PROXY and NO_PROXY of the environment take effect. Called by the session.
//
// Invariant: nothing that an answer names is asked in clear if the directory is not.

import { readFileSync } from "node:fs";

import manifest from "../../../../package.json" with { type: "json" };
import { ACME } from "../../../shared/auto-tls-limits.ts";
import type { AuthorityPlan } from "../../../shared/auto-tls-plan.ts";
import { errnoOf, messageOf } from "../../../shared/errors.ts";
import { IssueError } from "../issue-error.ts";
import { printable, readRetryAfter } from "./problem.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  /** Retry-After, as Unix time in milliseconds; null: none. */
  readonly retryAtMs: number | null;
}

export interface Request {
  readonly method: "GET" | "HEAD" | "POST";
  /** Of the body. */
  readonly type?: string;
  readonly body?: string;
}

/** RFC 9110 section 15.4 */
const REDIRECTED: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

const USER_AGENT = `${manifest.name}/${manifest.version}`;

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there",
  ENOTFOUND: "its name has no address",
  ECONNRESET: "it closed the connection",
  ConnectionClosed: "it closed the connection",
  TimeoutError: `it did not answer within ${ACME.requestMs / 1_000} s`,
  Malformed_HTTP_Response: "what it answers is not HTTP",
};

/** What the runtime says of certificates that do not verify. */
const UNTRUSTED = /CERT|SIGNATURE|ISSUER|SELF_SIGNED|ALTNAME/i;

export class Transport {
  readonly #authority: AuthorityPlan;
  readonly #ca: string | null;

  /** @throws IssueError if the file of roots cannot be read. */
  constructor(authority: AuthorityPlan) {
    this.#authority = authority;
    this.#ca = authority.rootFile === null ? null : readRoots(authority.name, authority.rootFile);
  }

  /**
   * Redirections are followed, except of what was signed for one URL.
   * @throws IssueError if no answer came; or the signal's reason.
   */
  async ask(url: string, request: Request, signal: AbortSignal): Promise<Answer> {
    let target = this.#checked(url, this.#authority.directory);
    for (let hops = 0; ; hops++) {
      const answer = await this.#askOnce(target, request, signal);
      const location = REDIRECTED.has(answer.status) ? answer.headers.get("location") : null;
      if (location === null || request.method === "POST" || hops === ACME.redirectsMax) {
        return answer;
      }
      target = this.#checked(location, target.href);
    }
  }

  async #askOnce(target: URL, request: Request, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    const timeout = AbortSignal.timeout(ACME.requestMs);
    try {
      const response = await fetch(target, {
        method: request.method,
        headers: {
          "user-agent": USER_AGENT,
          ...(request.type !== undefined && { "content-type": request.type }),
        },
        ...(request.body !== undefined && { body: request.body }),
        redirect: "manual",
        signal: AbortSignal.any([signal, timeout]),
        ...(this.#ca !== null && { tls: { ca: this.#ca } }),
      });
      const { status, headers } = response;
      const retryAtMs = readRetryAfter(headers.get("retry-after"), Date.now());
      return { status, headers, body: await this.#read(response), retryAtMs };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof IssueError) throw error;
      throw this.#unreachable(target, timeout.aborted ? timeout.reason : error);
    }
  }

  #checked(url: string, base: string): URL {
    const target = URL.parse(url, base);
    const { protocol } = new URL(this.#authority.directory);
    const isSafe = target?.protocol === "https:" || target?.protocol === protocol;
    if (target !== null && isSafe) return target;
    const problem = `${this.#authority.name} names an address that is not used: ${printable(url)}`;
    throw new IssueError(problem);
  }

  async #read(response: Response): Promise<string> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of response.body ?? []) {
      length += part.length;
      if (length > ACME.answerMaxBytes) {
        const { host } = new URL(response.url);
        throw new IssueError(`${this.#authority.name} (${host}) answers without end`);
      }
      parts.push(part);
    }
    return Buffer.concat(parts).toString();
  }

  #unreachable({ host }: URL, error: unknown): IssueError {
    const code = (error as Error).name === "TimeoutError" ? "TimeoutError" : errnoOf(error);
    const untrusted = UNTRUSTED.test(code);
    const why = untrusted ? `its own certificate does not verify (${code})` : REASONS[code];
    const problem = `${this.#authority.name} cannot be asked (${host}): ${why ?? messageOf(error)}`;
    const cure = untrusted
      ? "Name the file of the root that signed it"
      : "Check the network, and the authority's own page about its state";
    return new IssueError(problem, {}, { cause: error, cure });
  }
}

function readRoots(name: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const problem = `${path}: the root of ${name} cannot be read: ${messageOf(cause)}`;
    throw new IssueError(problem, { isFinal: true }, { cause, cure: "Check the path" });
  }
}
