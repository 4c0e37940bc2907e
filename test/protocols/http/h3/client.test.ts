// A connection to an HTTP/3 backend against bytes of a backend: see src/protocols/http/h3/client.ts.

import { describe, expect, test } from "bun:test";

import type {
  BackendConnection,
  BackendStream,
  Failure,
  ResponseEvents,
} from "../../../../src/protocols/http/exchange.ts";
import { Http3Backend } from "../../../../src/protocols/http/h3/client.ts";
import * as C from "../../../../src/protocols/http/h3/constants.ts";
import { QpackDecoder } from "../../../../src/protocols/http/h3/qpack/decoder.ts";
import { writeVarint } from "../../../../src/protocols/http/h3/varint.ts";
import { Fields, fieldsOf } from "../../../../src/protocols/http/message/fields.ts";
import {
  RequestHead,
  type ResponseHead,
  UNKNOWN_LENGTH,
} from "../../../../src/protocols/http/message/heads.ts";
import { QuicError } from "../../../../src/protocols/quic/transport.ts";
import { HELD } from "../../../../src/protocols/wire/held.ts";
import { H3 } from "../../../../src/shared/limits.ts";
import { entriesOf } from "../h2/hpack/codec.ts";
import { frame, section, settings } from "./frames.ts";
import { memoryQuic, type MemoryStream } from "./memory-quic.ts";

const LIMITS = { headBytes: 4_096, headFields: 32 } as never;

function head(status: number, ...entries: (readonly [string, string])[]): Uint8Array {
  return frame(C.HEADERS, section([[":status", String(status)], ...entries]));
}

/** What was told, as texts. */
class Told implements ResponseEvents {
  readonly all: string[] = [];
  failure: Failure | null = null;
  drains = 0;

  onInformational(answer: ResponseHead): void {
    this.all.push(`${answer.status}`);
  }

  onResponse({ status, bodyless, contentLength, fields }: ResponseHead): void {
    const shown = fields.entries().map(([name, value]) => ` ${name}=${value}`);
    this.all.push(`${status}${bodyless ? " bodyless" : ""} ${contentLength}${shown.join("")}`);
  }

  onResponseBody(bytes: Uint8Array): void {
    this.all.push(`"${Buffer.from(bytes).toString()}"`);
  }

  onResponseEnd(trailers: Fields | null): void {
    this.all.push(trailers === null ? "end" : `end ${JSON.stringify(trailers.entries())}`);
  }

  onResponseFailure(failure: Failure): void {
    this.failure = failure;
    this.all.push(`failure ${failure.code}`);
  }

  onBackendDrain(): void {
    this.drains++;
  }
}

/** The backend's side: what came on each stream of a request. */
interface Asked {
  readonly stream: MemoryStream;
  bytes: Uint8Array;
  ended: boolean;
  stopped: number;
  closed: QuicError | null | undefined;
}

class Scene {
  readonly quic = memoryQuic();
  readonly asked: Asked[] = [];
  readonly seen: string[] = [];
  gone: Failure | null | undefined;
  readonly backend: Http3Backend;
  control!: MemoryStream;

  constructor() {
    const { client, server } = this.quic;
    server.handler.onStream = (stream) => {
      const asked: Asked = {
        stream: stream as MemoryStream,
        bytes: new Uint8Array(0),
        ended: false,
        stopped: -1,
        closed: undefined,
      };
      stream.handler = {
        onData: (bytes) => void (asked.bytes = Buffer.concat([asked.bytes, bytes])),
        onDrain: () => {},
        onEnd: () => void (asked.ended = true),
        onClose: (error) => void (asked.closed = error as QuicError | null),
        onStopSending: (code) => void (asked.stopped = code),
      };
      if (stream.direction === "both") this.asked.push(asked);
    };
    const note = (what: string) => (_connection: BackendConnection) => void this.seen.push(what);
    this.backend = new Http3Backend({
      quic: client,
      limits: LIMITS,
      events: {
        onReady: note("ready"),
        onChange: note("change"),
        onGone: (_connection, failure) => void (this.gone = failure),
      },
    });
  }

