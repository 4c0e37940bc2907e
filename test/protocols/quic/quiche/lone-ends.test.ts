// Ends of streams that quiche would not repeat: packets that are kept, and sent again where something was lost.

import { expect, test } from "bun:test";

import { LoneEnds, type Sent } from "../../../../src/protocols/quic/quiche/lone-ends.ts";
import { QUICHE } from "../../../../src/shared/limits.ts";

const PATH = { from: { host: "127.0.0.1", port: 1 }, to: { host: "127.0.0.1", port: 2 } };
const sent = (bytes: number): Sent => [bytes, PATH] as unknown as Sent;

function setUp(): { ends: LoneEnds; stats: { lost: number }; into: Uint8Array } {
  const stats = { lost: 7 };
  const native = { stats: () => ({ recv: 0, recvBytes: 0, ...stats }) };
  return { ends: new LoneEnds(native), stats, into: new Uint8Array(2_000) };
}

/** Every packet that goes out once more, until nothing is looked at any more. */
function repeated(ends: LoneEnds): string[] {
  const packets: string[] = [];
  const into = new Uint8Array(2_000);
  for (let looks = 0; ends.dueMs !== Infinity; looks++) {
    expect(looks).toBeLessThan(100);
    ends.look(ends.dueMs);
    for (let again = ends.next(into); again !== null; again = ends.next(into)) {
      expect(again[1]).toEqual(PATH);
      packets.push(Buffer.from(into.subarray(0, again[0])).toString());
    }
  }
  return packets;
}

function write(ends: LoneEnds, into: Uint8Array, text: string): void {
  into.set(Buffer.from(text));
  ends.wrote(into, sent(text.length));
}

test("a packet behind a lone end goes out again once something was lost, as it was", () => {
  const { ends, stats, into } = setUp();
  ends.arm();
  write(ends, into, "the end");
  ends.wrote(into, null);
  ends.out(1_000);
  into.fill(0);
  expect(ends.dueMs).toBe(1_050);
  ends.look(1_050);
  expect(ends.next(into)).toBeNull();
  stats.lost++;
  expect(repeated(ends)).toEqual(Array.from({ length: 5 }, () => "the end"));
});

test("where nothing is lost, nothing is repeated, and nothing is kept for long", () => {
  const { ends, into } = setUp();
  ends.arm();
  write(ends, into, "the end");
  ends.out(1_000);
  expect(repeated(ends)).toEqual([]);
  expect(ends.dueMs).toBe(Infinity);
});

test("packets without a lone end, or with more than one, are quiche's to repeat", () => {
  const { ends, stats, into } = setUp();
  write(ends, into, "before");
  ends.arm();
  ends.wrote(into, sent(QUICHE.endBytes + 1));
  ends.wrote(into, null);
  write(ends, into, "after");
  ends.out(1_000);
  stats.lost++;
  expect(repeated(ends)).toEqual([]);
});

test("no more than so many are kept", () => {
  const { ends, stats, into } = setUp();
  ends.arm();
  for (let i = 0; i < 2 * QUICHE.endsKept; i++) write(ends, into, `${i}`);
  ends.out(1_000);
  stats.lost++;
  expect(new Set(repeated(ends)).size).toBe(QUICHE.endsKept);
});
