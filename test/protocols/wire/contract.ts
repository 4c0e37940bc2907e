// What every kind of wire must do (src/protocols/wire/wire.ts and open.ts), as tests over a factory of pairs: both ends are
// wires of the kind that is tested. Called by the test of each kind.

import { describe, expect, test } from "bun:test";

import type { Watermarks } from "../../../src/protocols/wire/wire.ts";
import { streamBytes } from "../../support/bytes.ts";
import { until, within } from "../../support/until.ts";
import { Recorder } from "./recorder.ts";

/** Two wires that are connected with each other. */
export interface WirePair extends AsyncDisposable {
  readonly client: Recorder;
  readonly server: Recorder;
}

export type MakePair = (marks: Watermarks) => Promise<WirePair>;

const MIB = 1024 * 1024;
const MARKS: Watermarks = { highBytes: 256 * 1024, lowBytes: 64 * 1024 };
/** More than two sockets' buffers and both watermarks take. */
const PLENTY = 64 * MIB;

/** Declares the tests. */
export function holdToContract(makePair: MakePair): void {
  describe("bytes", () => bytes(makePair));
  describe("backpressure", () => backpressure(makePair));
  describe("ends", () => ends(makePair));
}

function bytes(makePair: MakePair): void {
  test("arrive both ways at once, none lost, doubled or swapped", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    const length = 24 * MIB;
    client.expectStream(1);
    server.expectStream(2);
    client.sendStream(2, length);
    server.sendStream(1, length);
    await until("both streams", () => client.received === length && server.received === length);
    client.end();
    server.end();
    expect(await within("the client's close", client.closed)).toBeNull();
    expect(await within("the server's close", server.closed)).toBeNull();
    expect([client.received, server.received]).toEqual([length, length]);
  });

  test("may be changed once write returned", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    server.wire.pause();
    server.expectStream(5);
    const memory = new Uint8Array(50_000);
    let sent = 0;
    // Until some of it is the wire's own copy.
    while (client.wire.pending === 0) {
      memory.set(streamBytes(5, sent, memory.length));
      client.write(memory);
      memory.fill(0);
      sent += memory.length;
    }
    server.wire.resume();
    await until("all bytes", () => server.received === sent);
  });

  test("come to the handler of the moment", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    client.write(Buffer.from("first"));
    await until("the first bytes", () => server.text === "first");
    const later = new Recorder();
    later.adopt(server.wire);
    client.write(Buffer.from("second"));
    await until("the second bytes", () => later.text === "second");
    expect(server.text).toBe("first");
  });

  test("that were told stay what they are", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    for (const text of ["one ", "two ", "three"]) {
      client.write(Buffer.from(text));
      await until(text, () => server.text.endsWith(text));
    }
    expect(server.text).toBe("one two three");
  });
}

function backpressure(makePair: MakePair): void {
  test("write says false at the high watermark, and drain comes at the low one, once", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    server.wire.pause();
    let sent = 0;
    while (client.write(streamBytes(3, sent, 65_536))) {
      sent += 65_536;
      expect(client.wire.pending).toBeLessThan(MARKS.highBytes);
      if (sent > PLENTY) throw new Error("the wire takes bytes for ever");
    }
    sent += 65_536;
    expect(client.wire.pending).toBeGreaterThanOrEqual(MARKS.highBytes);
    expect(client.write(streamBytes(3, sent, 10))).toBe(false);
    sent += 10;
    expect(client.drains).toBe(0);
    server.expectStream(3);
    server.wire.resume();
    await until("the drain", () => client.drains === 1);
    expect(client.pendingAtDrain).toBeLessThanOrEqual(MARKS.lowBytes);
    await until("all bytes", () => server.received === sent);
    expect(client.drains).toBe(1);
    expect(client.wire.pending).toBe(0);
  });

  test("a paused reader stops its writer, and loses nothing", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    server.expectStream(4);
    server.wire.pause();
    client.sendStream(4, PLENTY);
    await until("the writer stops", () => client.stopped);
    const held = server.received;
    expect(held).toBeLessThan(2 * MIB);
    server.wire.resume();
    await until("all bytes", () => server.received === PLENTY);
  });

  test("pausing and resuming at every chunk keeps the stream whole", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    const length = 8 * MIB;
    server.expectStream(6);
    server.onChunk = () => {
      server.wire.pause();
      setImmediate(() => server.wire.resume());
    };
    client.sendStream(6, length);
    await until("all bytes", () => server.received === length);
  });
}

