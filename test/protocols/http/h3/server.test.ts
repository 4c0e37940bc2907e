// A client's HTTP/3 connection against bytes of a client: see src/protocols/http/h3/server.ts.

import { describe, expect, test } from "bun:test";

import type {
  ClientStream,
  Failure,
  RefusedRequest,
  RequestEvents,
} from "../../../../src/protocols/http/exchange.ts";
import * as C from "../../../../src/protocols/http/h3/constants.ts";
import { QpackDecoder } from "../../../../src/protocols/http/h3/qpack/decoder.ts";
import { Http3Server } from "../../../../src/protocols/http/h3/server.ts";
import { readVarint, varintLength, writeVarint } from "../../../../src/protocols/http/h3/varint.ts";
import { Fields, fieldsOf } from "../../../../src/protocols/http/message/fields.ts";
import {
  type RequestHead,
  ResponseHead,
  UNKNOWN_LENGTH,
} from "../../../../src/protocols/http/message/heads.ts";
import type { QuicError } from "../../../../src/protocols/quic/transport.ts";
import { H2, H3 } from "../../../../src/shared/limits.ts";
import { entriesOf } from "../h2/hpack/codec.ts";
import { frame, section, settings } from "./frames.ts";
import { memoryQuic, type MemoryStream } from "./memory-quic.ts";

const LIMITS = {
  headBytes: 4_096,
  headFields: 32,
  streams: 100,
  requestsPerConnection: 0,
  minBytesPerSecond: 240,
};
const TIMEOUTS = { headMs: 10_000, keepaliveMs: 75_000, lifetimeMs: 0 };

type Entry = readonly [string, string];

const GET: readonly Entry[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "a.example"],
  [":path", "/p?q"],
];
const POST: readonly Entry[] = [[":method", "POST"], ...GET.slice(1)];

const head = (...entries: readonly Entry[]): Uint8Array => frame(C.HEADERS, section(entries));
const data = (text: string): Uint8Array => frame(C.DATA, text);
const join = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

/** What the taker was told of one request. */
class Taken implements RequestEvents {
  readonly stream: ClientStream;
  readonly head: RequestHead;
  readonly told: string[] = [];
  failure: Failure | null = null;
  drains = 0;

  constructor(stream: ClientStream, request: RequestHead) {
    this.stream = stream;
    this.head = request;
  }

  onRequestBody(bytes: Uint8Array): void {
    this.told.push(Buffer.from(bytes).toString());
  }

  onRequestEnd(trailers: Fields | null): void {
    this.told.push(trailers === null ? "end" : `end ${JSON.stringify(trailers.entries())}`);
  }

  onRequestFailure(failure: Failure): void {
    this.failure = failure;
    this.told.push(`failure ${failure.code}`);
  }

  onClientDrain(): void {
    this.drains++;
  }
}

/** The client's side of one stream. */
class Asked {
  readonly stream: MemoryStream;
  bytes: Uint8Array = new Uint8Array(0);
  ended = false;
  stopped = -1;
  closed: QuicError | null | undefined;

  constructor(stream: MemoryStream) {
    this.stream = stream;
    stream.handler = {
      onData: (bytes) => void (this.bytes = join(this.bytes, bytes)),
      onDrain: () => {},
      onEnd: () => void (this.ended = true),
      onClose: (error) => void (this.closed = error as QuicError | null),
      onStopSending: (code) => void (this.stopped = code),
    };
  }

  /** `200 a=b`, `"body"`, `{"trailer": ...}`. */
  get answer(): string[] {
    const all: string[] = [];
    const { bytes } = this;
    for (let at = 0; at < bytes.length;) {
      const type = bytes[at]!;
      const payload = at + 1 + varintLength(bytes[at + 1]!);
      const end = payload + readVarint(bytes, at + 1);
      if (type === C.DATA) all.push(`"${Buffer.from(bytes.subarray(payload, end)).toString()}"`);
      else if (type === C.HEADERS) all.push(shown(bytes.subarray(payload, end)));
      at = end;
    }
    return all;
  }
}

function shown(bytes: Uint8Array): string {
  const fields = new Fields();
  new QpackDecoder(65_536, 100).decode(bytes, 0, bytes.length, fields);
  return entriesOf(fields)
    .map(([name, value]) => (name === ":status" ? value : `${name}=${value}`))
    .join(" ");
}