  async start(...pairs: (readonly [number, number])[]): Promise<this> {
    await this.say(C.CONTROL_STREAM, settings(...pairs));
    return this;
  }

  /** On a new stream of a type. */
  async say(type: number, bytes: Uint8Array): Promise<MemoryStream> {
    const stream = this.quic.server.openUnidirectional()!;
    const header = new Uint8Array(8);
    stream.write(header.subarray(0, writeVarint(type, header, 0)));
    stream.write(bytes);
    await this.quic.network.run();
    if (type === C.CONTROL_STREAM) this.control = stream;
    return stream;
  }

  ask(told: Told, change: (head: RequestHead) => void = () => {}): BackendStream {
    const request = new RequestHead();
    request.scheme = "https";
    request.authority = "a.example";
    request.path = "/p?q";
    change(request);
    return this.backend.request(request, told);
  }

  /** A GET that the backend has. */
  async get(
    change?: (head: RequestHead) => void,
  ): Promise<{ told: Told; asked: Asked; stream: BackendStream }> {
    const told = new Told();
    const stream = this.ask(told, change);
    await this.quic.network.run();
    return { told, asked: this.asked.at(-1)!, stream };
  }

  async answer({ stream }: Asked, bytes: Uint8Array, end = true): Promise<void> {
    stream.write(bytes);
    if (end) stream.end();
    await this.quic.network.run();
  }
}

function headOf(asked: Asked): [string, string][] {
  const fields = new Fields();
  const length =
    ((asked.bytes[1]! & 0x3f) << 24) |
    (asked.bytes[2]! << 16) |
    (asked.bytes[3]! << 8) |
    asked.bytes[4]!;
  new QpackDecoder(65_536, 100).decode(asked.bytes, 5, 5 + length, fields);
  return entriesOf(fields).map(([name, value]) => [name, value]);
}

const withBody = (request: RequestHead): void => {
  request.method = "POST";
  request.contentLength = UNKNOWN_LENGTH;
};

