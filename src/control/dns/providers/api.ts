// One request to the HTTP API of a DNS provider, with everything that is alike for all of them: a limit of time and of size,
// attempts again where that is safe, and errors in the API's own words. A provider's file says how a request is signed and how
// an answer tells of a fault (`ApiDialect`).
//
// Invariant: no text that came from the API or from the runtime gets into an error without the credentials masked. A request
// that may have been carried out is sent again only if doing it twice is the same as once.

import { setTimeout as sleep } from "node:timers/promises";

import { DNS_API } from "../../../shared/auto-tls-limits.ts";
import type { DnsProviderName } from "../../../shared/auto-tls-plan.ts";
import { messageOf, ProxyError } from "../../../shared/errors.ts";
import type { Secret } from "../../../shared/secret.ts";
import { PROVIDER_TITLES, textOf } from "./credentials.ts";
import { maskText } from "./mask.ts";

export interface ApiCall {
  /** What it does, for people: `adding _acme-challenge.example.com`. */
  readonly doing: string;
  /** For people; null: it is what is looked for. */
  readonly zone: string | null;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With its query, behind the endpoint. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Twice is the same as once: sent again also when it is not known whether it was carried out. */
  readonly isRepeatable: boolean;
}

export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
  /** The field Retry-After. */
  readonly retryAfter: string | null;
}

/** What an answer says went wrong. */
export interface ApiFault {
  /** The API's own: `81058`, `Throttling.User`; "" if it has none. */
  readonly code: string;
  readonly message: string;
  /** Not carried out, since it came too early: try again later. 429 always means this. */
  readonly isThrottled: boolean;
  /** Of the body; null: it is in Retry-After, or nowhere. */
  readonly retryAfterMs: number | null;
}

export interface ApiDialect {
  readonly name: DnsProviderName;
  /** `https://api.example.com/v1`, without a slash at its end. */
  readonly endpoint: string;
  readonly secrets: readonly Secret[];
  /** The fields that prove who asks; called for each attempt, since signatures have a date in them. */
  sign(call: ApiCall, url: string): Promise<Record<string, string>>;
  /** null: the answer is no fault. Also asked for answers of status 2xx. */
  faultOf(answer: ApiAnswer): ApiFault | null;
  /** What the reader can do about it; undefined: nothing that we know of. */
  cureOf(status: number, fault: ApiFault): string | undefined;
}

/** For tests: a server of theirs, and time that passes at once. */
export interface ApiOptions {
  readonly endpoint?: string;
  readonly timeoutMs?: number;
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** `no`: another attempt would end alike. `unclear`: nobody knows whether it was carried out. `safe`: it was not. */
type Retry = "no" | "safe" | "unclear";

export class ApiError extends ProxyError {
  /** 0: there was no answer. */
  readonly status: number;
  /** ApiFault.code */
  readonly apiCode: string;
  readonly retry: Retry;
  /** How long the API asks to wait; null: it does not say. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    facts: { status: number; apiCode: string; retry: Retry; retryAfterMs: number | null },
    options: { cause?: unknown; cure?: string | undefined } = {},
  ) {
    const { cause, cure } = options;
    super("ERR_DNS_PROVIDER", message, {
      ...(cause === undefined ? {} : { cause }),
      ...(cure === undefined ? {} : { cure }),
    });
    this.status = facts.status;
    this.apiCode = facts.apiCode;
    this.retry = facts.retry;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

export class Api {
  readonly #dialect: ApiDialect;
  readonly #endpoint: string;
  readonly #timeoutMs: number;
  readonly #pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #secrets: readonly string[];

  constructor(dialect: ApiDialect, options: ApiOptions = {}) {
    this.#dialect = dialect;
    this.#endpoint = options.endpoint ?? dialect.endpoint;
    this.#timeoutMs = options.timeoutMs ?? DNS_API.timeoutMs;
    this.#pause = options.pause ?? pauseFor;
    this.#secrets = dialect.secrets.map(textOf);
  }

  get title(): string {
    return PROVIDER_TITLES[this.#dialect.name];
  }

  /** Its zones are not those of another endpoint: part of the keys of `inTurn`. */
  get endpoint(): string {
    return this.#endpoint;
  }

  /** @throws ApiError after the last attempt; the signal's reason when it is aborted */
  async call(call: ApiCall, signal: AbortSignal): Promise<ApiAnswer> {
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      const outcome = await this.#attempt(call, signal);
      if (!(outcome instanceof ApiError)) return outcome;
      const { retry, retryAfterMs } = outcome;
      if (retry === "no" || attempt >= DNS_API.attempts) throw outcome;
      if (retry === "unclear" && !call.isRepeatable) throw outcome;
      if (retryAfterMs !== null && retryAfterMs > DNS_API.retryMaxMs) throw outcome;
      await this.rest(attempt, signal, retryAfterMs);
    }
  }

