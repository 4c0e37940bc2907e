// A completion queue that is much too small, in the real kernel: what does not fit waits there (IORING_FEAT_NODROP), nothing is
// lost, and the engine works on.

import { describe, expect, test } from "bun:test";

import { KernelRing } from "../../../src/engine/uring/kernel-ring.ts";
import { Ring } from "../../../src/engine/uring/ring.ts";
import { ENGINES } from "../../support/engines.ts";
import { within } from "../../support/until.ts";
import { UringRelay } from "../../support/uring-relay.ts";
import { type Wire, WireServer } from "../../support/wire.ts";

const IORING_OP_NOP = 0;
const ENTRIES = 4;
const MANY = 1_000;
const CLIENTS = 60;
const ROUNDS = 20;
const MIB = 1024 * 1024;

async function echoes(client: Wire, seed: number): Promise<void> {
  let received = "";
  let expected = "";
  let enough: (() => void) | null = null;
  client.onData((chunk) => {
    received += chunk.toString();
    if (received.length >= expected.length) enough?.();
  });
  for (let round = 0; round < ROUNDS; round++) {
    const message = `${seed}.${round};`.repeat(1 + ((seed + round) % 40));
    expected += message;
    const all = new Promise<void>((resolve) => (enough = resolve));
    client.socket.write(message);
    await all;
    if (received !== expected) throw new Error(`client ${seed}, round ${round}: another answer`);
  }
}

describe.if(ENGINES.includes("uring"))("a completion queue of 4 places", () => {
  test("gives 1,000 completions that were due at once, each once and in order", () => {
    const kernel = new KernelRing(ENTRIES, ENTRIES);
    try {
      const ring = new Ring(kernel.layout, kernel);
      for (let i = 0; i < MANY; i++) ring.push(IORING_OP_NOP, -1, 0, 0, 0, i, ~i);
      ring.submit();
      expect(ring.ready).toBe(ENTRIES); // it is full, and the others wait in the kernel
      const got: [number, number][] = [];
      while (got.length < MANY) {
        ring.submitAndWait(1_000);
        if (ring.ready === 0) break;
        for (let left = ring.ready; left > 0; left--) {
          ring.next();
          got.push([ring.userLow, ring.userHigh]);
        }
      }
      expect(got).toEqual(Array.from({ length: MANY }, (_, i) => [i, ~i]));
      ring.submitAndWait(0);
      expect(ring.ready).toBe(0);
    } finally {
      kernel.close();
    }
  });

  test("takes entries while it is full: each is carried out once", () => {
    const kernel = new KernelRing(ENTRIES, ENTRIES);
    try {
      const ring = new Ring(kernel.layout, kernel);
      const got: number[] = [];
      let pushed = 0;
      // Three in, one out: the backlog grows and grows.
      for (let turn = 0; turn < MANY; turn++) {
        for (let i = 0; i < 3; i++) ring.push(IORING_OP_NOP, -1, 0, 0, 0, pushed++, 0);
        ring.submitAndWait(-1);
        ring.next();
        got.push(ring.userLow);
      }
      while (got.length < pushed) {
        ring.submitAndWait(1_000);
        ring.next();
        got.push(ring.userLow);
      }
      expect(got).toEqual(Array.from({ length: pushed }, (_, i) => i));
    } finally {
      kernel.close();
    }
  });

  test("serves 60 clients at once, messages and bulk, without losing a byte or a connection", async () => {
    await using server = await WireServer.echo();
    await using relay = await UringRelay.start(
      {
        sqEntries: ENTRIES,
        cqEntries: ENTRIES,
        ring: { bufferBytes: 512, buffers: 1_024 },
        targets: [{ kind: "ip", host: "127.0.0.1", port: server.port }],
      },
      { target: server.target },
    );
    for (let wave = 0; wave < 2; wave++) {
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => relay.connect()));
      await within("all answers", Promise.all(clients.map(echoes)), 20_000);
      for (const client of clients) client.end();
      await within("all ends", Promise.all(clients.map((client) => client.ending)));
      await relay.atRest();
    }
    const bulk = await Promise.all(Array.from({ length: 8 }, () => relay.connect()));
    const arrived = bulk.map((client, seed) => client.expectStream(seed, 4 * MIB));
    const sent = bulk.map((client, seed) => client.sendStream(seed, 4 * MIB, 10_000));
    await within("all bytes are sent", Promise.all(sent), 20_000);
    for (const client of bulk) client.end();
    await within("all bytes", Promise.all(arrived), 20_000);
    await relay.atRest();
    expect(relay.timesFull).toBeGreaterThan(100);
    await relay.drain();
    expect(await relay.end()).toBe(0);
  }, 60_000);
});