describe("requests and answers", () => {
  test("a connection is ready when the backend's settings came", async () => {
    const scene = new Scene();
    await scene.quic.network.run();
    expect(scene.seen).toEqual([]);
    expect(scene.backend.free).toBe(0);
    await scene.start();
    expect(scene.seen).toEqual(["ready"]);
    expect(scene.backend.free).toBe(H3.backendStreams);
  });

  test("settings behind what broke the rules make no connection ready", async () => {
    const scene = new Scene();
    await scene.say(C.CONTROL_STREAM, Buffer.concat([frame(C.DATA, "x"), settings()]));
    expect(scene.gone?.message).toContain("H3_MISSING_SETTINGS");
    expect(scene.seen).toEqual([]);
  });

  test("a request without a body ends with its head", async () => {
    const scene = await new Scene().start();
    const { told, asked } = await scene.get((request) => request.fields.add("x-a", "1"));
    expect(asked.ended).toBe(true);
    expect(headOf(asked)).toEqual([
      [":method", "GET"],
      [":scheme", "https"],
      [":authority", "a.example"],
      [":path", "/p?q"],
      ["x-a", "1"],
    ]);
    expect(scene.backend.active).toBe(1);
    await scene.answer(asked, Buffer.concat([head(200, ["server", "s"]), frame(C.DATA, "hello")]));
    expect(told.all).toEqual(["200 -1 server=s", '"hello"', "end"]);
    expect(scene.backend.active).toBe(0);
  });

  test("cuts anywhere make no difference", async () => {
    const scene = await new Scene().start();
    scene.quic.network.partBytes = 1;
    const { told, asked } = await scene.get();
    const trailers = frame(C.HEADERS, section([["x-sum", "1"]]));
    const parts = [
      head(103, ["link", "</a>"]),
      head(200),
      frame(0x21, "grease"),
      frame(C.DATA, "ab"),
    ];
    await scene.answer(asked, Buffer.concat([...parts, trailers]));
    expect(told.all).toEqual(["103", "200 -1", '"a"', '"b"', 'end [["x-sum","1"]]']);
  });

  test("a body and trailers go out as frames", async () => {
    const scene = await new Scene().start();
    const { asked, stream } = await scene.get(withBody);
    const headBytes = asked.bytes.length;
    expect(stream.sendBody(Buffer.from("abc"))).toBe(true);
    stream.sendEnd(fieldsOf([["x-sum", "9"]]));
    await scene.quic.network.run();
    expect(asked.ended).toBe(true);
    const rest = asked.bytes.subarray(headBytes);
    expect(Buffer.from(rest.subarray(0, 5)).toString("latin1")).toBe("\0\x03abc");
    expect(rest[5]).toBe(C.HEADERS);
  });

  test.each([
    [204, "GET"],
    [304, "GET"],
    [200, "HEAD"],
  ])("an answer %i to %s is whole with its head", async (status, method) => {
    const scene = await new Scene().start();
    const { told, asked } = await scene.get((request) => (request.method = method));
    await scene.answer(asked, head(status, ["content-length", "5"]));
    expect(told.all).toEqual([`${status} bodyless 5`]);
    expect(scene.backend.active).toBe(0);
  });

  test("an answer that ends with its head has no body", async () => {
    const scene = await new Scene().start();
    const { told, asked } = await scene.get();
    await scene.answer(asked, head(200));
    expect(told.all).toEqual(["200 bodyless -1"]);
  });

  test("an upgrade is an extended CONNECT, where the backend takes them", async () => {
    const scene = await new Scene().start([C.SETTINGS_ENABLE_CONNECT_PROTOCOL, 1]);
    const upgrade = (request: RequestHead): void => void (request.upgrade = "websocket");
    const { told, asked, stream } = await scene.get(upgrade);
    expect(headOf(asked)).toContainEqual([":protocol", "websocket"]);
    expect(asked.ended).toBe(false);
    await scene.answer(asked, Buffer.concat([head(200), frame(C.DATA, "x")]), false);
    stream.sendBody(Buffer.from("y"));
    expect(told.all).toEqual(["101 -1", '"x"']);

    const other = await new Scene().start();
    const refused = new Told();
    other.ask(refused, upgrade);
    await other.quic.network.run();
    expect(refused.all).toEqual(["501 bodyless 0"]);
    expect(other.asked).toEqual([]);
  });
});