  /** Text that came from the API, for people. */
  mask(text: string): string {
    return maskText(text, this.#secrets);
  }

  /** As `call`, of an API that answers in JSON. null: the answer is empty. */
  async json(call: ApiCall, signal: AbortSignal): Promise<unknown> {
    const { text } = await this.call(call, signal);
    if (text.trim() === "") return null;
    try {
      return JSON.parse(text);
    } catch {
      // The parser's own message shows a piece of the text, in which credentials may be.
      throw this.malformed(call, "the answer is no JSON");
    }
  }

  /** Before the attempt that follows the given one. */
  async rest(
    attempt: number,
    signal: AbortSignal,
    retryAfterMs: number | null = null,
  ): Promise<void> {
    const ownMs = DNS_API.retryMs * 2 ** (attempt - 1) * (1 + Math.random() / 2);
    await this.waitFor(retryAfterMs ?? ownMs, signal);
  }

  async waitFor(ms: number, signal: AbortSignal): Promise<void> {
    await this.#pause(ms, signal);
    signal.throwIfAborted();
  }

  /** An answer that is not what the documentation of the API says. */
  malformed(call: ApiCall, problem: string): ApiError {
    return new ApiError(
      `${this.#failed(call)}: ${problem}`,
      { status: 200, apiCode: "", retry: "no", retryAfterMs: null },
      { cure: "If this stays, something in between answers instead of the API, or it has changed" },
    );
  }

  /** The zones that were asked for are not there. */
  noZone(name: string, zones: readonly string[], cure: string): ApiError {
    const [last] = zones.slice(-1);
    const [first] = zones;
    const looked = first === last ? first : `${first} up to ${last}`;
    return new ApiError(
      `${this.title} has no zone for ${name}: looked for ${looked}`,
      { status: 404, apiCode: "", retry: "no", retryAfterMs: null },
      { cure },
    );
  }

  #failed({ doing, zone }: ApiCall): string {
    return `${this.title}: ${doing}${zone === null ? "" : ` in zone ${zone}`} failed`;
  }

  async #attempt(call: ApiCall, signal: AbortSignal): Promise<ApiAnswer | ApiError> {
    const url = `${this.#endpoint}${call.path}`;
    let answer: ApiAnswer | null;
    try {
      const signed = await this.#dialect.sign(call, url);
      const response = await fetch(url, {
        method: call.method,
        headers: { accept: "application/json", ...call.headers, ...signed },
        ...(call.body === undefined ? {} : { body: call.body }),
        redirect: "manual", // credentials go to this host and to no other
        signal: AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]),
      });
      answer = await readAnswer(response);
    } catch (error) {
      signal.throwIfAborted();
      return this.#unanswered(call, error);
    }
    if (answer === null) {
      return this.malformed(call, `the answer is longer than ${DNS_API.answerMaxBytes} bytes`);
    }
    return this.#judge(call, answer);
  }

  #judge(call: ApiCall, answer: ApiAnswer): ApiAnswer | ApiError {
    const { status } = answer;
    const isGood = status >= 200 && status < 300;
    const told = this.#dialect.faultOf(answer);
    if (isGood && told === null) return answer;
    const fault = told ?? unknownFault(answer);
    const isThrottled = status === 429 || fault.isThrottled;
    const retryAfterMs = fault.retryAfterMs ?? retryAfterOf(answer.retryAfter, Date.now());
    const message = this.mask(fault.message);
    const code = this.mask(fault.code);
    const said = `${message === "" ? "no reason given" : message}${code === "" ? "" : ` (${code})`}`;
    const wait =
      retryAfterMs !== null && retryAfterMs > DNS_API.retryMaxMs
        ? `, and is to be asked again in ${Math.ceil(retryAfterMs / 1000)} s`
        : "";
    return new ApiError(
      `${this.#failed(call)}: ${status} ${said}${wait}`,
      {
        status,
        apiCode: code,
        retry: isThrottled ? "safe" : status >= 500 ? "unclear" : "no",
        retryAfterMs,
      },
      { cure: this.#dialect.cureOf(status, fault) },
    );
  }

  #unanswered(call: ApiCall, error: unknown): ApiError {
    const host = new URL(this.#endpoint).host;
    const isLate = error instanceof Error && error.name === "TimeoutError";
    const said = isLate
      ? `no answer within ${this.#timeoutMs / 1000} s`
      : this.mask(messageOf(error));
    return new ApiError(
      `${this.#failed(call)}: ${said}`,
      { status: 0, apiCode: "", retry: "unclear", retryAfterMs: null },
      { cure: `Check that this machine reaches https://${host}` },
    );
  }
}

/** Cut off at the limit of size. @returns null: there was more */
async function readAnswer(response: Response): Promise<ApiAnswer | null> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  if (response.body !== null) {
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.byteLength;
      if (bytes > DNS_API.answerMaxBytes) {
        await reader.cancel();
        return null;
      }
      parts.push(part.value);
    }
  }
  return {
    status: response.status,
    text: Buffer.concat(parts).toString("utf8"),
    retryAfter: response.headers.get("retry-after"),
  };
}

/** Of an answer in words of something else than the API: a page of a proxy, say. */
function unknownFault({ text }: ApiAnswer): ApiFault {
  return { code: "", message: text, isThrottled: false, retryAfterMs: null };
}

/** RFC 9110 section 10.2.3: seconds or a date. null: neither. */
export function retryAfterOf(field: string | null, nowMs: number): number | null {
  if (field === null) return null;
  if (/^\d{1,9}$/.test(field.trim())) return Number(field) * 1000;
  const dateMs = Date.parse(field);
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - nowMs);
}

async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal });
}
