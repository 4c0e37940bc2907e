// A gRPC client of @grpc/grpc-js and the server of test/e2e/http/peers/grpc-server.ts, for tests of what stands between them.

import {
  type CallOptions,
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";

import { NodePeer } from "./node-peer.ts";

export type ServerSays = { port: number } & { cancelled: string };

export interface GrpcServer extends AsyncDisposable {
  readonly port: number;
  readonly peer: NodePeer<ServerSays>;
}

/** @param certificate files of a certificate and its key; none: in clear. */
export async function startGrpcServer(...certificate: string[]): Promise<GrpcServer> {
  const source = new URL("../e2e/http/peers/grpc-server.ts", import.meta.url);
  const peer = await NodePeer.start<ServerSays>(source, ...certificate);
  const { port } = await peer.says();
  return { port, peer, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

const same = (bytes: Buffer): Buffer => bytes;

/** What came of a call. */
export interface Outcome {
  /** 0: it succeeded. */
  code: number;
  details: string;
  messages: Buffer[];
  /** Of the head. */
  metadata: Metadata;
  trailers: Metadata;
}

export type Says = Record<string, string | Buffer>;

function metadataOf(says: Says): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(says)) metadata.set(name, value);
  return metadata;
}

type Receiving = ClientReadableStream<Buffer> | ClientDuplexStream<Buffer, Buffer>;

/** Collects a streamed answer to its end. @param received is called for each message. */
export function collect(call: Receiving, received?: (message: Buffer) => void): Promise<Outcome> {
  const messages: Buffer[] = [];
  let head = new Metadata();
  call.on("metadata", (metadata: Metadata) => (head = metadata));
  call.on("data", (message: Buffer) => {
    messages.push(message);
    received?.(message);
  });
  call.on("error", () => {}); // the status says it, too
  return new Promise((resolve) => {
    call.on("status", ({ code, details, metadata }) =>
      resolve({ code, details, messages, metadata: head, trailers: metadata }),
    );
  });
}

export class EchoClient implements Disposable {
  readonly #client: Client;

  /** @param address `host:port` */
  constructor(address: string, by: ChannelCredentials = credentials.createInsecure()) {
    this.#client = new Client(address, by, { "grpc.max_receive_message_length": -1 });
  }

  unary(message: Buffer, says: Says = {}, options: CallOptions = {}): Promise<Outcome> {
    return new Promise((resolve) => {
      const done = (error: ServiceError | null, answer?: Buffer): void => {
        code = error?.code ?? 0;
        details = error?.details ?? "";
        if (answer !== undefined) messages.push(answer);
      };
      let code = 0;
      let details = "";
      let metadata = new Metadata();
      const messages: Buffer[] = [];
      const to = "/test.Echo/Unary";
      const given = metadataOf(says);
      const call = this.#client.makeUnaryRequest(to, same, same, message, given, options, done);
      call.on("metadata", (head) => (metadata = head));
      call.on("status", ({ metadata: trailers }) =>
        // The callback comes in the same turn, before or after.
        setImmediate(() => resolve({ code, details, messages, metadata, trailers })),
      );
    });
  }

  /** The answer is what the server counted. */
  up(says: Says = {}): { call: ClientWritableStream<Buffer>; outcome: Promise<string | number> } {
    const outcome = Promise.withResolvers<string | number>();
    const done = (error: ServiceError | null, answer?: Buffer): void =>
      outcome.resolve(error === null ? answer!.toString() : error.code);
    const to = "/test.Echo/Up";
    const call = this.#client.makeClientStreamRequest(to, same, same, metadataOf(says), {}, done);
    return { call, outcome: outcome.promise };
  }

  down(message: Buffer, says: Says, options: CallOptions = {}): ClientReadableStream<Buffer> {
    const given = metadataOf(says);
    return this.#client.makeServerStreamRequest(
      "/test.Echo/Down",
      same,
      same,
      message,
      given,
      options,
    );
  }

  both(says: Says = {}, options: CallOptions = {}): ClientDuplexStream<Buffer, Buffer> {
    return this.#client.makeBidiStreamRequest(
      "/test.Echo/Both",
      same,
      same,
      metadataOf(says),
      options,
    );
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