class Scene {
  readonly quic = memoryQuic();
  readonly taken: Taken[] = [];
  readonly refused: string[] = [];
  readonly requests: RefusedRequest[] = [];
  /** What the server said on its control stream. */
  control: Uint8Array = new Uint8Array(0);
  gone: Failure | null | undefined;
  readonly server: Http3Server;
  /** Called with each request, before its head is told. */
  take: (taken: Taken) => void = () => {};

  constructor(limits: Partial<typeof LIMITS> = {}, timeouts: Partial<typeof TIMEOUTS> = {}) {
    const { client, server } = this.quic;
    client.handler.onStream = (stream) => {
      stream.handler = {
        onData: (bytes) => void (this.control = join(this.control, bytes)),
        onDrain: () => {},
        onEnd: () => {},
        onClose: () => {},
      };
    };
    this.server = new Http3Server({
      quic: server,
      connection: { address: "192.0.2.1", port: 1, tls: null, trusted: false },
      take: (stream, request) => {
        const taken = new Taken(stream, request);
        stream.events = taken;
        this.taken.push(taken);
        this.take(taken);
      },
      events: {
        onGone: (failure) => void (this.gone = failure),
        onRefused: (reason, _detail, request) => {
          this.refused.push(reason);
          if (request !== undefined) this.requests.push(request);
        },
      },
      limits: { ...LIMITS, ...limits } as never,
      timeouts: { ...TIMEOUTS, ...timeouts } as never,
      nowMs: 0,
    });
  }

  async run(): Promise<void> {
    await this.quic.network.run();
  }

  async start(): Promise<this> {
    await this.say(C.CONTROL_STREAM, settings());
    return this;
  }

  async say(type: number, bytes: Uint8Array): Promise<MemoryStream> {
    const stream = this.quic.client.openUnidirectional()!;
    const header = new Uint8Array(8);
    stream.write(header.subarray(0, writeVarint(type, header, 0)));
    stream.write(bytes);
    await this.run();
    return stream;
  }

  /** A request on a stream of its own. */
  async ask(bytes: Uint8Array, end = true): Promise<Asked> {
    const asked = new Asked(this.quic.client.openStream()!);
    await this.add(asked, bytes, end);
    return asked;
  }

  async add({ stream }: Asked, bytes: Uint8Array, end = true): Promise<void> {
    stream.write(bytes);
    if (end) stream.end();
    await this.run();
  }

  /** Ids of the GOAWAYs that came. */
  get goAways(): number[] {
    const ids: number[] = [];
    for (let at = 1; at < this.control.length;) {
      const payload = at + 2;
      if (this.control[at] === C.GOAWAY) ids.push(readVarint(this.control, payload));
      at = payload + this.control[at + 1]!;
    }
    return ids;
  }

  get closedWith(): number {
    return this.quic.server.closedWith?.code ?? -1;
  }
}

function answerHead(status: number, change: (head: ResponseHead) => void = () => {}): ResponseHead {
  const answer = new ResponseHead();
  answer.status = status;
  change(answer);
  return answer;
}

const bodyless = (answer: ResponseHead): void => {
  answer.bodyless = true;
};

