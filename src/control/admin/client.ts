// The client of the admin listener's API. Every answer is held to the schema that the listener makes it of, so that another
// program at its address, or another version, is an error that says so and no crash. Called by the commands.

import type { IncomingMessage } from "node:http";

import { z } from "zod";

import manifest from "../../../package.json" with { type: "json" };
import { type Endpoint, formatEndpoint } from "../../shared/address.ts";
import { ADMIN_CLIENT } from "../../shared/admin-limits.ts";
import { errnoOf, messageOf, ProxyError } from "../../shared/errors.ts";
import { printable } from "../../shared/printable.ts";
import type { Secret } from "../../shared/secret.ts";
import { EventStream } from "./event-stream.ts";
import { type Asked, send, textOf } from "./exchange.ts";
import * as schemas from "./schemas.ts";

/** Where a proxy is asked, and what is shown there. */
export interface AdminPlace {
  readonly listen: Endpoint;
  readonly token: Secret | null;
  /** What to do where no proxy answers. */
  readonly cure: string;
}

/** What is asked. */
export interface Wish {
  readonly method?: Asked["method"];
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** Default: ADMIN_CLIENT.answerMs. */
  readonly timeoutMs?: number;
}

/** What was asked for, also as it came; or why it is refused. */
export type Reply<T> =
  | { readonly done: true; readonly value: T; readonly text: string }
  | { readonly done: false; readonly status: number; readonly reason: string };

/** Of every version. */
const ANY_VERSION = z.object({ version: z.string(), pid: z.number(), phase: z.string() });

export class AdminClient {
  /** For people. */
  readonly address: string;
  readonly #place: AdminPlace;

  constructor(place: AdminPlace) {
    this.#place = place;
    this.address = formatEndpoint(place.listen);
  }

  /** @throws ProxyError ERR_ADMIN, also for what the proxy refuses. */
  async get<T>(schema: z.ZodType<T>, wish: Wish): Promise<{ value: T; text: string }> {
    const reply = await this.ask(schema, wish);
    if (reply.done) return reply;
    throw new ProxyError("ERR_ADMIN", `${this.address} answers: ${printable(reply.reason)}`);
  }