describe("what a backend may not send", () => {
  test.each([
    ["no :status", frame(C.HEADERS, section([["server", "x"]]))],
    ["a field of HTTP/1.1 connections", head(200, ["connection", "close"])],
    ["status 101", head(101)],
    [
      "more content than content-length says",
      Buffer.concat([head(200, ["content-length", "1"]), frame(C.DATA, "ab")]),
    ],
    [
      "less content than content-length says",
      Buffer.concat([head(200, ["content-length", "9"]), frame(C.DATA, "ab")]),
    ],
    ["content behind 204", Buffer.concat([head(204), frame(C.DATA, "ab")])],
    ["no answer", new Uint8Array(0)],
    [
      "pseudo-header fields among trailers",
      Buffer.concat([head(200), frame(C.HEADERS, section([[":path", "/"]]))]),
    ],
  ])("%s: the stream is reset", async (what, bytes) => {
    const scene = await new Scene().start();
    const { told, asked } = await scene.get();
    await scene.answer(asked, bytes);
    expect(asked.closed?.wireCode).toBe(C.H3_MESSAGE_ERROR);
    if (what !== "content behind 204") expect(told.failure?.code).toBe("malformed");
    expect(scene.backend.closing).toBe(false);
  });

  test.each([
    ["DATA before a head", frame(C.DATA, "x"), C.H3_FRAME_UNEXPECTED],
    ["SETTINGS among messages", frame(C.SETTINGS, ""), C.H3_FRAME_UNEXPECTED],
    ["a frame of HTTP/2", frame(0x06, "x"), C.H3_FRAME_UNEXPECTED],
    ["PUSH_PROMISE", frame(C.PUSH_PROMISE, "x"), C.H3_FRAME_UNEXPECTED],
    [
      "a section that cannot be decoded",
      frame(C.HEADERS, new Uint8Array([1, 0])),
      C.QPACK_DECOMPRESSION_FAILED,
    ],
    ["an end within a frame", head(200).subarray(0, 3), C.H3_FRAME_ERROR],
    [
      "a frame behind trailers",
      Buffer.concat([head(200), frame(C.HEADERS, section([])), frame(C.DATA, "")]),
      C.H3_FRAME_UNEXPECTED,
    ],
  ])("%s: the connection is closed", async (_what, bytes, code) => {
    const scene = await new Scene().start();
    const { told, asked } = await scene.get();
    await scene.answer(asked, bytes);
    expect(scene.quic.client.closedWith?.code).toBe(code);
    expect(told.failure).toMatchObject({ code: "malformed", unprocessed: false });
    expect(scene.gone?.code).toBe("malformed");
  });

  test("a head beyond the limit, told or decoded", async () => {
    for (const large of ["x".repeat(5_000), "a".repeat(4_060)]) {
      const scene = await new Scene().start();
      const { told, asked } = await scene.get();
      await scene.answer(asked, head(200, ["x-large", large]));
      expect(told.all).toEqual(["failure too_large"]);
      expect(asked.closed?.wireCode).toBe(C.H3_REQUEST_CANCELLED);
    }
  });

  test("answers of status 1xx without end", async () => {
    const scene = await new Scene().start();
    const { told, asked } = await scene.get();
    await scene.answer(asked, Buffer.concat(Array.from({ length: 20 }, () => head(103))), false);
    expect(told.failure?.message).toContain("1xx");
  });

  test.each([
    ["no SETTINGS first", C.CONTROL_STREAM, frame(C.GOAWAY, "\0"), C.H3_MISSING_SETTINGS],
    [
      "SETTINGS twice",
      C.CONTROL_STREAM,
      Buffer.concat([settings(), settings()]),
      C.H3_FRAME_UNEXPECTED,
    ],
    ["a setting twice", C.CONTROL_STREAM, settings([6, 1], [6, 1]), C.H3_SETTINGS_ERROR],
    ["a setting of HTTP/2", C.CONTROL_STREAM, settings([3, 1]), C.H3_SETTINGS_ERROR],
    ["SETTINGS that end within one", C.CONTROL_STREAM, frame(C.SETTINGS, "\x06"), C.H3_FRAME_ERROR],
    [
      "SETTINGS of a megabyte",
      C.CONTROL_STREAM,
      Buffer.from("048010000000", "hex"),
      C.H3_EXCESSIVE_LOAD,
    ],
    [
      "DATA on a control stream",
      C.CONTROL_STREAM,
      Buffer.concat([settings(), frame(C.DATA, "")]),
      C.H3_FRAME_UNEXPECTED,
    ],
    ["a push", C.PUSH_STREAM, new Uint8Array(1), C.H3_ID_ERROR],
    [
      "an entry for the dynamic table",
      C.QPACK_ENCODER_STREAM,
      Buffer.from("3f21", "hex"),
      C.QPACK_ENCODER_STREAM_ERROR,
    ],
    [
      "feedback on nothing",
      C.QPACK_DECODER_STREAM,
      Buffer.from("80", "hex"),
      C.QPACK_DECODER_STREAM_ERROR,
    ],
    [
      "GOAWAY for a stream of its own",
      C.CONTROL_STREAM,
      Buffer.concat([settings(), frame(C.GOAWAY, "\x01")]),
      C.H3_ID_ERROR,
    ],
    [
      "a GOAWAY that grows",
      C.CONTROL_STREAM,
      Buffer.concat([settings(), frame(C.GOAWAY, "\x04"), frame(C.GOAWAY, "\x08")]),
      C.H3_ID_ERROR,
    ],
  ])("%s: the connection is closed", async (_what, type, bytes, code) => {
    const scene = new Scene();
    const told = new Told();
    if (code === C.H3_ID_ERROR) {
      // One request keeps it open.
      await scene.start();
      scene.ask(told);
      await scene.quic.network.run();
      if (type === C.CONTROL_STREAM) {
        scene.control.write(bytes.subarray(settings().length));
        await scene.quic.network.run();
      } else await scene.say(type, bytes);
    } else await scene.say(type, bytes);
    expect(scene.quic.client.closedWith?.code).toBe(code);
  });

  test("a control stream that is closed, or there twice", async () => {
    const scene = await new Scene().start();
    scene.control.end();
    await scene.quic.network.run();
    expect(scene.quic.client.closedWith?.code).toBe(C.H3_CLOSED_CRITICAL_STREAM);
    const twice = await new Scene().start();
    await twice.start();
    expect(twice.quic.client.closedWith?.code).toBe(C.H3_STREAM_CREATION_ERROR);
  });

  test("streams of types that nobody knows are stopped, those of QPACK taken", async () => {
    const scene = await new Scene().start();
    const strange = await scene.say(0x21, Buffer.from("what"));
    expect(strange.other.stoppedWith).toBe(C.H3_STREAM_CREATION_ERROR);
    await scene.say(C.QPACK_ENCODER_STREAM, Buffer.from("20", "hex"));
    await scene.say(C.QPACK_DECODER_STREAM, Buffer.from("447f00", "hex"));
    expect(scene.quic.client.closedWith).toBeNull();
  });
});

