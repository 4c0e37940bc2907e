// Signed requests of one account (RFC 8555 section 6.2). acme-client signs them, binds accounts and repeats what a nonce was
// refused for; its requests go through our transport in place of its own, which has no roots, no bounds and no way to stop.
// Whatever an authority refuses becomes an IssueError with all that it said. Called by the parts of the issuer.

import { ACME } from "../../../shared/auto-tls-limits.ts";
import type { Secret } from "../../../shared/secret.ts";
import { IssueError } from "../issue-error.ts";
import { type AuthorityConnection, isBroken, jsonOf, wait } from "./directory.ts";
import { isFinal, printable, readProblem } from "./problem.ts";
import type { Answer } from "./transport.ts";

/** External account binding (RFC 8555 section 7.3.4). */
export interface AccountBinding {
  readonly kid: string;
  /** base64url */
  readonly hmacKey: Secret;
}

/** A refusal, with what it was about. */
export class RefusedError extends IssueError {
  readonly status: number;
  /** Problem.type */
  readonly type: string;

  constructor(what: string, answer: Answer, nowMs: number) {
    const { type, text } = readProblem(jsonOf(answer.body));
    const said = text || `status ${answer.status}: ${printable(answer.body.slice(0, 200))}`;
    const isBusy = answer.status === 429 || type === "rateLimited" || answer.status === 503;
    const until = isBusy ? answer.retryAtMs : null;
    const when = until === null ? "" : `; not to be asked again before ${timeText(until, nowMs)}`;
    super(`${what}: ${said}${when}`, { notBeforeMs: until, isFinal: isFinal(type) });
    this.status = answer.status;
    this.type = type;
  }
}

/** What acme-client's http.js expects of a request. */
interface ClientAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: unknown;
  /** Ours. */
  readonly answer: Answer;
}

/** The part of acme-client that is used (src/http.js of 5.4.0); package.json pins the version. */
interface SigningClient {
  maxBadNonceRetries: number;
  request: (
    url: string,
    method: string,
    options?: { readonly data?: unknown },
  ) => Promise<ClientAnswer>;
  getNonce: () => Promise<string>;
  getJwk(): Readonly<Record<string, string>>;
  signedRequest(
    url: string,
    payload: unknown,
    options: { readonly kid?: string; readonly includeExternalAccountBinding?: boolean },
  ): Promise<ClientAnswer>;
}

/** Loaded with the first order: it takes some 40 MB, and a proxy whose certificates are there starts without it. */
export function acmeClient(): typeof import("acme-client") {
  return require("acme-client") as typeof import("acme-client");
}

export class Session {
  readonly connection: AuthorityConnection;
  readonly signal: AbortSignal;
  /** Of the account, which signs by its name; null: it signs by its key, as newAccount wants. */
  accountUrl: string | null;
  readonly #client: SigningClient;

  constructor(
    connection: AuthorityConnection,
    key: Secret,
    accountUrl: string | null,
    signal: AbortSignal,
    binding: AccountBinding | null = null,
  ) {
    this.connection = connection;
    this.accountUrl = accountUrl;
    this.signal = signal;
    const { Client } = acmeClient();
    const client = new Client({
      directoryUrl: connection.plan.directory,
      accountKey: Buffer.from(key.reveal()),
      ...(binding !== null && {
        externalAccountBinding: {
          kid: binding.kid,
          hmacKey: Buffer.from(binding.hmacKey.reveal()).toString(),
        },
      }),
    }) as unknown as { readonly http: SigningClient };
    this.#client = client.http;
    this.#client.maxBadNonceRetries = ACME.nonceTries;
    this.#client.getNonce = () => connection.nonce(signal);
    this.#client.request = (url, _method, options) => this.#request(url, options?.data);
  }

  get name(): string {
    return this.connection.plan.name;
  }

  /** RFC 7638, base64url: what follows a token in a key authorisation (RFC 8555 section 8.1). */
  thumbprint(): string {
    const hasher = new Bun.CryptoHasher("sha256");
    return hasher.update(JSON.stringify(this.#client.getJwk())).digest("base64url");
  }

  /**
   * @param what is asked for, for people: `letsencrypt takes no order for example.com`.
   * @throws RefusedError, IssueError
   */
  async post(url: string, payload: object, what: string): Promise<Answer> {
    const isNewAccount = this.accountUrl === null;
    const { answer } = await this.#client.signedRequest(url, payload, {
      ...(this.accountUrl !== null && { kid: this.accountUrl }),
      includeExternalAccountBinding: isNewAccount && !("onlyReturnExisting" in payload),
    });
    if (answer.status >= 300) throw new RefusedError(what, answer, Date.now());
    return answer;
  }

  /** POST-as-GET (RFC 8555 section 6.3), which may be done again when a connection breaks. @throws RefusedError, IssueError */
  async read(url: string, what: string): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#read(url, what);
      } catch (error) {
        this.signal.throwIfAborted();
        if (tries === ACME.readTries || !isTransient(error)) throw error;
        await wait(ACME.readAgainMs, this.signal);
      }
    }
  }

  async #read(url: string, what: string): Promise<Answer> {
    const kid = this.accountUrl;
    const { answer } = await this.#client.signedRequest(url, null, kid === null ? {} : { kid });
    if (answer.status >= 300) throw new RefusedError(what, answer, Date.now());
    return answer;
  }

  async #request(url: string, data: unknown): Promise<ClientAnswer> {
    const body = JSON.stringify(data);
    const request = { method: "POST", type: "application/jose+json", body } as const;
    const answer = await this.connection.transport.ask(url, request, this.signal);
    const { status, headers } = answer;
    const parsed = status >= 400 ? jsonOf(answer.body) : null;
    const isBadNonce = status === 400 && readProblem(parsed).type === "badNonce";
    const nonce = headers.get("replay-nonce");
    // That of a refused nonce is used by acme-client itself.
    if (!isBadNonce) this.connection.keepNonce(nonce);
    const seen: Record<string, string> =
      isBadNonce && nonce !== null ? { "replay-nonce": nonce } : {};
    return { status, headers: seen, data: parsed, answer };
  }
}

function isTransient(error: unknown): boolean {
  if (!(error instanceof RefusedError)) return isBroken(error);
  return error.status >= 500 && error.failure.notBeforeMs === null;
}

function timeText(ms: number, nowMs: number): string {
  const seconds = Math.ceil((ms - nowMs) / 1_000);
  return `${new Date(ms).toISOString()} (in ${seconds} s)`;
}
