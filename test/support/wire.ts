// A stream socket of a test: sends and checks position-dependent bytes, half-closes, resets, and says how it ended. On
// node:net, so that the relay's peers are not the relay's own code.

import { connect, createServer, type Server, Socket } from "node:net";

import { streamBytes, StreamCheck, VIEW_MAX_BYTES } from "./bytes.ts";

/** `fin`: the peer ended its direction in order. Otherwise an errno's name: `ECONNRESET`, `ECONNREFUSED`, … */
export type Ending = string;

export type WireAddress = { host: string; port: number; localAddress?: string } | { path: string };

export class Wire {
  readonly socket: Socket;
  /** Settles with how the peer's direction ended; never rejects. */
  readonly ending: Promise<Ending>;
  /** Settles when the socket is gone. */
  readonly closed: Promise<void>;
  received = 0;
  #sink: ((chunk: Buffer) => void) | null = null;
  #early: Buffer[] = [];
  #failure: Error | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    const ending = Promise.withResolvers<Ending>();
    const closed = Promise.withResolvers<void>();
    this.ending = ending.promise;
    this.closed = closed.promise;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.length;
      if (this.#sink === null) this.#early.push(chunk);
      else this.#deliver(chunk);
    });
    socket.on("end", () => ending.resolve("fin"));
    socket.on("error", (error: NodeJS.ErrnoException) => ending.resolve(error.code ?? "?"));
    socket.on("close", () => {
      ending.resolve("closed");
      closed.resolve();
    });
  }

  static async connect(address: WireAddress): Promise<Wire> {
    const socket = connect({ ...address, allowHalfOpen: true });
    const wire = new Wire(socket);
    const connected = Promise.withResolvers<void>();
    socket.once("connect", connected.resolve);
    socket.once("error", connected.reject);
    await connected.promise;
    socket.setNoDelay(true);
    return wire;
  }

  #deliver(chunk: Buffer): void {
    try {
      this.#sink!(chunk);
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }

  /** Everything that has arrived goes to `sink`, and what arrives later. */
  onData(sink: (chunk: Buffer) => void): void {
    this.#sink = sink;
    for (const chunk of this.#early.splice(0)) this.#deliver(chunk);
  }

  /** Settles when the system has taken the bytes; also when the socket is lost. */
  write(bytes: Uint8Array | string): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed) return resolve();
      const done = (): void => {
        this.socket.off("close", done);
        resolve();
      };
      this.socket.once("close", done);
      this.socket.write(bytes, done);
    });
  }

  /** Sends `length` bytes of stream `seed` as fast as they are taken. */
  async sendStream(seed: number, length: number, chunkBytes = 256 * 1024): Promise<void> {
    const step = Math.min(chunkBytes, VIEW_MAX_BYTES);
    for (let at = 0; at < length && !this.socket.destroyed; at += step) {
      const chunk = streamBytes(seed, at, Math.min(step, length - at));
      if (!this.socket.write(chunk)) await this.#drained();
    }
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.socket.off("drain", done);
        this.socket.off("close", done);
        resolve();
      };
      this.socket.on("drain", done);
      this.socket.on("close", done);
    });
  }

  /** Reads to the end and checks every byte. @throws Error where the stream differs, is short, or did not end with a FIN. */
  async expectStream(seed: number, length: number): Promise<void> {
    const check = new StreamCheck(seed);
    this.onData((chunk) => check.take(chunk));
    const ending = await this.ending;
    if (this.#failure !== null) throw this.#failure;
    if (check.received !== length || ending !== "fin") {
      throw new Error(`stream ${seed}: ${check.received} of ${length} bytes, then ${ending}`);
    }
  }

  /** Everything up to the end of the peer's direction. */
  async readAll(): Promise<string> {
    return (await this.readToEnd()).toString();
  }

  /** As `readAll`, byte for byte. */
  async readToEnd(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    this.onData((chunk) => chunks.push(chunk));
    await this.ending;
    return Buffer.concat(chunks);
  }

  /** Reads until `bytes` have arrived in all. */
  async readBytes(bytes: number): Promise<string> {
    const chunks: Buffer[] = [];
    let total = 0;
    const enough = Promise.withResolvers<void>();
    this.onData((chunk) => {
      chunks.push(chunk);
      total += chunk.length;
      if (total >= bytes) enough.resolve();
    });
    const ending = await Promise.race([enough.promise, this.ending]);
    if (total < bytes) throw new Error(`${total} of ${bytes} bytes, then ${ending}`);
    return Buffer.concat(chunks).toString("latin1");
  }

  /** The first `bytes` bytes; what follows stays for `onData`. */
  readHead(bytes: number): Promise<string> {
    return new Promise((resolve, reject) => {
      let head = Buffer.alloc(0);
      this.onData((chunk) => {
        if (this.#sink === null) return void this.#early.push(chunk);
        head = Buffer.concat([head, chunk]);
        if (head.length < bytes) return;
        this.#sink = null;
        this.#early.unshift(head.subarray(bytes));
        resolve(head.toString("latin1", 0, bytes));
      });
      void this.ending.then((ending) => reject(new Error(`ended with ${ending} in its head`)));
    });
  }

  /** FIN; the other direction goes on. */
  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** As close(2): both directions. */
  destroy(): void {
    this.socket.destroy();
  }
}

/** A server whose connections are taken one by one with `accept`, or by a handler. */
export class WireServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #waiting: ((wire: Wire) => void)[] = [];
  readonly #ready: Wire[] = [];
  readonly #open = new Set<Socket>();
  /** Connections so far. */
  accepted = 0;

  private constructor(handler?: (wire: Wire) => void) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.accepted++;
      this.#open.add(socket);
      socket.on("close", () => this.#open.delete(socket));
      const wire = new Wire(socket);
      if (handler !== undefined) handler(wire);
      else {
        const taker = this.#waiting.shift();
        if (taker === undefined) this.#ready.push(wire);
        else taker(wire);
      }
    });
  }

  /** @param at a host (port is chosen) or the path of a unix socket. */
  static async listen(
    handler?: (wire: Wire) => void,
    at: { host: string; port?: number } | { path: string } = { host: "127.0.0.1" },
  ): Promise<WireServer> {
    const server = new WireServer(handler);
    const listening = Promise.withResolvers<void>();
    server.#server.once("error", listening.reject);
    server.#server.listen("path" in at ? at : { port: 0, ...at }, listening.resolve);
    await listening.promise;
    return server;
  }

  /** Sends every byte back, and the FIN after them. */
  static echo(at?: { host: string; port?: number } | { path: string }): Promise<WireServer> {
    return WireServer.listen((wire) => void wire.socket.pipe(wire.socket), at);
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return address.port;
  }

  /** As a configuration names it. */
  get target(): string {
    const address = this.#server.address();
    if (typeof address === "string") return `unix:${address}`;
    const host = address!.address;
    return host.includes(":") ? `[${host}]:${address!.port}` : `${host}:${address!.port}`;
  }

  accept(): Promise<Wire> {
    const wire = this.#ready.shift();
    if (wire !== undefined) return Promise.resolve(wire);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Every connection so far. */
  closeAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.closeAll();
    await closed;
  }
}