describe("what breaks off", () => {
  test("H3_REQUEST_REJECTED: nothing was processed", async () => {
    const scene = await new Scene().start();
    for (const [code, unprocessed] of [
      [C.H3_REQUEST_REJECTED, true],
      [C.H3_INTERNAL_ERROR, false],
    ] as const) {
      const { told, asked } = await scene.get();
      asked.stream.abort(code);
      await scene.quic.network.run();
      expect(told.failure).toMatchObject({ code: "stream_reset", unprocessed });
    }
    expect(scene.backend.active).toBe(0);
  });

  test("a stream beyond GOAWAY was not processed; those before it go on", async () => {
    const scene = await new Scene().start();
    const first = await scene.get();
    const second = await scene.get();
    scene.control.write(frame(C.GOAWAY, "\x04"));
    await scene.quic.network.run();
    expect(second.told.failure).toMatchObject({ code: "closed", unprocessed: true });
    expect(scene.backend.closing).toBe(true);
    expect(scene.gone).toBeUndefined();
    await scene.answer(first.asked, Buffer.concat([head(200), frame(C.DATA, "x")]));
    expect(first.told.all).toEqual(["200 -1", '"x"', "end"]);
    expect(scene.gone).toBeNull();
    expect(scene.quic.client.closedWith?.code).toBe(C.H3_NO_ERROR);
  });

  test("a GOAWAY with the last id of all excludes nothing, and the next one counts", async () => {
    const scene = await new Scene().start();
    const first = await scene.get();
    const second = await scene.get();
    const last = Buffer.from("fffffffffffffffc", "hex"); // 2^62-4
    scene.control.write(frame(C.GOAWAY, last));
    await scene.quic.network.run();
    expect([scene.gone, scene.backend.active]).toEqual([undefined, 2]);
    scene.control.write(frame(C.GOAWAY, "\x04"));
    await scene.quic.network.run();
    expect(second.told.failure).toMatchObject({ code: "closed", unprocessed: true });
    await scene.answer(first.asked, head(200));
    expect(scene.quic.client.closedWith?.code).toBe(C.H3_NO_ERROR);
  });

  test("the connection's death is told to all", async () => {
    const scene = await new Scene().start();
    const first = await scene.get();
    const second = await scene.get(withBody);
    const timeout = new QuicError("ERR_QUIC_TIMEOUT", "idle");
    scene.quic.client.fail(timeout, timeout);
    await scene.quic.network.run();
    for (const { told } of [first, second]) {
      expect(told.failure).toMatchObject({ code: "timeout", unprocessed: false });
    }
    expect(scene.gone?.code).toBe("timeout");
    expect(scene.backend.closing).toBe(true);
  });

  test("a request that nobody wants any more is cancelled", async () => {
    const scene = await new Scene().start();
    const { told, asked, stream } = await scene.get(withBody);
    stream.reset({ code: "reset", message: "", unprocessed: false });
    await scene.quic.network.run();
    expect(asked.closed?.wireCode).toBe(C.H3_REQUEST_CANCELLED);
    expect(told.all).toEqual([]);
    expect(scene.backend.active).toBe(0);
  });

  test("an answer before the request's end is whole although the rest was stopped", async () => {
    const scene = await new Scene().start();
    const { told, asked, stream } = await scene.get(withBody);
    asked.stream.stopSending(C.H3_NO_ERROR);
    await scene.answer(asked, Buffer.concat([head(413), frame(C.DATA, "no")]));
    expect(told.all).toEqual(["413 -1", '"no"', "end"]);
    expect(stream.sendBody(Buffer.from("more"))).toBe(false);
    expect(scene.backend.active).toBe(0);
  });

  test("a connection that is closed ends with its last request", async () => {
    const scene = await new Scene().start();
    const { told, asked } = await scene.get();
    scene.backend.close();
    expect(scene.gone).toBeUndefined();
    await scene.answer(asked, Buffer.concat([head(200), frame(C.DATA, "x")]));
    expect(told.all.at(-1)).toBe("end");
    expect(scene.gone).toBeNull();
  });
});

