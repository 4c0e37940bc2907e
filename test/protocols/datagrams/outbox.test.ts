// How datagrams leave: what a turn of the event loop brought in one call, and what comes alone at once.

import { expect, test } from "bun:test";

import { Flusher, Outbox } from "../../../src/protocols/datagrams/outbox.ts";
import { UDP } from "../../../src/shared/limits.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An outbox, and the sizes of the calls that it made. */
function outboxWithCalls(): { outbox: Outbox; calls: number[]; sent: number[] } {
  const calls: number[] = [];
  const sent: number[] = [];
  const outbox = new Outbox(true, new Flusher(), { bytes: 0 }, { dropped: () => {} });
  outbox.attach({
    sendMany: (packets) => {
      calls.push(packets.length);
      for (const packet of packets) sent.push((packet as Uint8Array)[0]!);
      return packets.length;
    },
  });
  return { outbox, calls, sent };
}

test("what one turn brought goes out in one call at its end", async () => {
  const { outbox, calls } = outboxWithCalls();
  for (let i = 0; i < 3; i++) outbox.push(Uint8Array.of(i));
  expect(calls).toEqual([]);
  await turn();
  expect(calls).toEqual([3]);
});

test("what comes alone, turn after turn, goes out at once; together, and it waits again", async () => {
  const { outbox, calls, sent } = outboxWithCalls();
  let next = 0;
  for (let i = 0; i < UDP.loneTurns; i++) {
    outbox.push(Uint8Array.of(next++));
    await turn();
  }
  for (let i = 0; i < UDP.hastyDatagrams; i++) {
    outbox.push(Uint8Array.of(next++));
    expect(calls).toHaveLength(next);
  }
  // The next one shows that they come together now.
  outbox.push(Uint8Array.of(next++));
  outbox.push(Uint8Array.of(next++));
  expect(calls).toHaveLength(next - 2);
  await turn();
  expect(calls.at(-1)).toBe(2);
  outbox.push(Uint8Array.of(next++));
  expect(sent).toHaveLength(next - 1);
  await turn();
  expect(sent).toEqual(Array.from({ length: next }, (_, i) => i));
});
