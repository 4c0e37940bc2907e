// An authority's directory (RFC 8555 section 7.1.1), read when it is needed and again after a while, and the nonces that its
// answers bring (section 6.5). One for each authority, whatever runs at once. Called by the session.

import { ACME } from "../../../shared/auto-tls-limits.ts";
import type { AuthorityPlan } from "../../../shared/auto-tls-plan.ts";
import { IssueError } from "../issue-error.ts";
import { printable, readProblem } from "./problem.ts";
import { type Answer, Transport } from "./transport.ts";

export interface Directory {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
  readonly revokeCert: string;
  /** RFC 9773; null: the authority does not speak it. */
  readonly renewalInfo: string | null;
  readonly externalAccountRequired: boolean;
  /** Name to its description (draft-ietf-acme-profiles). */
  readonly profiles: ReadonlyMap<string, string>;
}

export class AuthorityConnection {
  readonly plan: AuthorityPlan;
  readonly transport: Transport;
  readonly #nonces: string[] = [];
  #directory: Directory | null = null;
  #readAtMs = 0;

  constructor(plan: AuthorityPlan) {
    this.plan = plan;
    this.transport = new Transport(plan);
  }

  /** @throws IssueError */
  async directory(signal: AbortSignal): Promise<Directory> {
    const isFresh = Date.now() - this.#readAtMs < ACME.directoryMs;
    if (this.#directory !== null && isFresh) return this.#directory;
    const { name, directory: url } = this.plan;
    const answer = await this.get(url, signal);
    if (answer.status !== 200) throw refusedRead(name, "its directory", answer);
    this.#directory = decodeDirectory(name, answer.body);
    this.#readAtMs = Date.now();
    return this.#directory;
  }

  /** A GET, which may be done again when a connection breaks. @throws IssueError */
  async get(url: string, signal: AbortSignal): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.transport.ask(url, { method: "GET" }, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (tries === ACME.readTries || !isBroken(error)) throw error;
        await wait(ACME.readAgainMs, signal);
      }
    }
  }

  /** A nonce that nobody has used. @throws IssueError */
  async nonce(signal: AbortSignal): Promise<string> {
    const kept = this.#nonces.pop();
    if (kept !== undefined) return kept;
    const { newNonce } = await this.directory(signal);
    const answer = await this.transport.ask(newNonce, { method: "HEAD" }, signal);
    const nonce = answer.headers.get("replay-nonce");
    if (nonce !== null) return nonce;
    throw refusedRead(this.plan.name, "a nonce", answer);
  }

  /** Keeps what an answer brings for the next request. */
  keepNonce(nonce: string | null): void {
    if (nonce !== null && this.#nonces.length < ACME.noncesKept) this.#nonces.push(nonce);
  }
}

/** The connection failed before there was an answer; the same again may well go. */
export function isBroken(error: unknown): boolean {
  return error instanceof IssueError && error.cause !== undefined && !error.failure.isFinal;
}

/** @throws the signal's reason. */
export async function wait(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<void>();
  const finish = (): void => resolve();
  const timer = setTimeout(finish, ms);
  signal.addEventListener("abort", finish);
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", finish); // an order waits often, and its signal lives long
  signal.throwIfAborted();
}

function refusedRead(name: string, what: string, answer: Answer): IssueError {
  const said = readProblem(jsonOf(answer.body)).text;
  const problem = `${name} does not give ${what}: status ${answer.status}${said && `, ${said}`}`;
  return new IssueError(problem, { notBeforeMs: answer.retryAtMs });
}

/** null: it is no JSON. */
export function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null; // whoever asked says what it is instead
  }
}

function decodeDirectory(name: string, body: string): Directory {
  const value = jsonOf(body) as Record<string, unknown> | null;
  const fields: Record<string, unknown> = typeof value === "object" && value !== null ? value : {};
  const url = (field: string): string => {
    if (typeof fields[field] === "string") return fields[field];
    const problem = `${name}: what is at its URL is no directory of ACME: ${field} is missing`;
    const cure = "Check the URL";
    throw new IssueError(problem, { isFinal: true }, { cure });
  };
  const meta = (fields.meta ?? {}) as Record<string, unknown>;
  const profiles = Object.entries((meta.profiles ?? {}) as Record<string, unknown>);
  return {
    newNonce: url("newNonce"),
    newAccount: url("newAccount"),
    newOrder: url("newOrder"),
    revokeCert: url("revokeCert"),
    renewalInfo: typeof fields.renewalInfo === "string" ? fields.renewalInfo : null,
    externalAccountRequired: meta.externalAccountRequired === true,
    profiles: new Map(profiles.map(([key, text]) => [printable(key), printable(String(text))])),
  };
}
