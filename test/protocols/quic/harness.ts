// Both ends of QUIC for tests of the seam: a listener that notes what it is told, clients, and pairs of streams between them.
// Called by the contract suite and by tests of the drivers.

import type { Peer } from "../../../src/protocols/live-rows.ts";
import type {
  QuicConnecting,
  QuicConnection,
  QuicConnectionHandler,
  QuicConnectOptions,
  QuicDriver,
  QuicEndpoint,
  QuicError,
  QuicListenOptions,
  QuicStream,
  QuicTransport,
} from "../../../src/protocols/quic/transport.ts";
import type { SocketAddress } from "../../../src/shared/address.ts";
import { Authority, type Issued } from "../../support/certificates.ts";
import { until, within } from "../../support/until.ts";
import { Recorder } from "../wire/recorder.ts";

export const KIB = 1024;

export const TRANSPORT: QuicTransport = {
  idleMs: 10_000,
  keepAliveMs: 0,
  handshakeMs: 5_000,
  bidirectionalStreams: 100,
  unidirectionalStreams: 10,
  streamWindow: 256 * KIB,
  connectionWindow: 1024 * KIB,
  datagrams: true,
};

export const MARKS = { highBytes: 256 * KIB, lowBytes: 64 * KIB };

/** Who plays which part. */
export interface Players {
  readonly client: QuicDriver;
  readonly server: QuicDriver;
  /** As bun:test's. Not declared where one of the drivers is known to lack what is asked for. */
  test(name: string, body: () => Promise<void>, timeoutMs?: number): void;
}

let authority: Authority | null = null;
let localhost: Issued | null = null;

/** One for a test process; its folder goes with the process's end. */
export function trusted(): Authority {
  if (authority === null) {
    const made = new Authority();
    process.on("exit", () => made[Symbol.dispose]());
    authority = made;
  }
  return authority;
}

export function certificateOf(name = "localhost"): Issued {
  if (name !== "localhost") return trusted().issue([name]);
  localhost ??= trusted().issue(["localhost", "IP:127.0.0.1"]);
  return localhost;
}

/** A connection, and what was told of it. */
export class Told implements QuicConnectionHandler {
  readonly connection: QuicConnection;
  readonly streams: QuicStream[] = [];
  readonly datagrams: string[] = [];
  /** Called for each stream, whose handler it sets; without it they are echoed. */
  onStreamOf: ((stream: QuicStream) => void) | null = null;
  availables = 0;
  closes = 0;
  readonly closed: Promise<QuicError | null>;
  readonly #closed = Promise.withResolvers<QuicError | null>();

  constructor(connection: QuicConnection) {
    this.connection = connection;
    this.closed = this.#closed.promise;
    connection.handler = this;
  }

  onStream(stream: QuicStream): void {
    this.streams.push(stream);
    if (this.onStreamOf === null) echo(stream);
    else this.onStreamOf(stream);
  }

  onDatagram(bytes: Uint8Array): void {
    this.datagrams.push(Buffer.from(bytes).toString());
  }

  onStreamsAvailable(): void {
    this.availables++;
  }

  onClose(error: QuicError | null): void {
    this.closes++;
    this.#closed.resolve(error);
  }

  /** The next stream is noted by a recorder. */
  recordStream(): Promise<{ stream: QuicStream; recorder: Recorder }> {
    const next = Promise.withResolvers<{ stream: QuicStream; recorder: Recorder }>();
    this.onStreamOf = (stream) => {
      const recorder = new Recorder();
      recorder.adopt(stream);
      this.onStreamOf = null;
      next.resolve({ stream, recorder });
    };
    return within("a stream", next.promise);
  }
}

/** Sends back what comes, and ends when its peer ends. */
export function echo(stream: QuicStream): void {
  stream.handler = {
    onData: (bytes) => void (stream.write(bytes) || stream.pause()),
    onDrain: () => stream.resume(),
    onEnd: () => stream.end(),
    onClose: () => {},
  };
}

export class Server implements AsyncDisposable {
  readonly endpoint: QuicEndpoint;
  readonly told: Told[];
  readonly accepted: Peer[];
  readonly refused: { peer: Peer; error: QuicError }[];
  readonly #waiting: ((told: Told) => void)[];

  private constructor(endpoint: QuicEndpoint, notes: Notes) {
    this.endpoint = endpoint;
    this.told = notes.told;
    this.accepted = notes.accepted;
    this.refused = notes.refused;
    this.#waiting = notes.waiting;
  }

