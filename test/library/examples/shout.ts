// An example: a protocol that upper-cases the text that clients send, by dialling connections whose `write` does so.
// Backpressure, half-close and resets come from the connection below.
import {
  type Addr,
  type Conn,
  dial,
  type DialOptions,
  listen,
  newForwarder,
  type Protocol,
} from "bun-tunnel";

class ShoutConn implements Conn {
  readonly fd = null;
  readonly #below: Conn;

  constructor(below: Conn) {
    this.#below = below;
  }

  get localAddr(): Addr {
    return this.#below.localAddr;
  }
  get remoteAddr(): Addr {
    return this.#below.remoteAddr;
  }
  get bytesRead(): number {
    return this.#below.bytesRead;
  }
  get bytesWritten(): number {
    return this.#below.bytesWritten;
  }
  get closed(): Promise<void> {
    return this.#below.closed;
  }
  read(): Promise<Uint8Array | null> {
    return this.#below.read();
  }
  unread(data: Uint8Array): void {
    this.#below.unread(data);
  }
  write(data: Uint8Array | string): Promise<void> {
    // Latin letters only: a byte stream may be cut within a UTF-8 character.
    const bytes = Buffer.from(data as Uint8Array);
    return this.#below.write(bytes.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte)));
  }
  closeWrite(): Promise<void> {
    return this.#below.closeWrite();
  }
  pause(): void {
    this.#below.pause();
  }
  resume(): void {
    this.#below.resume();
  }
  close(): Promise<void> {
    return this.#below.close();
  }
  reset(): void {
    this.#below.reset();
  }
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this.#below[Symbol.asyncIterator]();
  }
  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#below[Symbol.asyncDispose]();
  }
}

export function shout(): Protocol {
  return {
    name: "shout",
    listen,
    dial: async (addr: string, options: DialOptions) => new ShoutConn(await dial(addr, options)),
    forwarder: newForwarder,
  };
}
