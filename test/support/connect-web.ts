// A gRPC-Web client of @connectrpc/connect-web for the service of test/e2e/http/peers/grpc-server.ts. That one echoes whatever
// bytes it gets, so messages may be any; here they are StringValue. Used by tests, and in pages that tests open.

import {
  create,
  createFileRegistry,
  type DescMethodServerStreaming,
  type DescMethodUnary,
} from "@bufbuild/protobuf";
import {
  file_google_protobuf_wrappers,
  FileDescriptorProtoSchema,
  type StringValue,
  StringValueSchema,
} from "@bufbuild/protobuf/wkt";
import { ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

const STRING = ".google.protobuf.StringValue";
const WRAPPERS = "google/protobuf/wrappers.proto";
const file = create(FileDescriptorProtoSchema, {
  name: "echo.proto",
  package: "test",
  syntax: "proto3",
  dependency: [WRAPPERS],
  service: [
    {
      name: "Echo",
      method: [
        { name: "Unary", inputType: STRING, outputType: STRING },
        { name: "Down", inputType: STRING, outputType: STRING, serverStreaming: true },
      ],
    },
  ],
});
const registry = createFileRegistry(file, (name) =>
  name === WRAPPERS ? file_google_protobuf_wrappers : undefined,
);
const { methods } = registry.getService("test.Echo")!;
type String1 = typeof StringValueSchema;
const UNARY = methods[0] as unknown as DescMethodUnary<String1, String1>;
const DOWN = methods[1] as unknown as DescMethodServerStreaming<String1, String1>;

export interface WebOutcome {
  /** Of gRPC; 0: it succeeded. */
  code: number;
  message: string;
  texts: string[];
  headers: Record<string, string>;
  trailers: Record<string, string>;
}

export interface CallOptions {
  headers?: Record<string, string>;
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Of a stream: called for each message. */
  received?: (text: string) => void;
  /** Of a stream: called for its head. */
  began?: () => void;
}

function failed(error: unknown, texts: string[]): WebOutcome {
  const { code, rawMessage, metadata } = ConnectError.from(error);
  return { code, message: rawMessage, texts, headers: {}, trailers: Object.fromEntries(metadata) };
}

export class WebClient {
  readonly #transport: Transport;

  constructor(baseUrl: string) {
    this.#transport = createGrpcWebTransport({ baseUrl });
  }

  async unary(text: string, options: CallOptions = {}): Promise<WebOutcome> {
    const { signal, timeoutMs, headers } = options;
    const input = create(StringValueSchema, { value: text });
    try {
      const answer = await this.#transport.unary(UNARY, signal, timeoutMs, headers, input);
      return {
        code: 0,
        message: "",
        texts: [answer.message.value],
        headers: Object.fromEntries(answer.header),
        trailers: Object.fromEntries(answer.trailer),
      };
    } catch (error) {
      return failed(error, []);
    }
  }

  async down(text: string, options: CallOptions = {}): Promise<WebOutcome> {
    const { signal, timeoutMs, headers, received, began } = options;
    const texts: string[] = [];
    async function* input(): AsyncGenerator<StringValue> {
      yield create(StringValueSchema, { value: text });
    }
    try {
      const answer = await this.#transport.stream(DOWN, signal, timeoutMs, headers, input());
      began?.();
      for await (const { value } of answer.message) {
        texts.push(value);
        received?.(value);
      }
      const trailers = Object.fromEntries(answer.trailer);
      const head = Object.fromEntries(answer.header);
      return { code: 0, message: "", texts, headers: head, trailers };
    } catch (error) {
      return failed(error, texts);
    }
  }
}