function ends(makePair: MakePair): void {
  test("one direction ends, after what was pending, and the other goes on", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    server.wire.pause();
    server.expectStream(7);
    client.expectStream(8);
    let sent = 0;
    while (client.wire.pending === 0) {
      client.write(streamBytes(7, sent, 65_536));
      sent += 65_536;
    }
    client.end();
    expect(client.write(Buffer.from("too late"))).toBe(false);
    server.wire.resume();
    await within("the end", server.ended);
    expect(server.received).toBe(sent);
    server.sendStream(8, 4 * MIB);
    await until("the answer", () => client.received === 4 * MIB);
    expect(client.isClosed).toBe(false);
    server.end();
    await within("the answer's end", client.ended);
    expect(await within("the client's close", client.closed)).toBeNull();
    expect(await within("the server's close", server.closed)).toBeNull();
  });

  test("a paused wire is not told of its peer's end until it is resumed", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    server.wire.pause();
    client.write(Buffer.from("last words"));
    client.end();
    server.write(Buffer.from("x"));
    await until("the other direction", () => client.text === "x");
    expect(server.hasEnded).toBe(false);
    server.wire.resume();
    await within("the end", server.ended);
    expect(server.text).toBe("last words");
  });

  test("bytes before the end arrive although the reader is paused and has ended its own direction", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    server.expectStream(9);
    server.wire.pause();
    server.end();
    await within("the server's end", client.ended);
    client.sendStream(9, 200_000);
    client.end();
    expect(await within("the client's close", client.closed)).toBeNull();
    server.wire.resume();
    expect(await within("the server's close", server.closed)).toBeNull();
    expect(server.received).toBe(200_000);
    expect(server.hasEnded).toBe(true);
  });

  test("ending at the peer's end closes both", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    server.onEndOf = () => server.end();
    client.end();
    expect(await within("the client's close", client.closed)).toBeNull();
    expect(await within("the server's close", server.closed)).toBeNull();
    expect(client.hasEnded).toBe(true);
  });

  test("a reset is an error at the other end, and silence at this one", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    client.write(Buffer.from("x"));
    await until("the byte", () => server.text === "x");
    server.write(Buffer.from("y"));
    server.wire.reset();
    expect(server.wire.write(Buffer.from("z"))).toBe(false);
    server.wire.end();
    server.wire.reset();
    const error = await within("the client's close", client.closed);
    expect(error).not.toBeNull();
    expect(typeof error!.code).toBe("string");
    expect(server.isClosed).toBe(false);
    expect(server.hasEnded).toBe(false);
  });

  test("a reset within the handler of bytes is the last that is told", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    server.onChunk = () => server.wire.reset();
    client.sendStream(10, PLENTY);
    expect(await within("the client's close", client.closed)).not.toBeNull();
    const told = server.received;
    await until("the reset is over", () => client.isClosed);
    expect(server.received).toBe(told);
    expect(server.isClosed).toBe(false);
  });

  test("a wire whose peer is gone takes nothing, and says why it is closed once", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    client.wire.reset();
    expect(await within("the server's close", server.closed)).not.toBeNull();
    expect(server.wire.write(Buffer.from("x"))).toBe(false);
    server.wire.end();
    server.wire.pause();
    server.wire.resume();
    server.wire.reset();
    expect(server.closes).toBe(1);
  });

  test("a writer that is told that its peer is gone is not told from within its call", async () => {
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    client.wire.reset();
    // The recorder fails on an event within a call.
    const chunk = streamBytes(11, 0, 65_536);
    await until("the server's close", () => {
      server.write(chunk);
      return server.isClosed;
    });
  });
}
