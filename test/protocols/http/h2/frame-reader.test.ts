// Reading frames (src/protocols/http/h2/frame-reader.ts): any split, and what a frame by itself may not be.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import * as C from "../../../../src/protocols/http/h2/constants.ts";
import { type FrameHandler, FrameReader } from "../../../../src/protocols/http/h2/frame-reader.ts";
import * as F from "./frames.ts";

const HEX = (bytes: Uint8Array, start: number, end: number): string =>
  Buffer.from(bytes.subarray(start, end)).toString("hex");

/** Notes everything as text; the parts of a DATA frame as one. */
class Notes implements FrameHandler {
  readonly all: string[] = [];
  #data = "";

  onDataBegin(stream: number, length: number, padding: number): void {
    this.#data = `data ${stream} ${length} ${padding} `;
  }
  onDataPart(bytes: Uint8Array): void {
    expect(bytes.length).toBeGreaterThan(0);
    this.#data += HEX(bytes, 0, bytes.length);
  }
  onDataEnd(end: boolean): void {
    this.all.push(`${this.#data} ${end}`);
  }
  onHeaders(
    stream: number,
    end: boolean,
    dependency: number,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void {
    this.all.push(`headers ${stream} ${end} ${dependency} ${HEX(bytes, from, to)}`);
  }
  onPriority(stream: number, dependency: number): void {
    this.all.push(`priority ${stream} ${dependency}`);
  }
  onReset(stream: number, code: number): void {
    this.all.push(`reset ${stream} ${code}`);
  }
  onSetting(id: number, value: number): void {
    this.all.push(`setting ${id} ${value}`);
  }
  onSettingsEnd(): void {
    this.all.push("settings end");
  }
  onSettingsAck(): void {
    this.all.push("settings ack");
  }
  onPing(bytes: Uint8Array, at: number): void {
    this.all.push(`ping ${HEX(bytes, at, at + 8)}`);
  }
  onPingAck(bytes: Uint8Array, at: number): void {
    this.all.push(`pong ${HEX(bytes, at, at + 8)}`);
  }
  onGoAway(last: number, code: number): void {
    this.all.push(`goaway ${last} ${code}`);
  }
  onWindowUpdate(stream: number, increment: number): void {
    this.all.push(`window ${stream} ${increment}`);
  }
  onUnknown(): void {
    this.all.push("unknown");
  }
  onContinuation(): void {}
  onStreamError(stream: number, code: number): void {
    this.all.push(`stream error ${stream} ${code}`);
  }
  onConnectionError(code: number): void {
    this.all.push(`connection error ${code}`);
  }
}

function read(parts: readonly Uint8Array[], preface = true): string[] {
  const notes = new Notes();
  const reader = new FrameReader(notes, preface, 100_000);
  for (const part of parts) reader.push(part);
  return notes.all;
}

/** After an exchange of settings. */
function readFrames(...frames: readonly Uint8Array[]): string[] {
  return read([F.join(C.PREFACE, F.settings(), ...frames)]).slice(1);
}

const bytes = (...octets: number[]): Uint8Array => Uint8Array.from(octets);

describe("frames", () => {
  test("every type is told with what it says", () => {
    expect(
      readFrames(
        F.settings([3, 100], [4, 2 ** 32 - 1]),
        F.SETTINGS_ACK,
        F.frame(C.HEADERS, C.END_HEADERS | C.END_STREAM, 1, bytes(0x82)),
        F.frame(
          C.HEADERS,
          C.END_HEADERS | C.PADDED | C.PRIORITY_FLAG,
          3,
          bytes(2, 0x80, 0, 0, 1, 9, 0x83, 0, 0),
        ),
        F.frame(C.HEADERS, C.END_STREAM, 5, bytes(1)),
        F.frame(C.CONTINUATION, 0, 5, bytes()),
        F.frame(C.CONTINUATION, C.END_HEADERS, 5, bytes(2, 3)),
        F.data(1, "ab", C.END_STREAM),
        F.frame(C.DATA, C.PADDED, 1, bytes(3, 0x61, 0, 0, 0)),
        F.data(1, ""),
        F.frame(C.PRIORITY, 0, 1, bytes(0, 0, 0, 7, 1)),
        F.reset(1, 2 ** 32 - 1),
        F.ping("abcdefgh"),
        F.ping("abcdefgh", C.ACK),
        F.goAway(C.MAXIMUM, 11),
        F.windowUpdate(0, C.MAXIMUM),
        F.frame(77, 255, 2 ** 31 - 1, bytes(1, 2, 3)),
      ),
    ).toEqual([
      "setting 3 100",
      "setting 4 4294967295",
      "settings end",
      "settings ack",
      "headers 1 true -1 82",
      "headers 3 false 1 83",
      "headers 5 true -1 010203",
      "data 1 2 0 6162 true",
      "data 1 5 4 61 false",
      "data 1 0 0  false",
      "priority 1 7",
      "reset 1 4294967295",
      "ping 6162636465666768",
      "pong 6162636465666768",
      "goaway 2147483647 11",
      "window 0 2147483647",
      "unknown",
    ]);
  });

  test("what a frame by itself may not be is an error of the connection, after which nothing is told", () => {
    for (const [frames, code] of [
      [[F.frame(77, 0, 0, new Uint8Array(16_385))], C.FRAME_SIZE_ERROR],
      [[F.data(0, "a")], C.PROTOCOL_ERROR],
      [[F.frame(C.HEADERS, C.END_HEADERS, 0, bytes(0x82))], C.PROTOCOL_ERROR],
      [[F.frame(C.DATA, C.PADDED, 1, bytes(3, 1, 2))], C.PROTOCOL_ERROR],
      [[F.frame(C.DATA, C.PADDED, 1)], C.PROTOCOL_ERROR],
      [[F.frame(C.HEADERS, C.PADDED | C.END_HEADERS, 1, bytes(3, 1, 2))], C.PROTOCOL_ERROR],
      [[F.frame(C.HEADERS, C.PADDED | C.END_HEADERS, 1)], C.FRAME_SIZE_ERROR],
      [[F.frame(C.HEADERS, C.PRIORITY_FLAG | C.END_HEADERS, 1, bytes(1, 2))], C.FRAME_SIZE_ERROR],
      [[F.frame(C.PRIORITY, 0, 0, bytes(0, 0, 0, 7, 1))], C.PROTOCOL_ERROR],
      [[F.frame(C.RST_STREAM, 0, 1, bytes(1, 2, 3))], C.FRAME_SIZE_ERROR],
      [[F.frame(C.SETTINGS, 0, 0, bytes(1, 2, 3))], C.FRAME_SIZE_ERROR],
      [[F.frame(C.SETTINGS, C.ACK, 0, new Uint8Array(6))], C.FRAME_SIZE_ERROR],
      [[F.frame(C.SETTINGS, 0, 1)], C.PROTOCOL_ERROR],
      [[F.frame(C.PING, 0, 0, bytes(1))], C.FRAME_SIZE_ERROR],
      [[F.frame(C.PING, 0, 1, new Uint8Array(8))], C.PROTOCOL_ERROR],
      [[F.frame(C.GOAWAY, 0, 0, bytes(1))], C.FRAME_SIZE_ERROR],
      [[F.frame(C.WINDOW_UPDATE, 0, 1, bytes(1))], C.FRAME_SIZE_ERROR],
      [[F.frame(C.PUSH_PROMISE, 0, 1, new Uint8Array(5))], C.PROTOCOL_ERROR],
      [[F.frame(C.CONTINUATION, C.END_HEADERS, 1)], C.PROTOCOL_ERROR],
      [[F.frame(C.HEADERS, 0, 1), F.ping()], C.PROTOCOL_ERROR],
      [[F.frame(C.HEADERS, 0, 1), F.frame(C.CONTINUATION, C.END_HEADERS, 3)], C.PROTOCOL_ERROR],
      [[F.frame(C.HEADERS, 0, 1), F.frame(77, 0, 1)], C.PROTOCOL_ERROR],
    ] as const) {
      expect(readFrames(...frames, F.ping())).toEqual([`connection error ${code}`]);
    }
    const short = F.frame(C.PRIORITY, 0, 1, bytes(1));
    expect(readFrames(short, F.SETTINGS_ACK)).toEqual(["stream error 1 6", "settings ack"]);
  });

  test("the preface is the client's, and SETTINGS come first on both sides", () => {
    expect(read([new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")])).toEqual([
      "connection error 1",
    ]);
    expect(read([C.PREFACE, F.ping()])).toEqual(["connection error 1"]);
    expect(read([C.PREFACE, F.SETTINGS_ACK])).toEqual(["connection error 1"]);
    expect(read([F.ping()], false)).toEqual(["connection error 1"]);
    expect(read([F.settings()], false)).toEqual(["settings end"]);
  });

  test("a field block has an end before it is too large to be held", () => {
    const part = new Uint8Array(16_384);
    const frames = [F.frame(C.HEADERS, 0, 1, part)];
    for (let i = 0; i < 7; i++) frames.push(F.frame(C.CONTINUATION, 0, 1, part));
    expect(readFrames(...frames)).toEqual([`connection error ${C.ENHANCE_YOUR_CALM}`]);
  });

  test("any frames, split anywhere, are told as when they come in one piece", () => {
    const payload = fc.uint8Array({ maxLength: 40 });
    const any = fc.oneof(
      fc
        .tuple(fc.nat(11), fc.nat(255), fc.nat(5), payload)
        .map(([type, flags, stream, each]) => F.frame(type, flags, stream, each)),
      fc.tuple(fc.nat(9), payload).map(([flags, each]) => F.frame(C.DATA, flags, 1, each)),
      payload.map((each) => F.frame(C.HEADERS, C.END_HEADERS, 1, each)),
      fc.constantFrom(F.ping(), F.windowUpdate(1, 5), F.reset(1), F.settings([1, 2])),
    );
    fc.assert(
      fc.property(
        fc.array(any, { maxLength: 12 }),
        fc.array(fc.nat(400), { maxLength: 30 }),
        (frames, cuts) => {
          const whole = F.join(C.PREFACE, F.settings(), ...frames);
          const places = [
            0,
            ...cuts.filter((cut) => cut < whole.length).toSorted((a, b) => a - b),
            whole.length,
          ];
          const parts = places.slice(1).map((end, i) => whole.slice(places[i]!, end));
          const expected = read([whole]);
          expect(read(parts)).toEqual(expected);
          expect(read([...whole].map((octet) => bytes(octet)))).toEqual(expected);
        },
      ),
      { numRuns: 1_500 },
    );
  });
});
