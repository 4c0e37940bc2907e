// Hellos that come in parts: how much of them is kept. See src/protocols/quic/quiche/arrivals.ts.

import { expect, test } from "bun:test";

import { Arrivals } from "../../../../src/protocols/quic/quiche/arrivals.ts";
import { parseLongHeader } from "../../../../src/protocols/quic/quiche/packets.ts";
import { parseIp } from "../../../../src/shared/ip.ts";
import { QUICHE } from "../../../../src/shared/limits.ts";

const ABOUT = {
  peer: { ip: parseIp("192.0.2.1")!, port: 1 },
  host: "192.0.2.1",
  originalCid: null,
};

test("a datagram that is larger than hellos are is not waited upon", () => {
  const datagram = new Uint8Array(QUICHE.arrivalBytes + 1);
  datagram.set([0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0]);
  const header = parseLongHeader(datagram)!;
  const arrivals = new Arrivals();
  const arrival = arrivals.begin("12345678", header.dcid, ABOUT, 0);
  expect(arrivals.add(arrival, datagram, header)).toBe("");
});
