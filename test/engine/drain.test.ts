// SIGTERM while bytes are on their way: listeners close, connections finish, no byte is lost, and what does not finish within
// the shutdown timeout is reset.

import { expect, test } from "bun:test";

import { forEveryEngine } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { RelayChild } from "../support/relay-child.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const MIB = 1024 * 1024;
const BYTES = 64 * MIB;
const TRANSFERS = 4;

forEveryEngine((engine) => {
  test("SIGTERM with transfers in flight loses no byte", async () => {
    await using server = await WireServer.listen();
    await using relay = await RelayChild.start(
      makePlan({ engine, workers: 2, shutdownTimeoutMs: 30_000 }, { target: server.target }),
    );
    const transfers: Promise<void>[] = [];
    const readers: Wire[] = [];
    for (let i = 0; i < TRANSFERS; i++) {
      const client = await relay.connect();
      const target = await server.accept();
      const [from, to] = i % 2 === 0 ? [client, target] : [target, client];
      to.socket.pause();
      readers.push(to);
      transfers.push(
        to.expectStream(i, BYTES).then(() => to.end()),
        from.sendStream(i, BYTES, MIB).then(() => from.end()),
      );
      to.socket.pause(); // a listener for data makes a stream flow
    }
    await until("bytes are under way", async () => {
      const { stats } = await relay.state();
      return stats.bytesUp > 0 && stats.bytesDown > 0;
    });
    relay.terminate();
    await until("the listener is closed", () =>
      Wire.connect(relay.address).then(
        (late) => {
          late.reset(); // nobody would end its target's side
          return false;
        },
        () => true,
      ),
    );
    for (const reader of readers) reader.socket.resume();
    await within("all bytes", Promise.all(transfers), 30_000);
    expect(await within("the stop", relay.stopped)).toMatchObject({ reset: 0 });
    expect(await within("the exit", relay.exited)).toBe(0);
  }, 60_000);

  test("a connection that does not finish within the shutdown timeout is reset", async () => {
    await using server = await WireServer.listen();
    await using relay = await RelayChild.start(
      makePlan({ engine, shutdownTimeoutMs: 300 }, { target: server.target }),
    );
    const client = await relay.connect();
    const target = await server.accept();
    relay.terminate();
    expect(await within("the client's reset", client.ending)).toBe("ECONNRESET");
    expect(await within("the target's reset", target.ending)).toBe("ECONNRESET");
    expect(await within("the stop", relay.stopped)).toMatchObject({ reset: 1 });
    expect(await within("the exit", relay.exited)).toBe(0);
  }, 30_000);
});
