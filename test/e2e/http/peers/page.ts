// What a page does in a browser, for chromium.test.ts, which bundles it and calls it: gRPC-Web by @connectrpc/connect-web
// (binary) and by the gRPC project's own grpc-web (text), a WebSocket, and server-sent events.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { GrpcWebClientBase, MethodDescriptor, MethodType, type RpcError } from "grpc-web";

import { WebClient, type WebOutcome } from "../../../support/connect-web.ts";

interface EventSourceLike {
  addEventListener(type: "message", heard: (event: { data: string }) => void): void;
  addEventListener(type: "error", heard: () => void): void;
  close(): void;
}
declare const EventSource: new (url: string) => EventSourceLike;

export interface TextOutcome {
  code: number;
  message: string;
  texts: string[];
}

const CHUNK = 60_000;

function methodOf(name: string, type: string): MethodDescriptor<StringValue, StringValue> {
  // Messages are made by the functions below; the classes are never asked.
  const Message = Object as unknown as new () => StringValue;
  return new MethodDescriptor(
    `/test.Echo/${name}`,
    type,
    Message,
    Message,
    (message: StringValue) => toBinary(StringValueSchema, message),
    (bytes: Uint8Array) => fromBinary(StringValueSchema, bytes),
  );
}

export const page = {
  binary: (base: string, text: string, headers: Record<string, string>): Promise<WebOutcome> =>
    new WebClient(base).unary(text, { headers }),

  /** A stream of gRPC-Web text, which the browser can read while it comes. */
  text(base: string, text: string, headers: Record<string, string>): Promise<TextOutcome> {
    const client = new GrpcWebClientBase({ format: "text" });
    const input = create(StringValueSchema, { value: text });
    const method = methodOf("Down", MethodType.SERVER_STREAMING);
    const texts: string[] = [];
    return new Promise((resolve) => {
      const call = client.serverStreaming(`${base}/test.Echo/Down`, input, headers, method);
      call.on("data", ({ value }) => void texts.push(value));
      call.on("error", ({ code, message }: RpcError) => resolve({ code, message, texts }));
      call.on("end", () => resolve({ code: 0, message: "", texts }));
    });
  },

  /** Echo of texts of these lengths, then a close by the server. @returns the lengths, and the close code. */
  webSocket(url: string, lengths: number[]): Promise<{ echoed: number[]; code: number }> {
    const echoed: number[] = [];
    const socket = new WebSocket(url);
    const next = (): void => {
      const length = lengths[echoed.length];
      socket.send(length === undefined ? "close 4002 enough" : "x".repeat(length));
    };
    return new Promise((resolve) => {
      socket.addEventListener("open", next);
      socket.addEventListener("message", ({ data }) => {
        echoed.push(String(data).length);
        next();
      });
      socket.addEventListener("close", ({ code }) => resolve({ echoed, code }));
    });
  },

  /** Asks for the next event when it has the last one. @returns what the events said. */
  events(url: string, next: string, count: number): Promise<string[]> {
    const said: string[] = [];
    const source = new EventSource(url);
    return new Promise((resolve, reject) => {
      source.addEventListener("error", () => reject(new Error("the event source failed")));
      source.addEventListener("message", ({ data }) => {
        said.push(data);
        if (said.length < count) return void fetch(next, { method: "POST" });
        source.close();
        resolve(said);
      });
    });
  },

  /** Which protocol the page itself came by. */
  protocol(): string {
    const { getEntriesByType } = performance as unknown as {
      getEntriesByType(type: "navigation"): { nextHopProtocol: string }[];
    };
    return getEntriesByType.call(performance, "navigation")[0]!.nextHopProtocol;
  },

  /** An upload and its echo. */
  async upload(url: string, length: number): Promise<boolean> {
    const sent = new Uint8Array(length);
    for (let at = 0; at < length; at += CHUNK) {
      crypto.getRandomValues(sent.subarray(at, Math.min(at + CHUNK, length)));
    }
    const answer = await fetch(url, { method: "POST", body: sent });
    const received = new Uint8Array(await answer.arrayBuffer());
    return received.length === length && received.every((byte, i) => byte === sent[i]);
  },
};

Object.assign(globalThis, { page });
