// Stands in for an admin listener, for tests of the dashboard in a browser: the real page, and a stream that says what a
// test wants when it wants it.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { DashboardPage } from "../../src/control/admin/page.ts";
import type { Snapshot } from "../../src/control/admin/schemas.ts";

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly body: string;
}

export interface StandInOptions {
  /** What whoever asks must show; none: nothing. */
  readonly token?: string;
  /** What it answers to whatever is asked besides the page and the stream. */
  answer?(asked: Asked): unknown;
}

export class StandIn implements AsyncDisposable {
  /** What was asked besides the page and the stream. */
  readonly asked: Asked[] = [];
  readonly url: string;
  readonly #server: Server;
  readonly #streams: Set<ServerResponse>;

  private constructor(server: Server, streams: Set<ServerResponse>, asked: Asked[]) {
    this.#server = server;
    this.#streams = streams;
    this.asked = asked;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  static async start({ token, answer }: StandInOptions = {}): Promise<StandIn> {
    const page = new DashboardPage();
    const streams = new Set<ServerResponse>();
    const asked: Asked[] = [];
    const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const { method = "", url = "", headers } = request;
      if (url === "/") {
        const query = new URLSearchParams();
        const question = { method, path: url, query, accept: "", trusted: true, body: "" };
        const { type, text, fields } = await page.answer(question);
        response.writeHead(200, { "content-type": type, ...fields }).end(text);
      } else if (token !== undefined && headers.authorization !== `Bearer ${token}`) {
        response.writeHead(401).end(JSON.stringify({ error: "send the token" }));
      } else if (url === "/api/stream") {
        response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
        streams.add(response);
        response.on("close", () => streams.delete(response));
      } else {
        let body = "";
        for await (const part of request) body += String(part);
        asked.push({ method, url, body });
        response.end(JSON.stringify(answer?.({ method, url, body }) ?? {}));
      }
    };
    const server = createServer((request, response) => void serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new StandIn(server, streams, asked);
  }

  /** Pages that listen. */
  get streams(): number {
    return this.#streams.size;
  }

  /** To all who listen. */
  say(...snapshots: Snapshot[]): void {
    const events = snapshots.map((each) => `event: snapshot\ndata: ${JSON.stringify(each)}\n\n`);
    for (const stream of this.#streams) stream.write(events.join(""));
  }

  /** Ends what is being said. */
  cut(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
