// A server in the place of a proxy's admin listener: answers what a test tells it to, and streams what a test pushes.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { Secret } from "../../src/shared/secret.ts";

export interface Noted {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

type Answer = readonly [status: number, json: unknown] | "silence" | "stream";

export class FakeAdmin implements AsyncDisposable {
  readonly noted: Noted[] = [];
  readonly #server: Server;
  readonly #streams = new Set<ServerResponse>();
  readonly #answers: (path: string, method: string) => Answer;
  #opened = Promise.withResolvers<void>();

  private constructor(answers: (path: string, method: string) => Answer) {
    this.#answers = answers;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(answers: (path: string, method: string) => Answer): Promise<FakeAdmin> {
    const fake = new FakeAdmin(answers);
    const listening = Promise.withResolvers<void>();
    fake.#server.listen({ host: "127.0.0.1", port: 0 }, listening.resolve);
    await listening.promise;
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  place(token: string | null = null) {
    const secret = token === null ? null : Secret.of(Buffer.from(token));
    return {
      listen: { kind: "tcp", host: "127.0.0.1", port: this.port },
      token: secret,
      cure: "Start it",
    } as const;
  }

  /** Resolves when a stream is open, the next one after a cut. */
  get streaming(): Promise<void> {
    return this.#opened.promise;
  }

  push(text: string): void {
    for (const stream of this.#streams) stream.write(text);
  }

  snapshot(value: unknown): void {
    this.push(`event: snapshot\ndata: ${JSON.stringify(value)}\n\n`);
  }

  /** Resets all streams. */
  cut(): void {
    this.#opened = Promise.withResolvers();
    for (const stream of this.#streams) stream.socket?.destroy();
    this.#streams.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    const closed = Promise.withResolvers<void>();
    this.#server.close(() => closed.resolve());
    this.#server.closeAllConnections();
    await closed.promise;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    let body = "";
    for await (const part of request as AsyncIterable<Buffer>) body += part.toString();
    this.noted.push({ method, url, authorization: headers.authorization, body });
    const answer = this.#answers(url.split("?")[0]!, method);
    if (answer === "silence") return;
    if (answer === "stream") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      this.#streams.add(response);
      return this.#opened.resolve();
    }
    const [status, json] = answer;
    const text = typeof json === "string" ? json : JSON.stringify(json);
    response.writeHead(status, { "content-type": "application/json" }).end(text);
  }
}