describe("requests", () => {
  test("one that ends with its head has no body, and ends", async () => {
    const scene = await new Scene().start();
    await scene.ask(head(...GET, ["x-a", "1"], ["cookie", "a=1"], ["cookie", "b=2"]));
    const [taken] = scene.taken;
    const { method, scheme, authority, path, version, contentLength, early } = taken!.head;
    expect({ method, scheme, authority, path, version, contentLength, early }).toEqual({
      method: "GET",
      scheme: "https",
      authority: "a.example",
      path: "/p?q",
      version: 30,
      contentLength: 0,
      early: false,
    });
    expect(taken!.head.fields.entries()).toEqual([
      ["x-a", "1"],
      ["cookie", "a=1; b=2"],
    ]);
    expect(taken!.told).toEqual(["end"]);
  });

  test("a body waits until it is wanted, in order, with its trailers", async () => {
    const scene = await new Scene().start();
    const trailers = head(["x-sum", "1"]);
    await scene.ask(join(head(...POST), data("ab"), data("cd"), trailers));
    const [taken] = scene.taken;
    expect(taken!.head.contentLength).toBe(UNKNOWN_LENGTH);
    expect(taken!.told).toEqual([]);
    taken!.stream.resume();
    await scene.run();
    expect(taken!.told.slice(0, -1).join("")).toBe("abcd");
    expect(taken!.told.at(-1)).toBe('end [["x-sum","1"]]');
  });

  test("a body that is paused again within what was held stays in order", async () => {
    const scene = await new Scene().start();
    const asked = await scene.ask(join(head(...POST), data("ab")), false);
    const [taken] = scene.taken;
    taken!.onRequestBody = (bytes) => {
      taken!.told.push(Buffer.from(bytes).toString());
      taken!.stream.pause();
    };
    taken!.stream.resume();
    await scene.add(asked, data("cd"));
    expect(taken!.told).toEqual(["ab"]);
    taken!.stream.resume();
    await scene.run();
    taken!.stream.resume();
    await scene.run();
    expect(taken!.told).toEqual(["ab", "cd", "end"]);
  });

  test("cuts anywhere make no difference", async () => {
    const scene = await new Scene().start();
    scene.quic.network.partBytes = 1;
    scene.take = ({ stream }) => stream.resume();
    await scene.ask(join(frame(0x21, "grease"), head(...POST), frame(0x40, ""), data("abc")));
    await scene.ask(head(...GET));
    expect(scene.taken[0]!.told.join("")).toBe("abcend");
    expect(scene.taken[1]!.head.contentLength).toBe(0);
  });

  test("a body has the length that was said", async () => {
    const scene = await new Scene().start();
    scene.take = ({ stream }) => stream.resume();
    const length: Entry = ["content-length", "3"];
    const exact = await scene.ask(join(head(...POST, length), data("abc")));
    expect(scene.taken[0]!.told).toEqual(["abc", "end"]);
    expect(exact.closed).toBeUndefined();
    for (const body of ["ab", "abcd"]) {
      const wrong = await scene.ask(join(head(...POST, length), data(body)));
      expect(wrong.closed?.wireCode).toBe(C.H3_MESSAGE_ERROR);
      expect(scene.taken.at(-1)!.failure?.code).toBe("malformed");
    }
    expect(scene.refused).toEqual(["http_malformed", "http_malformed"]);
    expect(scene.gone).toBeUndefined();
  });

  const authority = (value: string): readonly Entry[] =>
    GET.map((entry) => (entry[0] === ":authority" ? [":authority", value] : entry));

  test.each<[string, readonly Entry[]]>([
    ["without :method", GET.slice(1)],
    ["without :scheme", GET.filter(([name]) => name !== ":scheme")],
    ["without :path", GET.filter(([name]) => name !== ":path")],
    ["without :authority and host", GET.filter(([name]) => name !== ":authority")],
    ["with a pseudo-header field twice", [...GET, [":path", "/"]]],
    ["with one that requests have not", [...GET, [":status", "200"]]],
    ["with one that nobody knows", [...GET, [":x", "1"]]],
    ["with a field of HTTP/1.1 connections", [...GET, ["connection", "close"]]],
    ["with transfer-encoding", [...GET, ["transfer-encoding", "chunked"]]],
    ["with te but for trailers", [...GET, ["te", "gzip"]]],
    ["with another host", [...GET, ["host", "b.example"]]],
    ["with user information", authority("u@a.example")],
    ["with a line break in a value", [...GET, ["a", "b\r\nc: d"]]],
    ["with content-length twice", [...POST, ["content-length", "1"], ["content-length", "1"]]],
    ["with a content-length and no content", [...POST, ["content-length", "1"]]],
  ])("%s are malformed, and cost their stream alone", async (_name, entries) => {
    const scene = await new Scene().start();
    const asked = await scene.ask(head(...entries));
    expect(asked.closed?.wireCode).toBe(C.H3_MESSAGE_ERROR);
    expect(scene.taken).toEqual([]);
    expect(scene.refused).toEqual(["http_malformed"]);
    expect(scene.requests).toMatchObject([{ status: 400, version: 30 }]);
    await scene.ask(head(...GET));
    expect(scene.taken).toHaveLength(1);
  });

  test("a name in capitals is malformed", async () => {
    const scene = await new Scene().start();
    // A literal name: 001, three bits of length.
    const field = Uint8Array.from([0x23, 0x58, 0x2d, 0x41, 0x01, 0x31]);
    const asked = await scene.ask(frame(C.HEADERS, join(section(GET), field)));
    expect(asked.closed?.wireCode).toBe(C.H3_MESSAGE_ERROR);
  });

  test("a pseudo-header field behind a field is malformed", async () => {
    const scene = await new Scene().start();
    // `a: b` as a literal, and the static entry of `:path: /`.
    const fields = Uint8Array.of(0x21, 0x61, 0x01, 0x62, 0xc1);
    const asked = await scene.ask(frame(C.HEADERS, join(section(GET), fields)));
    expect(asked.closed?.wireCode).toBe(C.H3_MESSAGE_ERROR);
  });

  test("a head beyond the limits is answered 431", async () => {
    const scene = await new Scene().start();
    const long = await scene.ask(head(...GET, ["a", "x".repeat(5_000)]));
    const many = await scene.ask(
      head(...GET, ...Array.from({ length: 40 }, (): Entry => ["a", "b"])),
    );
    for (const { answer, ended } of [long, many]) {
      expect(answer).toEqual(["431 content-length=0"]);
      expect(ended).toBe(true);
    }
    expect(scene.refused).toEqual(["http_head_too_large", "http_head_too_large"]);
    expect(scene.requests[1]).toMatchObject({ status: 431, method: "GET", path: "/p?q" });
    expect(scene.gone).toBeUndefined();
  });

  test("trailers beyond the limits end the request, of which its taker is told", async () => {
    const long = head(["a", "x".repeat(5_000)]);
    const many = head(...Array.from({ length: 40 }, (): Entry => ["a", "b"]));
    for (const trailers of [long, many]) {
      const scene = await new Scene().start();
      const asked = await scene.ask(join(head(...POST), data("ab")), false);
      scene.taken[0]!.stream.resume();
      await scene.add(asked, trailers, false);
      expect(scene.taken[0]!.told.at(-1)).toBe("failure malformed");
      expect(asked.closed?.wireCode).toBe(C.H3_MESSAGE_ERROR);
      expect(scene.refused).toEqual(["http_malformed"]);
      expect(scene.requests).toEqual([]);
    }
  });

  test("streams beyond their number are rejected, and may be sent again", async () => {
    const scene = await new Scene({ streams: 1 }).start();
    await scene.ask(head(...GET));
    const second = await scene.ask(head(...GET));
    expect(second.closed?.wireCode).toBe(C.H3_REQUEST_REJECTED);
    expect(scene.taken).toHaveLength(1);
  });

  test("early data is told", async () => {
    const scene = await new Scene().start();
    const onStream = scene.server.onStream.bind(scene.server);
    scene.server.onStream = (stream) => {
      (stream as MemoryStream).early = true;
      onStream(stream);
    };
    await scene.ask(head(...GET));
    expect(scene.taken[0]!.head.early).toBe(true);
  });
});

