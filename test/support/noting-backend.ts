// A backend of HTTP/1.1 that answers every whole request with 200 and no body, and keeps every byte that reaches it, for tests of
// what a proxy lets through.

import { createServer, type Server, type Socket } from "node:net";

import { isWhole } from "../protocols/http/smuggling/whole.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

export class NotingBackend implements Disposable {
  /** Whole requests, in the order in which they became whole. */
  readonly requests: string[] = [];
  /** What came of requests whose connection went away before they were whole. */
  readonly cuts: string[] = [];
  /** By open connection: what has come since its last answer. */
  readonly #begun = new Map<Socket, string>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((socket) => {
      this.#begun.set(socket, "");
      socket.on("data", (bytes) => this.#take(socket, bytes.toString("latin1")));
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        const rest = this.#begun.get(socket)!;
        if (rest !== "") this.cuts.push(rest);
        this.#begun.delete(socket);
      });
    });
  }

  static async start(): Promise<NotingBackend> {
    const backend = new NotingBackend();
    const listening = Promise.withResolvers<void>();
    backend.#server.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    return backend;
  }

  get target(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  /** No connection has a part of a request. */
  get rests(): boolean {
    return [...this.#begun.values()].every((text) => text === "");
  }

  forget(): void {
    this.requests.length = this.cuts.length = 0;
  }

  #take(socket: Socket, text: string): void {
    const begun = this.#begun.get(socket)! + text;
    this.#begun.set(socket, begun);
    if (!isWhole(begun)) return;
    this.requests.push(begun);
    this.#begun.set(socket, "");
    socket.write(OK);
  }

  [Symbol.dispose](): void {
    for (const socket of this.#begun.keys()) socket.destroy();
    this.#server.close();
  }
}
