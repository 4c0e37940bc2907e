// Many streams that end at once, behind bytes that have long arrived: each end has to arrive, on a good path and on a bad one.

import { describe, expect, test } from "bun:test";

import { type Binding, loadBinding } from "../../../../src/protocols/quic/quiche/binding.ts";
import { QuicheDriver } from "../../../../src/protocols/quic/quiche/driver.ts";
import type { QuicStream } from "../../../../src/protocols/quic/transport.ts";
import { TestHost } from "../../../support/gateway-host.ts";
import { UdpPath } from "../../../support/udp-path.ts";
import { until } from "../../../support/until.ts";
import { clientOptions, connect, Server, type Told, TRANSPORT } from "../harness.ts";

/** Fewer than quiche looks back for copies of packets. */
const STREAMS = 100;
const driver = new QuicheDriver(loadBinding() as Binding, new TestHost());
const transport = { ...TRANSPORT, bidirectionalStreams: STREAMS, streamWindow: 16 * 1024 };

/** What a stream of the client has been told. */
interface Side {
  readonly stream: QuicStream;
  bytes: number;
  ended: boolean;
}

function openAll({ connection }: Told): Side[] {
  return Array.from({ length: STREAMS }, () => {
    const side: Side = { stream: connection.openStream()!, bytes: 0, ended: false };
    side.stream.handler = {
      onData: ({ length }) => void (side.bytes += length),
      onDrain: () => {},
      onEnd: () => void (side.ended = true),
      onClose: () => {},
    };
    return side;
  });
}

/** Every so many packets one is lost, whichever way it goes. */
function loseSome(path: UdpPath, every: number): void {
  let count = 0;
  const some = (packet: Buffer): Buffer | null => (++count % every === 0 ? null : packet);
  path.onClient = some;
  path.onServer = some;
}

describe.each([
  ["all packets arrive", 0],
  ["every fifth packet is lost", 5],
])("where %s", (_, every) => {
  test.each([
    ["while acknowledgements of their last bytes are on the way", false],
    ["when nothing is on the way any more", true],
  ])("ends arrive that come %s", async (_name, rest) => {
    await using server = await Server.listen(driver, { transport });
    await using path = await UdpPath.open(server.address);
    const client = await connect(driver, clientOptions(path.address, { transport }));
    const sides = openAll(client);
    if (every > 0 && !rest) loseSome(path, every);
    for (const { stream } of sides) stream.write(Buffer.from("x"));
    if (rest) await until("every echo", () => sides.every(({ bytes }) => bytes === 1));
    if (every > 0 && rest) loseSome(path, every);
    for (const { stream } of sides) stream.end();
    await until("every end", () => sides.every(({ ended }) => ended));
    expect(client.closes).toBe(0);
    client.connection.destroy();
  });
});