describe("answers", () => {
  test("go out as informational heads, a head, a body and trailers", async () => {
    const scene = await new Scene().start();
    scene.take = ({ stream }) => {
      stream.sendInformational(answerHead(103, ({ fields }) => fields.add("link", "</a>")));
      stream.sendHead(answerHead(200, ({ fields }) => fields.add("server", "s")));
      stream.sendBody(Buffer.from("abc"));
      stream.sendEnd(fieldsOf([["x-sum", "9"]]));
    };
    const { answer, ended, stopped } = await scene.ask(head(...GET));
    expect(answer).toEqual(["103 link=</a>", "200 server=s", '"abc"', "x-sum=9"]);
    expect(ended).toBe(true);
    expect(stopped).toBe(-1);
  });

  test("one to HEAD says its length, and is whole with its head", async () => {
    const scene = await new Scene().start();
    scene.take = ({ stream }) =>
      stream.sendHead(
        answerHead(200, (answer) => {
          answer.contentLength = 5;
          answer.bodyless = true;
        }),
      );
    const { answer, ended } = await scene.ask(head([":method", "HEAD"], ...GET.slice(1)));
    expect(answer).toEqual(["200 content-length=5"]);
    expect(ended).toBe(true);
  });

  test("one before the request's end stops the rest without an error", async () => {
    const scene = await new Scene().start();
    const asked = await scene.ask(join(head(...POST), data("a")), false);
    const [taken] = scene.taken;
    taken!.stream.sendHead(answerHead(413, bodyless));
    await scene.run();
    expect(asked.answer).toEqual(["413"]);
    expect(asked.ended).toBe(true);
    expect(asked.stopped).toBe(C.H3_NO_ERROR);
    expect(taken!.told).toEqual([]);
  });

  test("one that a client does not read is held back, and goes on", async () => {
    const scene = await new Scene().start();
    const asked = await scene.ask(head(...GET));
    asked.stream.pause();
    const [taken] = scene.taken;
    taken!.stream.sendHead(answerHead(200));
    const part = new Uint8Array(16 * 1024);
    let parts = 1;
    while (taken!.stream.sendBody(part)) parts++;
    await scene.run();
    expect(taken!.drains).toBe(0);
    asked.stream.resume();
    await scene.run();
    expect(taken!.drains).toBe(1);
    taken!.stream.sendEnd(null);
    await scene.run();
    expect(asked.ended).toBe(true);
    expect(asked.bytes.length).toBeGreaterThan(parts * part.length);
  });

  test("one that breaks off resets its stream", async () => {
    const scene = await new Scene().start();
    const asked = await scene.ask(head(...GET));
    const [taken] = scene.taken;
    taken!.stream.sendHead(answerHead(200));
    taken!.stream.reset({ code: "closed", message: "", unprocessed: false });
    await scene.run();
    expect(asked.closed?.wireCode).toBe(C.H3_INTERNAL_ERROR);
    expect(taken!.told).toEqual(["end"]);
  });
});

