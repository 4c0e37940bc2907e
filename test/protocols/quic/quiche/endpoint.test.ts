// What strangers and neighbours may do to an endpoint of quiche, beside what the contract of the seam has.

import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";

import type { udp } from "bun";

import { type Binding, loadBinding } from "../../../../src/protocols/quic/quiche/binding.ts";
import { QuicheDriver } from "../../../../src/protocols/quic/quiche/driver.ts";
import { QuicheEndpoint } from "../../../../src/protocols/quic/quiche/endpoint.ts";
import type { QuicError, QuicListenOptions } from "../../../../src/protocols/quic/transport.ts";
import { TestHost } from "../../../support/gateway-host.ts";
import { UdpPath } from "../../../support/udp-path.ts";
import { Datagrams } from "../../../support/udp.ts";
import { until } from "../../../support/until.ts";
import {
  certificateOf,
  clientOptions,
  connect,
  MARKS,
  refusal,
  Server,
  TRANSPORT,
} from "../harness.ts";

const binding = loadBinding() as Binding;
const driver = new QuicheDriver(binding, new TestHost());

test("a client whose port changes during the handshake is told of as who was let in, and then where it is", async () => {
  const known: boolean[] = [];
  await using server = await Server.listen(driver, {
    onConnection: (connection) => void known.push(server.accepted.includes(connection.peer)),
  });
  await using path = await UdpPath.open(server.address);
  let moved = false;
  path.onServer = (data) => {
    if (moved) return data;
    moved = true;
    void path.move();
    return null;
  };
  const client = await connect(driver, clientOptions(path.address));
  await until("the server's side", () => known.length > 0);
  expect(known).toEqual([true]);
  await until("its port", () => server.told[0]!.connection.peer.port === path.port);
  expect(server.accepted).toHaveLength(1);
  client.connection.destroy();
});

test("the token of a stateless reset is the endpoint's own", async () => {
  await using first = await Server.listen(driver);
  await using second = await Server.listen(driver);
  await using stranger = await Datagrams.open();
  const packet = randomBytes(100);
  packet[0] = 0x40 | (packet[0]! & 0x3f);
  const tokens: string[] = [];
  for (const { address } of [first, first, second]) {
    const { data } = await stranger.ask(packet, address);
    tokens.push(data.subarray(-16).toString("hex"));
  }
  expect(tokens[1]).toBe(tokens[0]!);
  expect(tokens[2]).not.toBe(tokens[0]!);
});

test("an address that the runtime does not connect to is an error of the connection", async () => {
  const address = { kind: "ip", host: "fe80::1%nowhere0", port: 4433 } as const;
  expect((await refusal(driver, clientOptions(address))).code).toBe("ERR_QUIC_NETWORK");
});

interface Opened extends AsyncDisposable {
  readonly accepted: unknown[];
  readonly refused: QuicError[];
  /** As if a datagram had come. */
  receive(datagram: Buffer, host: string): void;
}

/** A system without calls of its own. */
const NO_CALLS = { segmentsOf: () => null, setBuffers: () => [], gatherDatagrams: () => false };

async function open(over: Binding): Promise<Opened> {
  const accepted: unknown[] = [];
  const refused: QuicError[] = [];
  const options: QuicListenOptions = {
    address: { kind: "ip", host: "127.0.0.1", port: 0 },
    reusePort: false,
    buffers: { sendBufferBytes: null, receiveBufferBytes: null },
    alpn: ["echo"],
    certificates: { certificates: [certificateOf().material], clientCa: null },
    clientAuth: "none",
    transport: TRANSPORT,
    watermarks: MARKS,
    earlyData: false,
    retryFrom: Infinity,
    keyLog: null,
    onAccept: (peer) => accepted.push(peer) > 0,
    onConnection: () => {},
    onRefused: (_peer, error) => refused.push(error),
  };
  const endpoint = new QuicheEndpoint(over, options, NO_CALLS);
  let handlers!: udp.SocketHandler<"buffer">;
  let socket!: udp.Socket<"buffer">;
  await endpoint.open(async (given) => {
    handlers = given;
    socket = await Bun.udpSocket({ hostname: "127.0.0.1", binaryType: "buffer", socket: given });
    return socket;
  });
  return {
    accepted,
    refused,
    receive: (datagram, host) =>
      void handlers.data!(socket, datagram, 1, host, { truncated: false, ipv6: false }),
    async [Symbol.asyncDispose]() {
      endpoint.destroy();
    },
  };
}

function initial(): Buffer {
  const packet = Buffer.alloc(1_200);
  packet.set([0xc0, 0, 0, 0, 1, 8, ...randomBytes(8), 0, 0, 0x44, 0x80]);
  return packet;
}

test("a neighbour at a link-local address, which quiche cannot name, is not let in", async () => {
  await using opened = await open(binding);
  opened.receive(initial(), "fe80::1%eth0");
  expect(opened.accepted).toEqual([]);
});

test("a client that quiche does not take is refused, and forgotten", async () => {
  const accept = (): never => {
    throw new Error("Could not convert host to socket address");
  };
  const { Config, Connection, retry } = binding;
  await using opened = await open({ Config, Connection: { ...Connection, accept }, retry });
  opened.receive(initial(), "127.0.0.1");
  expect(opened.accepted).toHaveLength(1);
  expect(opened.refused.map(({ code }) => code)).toEqual(["ERR_QUIC_PROTOCOL"]);
});
