// A server of pages for tests with browsers and of streams: a page with a script, an echo of uploads, and server-sent events or
// lines of JSON of which each is sent only when somebody asks for it.

import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export class PageServer implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /**
   * `/` is a page that runs the script; `/echo` echoes bodies; `/events` is `text/event-stream`, `/lines` is
   * `application/x-ndjson`, both with one item at once; `/next` (POST) sends all of them another.
   */
  static async start(script = ""): Promise<PageServer> {
    const streams = new Set<() => void>();
    const stream = (response: ServerResponse, type: string, item: (i: number) => string): void => {
      let i = 0;
      const next = (): void => void response.write(item(++i));
      response.writeHead(200, { "content-type": type, "cache-control": "no-store" });
      next();
      streams.add(next);
      response.on("close", () => streams.delete(next));
    };
    const server = createServer((request, response) => {
      const { url } = request;
      if (url === "/script.js") {
        response.setHeader("content-type", "text/javascript; charset=utf-8");
        response.end(script);
      } else if (url === "/events") stream(response, "text/event-stream", (i) => `data: ${i}\n\n`);
      else if (url === "/lines") stream(response, "application/x-ndjson", (i) => `{"line":${i}}\n`);
      else if (url === "/echo") request.pipe(response);
      else if (url === "/next") {
        for (const next of streams) next();
        response.end();
      } else {
        response.setHeader("content-type", "text/html; charset=utf-8");
        response.end(`<!doctype html><title>page</title><script src="/script.js"></script>`);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new PageServer(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
