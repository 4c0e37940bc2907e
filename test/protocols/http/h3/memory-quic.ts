// A QUIC connection in memory, both ends of it: what one writes, the other is told when the test lets it come (`run`), in parts
// of a size that the test chooses. It keeps the contract of src/protocols/quic/transport.ts, so far as HTTP/3 asks for it.

import {
  type QuicConnection,
  type QuicConnectionHandler,
  QuicError,
  type QuicStream,
  type QuicStreamHandler,
} from "../../../../src/protocols/quic/transport.ts";
import type { WireTls } from "../../../../src/protocols/wire/wire.ts";

const PEER = { ip: new Uint8Array(16), port: 4433 };
const HIGH = 64 * 1024;

const TLS: WireTls = {
  alpn: "h3",
  serverName: "",
  version: "TLSv1.3",
  cipher: "",
  resumed: false,
  clientSubject: "",
  clientFingerprint: "",
};

const NOBODY: QuicStreamHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

/** What is on its way, in order. */
class Network {
  readonly #tasks: (() => void)[] = [];
  /** Bytes of one `onData`. */
  partBytes = Infinity;

  later(task: () => void): void {
    this.#tasks.push(task);
  }

  /** Until nothing is on its way. Microtasks of whoever is told run in between. */
  async run(): Promise<void> {
    do {
      while (this.#tasks.length > 0) this.#tasks.shift()!();
      await Promise.resolve();
    } while (this.#tasks.length > 0);
  }
}

export class MemoryQuic implements QuicConnection {
  handler: QuicConnectionHandler = {
    onStream: () => {},
    onDatagram: () => {},
    onStreamsAvailable: () => {},
    onClose: () => {},
  };
  readonly peer = PEER;
  readonly local = PEER;
  readonly tls = TLS;
  readonly network: Network;
  readonly open = new Map<number, MemoryStream>();
  other!: MemoryQuic;
  /** How many streams for requests this side may open, over all time. */
  allowed = Infinity;
  /** What this side closed it with. */
  closedWith: { code: number; reason: string } | null = null;
  isOpen = true;
  readonly #bit: number;
  #requests = 0;
  #unidirectional = 0;

  constructor(network: Network, bit: number) {
    this.network = network;
    this.#bit = bit;
  }

  get streams(): number {
    return this.open.size;
  }

  openStream(): MemoryStream | null {
    if (this.#requests >= this.allowed) return null;
    return this.#make(this.#requests++ * 4 + this.#bit, "both");
  }

  openUnidirectional(): MemoryStream | null {
    return this.#make(this.#unidirectional++ * 4 + 2 + this.#bit, "out");
  }

  #make(id: number, direction: "both" | "out"): MemoryStream {
    const own = new MemoryStream(this, id, direction);
    const theirs = new MemoryStream(this.other, id, direction === "out" ? "in" : direction);
    own.other = theirs;
    theirs.other = own;
    this.open.set(id, own);
    this.network.later(() => {
      this.other.open.set(id, theirs);
      if (this.other.isOpen) this.other.handler.onStream(theirs);
    });
    return own;
  }

  /** The peer may open so many more. */
  allow(more: number): void {
    this.other.allowed += more;
    this.network.later(() => this.other.handler.onStreamsAvailable());
  }

  sendDatagram(): boolean {
    return false;
  }

  close(code: number, reason: string): void {
    this.closedWith ??= { code, reason };
    this.fail(null, new QuicError("ERR_QUIC_CLOSED", `closed with ${code}: ${reason}`, code));
  }

  destroy(): void {
    this.close(0x100, "");
  }

  /** Both sides lose it. @param own null: this side is not told. */
  fail(own: QuicError | null, theirs: QuicError): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    if (own !== null) this.network.later(() => this.#lost(own));
    this.network.later(() => this.other.#lost(theirs));
  }

  #lost(error: QuicError): void {
    this.isOpen = false;
    for (const stream of this.open.values()) stream.over(error);
    this.handler.onClose(error);
  }
}

export class MemoryStream implements QuicStream {
  handler: QuicStreamHandler = NOBODY;
  readonly id: number;
  readonly direction: "both" | "in" | "out";
  readonly connection: MemoryQuic;
  readonly peer = PEER;
  readonly local = PEER;
  readonly tls = TLS;
  readonly fd = -1;
  early = false;
  finished = false;
  other!: MemoryStream;
  paused = false;
  /** Codes that this side broke off with. */
  abortedWith = -1;
  stoppedWith = -1;
  #incoming: Uint8Array[] = [];
  #finCame = false;
  #endTold = false;
  #isOver = false;
  #ended = false;
  #full = false;
  #delivering = false;

  constructor(connection: MemoryQuic, id: number, direction: "both" | "in" | "out") {
    this.connection = connection;
    this.id = id;
    this.direction = direction;
  }

  get pending(): number {
    return this.other.#incoming.reduce((sum, { length }) => sum + length, 0);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isOver || this.#ended) return false;
    if (bytes.length > 0) this.other.#incoming.push(bytes.slice());
    this.other.#schedule();
    this.#full = this.pending > HIGH;
    return !this.#full;
  }

  writeRange(bytes: Uint8Array, start: number, end: number): boolean {
    return this.write(bytes.subarray(start, end));
  }

  end(last?: Uint8Array): void {
    if (this.#isOver || this.#ended) return;
    if (last !== undefined) this.write(last);
    this.#ended = true;
    this.other.#finCame = true;
    this.other.#schedule();
    this.#settle();
  }

  /** Both directions are over, and both sides know it. */
  #settle(): void {
    const over = (side: MemoryStream): boolean => side.#endTold && side.#ended;
    if (!over(this) || !over(this.other)) return;
    this.connection.network.later(() => this.over(null));
    this.connection.network.later(() => this.other.over(null));
  }

  reset(): void {
    this.abort(0);
  }

  abort(code: number): void {
    if (this.#isOver) return;
    this.abortedWith = code;
    this.#isOver = true;
    this.connection.open.delete(this.id);
    const error = new QuicError("ERR_QUIC_RESET", `reset with ${code}`, code);
    this.connection.network.later(() => this.other.over(error));
  }

  stopSending(code: number): void {
    this.stoppedWith = code;
    this.#incoming = [];
    this.#endTold = true;
    this.connection.network.later(() => this.other.#stopped(code));
    this.#settle();
  }

  #stopped(code: number): void {
    if (this.#isOver) return;
    this.#ended = true;
    this.#settle();
    if (this.handler.onStopSending === undefined) {
      return this.over(new QuicError("ERR_QUIC_RESET", `stopped with ${code}`, code));
    }
    this.handler.onStopSending(code);
  }

  over(error: QuicError | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.connection.open.delete(this.id);
    this.handler.onClose(error);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    this.connection.network.later(() => this.#deliver());
  }

  #deliver(): void {
    this.#delivering = false;
    if (this.paused || this.#isOver || this.#endTold) return;
    if (this.#incoming.length > 0) {
      const all = Buffer.concat(this.#incoming);
      const part = all.subarray(0, this.connection.network.partBytes);
      this.#incoming = part.length < all.length ? [all.subarray(part.length)] : [];
      this.finished = this.#finCame && this.#incoming.length === 0;
      this.handler.onData(new Uint8Array(part));
      this.finished = false;
      this.other.#drained();
      return this.#schedule();
    }
    if (!this.#finCame) return;
    this.#endTold = true;
    this.handler.onEnd();
    if (this.direction === "in") this.#ended = this.other.#endTold = true;
    this.#settle();
  }

  #drained(): void {
    if (!this.#full || this.#isOver || this.pending > HIGH / 2) return;
    this.#full = false;
    this.handler.onDrain();
  }
}

/** @returns both ends; the first is the client's. */
export function memoryQuic(): { client: MemoryQuic; server: MemoryQuic; network: Network } {
  const network = new Network();
  const client = new MemoryQuic(network, 0);
  const server = new MemoryQuic(network, 1);
  client.other = server;
  server.other = client;
  return { client, server, network };
}
