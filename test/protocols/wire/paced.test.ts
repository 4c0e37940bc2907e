// Wires under limits of bandwidth: the contract of every wire, at a rate that lets the tests end and makes them wait again and
// again.

import { describe, expect, test } from "bun:test";

import { Bandwidth } from "../../../src/protocols/bandwidth.ts";
import { LiveRows, type Peer } from "../../../src/protocols/live-rows.ts";
import { connectPlain, listenPlain } from "../../../src/protocols/wire/plain.ts";
import type { Watermarks, Wire } from "../../../src/protocols/wire/wire.ts";
import { monotonicMs } from "../../../src/shared/clock.ts";
import { listenerPlan } from "../../support/plan.ts";
import { until, within } from "../../support/until.ts";
import { holdToContract, type WirePair } from "./contract.ts";
import { Recorder } from "./recorder.ts";

const MIB = 1024 * 1024;
const NOBODY: Peer = { ip: new Uint8Array(0), port: 0 };
const { socket: SOCKET } = listenerPlan({ target: "127.0.0.1:1" });
const resident = { targetSlot: -1, reset: () => {} };

/** @param perSecond of the server's side, both directions together. */
async function makePair(watermarks: Watermarks, perSecond: number): Promise<WirePair> {
  const rows = new LiveRows(4);
  const bandwidth = new Bandwidth(rows.table, monotonicMs);
  const limits = { bytesPerSecond: 0, connectionBytesPerSecond: perSecond };
  const pace = bandwidth.of(limits, null)!;
  const options = { socket: SOCKET, setOptions: () => {}, watermarks };
  const server = new Recorder();
  let accepted = false;
  const listener = listenPlain<true>({
    ...options,
    address: { kind: "ip", host: "127.0.0.1", port: 0 },
    reusePort: false,
    exclusive: true,
    onAccept: () => true,
    onWire: (wire) => {
      const row = rows.open(resident, 0, NOBODY, NOBODY);
      server.adopt(bandwidth.paced(wire, row, pace, watermarks));
      accepted = true;
    },
    onRefused: () => expect.unreachable("nothing is refused in clear"),
  });
  const connected = Promise.withResolvers<Wire>();
  connectPlain({ ...options, address: listener.address }, (wire, error) => {
    if (wire === null) connected.reject(error!);
    else connected.resolve(wire);
  });
  const client = new Recorder();
  client.adopt(await within("the connection", connected.promise));
  await until("the client", () => accepted);
  return {
    client,
    server,
    [Symbol.asyncDispose]: async () => {
      client.wire.reset();
      server.wire.reset();
      listener.close();
      bandwidth.stop();
    },
  };
}

describe("a wire that may move more than the tests do", () => {
  holdToContract((marks) => makePair(marks, 4096 * MIB));
});

describe("a wire that waits again and again", () => {
  holdToContract((marks) => makePair(marks, 96 * MIB));
});

/** What may go at once. */
const BURST_SECONDS = 0.1;

for (const direction of ["from", "to"] as const) {
  test(`bytes ${direction} the client take the time that the rate gives them`, async () => {
    const perSecond = 2 * MIB;
    const length = MIB;
    await using pair = await makePair({ highBytes: 256 * 1024, lowBytes: 64 * 1024 }, perSecond);
    const [source, sink] =
      direction === "from" ? [pair.client, pair.server] : [pair.server, pair.client];
    const begin = performance.now();
    sink.expectStream(1);
    source.sendStream(1, length);
    await until("the stream", () => sink.received === length);
    const seconds = (performance.now() - begin) / 1_000;
    expect(seconds).toBeGreaterThanOrEqual(length / perSecond - BURST_SECONDS);
  });
}

test("what waits for its rate is told from what waits for the client", async () => {
  const marks = { highBytes: 4 * MIB, lowBytes: MIB };
  await using slow = await makePair(marks, 2 * MIB);
  const { client, server } = slow;
  server.wire.write(new Uint8Array(MIB));
  expect(server.wire).toMatchObject({ isHeldDown: true, isHeldUp: false });
  client.wire.write(new Uint8Array(MIB));
  await until("the client's bytes wait", () => server.wire.isHeldUp === true);
  await until("all has gone", () => client.received === MIB && server.received === MIB);
  expect(server.wire).toMatchObject({ isHeldDown: false, isHeldUp: false });

  await using fast = await makePair(marks, 256 * MIB);
  fast.client.wire.pause();
  while (fast.server.wire.write(new Uint8Array(MIB)));
  await until("the client does not read", () => fast.server.wire.isHeldDown === false);
  expect(fast.server.wire.pending).toBeGreaterThan(0);
});
