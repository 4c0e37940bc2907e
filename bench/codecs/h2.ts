// The codec of HTTP/2 by itself: nanoseconds of a client's connection to read a request and to write its answer, in one thread
// without sockets; 16 requests come in one read, and their answers leave in one write.
//   bun bench/codecs/h2.ts [ROUNDS]
// Best of several rounds, since everything else on the machine only makes it slower.

import type { RequestTaker } from "../../src/protocols/http/exchange.ts";
import * as C from "../../src/protocols/http/h2/constants.ts";
import { HpackEncoder } from "../../src/protocols/http/h2/hpack/encoder.ts";
import * as Static from "../../src/protocols/http/h2/hpack/static-table.ts";
import { Http2Server } from "../../src/protocols/http/h2/server.ts";
import { Fields, fieldsOf } from "../../src/protocols/http/message/fields.ts";
import { ResponseHead } from "../../src/protocols/http/message/heads.ts";
import { NOBODY } from "../../src/protocols/http/nobody.ts";
import { SILENT } from "../../src/protocols/wire/handler.ts";
import type { Wire } from "../../src/protocols/wire/wire.ts";
import { LIMITS, TIMEOUTS } from "../../test/support/h2-server.ts";

const STREAMS = 16;
const BATCHES_EACH = 2_000;

type Entry = readonly [name: string, value: string];
interface Kind {
  readonly name: string;
  readonly fields: readonly Entry[];
  /** Whether each request has a path of its own. */
  readonly paths: boolean;
}

const KINDS: readonly Kind[] = [
  {
    name: "h2load's request, always the same",
    fields: [["user-agent", "h2load nghttp2/1.52.0"]],
    paths: false,
  },
  {
    name: "a browser's request, each for another path",
    fields: [
      ["sec-ch-ua", '"Chromium";v="142", "Not_A Brand";v="99"'],
      ["sec-ch-ua-mobile", "?0"],
      [
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0",
      ],
      [
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
      ],
      ["sec-fetch-site", "same-origin"],
      ["sec-fetch-mode", "navigate"],
      ["referer", "https://www.example.com/articles"],
      ["accept-encoding", "gzip, deflate, br, zstd"],
      ["accept-language", "en-GB,en;q=0.9"],
      ["cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"],
    ],
    paths: true,
  },
];

const ANSWER = fieldsOf([
  ["server", "nginx/1.22.1"],
  ["date", "Sun, 22 Nov 2026 17:00:00 GMT"],
  ["content-type", "text/plain"],
]);
const BODY = new Uint8Array(100).fill(0x61);

const wire: Wire = {
  handler: SILENT,
  peer: { ip: new Uint8Array(16), port: 1 },
  tls: null,
  fd: -1,
  pending: 0,
  write: () => true,
  writeRange: () => true,
  end() {},
  reset() {},
  pause() {},
  resume() {},
};
const answer = new ResponseHead();
let taken = 0;

const take: RequestTaker = (stream) => {
  taken++;
  stream.events = NOBODY;
  answer.clear();
  answer.fields.copy(ANSWER);
  answer.contentLength = BODY.length;
  stream.sendHead(answer);
  stream.sendBody(BODY);
  stream.sendEnd(null);
};

class Client {
  readonly #encoder = new HpackEncoder();
  readonly #fields = new Fields();
  readonly #kind: Kind;
  readonly #output = new Uint8Array(64 * 1024);
  #stream = 1;

  constructor(kind: Kind) {
    this.#kind = kind;
    for (const [name, value] of kind.fields) this.#fields.add(name, value);
  }

  /** STREAMS requests, one behind the other. */
  batch(): Uint8Array {
    let at = 0;
    const encoder = this.#encoder;
    for (let i = 0; i < STREAMS; i++, this.#stream += 2) {
      encoder.begin(this.#output, at + C.FRAME_HEADER_BYTES);
      encoder.indexed(2); // :method GET
      encoder.indexed(7); // :scheme https
      encoder.valueText(Static.AUTHORITY, "www.example.com");
      encoder.valueText(Static.PATH, this.#kind.paths ? `/articles/${this.#stream}` : "/");
      for (let field = 0; field < this.#fields.count; field++) encoder.field(this.#fields, field);
      const header = new DataView(this.#output.buffer, at);
      header.setUint32(0, ((encoder.at - at - C.FRAME_HEADER_BYTES) << 8) | C.HEADERS);
      header.setUint8(4, C.END_HEADERS | C.END_STREAM);
      header.setUint32(5, this.#stream);
      at = encoder.at;
    }
    return this.#output.slice(0, at);
  }
}

function measure(kind: Kind, batches: number): number {
  const server = new Http2Server({
    wire,
    connection: { address: "192.0.2.1", port: 1, tls: null, trusted: false },
    take,
    events: { onGone() {}, onRefused: (reason, detail) => fail(`${reason}: ${detail}`) },
    limits: LIMITS,
    timeouts: TIMEOUTS,
    nowMs: 0,
  });
  const client = new Client(kind);
  const reads = Array.from({ length: batches }, () => client.batch());
  server.onData(C.PREFACE);
  server.onData(new Uint8Array([0, 0, 0, C.SETTINGS, 0, 0, 0, 0, 0]));
  server.onData(new Uint8Array([0, 0, 4, C.WINDOW_UPDATE, 0, 0, 0, 0, 0, 0x40, 0, 0, 0]));
  taken = 0;
  const from = Bun.nanoseconds();
  for (const bytes of reads) {
    server.onData(bytes);
    server.sender.output.flush();
  }
  const ns = (Bun.nanoseconds() - from) / (batches * STREAMS);
  if (taken !== batches * STREAMS) throw new Error(`${taken} requests of ${batches * STREAMS}`);
  return ns;
}

/** @returns a line for each kind of request. */
export function measureSession(rounds: number, batches = BATCHES_EACH): string[] {
  return KINDS.map((kind) => {
    let best = Infinity;
    for (let round = 0; round < rounds; round++) best = Math.min(best, measure(kind, batches));
    return `${kind.name}: ${Math.round(best)} ns for the request and its answer`;
  });
}

if (import.meta.main) {
  for (const line of measureSession(Number(process.argv[2] ?? 10)))
    process.stdout.write(`${line}\n`);
}

function fail(message: string): never {
  throw new Error(message);
}
