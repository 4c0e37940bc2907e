// Wires in clear while a worker holds much: what a target sends is read in sips, past the runtime, and is the same stream.

import { afterEach, describe, expect, test } from "bun:test";

import { HELD } from "../../../src/protocols/wire/held.ts";
import { connectPlain, listenPlain } from "../../../src/protocols/wire/plain.ts";
import type { Watermarks } from "../../../src/protocols/wire/wire.ts";
import type { SocketAddress } from "../../../src/shared/address.ts";
import { LISTENER_DEFAULTS, WIRE } from "../../../src/shared/limits.ts";
import type { SocketPlan } from "../../../src/shared/plan.ts";
import { streamBytes } from "../../support/bytes.ts";
import { until, within } from "../../support/until.ts";
import { holdToContract, type WirePair } from "./contract.ts";
import { Recorder } from "./recorder.ts";

const SOCKET: SocketPlan = {
  nodelay: true,
  quickack: false,
  fastopen: false,
  keepaliveSeconds: LISTENER_DEFAULTS.keepaliveSeconds,
  sendBufferBytes: null,
  receiveBufferBytes: null,
  notsentLowatBytes: null,
};
const ADDRESS: SocketAddress = { kind: "ip", host: "127.0.0.1", port: 0 };
const MARKS: Watermarks = { highBytes: 16 * 1024, lowBytes: 8 * 1024 };

/** `client` is the end that has connected: what it receives is a target's. */
async function makePair(watermarks: Watermarks): Promise<WirePair> {
  const [client, accepted] = [new Recorder(), Promise.withResolvers<Recorder>()];
  const common = { socket: SOCKET, setOptions: () => {}, watermarks };
  const server = listenPlain<string>({
    ...common,
    address: ADDRESS,
    reusePort: false,
    exclusive: true,
    onAccept: () => "ticket",
    onWire: (wire) => {
      const recorder = new Recorder();
      recorder.adopt(wire);
      accepted.resolve(recorder);
    },
    onRefused: () => expect.unreachable("nothing is refused in clear"),
  });
  const connected = Promise.withResolvers<void>();
  connectPlain({ ...common, address: server.address }, (wire, error) => {
    if (wire === null) return connected.reject(error!);
    client.adopt(wire);
    connected.resolve();
  });
  await within("the connection", connected.promise);
  const other = await within("the client", accepted.promise);
  return {
    client,
    server: other,
    [Symbol.asyncDispose]: async () => {
      client.wire.reset();
      other.wire.reset();
      server.close();
    },
  };
}

let more = 0;

/** As if others held so many bytes. */
function hold(bytes: number): void {
  more += bytes;
  HELD.bytes += bytes;
}

afterEach(() => hold(-more));

describe("while much is held, a wire", () => {
  holdToContract(async (marks) => {
    hold(WIRE.heldBytes * 2);
    const pair = await makePair(marks);
    // It is read sparingly from its first request on.
    for (const [from, to] of [
      [pair.client, pair.server],
      [pair.server, pair.client],
    ] as const) {
      from.write(Buffer.from("hello"));
      await until("a greeting", () => to.text === "hello");
      to.text = "";
      to.received = 0;
    }
    return pair;
  });

  test("is given no more than a sip of what its target has sent", async () => {
    hold(WIRE.heldBytes + 1);
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    const sizes: number[] = [];
    client.onChunk = (bytes) => sizes.push(bytes.length);
    client.expectStream(1);
    client.write(Buffer.from("a request"));
    await until("the request", () => server.text === "a request");
    server.sendStream(1, 1_000_000);
    await until("the answer", () => client.received === 1_000_000);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(WIRE.sipBytes);
  });

  test("is read by the runtime again when little is held", async () => {
    hold(WIRE.heldBytes + 1);
    await using pair = await makePair(MARKS);
    const { client, server } = pair;
    client.write(Buffer.from("a request"));
    await until("the request", () => server.text === "a request");
    hold(-more);
    server.write(Buffer.from("an answer"));
    await until("the answer", () => client.text === "an answer");
    server.end();
    await within("the end", client.ended);
  });
});

test("a reset that a sip finds is told as one, and not as the end that the runtime would take it for", async () => {
  await using pair = await makePair(MARKS);
  const { client, server } = pair;
  client.wire.pause();
  server.write(Buffer.from("the last bytes"));
  server.wire.reset();
  client.wire.resume(); // the sip comes before the runtime looks at the socket
  const error = await within("the close", client.closed);
  expect(error?.code).toBe("ECONNRESET");
  expect(client.hasEnded).toBe(false);
});

test("what waits for a reader is counted, and no more once it is gone", async () => {
  const before = HELD.bytes;
  const pair = await makePair(MARKS);
  pair.client.wire.pause();
  while (pair.server.write(streamBytes(1, 0, 65_536)));
  expect(HELD.bytes - before).toBe(pair.server.wire.pending);
  expect(pair.server.wire.pending).toBeGreaterThan(0);
  await pair[Symbol.asyncDispose]();
  expect(HELD.bytes).toBe(before);
});
