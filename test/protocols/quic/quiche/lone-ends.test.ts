// Ends of streams that quiche would not repeat: who is asked for one, packets that are kept, and what goes out again when
// something was lost.

import { expect, test } from "bun:test";

import {
  type Ending,
  LoneEnds,
  type Sent,
} from "../../../../src/protocols/quic/quiche/lone-ends.ts";
import { QUICHE } from "../../../../src/shared/limits.ts";

const PATH = { from: { host: "127.0.0.1", port: 1 }, to: { host: "127.0.0.1", port: 2 } };
const sent = (bytes: number): Sent => [bytes, PATH] as unknown as Sent;

/** A stream that is due. */
class Due implements Ending {
  mayBeForgotten = false;
  isForgotten = true;
  due = true;
  readonly spent: number[] = [];
  again = 0;

  finish(spentBytes: number): boolean {
    this.spent.push(spentBytes);
    const { due } = this;
    this.due = false;
    return due;
  }

  finishAgain(): void {
    this.again++;
  }
}

class Bench {
  readonly stats = { lost: 7 };
  readonly ends = new LoneEnds({ stats: () => ({ recv: 0, recvBytes: 0, ...this.stats }) });
  readonly #into = new Uint8Array(2_000);

  /** One packet with the FIN of a stream. */
  write(stream: Ending, text: string): void {
    this.ends.finishNext([]); // whoever was asked before has no more
    expect(this.ends.finishNext([stream])).toBeTrue();
    this.#into.set(Buffer.from(text));
    this.ends.keep(this.#into, sent(text.length));
    this.#into.fill(0);
  }

  /** What goes out once more. */
  repeated(): string[] {
    const packets: string[] = [];
    const into = new Uint8Array(2_000);
    for (let again = this.ends.next(into); again !== null; again = this.ends.next(into)) {
      expect(again[1]).toEqual(PATH);
      packets.push(Buffer.from(into.subarray(0, again[0])).toString());
    }
    return packets;
  }

  /** The same, until nothing is looked at any more. */
  repeatedLater(): string[] {
    const packets: string[] = [];
    for (let looks = 0; this.ends.dueMs !== Infinity; looks++) {
      expect(looks).toBeLessThan(100);
      this.ends.look(this.ends.dueMs);
      packets.push(...this.repeated());
    }
    return packets;
  }
}

test("the packet of a stream that quiche forgot goes out again once something was lost, as it was", () => {
  const bench = new Bench();
  bench.write(new Due(), "the end");
  bench.ends.out(1_000);
  expect(bench.ends.dueMs).toBe(1_050);
  bench.ends.look(1_050);
  expect(bench.repeated()).toEqual([]);
  bench.stats.lost++;
  expect(bench.repeatedLater()).toEqual(Array.from({ length: 5 }, () => "the end"));
});

test("a stream that quiche knows is given its end again instead", () => {
  const bench = new Bench();
  const stream = new Due();
  stream.isForgotten = false;
  bench.write(stream, "the end");
  bench.ends.out(1_000);
  bench.stats.lost++;
  expect(bench.repeatedLater()).toEqual([]);
  expect(stream.again).toBe(6);
});

test("a stream that quiche will forget has its packet sent twice, and again in the turn that finds a loss", () => {
  const bench = new Bench();
  const stream = new Due();
  stream.mayBeForgotten = true;
  bench.write(stream, "the end");
  expect(bench.repeated()).toEqual([]);
  bench.ends.out(1_000);
  const turns = Array.from({ length: 4 }, (_, turn) => {
    if (turn === 2) bench.stats.lost++;
    bench.ends.glance();
    return bench.repeated();
  });
  expect(turns).toEqual([["the end"], [], ["the end"], []]);
});

test("where nothing is lost, nothing is repeated, and nothing is kept for long", () => {
  const bench = new Bench();
  bench.write(new Due(), "the end");
  bench.ends.out(1_000);
  expect(bench.repeatedLater()).toEqual([]);
  expect(bench.ends.dueMs).toBe(Infinity);
});

test("streams are asked one after the other, and told what the ends before them have cost", () => {
  const { ends } = new Bench();
  const streams = [new Due(), new Due(), new Due()];
  streams[1]!.due = false;
  const write = (): boolean => {
    const any = ends.finishNext(streams);
    if (any) ends.keep(new Uint8Array(40), sent(40));
    return any;
  };
  expect([write(), write(), write()]).toEqual([true, true, false]);
  expect(streams.map(({ spent }) => spent)).toEqual([[0], [40], [40]]);
  ends.received();
  for (const stream of streams) stream.due = true;
  ends.glance();
  expect(write()).toBeTrue();
  expect(streams[0]!.spent).toEqual([0, 0]);
});

test("of more than can be kept, those go first that had the most looks", () => {
  const bench = new Bench();
  for (let i = 0; i < 10; i++) bench.write(new Due(), `old ${i}`);
  bench.ends.out(1_000);
  bench.ends.look(1_050);
  for (let i = 0; i < QUICHE.endsKept; i++) bench.write(new Due(), `${i}`);
  bench.ends.out(1_060);
  bench.stats.lost++;
  const packets = new Set(bench.repeatedLater());
  expect(packets.size).toBe(QUICHE.endsKept);
  expect([...packets].filter((text) => text.startsWith("old"))).toEqual([]);
});
