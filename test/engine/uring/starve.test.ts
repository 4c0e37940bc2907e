// Receive buffers that are all with connections whose readers stall, each below its bound: others must be served all the same.

import { describe, expect, test } from "bun:test";

import { StreamCheck } from "../../support/bytes.ts";
import { inFolder } from "../../support/daemon.ts";
import { ENGINES } from "../../support/engines.ts";
import { until, within } from "../../support/until.ts";
import { UringRelay } from "../../support/uring-relay.ts";
import { type Wire, WireServer } from "../../support/wire.ts";

const BUFFERS = 16;
const BUFFER_BYTES = 512;
/** One connection may hold a quarter of all less one, so these can hold more than all. */
const STALLED = 8;
const MESSAGE = Buffer.alloc(3 * BUFFER_BYTES - 10);
/** What was not delivered by then is held. */
const HELD_MS = 50;
/** More than a unix socket takes before its reader reads. */
const ROUNDS_MAX = 2_000;
/** More than all sockets on the way and the relay hold. */
const FLOOD_BYTES = 16 * 1024 * 1024;

describe.if(ENGINES.includes("uring"))("without a free receive buffer", () => {
  test(
    "connections are served while those that hold the buffers stall",
    () =>
      inFolder(async (folder) => {
        let stalled: Wire[] = [];
        await using server = await WireServer.listen(
          (wire) => {
            if (stalled.length === STALLED) return void wire.socket.pipe(wire.socket);
            stalled.push(wire);
            wire.socket.pause();
          },
          { path: `${folder}/target` },
        );
        await using relay = await UringRelay.start(
          {
            sqEntries: 64,
            cqEntries: 128,
            ring: { bufferBytes: BUFFER_BYTES, buffers: BUFFERS },
            targets: [{ kind: "unix", path: `${folder}/target` }],
          },
          { target: server.target },
        );
        const clients: Wire[] = [];
        for (let i = 0; i < STALLED; i++) {
          clients.push(await relay.connect());
          await until("its target is there", () => stalled.length > i);
        }
        // Message by message, and none to who holds some already, so that no direction goes to the relay.
        const sent = clients.map(() => 0);
        const holds = (i: number): boolean => relay.delivered[i]! < sent[i]!;
        // The last ones to find no buffer may hold their bytes otherwise.
        const enough = (): boolean => relay.taken === BUFFERS || clients.every((_, i) => holds(i));
        for (let round = 0; !enough(); round++) {
          expect(round).toBeLessThan(ROUNDS_MAX);
          for (const [i, client] of clients.entries()) {
            if (holds(i)) continue;
            client.socket.write(MESSAGE);
            sent[i]! += MESSAGE.length;
          }
          const delivered = (): boolean => !clients.some((_, i) => holds(i));
          await until("all is delivered, or held", delivered, HELD_MS).catch(() => {});
        }

        const late = await relay.connect();
        const echoed = late.readBytes(6);
        await late.write("served");
        expect(await within("a client that comes late", echoed, 5_000)).toBe("served");

        late.end();
        for (const client of clients) client.end();
        for (const target of stalled) {
          target.socket.resume();
          target.end();
        }
        stalled = [];
        await relay.atRest();
        expect(await relay.end()).toBe(0);
      }),
    60_000,
  );

  test("one connection that floods a target that stalls leaves the buffers to the others", () =>
    inFolder(async (folder) => {
      const targets: Wire[] = [];
      await using server = await WireServer.listen((wire) => void targets.push(wire), {
        path: `${folder}/target`,
      });
      await using relay = await UringRelay.start(
        {
          sqEntries: 64,
          cqEntries: 128,
          ring: { bufferBytes: BUFFER_BYTES, buffers: BUFFERS },
          targets: [{ kind: "unix", path: `${folder}/target` }],
        },
        { target: server.target },
      );
      const greedy = await relay.connect();
      await until("its target is there", () => targets.length === 1);
      targets[0]!.socket.pause();
      const sent = greedy.sendStream(1, FLOOD_BYTES);
      await until("it is held up", () => greedy.socket.writableLength > 0 && relay.taken === 0);

      const other = await relay.connect();
      await until("another target is there", () => targets.length === 2);
      for (const text of ["one", "two", "three"]) {
        await other.write(text);
        expect(await within("a message", targets[1]!.readBytes(text.length))).toBe(text);
      }
      expect(relay.taken).toBe(0);

      const check = new StreamCheck(1);
      targets[0]!.onData((chunk) => check.take(chunk));
      targets[0]!.socket.resume();
      await within("the flood", sent);
      await until("all of it arrives", () => check.received === FLOOD_BYTES);
      for (const wire of [greedy, other, ...targets]) wire.end();
      await relay.atRest();
      expect(await relay.end()).toBe(0);
    }));
});