describe("cancellations", () => {
  test.each<[string, (stream: MemoryStream) => void]>([
    ["a reset", (stream) => stream.abort(C.H3_REQUEST_CANCELLED)],
    ["STOP_SENDING", (stream) => stream.stopSending(C.H3_REQUEST_CANCELLED)],
  ])("%s of the client ends the exchange, once", async (_name, cancel) => {
    const scene = await new Scene().start();
    const asked = await scene.ask(head(...POST), false);
    const [taken] = scene.taken;
    taken!.stream.sendHead(answerHead(200));
    cancel(asked.stream);
    await scene.run();
    expect(taken!.told).toEqual(["failure reset"]);
    expect(taken!.failure?.message).toContain("H3_REQUEST_CANCELLED");
    expect(taken!.stream.sendBody(new Uint8Array(1))).toBe(false);
    expect(scene.gone).toBeUndefined();
  });

  test("too many of them end the connection (CVE-2023-44487)", async () => {
    const scene = await new Scene().start();
    let times = 0;
    while (scene.gone === undefined && times++ < 1_000) {
      const asked = await scene.ask(head(...GET), false);
      asked.stream.abort(C.H3_REQUEST_CANCELLED);
      await scene.run();
    }
    expect(times).toBe(H2.resets.burst + 1);
    expect(scene.closedWith).toBe(C.H3_EXCESSIVE_LOAD);
    expect(scene.refused).toEqual(["http3_rapid_reset"]);
  });

  test("those who also take their answers may cancel on", async () => {
    const scene = await new Scene().start();
    for (let i = 0; i < H2.resets.burst * 2; i++) {
      const cancelled = await scene.ask(head(...GET), false);
      cancelled.stream.abort(C.H3_REQUEST_CANCELLED);
      await scene.ask(head(...GET));
      scene.taken.at(-1)!.stream.sendHead(answerHead(204, bodyless));
      await scene.run();
    }
    expect(scene.gone).toBeUndefined();
  });
});