  /** @throws ProxyError ERR_ADMIN if nobody answers, another program does, or the token is not the right one. */
  async ask<T>(schema: z.ZodType<T>, wish: Wish): Promise<Reply<T>> {
    const { status, text } = await this.#exchange(wish);
    const json = parseJson(text);
    if (status === 200) {
      const parsed = schema.safeParse(json);
      if (parsed.success) return { done: true, value: parsed.data, text };
    }
    const refusal = schemas.failure.safeParse(json);
    if (status === 401) throw this.#unauthorized();
    // Of a path that it knows, it says 404 only of what a body names. A gateway may be in its place, and say 502.
    const isOurs =
      status < 500
        ? status !== 405 && (status !== 404 || wish.body !== undefined)
        : (await this.#whoIsThere()) !== null;
    if (status >= 400 && refusal.success && isOurs) {
      return { done: false, status, reason: refusal.data.error };
    }
    throw await this.#stranger(wish.path);
  }

  /**
   * What the proxy tells once a second.
   * @throws ProxyError ERR_ADMIN as `ask`, and when the connection is lost; ends without a word when `signal` is aborted.
   */
  async *snapshots(signal: AbortSignal): AsyncGenerator<schemas.Snapshot, void, undefined> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), ADMIN_CLIENT.silenceMs);
    const path = "/api/stream";
    try {
      const incoming = await this.#send({ path }, AbortSignal.any([signal, silence.signal]));
      if (incoming.statusCode !== 200) throw await this.#noStream(incoming, path);
      const events = new EventStream(ADMIN_CLIENT.answerMaxBytes);
      for await (const bytes of incoming as AsyncIterable<Buffer>) {
        for (const { name, data } of events.push(bytes)) {
          if (name !== "snapshot") continue;
          timer.refresh();
          const parsed = schemas.snapshot.safeParse(parseJson(data));
          if (!parsed.success) throw await this.#stranger(path);
          yield parsed.data;
        }
      }
      throw new ProxyError("ERR_ADMIN", `the proxy on ${this.address} has ended the stream`);
    } catch (error) {
      if (signal.aborted) return;
      throw this.#failed(error, silence.signal.aborted);
    } finally {
      clearTimeout(timer);
    }
  }

  async #noStream(incoming: IncomingMessage, path: string): Promise<ProxyError> {
    const refusal = schemas.failure.safeParse(parseJson(await textOf(incoming)));
    const status = incoming.statusCode ?? 0;
    if (status === 401) return this.#unauthorized();
    if (!refusal.success || status === 404) return this.#stranger(path);
    return new ProxyError("ERR_ADMIN", printable(refusal.data.error));
  }

  async #exchange(wish: Wish): Promise<{ status: number; text: string }> {
    const late = AbortSignal.timeout(wish.timeoutMs ?? ADMIN_CLIENT.answerMs);
    try {
      const incoming = await this.#send(wish, late);
      return { status: incoming.statusCode ?? 0, text: await textOf(incoming) };
    } catch (error) {
      throw this.#failed(error, late.aborted);
    }
  }

  #send({ method = "GET", path, query = {}, body }: Wish, signal: AbortSignal) {
    const given = Object.entries(query).flatMap(([key, value]): [string, string][] =>
      value === undefined ? [] : [[key, String(value)]],
    );
    const written = given.length === 0 ? "" : `?${new URLSearchParams(given).toString()}`;
    const asked: Asked = {
      method,
      path: `${path}${written}`,
      authorization: authorizationOf(this.#place.token),
      accept: path === "/api/stream" ? "text/event-stream" : "application/json",
      body: body === undefined ? null : JSON.stringify(body),
    };
    return send(this.#place.listen, asked, signal);
  }

  #failed(cause: unknown, isLate: boolean): ProxyError {
    if (cause instanceof ProxyError) return cause;
    const { address } = this;
    const errno = errnoOf(cause);
    const because = (problem: string, cure?: string): ProxyError =>
      new ProxyError("ERR_ADMIN", problem, cure === undefined ? { cause } : { cause, cure });
    if (isLate) return because(`the proxy on ${address} does not answer`);
    if (errno === "ECONNREFUSED" || errno === "ENOENT") {
      return because(`no proxy answers on ${address}`, this.#place.cure);
    }
    if (errno === "EACCES" || errno === "EPERM") {
      return because(
        `${address} may not be opened by this user`,
        "Ask as the proxy's user or as root",
      );
    }
    if (errno.startsWith("HPE_"))
      return because(`${address} does not speak HTTP`, this.#place.cure);
    if (errno === "ECONNRESET" || messageOf(cause) === "aborted") {
      return because(`the connection to ${address} is lost`);
    }
    return because(`${address} cannot be asked: ${printable(messageOf(cause))}`, this.#place.cure);
  }

  #unauthorized(): ProxyError {
    const { token } = this.#place;
    const problem = token === null ? "wants a token" : "has another token";
    const cure =
      token === null
        ? "Name the file of admin.token_file: -token-file FILE, or -config FILE"
        : "Name the file that its admin.token_file names";
    return new ProxyError("ERR_ADMIN", `the proxy on ${this.address} ${problem}`, { cure });
  }

  /** null: no proxy. */
  async #whoIsThere(): Promise<z.output<typeof ANY_VERSION> | null> {
    const { status, text } = await this.#exchange({ path: "/api/status" });
    const parsed = ANY_VERSION.safeParse(parseJson(text));
    return status === 200 && parsed.success ? parsed.data : null;
  }

  /** What answers there, if not as this version would. */
  async #stranger(path: string): Promise<ProxyError> {
    const wrong = (problem: string, cure: string): ProxyError =>
      new ProxyError("ERR_ADMIN", problem, { cure });
    const proxy = await this.#whoIsThere();
    if (proxy === null)
      return wrong(`what answers on ${this.address} is not a proxy`, this.#place.cure);
    const { version, pid } = proxy;
    const versions =
      version === manifest.version
        ? `both are version ${version}, of different builds`
        : `it is version ${printable(version)}, and this is ${manifest.version}`;
    return wrong(
      `the proxy on ${this.address} (process ${pid}) does not answer ${path} as this one would: ${versions}`,
      "Use the executable that it runs, or replace it: proxy upgrade",
    );
  }
}

function authorizationOf(token: Secret | null): string | null {
  return token === null ? null : `Bearer ${Buffer.from(token.reveal()).toString("latin1")}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no schema takes that
  }
}
