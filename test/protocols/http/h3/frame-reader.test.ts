// Frames of HTTP/3, however they are cut: see src/protocols/http/h3/frame-reader.ts and varint.ts.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  FrameReader,
  type FrameSink,
  type Want,
} from "../../../../src/protocols/http/h3/frame-reader.ts";
import {
  readVarint,
  varintLength,
  writeVarint,
  writeVarint4,
} from "../../../../src/protocols/http/h3/varint.ts";
import { hex } from "../h2/hpack/codec.ts";

/** Type 0 in parts, 1 whole, others not at all. */
class Noting implements FrameSink {
  readonly seen: string[] = [];
  readonly reader = new FrameReader(this);
  stopAt = -1;
  #part = "";

  onFrame(type: number, length: number): Want {
    this.#flush();
    this.seen.push(`${type}:${length}`);
    if (type === this.stopAt) this.reader.stop();
    return type === 0 ? "parts" : type === 1 ? "whole" : "nothing";
  }

  onPayload(_type: number, bytes: Uint8Array, start: number, end: number): void {
    this.seen.push(Buffer.from(bytes.subarray(start, end)).toString("hex"));
  }

  onPart(bytes: Uint8Array): void {
    this.#part += Buffer.from(bytes).toString("hex");
  }

  #flush(): void {
    if (this.#part !== "") this.seen.push(this.#part);
    this.#part = "";
  }

  done(): string[] {
    this.#flush();
    return this.seen;
  }
}

function frame(type: number, payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(16);
  const end = writeVarint(payload.length, header, writeVarint(type, header, 0));
  return Buffer.concat([header.subarray(0, end), payload]);
}

describe("integers of variable length", () => {
  test.each([
    ["25", 37],
    ["7bbd", 15_293],
    ["9d7f3e7d", 494_878_333],
    ["c0000000ffffffff", 4_294_967_295],
  ])("RFC 9000 A.1: %s", (text, value) => {
    const bytes = hex(text);
    expect(varintLength(bytes[0]!)).toBe(bytes.length);
    expect(readVarint(bytes, 0)).toBe(value);
    const written = new Uint8Array(8);
    expect([...written.subarray(0, writeVarint(value, written, 0))]).toEqual([...bytes]);
  });

  test("what is written is read", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const bytes = new Uint8Array(8);
        const end = writeVarint(value, bytes, 0);
        expect(varintLength(bytes[0]!)).toBe(end);
        expect(readVarint(bytes, 0)).toBe(value);
      }),
    );
    const bytes = new Uint8Array(4);
    writeVarint4(5, bytes, 0);
    expect(readVarint(bytes, 0)).toBe(5);
  });

  test("one that is not exact is as large as can be told", () => {
    expect(readVarint(hex("ffffffffffffffff"), 0)).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe("frames", () => {
  test("payloads come whole, in parts, or not at all", () => {
    const sink = new Noting();
    const bytes = Buffer.concat([
      frame(1, hex("aabb")),
      frame(0, hex("ccdd")),
      frame(0x21, hex("ee")),
      frame(1, new Uint8Array(0)),
    ]);
    sink.reader.read(bytes);
    expect(sink.done()).toEqual(["1:2", "aabb", "0:2", "ccdd", "33:1", "1:0", ""]);
    expect(sink.reader.betweenFrames).toBe(true);
  });

  test("cuts make no difference", () => {
    const payload = fc.uint8Array({ maxLength: 80 });
    const frames = fc.array(fc.tuple(fc.constantFrom(0, 1, 4, 0x1f * 7 + 0x21, 1e12), payload), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(frames, fc.array(fc.nat(40), { maxLength: 30 }), (all, cuts) => {
        const bytes = Buffer.concat(all.map(([type, each]) => frame(type, each)));
        const whole = new Noting();
        whole.reader.read(bytes);
        const cut = new Noting();
        let at = 0;
        for (const length of cuts) {
          if (at + length < bytes.length) cut.reader.read(bytes.subarray(at, (at += length)));
        }
        cut.reader.read(bytes.subarray(at));
        expect(cut.done()).toEqual(whole.done());
        expect(cut.reader.betweenFrames).toBe(true);
      }),
    );
  });

  test("a stream within a frame is not between frames", () => {
    for (const text of ["01", "0105", "010561", "4001", "80"]) {
      const sink = new Noting();
      sink.reader.read(hex(text));
      expect(sink.reader.betweenFrames).toBe(false);
    }
  });

  test("nothing is read once it was stopped", () => {
    const sink = new Noting();
    sink.stopAt = 4;
    sink.reader.read(
      Buffer.concat([frame(0, hex("aa")), frame(4, hex("bb")), frame(1, hex("cc"))]),
    );
    expect(sink.done()).toEqual(["0:1", "aa", "4:1"]);
  });

  test("what is left of a read is known while its frame is told", () => {
    const rests: number[] = [];
    const reader: FrameReader = new FrameReader({
      onFrame: () => "whole",
      onPayload: () => void rests.push(reader.rest),
      onPart: () => {},
    });
    const bytes = Buffer.concat([frame(1, hex("aabb")), frame(1, hex("cc"))]);
    reader.read(bytes);
    reader.read(bytes.subarray(0, 3));
    reader.read(bytes.subarray(3));
    expect(rests).toEqual([3, 0, 3, 0]);
  });
});