describe("extended CONNECT (RFC 9220)", () => {
  const CONNECT: readonly Entry[] = [
    [":method", "CONNECT"],
    [":protocol", "websocket"],
    ...GET.slice(1),
  ];

  test("is announced", async () => {
    const scene = await new Scene().start();
    const payload = scene.control.subarray(3);
    const pairs = new Map<number, number>();
    for (let at = 0; at < payload.length;) {
      const valueAt = at + varintLength(payload[at]!);
      pairs.set(readVarint(payload, at), readVarint(payload, valueAt));
      at = valueAt + varintLength(payload[valueAt]!);
    }
    expect(pairs.get(C.SETTINGS_ENABLE_CONNECT_PROTOCOL)).toBe(1);
    expect(pairs.get(C.SETTINGS_MAX_FIELD_SECTION_SIZE)).toBe(LIMITS.headBytes);
  });

  test("is an upgrade whose directions end apart", async () => {
    const scene = await new Scene().start();
    const asked = await scene.ask(head(...CONNECT), false);
    const [taken] = scene.taken;
    expect(taken!.head).toMatchObject({ method: "GET", upgrade: "websocket" });
    taken!.stream.sendHead(answerHead(101));
    taken!.stream.resume();
    taken!.stream.sendBody(Buffer.from("to the client"));
    taken!.stream.sendEnd(null);
    await scene.run();
    expect(asked.answer).toEqual(["200", '"to the client"']);
    expect(asked.ended).toBe(true);
    expect(asked.stopped).toBe(-1);
    await scene.add(asked, data("to the backend"));
    expect(taken!.told).toEqual(["to the backend", "end"]);
  });

  test("that is not accepted is a request without more", async () => {
    const scene = await new Scene().start();
    const asked = await scene.ask(head(...CONNECT), false);
    scene.taken[0]!.stream.sendHead(answerHead(403, bodyless));
    await scene.run();
    expect(asked.answer).toEqual(["403"]);
    expect(asked.stopped).toBe(C.H3_NO_ERROR);
  });
});

describe("the end of a connection", () => {
  test("is announced, then meant, and comes behind the last answer", async () => {
    const scene = await new Scene().start();
    await scene.ask(head(...GET));
    scene.server.drain();
    await scene.run();
    expect(scene.goAways).toEqual([2 ** 52]);
    const began = 5_000; // the look before was long ago
    scene.server.sweep(began);
    await scene.ask(head(...GET)); // was on its way
    scene.server.sweep(began + H3.drainMs - 1);
    await scene.run();
    expect(scene.goAways).toEqual([2 ** 52]);
    const drained = began + H3.drainMs;
    scene.server.sweep(drained);
    await scene.run();
    expect(scene.goAways).toEqual([2 ** 52, 8]);
    const late = await scene.ask(head(...GET));
    expect(late.closed?.wireCode).toBe(C.H3_REQUEST_REJECTED);
    expect(scene.taken).toHaveLength(2);
    for (const { stream } of scene.taken) stream.sendHead(answerHead(204, bodyless));
    await scene.run();
    scene.server.sweep(drained + H3.lingerMs - 1);
    expect(scene.gone).toBeUndefined();
    scene.server.sweep(drained + H3.lingerMs);
    expect(scene.gone).toBeNull();
    expect(scene.closedWith).toBe(C.H3_NO_ERROR);
  });

  test("leaves an answer its time that went out just before it was meant", async () => {
    const scene = await new Scene().start();
    scene.server.drain();
    scene.server.sweep(0);
    await scene.ask(head(...GET));
    scene.server.sweep(H3.drainMs - 1);
    scene.taken[0]!.stream.sendHead(answerHead(204, bodyless));
    scene.server.sweep(H3.drainMs);
    await scene.run();
    expect(scene.gone).toBeUndefined();
    scene.server.sweep(H3.drainMs + H3.lingerMs);
    expect(scene.gone).toBeNull();
  });

  test("comes for one that rests, and for one that is old", async () => {
    for (const timeouts of [{ keepaliveMs: 50 }, { lifetimeMs: 50 }]) {
      const scene = await new Scene({}, timeouts).start();
      scene.server.sweep(49);
      await scene.run();
      expect(scene.goAways).toEqual([]);
      scene.server.sweep(50);
      await scene.run();
      expect(scene.goAways).toEqual([2 ** 52]);
    }
  });

  test("comes behind so many requests", async () => {
    const scene = await new Scene({ requestsPerConnection: 2 }).start();
    await scene.ask(head(...GET));
    expect(scene.goAways).toEqual([]);
    await scene.ask(head(...GET));
    expect(scene.goAways).toEqual([2 ** 52]);
    expect(scene.taken).toHaveLength(2);
  });

  test("by the client is told to its exchanges", async () => {
    const scene = await new Scene().start();
    await scene.ask(head(...POST), false);
    scene.quic.client.close(C.H3_NO_ERROR, "");
    await scene.run();
    expect(scene.taken[0]!.told).toEqual(["failure closed"]);
    expect(scene.gone).toBeNull();
  });

  test("by its listener, at once, is told to its exchanges", async () => {
    const scene = await new Scene().start();
    await scene.ask(head(...POST), false);
    scene.server.destroy();
    expect(scene.taken[0]!.told).toEqual(["failure closed"]);
  });

  test.each<[string, number, Uint8Array, number]>([
    ["DATA before the head", -1, data("a"), C.H3_FRAME_UNEXPECTED],
    ["half of a frame", -1, head(...GET).subarray(0, 8), C.H3_FRAME_ERROR],
    ["a frame of HTTP/2", -1, frame(0x06, "12345678"), C.H3_FRAME_UNEXPECTED],
    [
      "a field section of an entry that is not there",
      -1,
      frame(C.HEADERS, Uint8Array.of(0, 0, 0x80)),
      0x200,
    ],
    ["a push stream", C.PUSH_STREAM, new Uint8Array(0), C.H3_STREAM_CREATION_ERROR],
    ["a second control stream", C.CONTROL_STREAM, settings(), C.H3_STREAM_CREATION_ERROR],
  ])("comes by %s", async (_name, type, bytes, code) => {
    const scene = await new Scene().start();
    if (type < 0) await scene.ask(bytes);
    else await scene.say(type, bytes);
    expect(scene.closedWith).toBe(code);
    expect(scene.gone?.code).toBe("malformed");
    expect(scene.refused).toEqual(["http_malformed"]);
  });
});

