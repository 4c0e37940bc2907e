// A gRPC server of @grpc/grpc-js on Node.js. Messages are bytes, which it does not look into; metadata says what it is to do:
//
//   x-status, x-details   ends with this status        x-hang   never answers
//   x-count               Down: how many answers       x-step   Down: each only when the test says `step`
//   x-say, x-say-bin      said back in the head and (x-said-last, x-said-last-bin) in the trailers
//
// It says its port first, and then each call that was cancelled. Run as `grpc-server [CERTIFICATE KEY]`.

import type { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";

import {
  Metadata,
  type MethodDefinition,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
} from "@grpc/grpc-js";

import { listen, say } from "./conversation.ts";

type Call =
  | ServerUnaryCall<Buffer, Buffer>
  | ServerReadableStream<Buffer, Buffer>
  | ServerWritableStream<Buffer, Buffer>
  | ServerDuplexStream<Buffer, Buffer>;

const same = (bytes: Buffer): Buffer => bytes;
const steps = new Set<() => void>();

function method(
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

const ECHO: ServiceDefinition = {
  Unary: method("Unary", false, false),
  Up: method("Up", true, false),
  Down: method("Down", false, true),
  Both: method("Both", true, true),
};

function asked(call: Call, name: string): string | undefined {
  return call.metadata.get(name)[0]?.toString();
}

/** Says back what it was told, and says when the call is cancelled. @returns the trailers. */
function begin(call: Call, name: string): Metadata {
  const head = new Metadata();
  const trailers = new Metadata();
  const text = asked(call, "x-say");
  if (text !== undefined) {
    head.set("x-said", text);
    trailers.set("x-said-last", text);
  }
  const [bytes] = call.metadata.get("x-say-bin");
  if (bytes !== undefined) {
    head.set("x-said-bin", bytes);
    trailers.set("x-said-last-bin", bytes);
  }
  const deadline = call.getDeadline();
  if (deadline !== Infinity) head.set("x-left-ms", String(Number(deadline) - Date.now()));
  const agent = asked(call, "x-user-agent");
  if (agent !== undefined) head.set("x-agent", agent);
  if (text !== undefined || bytes !== undefined || deadline !== Infinity) call.sendMetadata(head);
  (call as EventEmitter).on("cancelled", () => say({ cancelled: name }));
  return trailers;
}

/** @returns null if the call is to succeed. */
function failure(call: Call, metadata: Metadata): Parameters<sendUnaryData<Buffer>>[0] {
  const status = asked(call, "x-status");
  if (status === undefined) return null;
  const details = decodeURIComponent(asked(call, "x-details") ?? "");
  return { code: Number(status), details, metadata };
}

function answer(call: Call, name: string, bytes: () => Buffer, done: sendUnaryData<Buffer>): void {
  const trailers = begin(call, name);
  if (asked(call, "x-hang") !== undefined) return;
  const failed = failure(call, trailers);
  if (failed === null) done(null, bytes(), trailers);
  else done(failed);
}

function unary(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void {
  answer(call, "Unary", () => call.request, done);
}

function up(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>): void {
  let messages = 0;
  let bytes = 0;
  call.on("data", (message: Buffer) => {
    messages++;
    bytes += message.length;
  });
  call.on("end", () =>
    answer(call, "Up", () => Buffer.from(JSON.stringify({ messages, bytes })), done),
  );
}

function finish(
  call: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  trailers: Metadata,
): void {
  const failed = failure(call, trailers);
  if (failed === null) call.end(trailers);
  else call.emit("error", failed);
}

function down(call: ServerWritableStream<Buffer, Buffer>): void {
  const trailers = begin(call, "Down");
  let left = Number(asked(call, "x-count") ?? "1");
  const one = (): boolean => {
    if (left-- > 0) return call.write(call.request);
    finish(call, trailers);
    return false;
  };
  if (asked(call, "x-step") !== undefined) {
    const step = (): void => {
      one();
      if (left < 0) steps.delete(step);
    };
    steps.add(step);
    call.on("cancelled", () => steps.delete(step));
    return;
  }
  const many = (): void => {
    while (one());
    if (left >= 0) call.once("drain", many);
  };
  many();
}

function both(call: ServerDuplexStream<Buffer, Buffer>): void {
  const trailers = begin(call, "Both");
  call.on("data", (message: Buffer) => {
    if (!call.write(message)) {
      call.pause();
      call.once("drain", () => call.resume());
    }
  });
  call.on("end", () => finish(call, trailers));
}

const [certificate, key] = process.argv.slice(2);
const credentials =
  certificate === undefined || key === undefined
    ? ServerCredentials.createInsecure()
    : ServerCredentials.createSsl(null, [
        { cert_chain: readFileSync(certificate), private_key: readFileSync(key) },
      ]);
const server = new Server({ "grpc.max_receive_message_length": -1 });
server.addService(ECHO, { Unary: unary, Up: up, Down: down, Both: both });
server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
  if (error !== null) throw error;
  say({ port });
});
listen((message) => {
  if (message.step === true) for (const step of steps) step();
});