describe("flow", () => {
  test("an answer that is paused is not read", async () => {
    const scene = await new Scene().start();
    const { told, asked, stream } = await scene.get();
    await scene.answer(asked, Buffer.concat([head(200), frame(C.DATA, "a")]), false);
    stream.pause();
    await scene.answer(asked, frame(C.DATA, "b"));
    expect(told.all).toEqual(["200 -1", '"a"']);
    stream.resume();
    await scene.quic.network.run();
    expect(told.all).toEqual(["200 -1", '"a"', '"b"', "end"]);
  });

  test("a request's body stops when the backend does not read", async () => {
    const scene = await new Scene().start();
    const { told, asked, stream } = await scene.get(withBody);
    asked.stream.pause();
    let sent = 0;
    while (stream.sendBody(new Uint8Array(10_000))) sent++;
    expect(sent).toBeLessThan(8);
    expect(told.drains).toBe(0);
    asked.stream.resume();
    await scene.quic.network.run();
    expect(told.drains).toBe(1);
  });

  test("requests beyond the backend's streams wait for one, in order", async () => {
    const scene = await new Scene().start();
    scene.quic.client.allowed = 1;
    const first = await scene.get();
    const second = new Told();
    const stream = scene.ask(second, withBody);
    expect(stream.sendBody(Buffer.from("abc"))).toBe(false);
    const third = new Told();
    scene.ask(third).reset({ code: "reset", message: "", unprocessed: false });
    const fourth = new Told();
    scene.ask(fourth);
    expect(scene.backend.free).toBe(0);
    await scene.answer(first.asked, head(200));
    expect(scene.asked).toHaveLength(1);
    scene.quic.server.allow(2);
    await scene.quic.network.run();
    expect(scene.asked).toHaveLength(3);
    expect(scene.backend.free).toBe(H3.backendStreams - 2);
    expect(Buffer.from(scene.asked[1]!.bytes).toString("latin1")).toEndWith("\0\x03abc");
    expect(second.drains).toBe(1);
    expect(scene.asked[2]!.ended).toBe(true);
  });

  test("one that waits for a stream is unprocessed when the backend goes away", async () => {
    const scene = await new Scene().start();
    scene.quic.client.allowed = 0;
    const before = HELD.bytes;
    const [told, other] = [new Told(), new Told()];
    scene.ask(told);
    const stream = scene.ask(other);
    expect(HELD.bytes).toBeGreaterThan(before); // their heads
    stream.reset({ code: "reset", message: "", unprocessed: false });
    scene.control.write(frame(C.GOAWAY, "\0"));
    await scene.quic.network.run();
    expect(told.failure).toMatchObject({ code: "closed", unprocessed: true });
    expect(scene.gone).toBeNull();
    expect(HELD.bytes).toBe(before);
  });
});