describe("slow clients", () => {
  test("a head that does not come in time is given up", async () => {
    const scene = await new Scene().start();
    const asked = await scene.ask(head(...GET).subarray(0, 5), false);
    scene.server.sweep(TIMEOUTS.headMs - 1);
    expect(scene.refused).toEqual([]);
    scene.server.sweep(TIMEOUTS.headMs);
    await scene.run();
    expect(scene.refused).toEqual(["http_head_timeout"]);
    expect(asked.closed?.wireCode).toBe(C.H3_REQUEST_REJECTED);
  });

  test("a body that hardly comes is answered 408", async () => {
    const scene = await new Scene().start();
    scene.take = ({ stream }) => stream.resume();
    const asked = await scene.ask(join(head(...POST), data("a")), false);
    for (let now = 0; now < H3.rateWindowMs; now += 1_000) scene.server.sweep(now);
    await scene.add(asked, data("b"), false);
    scene.server.sweep(H3.rateWindowMs);
    await scene.run();
    expect(scene.refused).toEqual(["http_slow"]);
    expect(scene.taken[0]!.failure?.code).toBe("timeout");
    expect(asked.answer).toEqual(["408 content-length=0"]);
    expect(asked.stopped).toBe(C.H3_NO_ERROR);
  });

  test("one whose backend does not take it is not to blame", async () => {
    const scene = await new Scene().start();
    await scene.ask(join(head(...POST), data("a")), false);
    for (let now = 0; now < 200_000; now += 1_000) scene.server.sweep(now);
    expect(scene.refused).toEqual([]);
  });

  test("an answer that is hardly read is cut off", async () => {
    const scene = await new Scene().start();
    const asked = await scene.ask(head(...GET));
    asked.stream.pause();
    const [taken] = scene.taken;
    taken!.stream.sendHead(answerHead(200));
    taken!.stream.sendBody(new Uint8Array(1_000));
    for (let now = 0; now <= H3.rateWindowMs; now += 1_000) scene.server.sweep(now);
    await scene.run();
    expect(scene.refused).toEqual(["http_slow"]);
    expect(taken!.failure?.code).toBe("timeout");
    expect(asked.closed?.wireCode).toBe(C.H3_REQUEST_CANCELLED);
  });
});
