// What test servers answer: a small fixed answer, the request's own body, a stream of bytes as long as the path says.

import type {
  ClientStream,
  RequestEvents,
  RequestTaker,
} from "../../src/protocols/http/exchange.ts";
import { type Fields, fieldsOf } from "../../src/protocols/http/message/fields.ts";
import { ResponseHead } from "../../src/protocols/http/message/heads.ts";
import { streamBytes } from "./bytes.ts";

const IGNORES: RequestEvents = {
  onRequestBody() {},
  onRequestEnd() {},
  onRequestFailure() {},
  onClientDrain() {},
};

const HELLO = new TextEncoder().encode("hello, world\n");
const answer = new ResponseHead();
const fields = fieldsOf([
  ["server", "test"],
  ["date", "Sun, 22 Nov 2026 16:00:00 GMT"],
  ["content-type", "text/plain"],
]);

/** `hello, world` to everything, with 200. */
export const hello: RequestTaker = (stream, head) => {
  stream.events = IGNORES;
  stream.resume();
  answer.clear();
  answer.fields.copy(fields);
  answer.contentLength = HELLO.length;
  answer.bodyless = head.method === "HEAD";
  stream.sendHead(answer);
  if (answer.bodyless) return;
  stream.sendBody(HELLO);
  stream.sendEnd(null);
};

/** The same, 20 ms after the request's end, as a backend answers: h2spec sends frames for streams that are not answered yet. */
export const helloLater: RequestTaker = (stream, head) => {
  let gone = false;
  stream.events = {
    ...IGNORES,
    onRequestEnd: () => void setTimeout(() => gone || hello(stream, head), 20),
    onRequestFailure: () => void (gone = true),
  };
  stream.resume();
};

/** Sends the request's body back as it comes, with the trailers. */
export const echo: RequestTaker = (stream, head) => {
  stream.events = {
    onRequestBody: (bytes) => {
      if (!stream.sendBody(bytes)) stream.pause();
    },
    onRequestEnd: (trailers: Fields | null) => stream.sendEnd(trailers),
    onRequestFailure() {},
    onClientDrain: () => stream.resume(),
  };
  answer.clear();
  if (head.upgrade !== "") answer.status = 101;
  stream.sendHead(answer);
  stream.resume();
};

/** `/12345?7`: that many bytes of stream 7 (test/support/bytes.ts). */
export const download: RequestTaker = (stream, head) => {
  const [, length, seed] = /^\/(\d+)\??(\d*)/.exec(head.path)!;
  answer.clear();
  answer.contentLength = Number(length);
  const sender = new Download(stream, Number(seed), Number(length));
  stream.events = sender;
  stream.sendHead(answer);
  sender.onClientDrain();
};

const CHUNK_BYTES = 64 * 1024;

class Download implements RequestEvents {
  readonly #stream: ClientStream;
  readonly #seed: number;
  readonly #length: number;
  #sent = 0;

  constructor(stream: ClientStream, seed: number, length: number) {
    this.#stream = stream;
    this.#seed = seed;
    this.#length = length;
  }

  onRequestBody(): void {}
  onRequestEnd(): void {}
  onRequestFailure(): void {}

  onClientDrain(): void {
    while (this.#sent < this.#length) {
      const bytes = streamBytes(
        this.#seed,
        this.#sent,
        Math.min(CHUNK_BYTES, this.#length - this.#sent),
      );
      this.#sent += bytes.length;
      if (!this.#stream.sendBody(bytes)) return;
    }
    this.#stream.sendEnd(null);
  }
}