  static async listen(
    driver: QuicDriver,
    options: Partial<QuicListenOptions> = {},
  ): Promise<Server> {
    const notes: Notes = { told: [], accepted: [], refused: [], waiting: [] };
    const endpoint = await driver.listen({
      address: { kind: "ip", host: "127.0.0.1", port: 0 },
      reusePort: false,
      buffers: { sendBufferBytes: null, receiveBufferBytes: null },
      alpn: ["echo"],
      certificates: { certificates: [certificateOf().material], clientCa: null },
      clientAuth: "none",
      transport: TRANSPORT,
      watermarks: MARKS,
      earlyData: false,
      retryFrom: Infinity,
      keyLog: null,
      onAccept: (peer) => {
        notes.accepted.push(peer);
        return true;
      },
      onRefused: (peer, error) => notes.refused.push({ peer, error }),
      ...options,
      onConnection: (connection) => {
        const told = new Told(connection);
        notes.told.push(told);
        options.onConnection?.(connection);
        notes.waiting.shift()?.(told);
      },
    });
    return new Server(endpoint, notes);
  }

  get address(): SocketAddress & { kind: "ip" } {
    return this.endpoint.address as SocketAddress & { kind: "ip" };
  }

  /** The next that connects. */
  next(): Promise<Told> {
    const { promise, resolve } = Promise.withResolvers<Told>();
    this.#waiting.push(resolve);
    return within("a client", promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.endpoint.destroy();
  }
}

interface Notes {
  readonly told: Told[];
  readonly accepted: Peer[];
  readonly refused: { peer: Peer; error: QuicError }[];
  readonly waiting: ((told: Told) => void)[];
}

export function clientOptions(
  address: SocketAddress,
  options: Partial<QuicConnectOptions> = {},
): QuicConnectOptions {
  return {
    address,
    serverName: "localhost",
    alpn: ["echo"],
    certificates: { group: 0, index: 0, ca: trusted().ca, certificate: null },
    insecure: false,
    transport: TRANSPORT,
    watermarks: MARKS,
    earlyData: false,
    keyLog: null,
    ...options,
  };
}

/** @returns what was connected, or why not, unless it is cancelled. */
export function attempt(
  driver: QuicDriver,
  options: QuicConnectOptions,
): { connecting: QuicConnecting; outcome: Promise<Told | QuicError> } {
  const { promise, resolve } = Promise.withResolvers<Told | QuicError>();
  let returned = false;
  const connecting = driver.connect(options, (connection, error) => {
    if (!returned) throw new Error("connected from within the call");
    resolve(connection === null ? error! : new Told(connection));
  });
  returned = true;
  return { connecting, outcome: promise };
}

/** @throws QuicError */
export async function connect(driver: QuicDriver, options: QuicConnectOptions): Promise<Told> {
  const outcome = await within("the handshake", attempt(driver, options).outcome);
  if (outcome instanceof Told) return outcome;
  throw outcome;
}

/** @throws Error if it connects. */
export async function refusal(driver: QuicDriver, options: QuicConnectOptions): Promise<QuicError> {
  const outcome = await within("the handshake", attempt(driver, options).outcome);
  if (!(outcome instanceof Told)) return outcome;
  // Of TLS 1.3, a client may be done before the server has looked at its certificate.
  const error = await within("the refusal", outcome.closed);
  if (error === null) throw new Error("it connected, and was closed without an error");
  return error;
}

/** A server, a client and their connection. */
export class Link implements AsyncDisposable {
  readonly server: Server;
  readonly client: Told;
  readonly accepted: Told;

  private constructor(server: Server, client: Told, accepted: Told) {
    this.server = server;
    this.client = client;
    this.accepted = accepted;
  }

  static async make(
    { client, server }: Players,
    listen: Partial<QuicListenOptions> = {},
    options: Partial<QuicConnectOptions> = {},
  ): Promise<Link> {
    const listening = await Server.listen(server, listen);
    const arrival = listening.next();
    const connected = await connect(client, clientOptions(listening.address, options));
    return new Link(listening, connected, await arrival);
  }

  /** A stream that the client opened, of which both ends are noted. Its first byte is over. */
  async streams(): Promise<StreamPair> {
    let stream: QuicStream | null = null;
    await until("a stream is allowed", () => {
      stream ??= this.client.connection.openStream();
      return stream !== null;
    });
    const clientStream: QuicStream = stream!;
    const client = new Recorder();
    client.adopt(clientStream);
    const arrival = this.accepted.recordStream();
    client.write(Buffer.from("!"));
    const server = await arrival;
    await until("the first byte", () => server.recorder.text === "!");
    server.recorder.text = "";
    server.recorder.received = 0;
    return { client, server: server.recorder, clientStream, serverStream: server.stream };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.connection.destroy();
    await this.server[Symbol.asyncDispose]();
  }
}

export interface StreamPair {
  readonly client: Recorder;
  readonly server: Recorder;
  readonly clientStream: QuicStream;
  readonly serverStream: QuicStream;
}
