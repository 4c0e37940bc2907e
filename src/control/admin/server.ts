// One socket that the admin listener has: reads requests within bounds, asks the gate about each and writes the answer. The
// runtime's server enforces the bounds on heads, times and connections (ADMIN of limits.ts), visitors.ts how they are used.
// Called by admin.ts.

import { chmodSync, lstatSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";

import { type Endpoint, formatEndpoint } from "../../shared/address.ts";
import { errnoOf, messageOf } from "../../shared/errors.ts";
import { ADMIN } from "../../shared/limits.ts";
import { listenError } from "../../shared/listen-error.ts";
import type { Log } from "../../shared/log.ts";
import { type Answer, failure, type Question } from "./answer.ts";
import { judge, type Rules } from "./gate.ts";
import { Visitors } from "./visitors.ts";

/** No page of another site may show what is here as its own, or as a part of it. */
const SAFEGUARDS = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
} as const;

/** Between two looks of the runtime at connections that have said nothing: before, it counts only those that ask. */
const LOOK_MS = 250;

/** Nobody keeps a connection who is not let in. */
const LEAVE = { connection: "close" } as const;

/** See ADMIN. */
export type Times = Pick<typeof ADMIN, "headMs" | "requestMs" | "keepAliveMs" | "answerMs">;

export interface ServerOptions {
  readonly listen: Endpoint;
  readonly log: Log;
  /** As they are when a request comes. */
  readonly rules: () => Rules;
  readonly answer: (question: Question) => Promise<Answer>;
  readonly times?: { readonly [K in keyof Times]: number };
}

export class AdminServer {
  readonly #options: ServerOptions;
  readonly #server: Server;
  readonly #answerMs: number;
  readonly #visitors = new Visitors();
  /** Of the file that is its own. */
  #inode = NO_INODE;

  private constructor(options: ServerOptions) {
    this.#options = options;
    const { headMs, requestMs, keepAliveMs, answerMs } = options.times ?? ADMIN;
    this.#answerMs = answerMs;
    this.#server = createServer(
      {
        maxHeaderSize: ADMIN.headMaxBytes,
        headersTimeout: headMs,
        requestTimeout: requestMs,
        keepAliveTimeout: keepAliveMs,
        connectionsCheckingInterval: LOOK_MS,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.maxConnections = ADMIN.connectionsMax;
    this.#server.on("clientError", (_error, socket) => socket.destroy());
  }

  /** @throws ProxyError ERR_LISTEN */
  static async open(options: ServerOptions): Promise<AdminServer> {
    const server = new AdminServer(options);
    const { listen } = options;
    if (listen.kind === "unix") await makeWay(listen.path);
    try {
      await server.#listen(listen);
    } catch (cause) {
      throw listenError(formatEndpoint(listen), errnoOf(cause), cause);
    }
    return server;
  }

  async #listen(listen: Endpoint): Promise<void> {
    const opened = Promise.withResolvers<void>();
    this.#server.once("error", opened.reject);
    this.#server.once("listening", opened.resolve);
    if (listen.kind === "unix") {
      const mask = process.umask(0o177); // whoever may open it may do everything: not even for a moment anybody else
      this.#server.listen({ path: listen.path });
      process.umask(mask);
    } else this.#server.listen({ port: listen.port, host: listen.host || "::" });
    await opened.promise;
    this.#server.on("error", (error) => {
      this.#options.log.warn({ error: messageOf(error) }, "admin listener");
    });
    if (listen.kind === "tcp") return;
    chmodSync(listen.path, 0o600); // where the system knows no mask
    this.#inode = lstatSync(listen.path).ino;
  }

  /** With the port that the system chose. */
  get address(): string {
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") return formatEndpoint(this.#options.listen);
    return formatEndpoint({ kind: "tcp", host: bound.address, port: bound.port });
  }

  /** Nobody new is let in; who is being answered gets the answer. */
  letGo(): void {
    const { listen } = this.#options;
    if (listen.kind === "unix" && inodeOf(listen.path) === this.#inode) {
      rmSync(listen.path, { force: true });
    }
    this.#inode = NO_INODE; // the number is free: the file that the next process makes at that path may have it
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  /** As `letGo`, and connections do not outlive their answers for long: another address is asked from here on. */
  leave(): void {
    this.letGo();
    setTimeout(() => this.#server.closeAllConnections(), ADMIN.lingerMs).unref();
  }

  close(): void {
    this.letGo();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    if (!this.#visitors.asked(socket)) return;
    const late = setTimeout(() => socket.destroy(), this.#answerMs);
    response.once("close", () => {
      clearTimeout(late);
      this.#visitors.answered(socket);
    });
    request.on("error", () => {}); // whoever asked is gone, and nobody waits for the answer
    let answer: Answer;
    try {
      answer = await this.#answer(request);
    } catch (error) {
      if (socket.destroyed) return; // in the midst of its body
      this.#options.log.error({ error: messageOf(error) }, "admin listener");
      answer = failure(500, "this is a mistake of the proxy; its log has more");
    }
    const bytes = answer.bytes ?? Buffer.from(answer.text);
    const { follow } = answer;
    const hasLength = follow === undefined && answer.status !== 304; // RFC 9110 section 8.6: not of what is not there
    response.writeHead(answer.status, {
      "content-type": answer.type,
      ...(hasLength ? { "content-length": String(bytes.length) } : {}),
      "cache-control": "no-store",
      ...SAFEGUARDS,
      ...answer.fields,
      ...(request.complete ? {} : { connection: "close" }),
    });
    if (request.method === "HEAD") response.end();
    else if (follow === undefined) response.end(bytes);
    else {
      clearTimeout(late); // whoever follows sees to it that it is read
      follow(response);
    }
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const { method = "GET", url = "/", headers } = request;
    const verdict = judge({ method, headers }, this.#options.rules());
    if (!verdict.passes) return failure(verdict.status, verdict.reason, LEAVE);
    const { trusted } = verdict;
    const body = trusted ? await bodyOf(request) : ""; // of those who show no token only probes are answered
    if (body === null) return failure(413, `a body has ${ADMIN.bodyMaxBytes} bytes at most`);
    const [path = "/", query = ""] = url.split("?", 2);
    const answer = await this.#options.answer({
      method,
      path,
      query: new URLSearchParams(query),
      accept: headers.accept ?? "",
      acceptEncoding: String(headers["accept-encoding"] ?? ""),
      ifNoneMatch: headers["if-none-match"] ?? "",
      trusted,
      body,
    });
    return trusted ? answer : { ...answer, fields: { ...answer.fields, ...LEAVE } };
  }
}

/** null: too long; what has come of it is let go. */
async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > ADMIN.bodyMaxBytes) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** A process that was killed leaves its socket's file behind, on which nobody answers. @throws ProxyError ERR_LISTEN */
async function makeWay(path: string): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (!file.isSocket()) throw listenError(`unix:${path}`, "ENOTSOCK");
  // With the cause that the system gives for a port that is taken: whoever waits for the address goes by that.
  if (await isAnswered(path)) throw listenError(`unix:${path}`, "EADDRINUSE", TAKEN);
  rmSync(path, { force: true });
}

const NO_INODE = -1;
const TAKEN = { code: "EADDRINUSE" };

function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ path });
  socket.once("connect", () => resolve(true));
  socket.once("error", (error) => resolve(errnoOf(error) !== "ECONNREFUSED"));
  return promise.finally(() => socket.destroy());
}

function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino;
}
