// The bytes of a capture file, against the layout in the specification, and the streams in it, against what went in.

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";

import { Conversation, type Side } from "../../src/capture/conversation.ts";
import { pcapngFormat } from "../../src/capture/pcapng-trace.ts";
import { enhancedPacket, interfaceDescription, sectionHeader } from "../../src/capture/pcapng.ts";
import type { Trace, Visit, Way } from "../../src/capture/trace.ts";
import { ipAddr, unixAddr } from "../../src/library/addr.ts";
import { streamBytes, StreamCheck } from "../support/bytes.ts";
import { followStreams, readBlocks, readPcapng } from "./read-pcapng.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const spelled = (...parts: string[]): string => parts.join("").replaceAll(" ", "");

const VISIT: Visit = {
  number: 1,
  client: ipAddr("192.0.2.7", 50_000),
  proxy: ipAddr("192.0.2.1", 8080),
  target: "db.example:5432",
};

function format(chance: () => number = () => 1_000) {
  let time = 1_700_000_000_000_000_000n;
  const clock = () => (time += 1_000n);
  const addresses = { listen: ":8080", target: VISIT.target };
  return pcapngFormat({ application: "proxy 1", ...addresses, clock, chance });
}

describe("blocks are laid out as the specification says", () => {
  test("a section header: byte order, version 1.0, no length, the application", () => {
    expect(hex(sectionHeader("proxy"))).toBe(
      spelled(
        "0a0d0d0a 2c000000 4d3c2b1a 0100 0000 ffffffffffffffff", // 44 bytes
        "0400 0500 70726f7879 000000 0000 0000 2c000000",
      ),
    );
  });

  test("an interface of raw packets in nanoseconds, with its names", () => {
    expect(hex(interfaceDescription({ name: "if", description: "abcd", comment: "c" }))).toBe(
      spelled(
        "01000000 38000000 6500 0000 00000000",
        "0100 0100 63000000 0200 0200 69660000 0300 0400 61626364 0900 0100 09000000",
        "0000 0000 38000000",
      ),
    );
  });

  test("a packet with its time in two halves, its direction, and a comment", () => {
    const packet = Uint8Array.of(0x45, 1, 2, 3, 4);
    const block = { time: 0x0102030405060708n, packet, comment: "hi" };
    expect(hex(enhancedPacket({ ...block, direction: "outbound" }))).toBe(
      spelled(
        "06000000 3c000000 00000000 04030201 08070605 05000000 05000000 4501020304 000000",
        "0100 0200 68690000 0200 0400 02000000 0000 0000 3c000000",
      ),
    );
  });

  test("a comment that is too long is cut, and not within a letter", () => {
    const packet = { time: 0n, packet: new Uint8Array(0), direction: "inbound" } as const;
    const [block] = readBlocks(enhancedPacket({ ...packet, comment: `a${"ä".repeat(40_000)}` }));
    const length = block!.body.readUInt16LE(22);
    expect(length).toBeLessThan(5_000);
    expect(block!.body.subarray(24, 24 + length).toString()).toMatch(/^aä+$/);
  });
});

test("a file says who wrote it, where from and to, and each packet when, which way and why", () => {
  const { head, trace } = format();
  const one = trace(VISIT);
  const file = readPcapng(
    Buffer.concat([
      head,
      one.opened(),
      one.connected("192.0.2.50:5432"),
      one.data("up", Buffer.from("ping")),
      one.data("down", Buffer.from("pong")),
      one.delivered(),
      one.ended("up"),
      one.reset("down", "no more"),
      one.closed(),
    ]),
  );
  expect(file).toMatchObject({
    application: "proxy 1",
    name: "proxy",
    description: ":8080 -> db.example:5432",
    linkType: 101,
    resolution: 9,
  });
  const { packets } = file;
  expect(packets.map(({ tcp, payload }) => `${tcp.join("-")} ${payload}`.trim())).toEqual([
    "SYN",
    "SYN-ACK",
    "ACK",
    "PSH-ACK ping",
    "ACK",
    "PSH-ACK pong",
    "ACK",
    "FIN-ACK",
    "ACK",
    "RST-ACK",
  ]);
  expect(packets.map(({ flags }) => flags)).toEqual([1, 2, 1, 1, 2, 2, 1, 1, 2, 2]);
  expect(packets.flatMap(({ comments }, i) => comments.map((text) => [i, text]))).toEqual([
    [0, "connection 1, to db.example:5432"],
    [3, expect.stringMatching(/^connected to 192\.0\.2\.50:5432 after \d+\.\d ms$/)],
    [9, "no more"],
  ]);
  const [first] = packets;
  expect([first!.from, first!.to]).toEqual(["192.0.2.7 50000", "192.0.2.1 8080"]);
  const times = packets.map(({ time }) => time);
  expect(times.toSorted()).toEqual(times);
  expect(times[0]! / 1_000_000_000n).toBe(1_700_000_000n);
});

describe("addresses", () => {
  const endsOf = (visit: Partial<Visit>): string[] => {
    const { head, trace } = format();
    const bytes = trace({ ...VISIT, ...visit }).opened();
    const [syn] = readPcapng(Buffer.concat([head, bytes])).packets;
    return [syn!.from, syn!.to, ...syn!.comments];
  };

  test("IPv6", () => {
    expect(
      endsOf({ client: ipAddr("2001:db8::7", 5), proxy: ipAddr("fe80::1%eth0", 8080) }),
    ).toEqual([
      "20010db8000000000000000000000007 5",
      "fe800000000000000000000000000001 8080",
      "connection 1, to db.example:5432",
    ]);
  });

  test("an IPv4 client of a socket of both families is IPv4", () => {
    const [client, proxy] = endsOf({
      client: ipAddr("::ffff:192.0.2.9", 5),
      proxy: ipAddr("::ffff:127.0.0.1", 8080),
    });
    expect([client, proxy]).toEqual(["192.0.2.9 5", "127.0.0.1 8080"]);
  });

  test("a client that is gone already has no address any more", () => {
    expect(endsOf({ client: ipAddr("", 0) })[0]).toBe("0.0.0.0 0");
    const [client] = endsOf({ client: ipAddr("", 0), proxy: ipAddr("::1", 8080) });
    expect(client).toBe(`${"0".repeat(32)} 0`);
  });

  test("a unix socket has addresses for documentation, its path in the comment, and the target's port", () => {
    const unix = { client: unixAddr("/run/a.sock"), proxy: unixAddr("/run/a.sock") };
    expect(endsOf({ ...unix, number: 3 })).toEqual([
      "192.0.2.1 1026",
      "192.0.2.2 5432",
      "connection 3, from a client of unix:/run/a.sock, to db.example:5432",
    ]);
    expect(endsOf({ ...unix, number: 64_513, target: "unix:/b" }).slice(0, 2)).toEqual([
      "192.0.2.1 1024",
      "192.0.2.2 1",
    ]);
  });
});

const way = fc.constantFrom<Way>("up", "down");
const bytes = fc.oneof(
  fc.nat({ max: 2_000 }),
  fc.constantFrom(65_494, 65_495, 65_496),
  fc.nat({ max: 300_000 }),
);
const event = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant("data" as const), way, bytes }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("delivered" as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom("ended", "reset"), way }) },
);
/** Many begin close to where they wrap. */
const initial = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.integer({ min: 2 ** 32 - 300_000, max: 2 ** 32 - 1 }),
);
type Event = { what: string; way?: Way; bytes?: number };

/** Plays the events as a relay would bring them about. @returns what went each way, and how it ended. */
function play(events: readonly Event[], trace: Trace) {
  const sent = { up: 0, down: 0 };
  const ended = { up: false, down: false };
  const ends: string[] = [];
  let reset = false;
  const output = [trace.opened()];
  for (const { what, way: direction = "up", bytes: length = 0 } of events) {
    const side = direction === "up" ? "client" : "proxy";
    if (what === "delivered") output.push(trace.delivered());
    else if (what === "reset") {
      output.push(trace.reset(direction, "reset"));
      if (!reset) ends.push(`${side} RST`);
      reset = true;
    } else if (!ended[direction]) {
      if (what === "ended") {
        output.push(trace.ended(direction));
        ended[direction] = true;
        if (!reset) ends.push(`${side} FIN`);
      } else {
        output.push(trace.data(direction, streamBytes(direction.length, sent[direction], length)));
        if (!reset) sent[direction] += length;
      }
    }
  }
  output.push(trace.closed());
  return { sent, ends, output };
}

test("any interleaving of events is read back as the same two streams", () => {
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 25 }),
      initial,
      initial,
      fc.boolean(),
      (events, a, b, v6) => {
        const numbers = [a, b];
        const { head, trace } = format(() => numbers.shift()!);
        const proxy = v6 ? ipAddr("2001:db8::1", 8080) : VISIT.proxy;
        const client = v6 ? ipAddr("2001:db8::2", 50_000) : VISIT.client;
        const { sent, ends, output } = play(events, trace({ ...VISIT, client, proxy }));
        const { packets } = readPcapng(Buffer.concat([head, ...output]));
        expect([packets[0]!.sequence, packets[1]!.sequence]).toEqual([a, b]);
        const streams = followStreams(packets);
        for (const [direction, stream] of [
          ["up", streams.client],
          ["down", streams.proxy],
        ] as const) {
          new StreamCheck(direction.length).take(stream);
          expect(stream.length).toBe(sent[direction]);
        }
        expect(streams.ends).toEqual(ends);
        // The most that an IPv4 packet can have; IPv6 does not count its own header.
        expect(Math.max(...packets.map((packet) => packet.bytes))).toBeLessThanOrEqual(
          v6 ? 65_555 : 65_535,
        );
      },
    ),
    { numRuns: 60, examples: [[[], 7, 2 ** 32 - 1, false]] }, // the first byte has number 0
  );
});

test("sequence numbers go on after 2^32", () => {
  const end = (last: number) => ({ ip: Uint8Array.of(192, 0, 2, last), port: 1 });
  const ends: Record<Side, ReturnType<typeof end>> = { client: end(1), proxy: end(2) };
  const conversation = new Conversation(ends, { client: 2 ** 32 - 2, proxy: 7 });
  conversation.handshake();
  const [first, second] = [Buffer.from("ab"), Buffer.from("cd")].map(
    (chunk) => conversation.data("client", chunk)[0]!,
  );
  expect(Buffer.from(first!).readUInt32BE(24)).toBe(2 ** 32 - 1);
  expect(Buffer.from(second!).readUInt32BE(24)).toBe(1);
  const [ack] = conversation.acknowledge("proxy");
  expect(Buffer.from(ack!).readUInt32BE(28)).toBe(3);
});

test("nothing is acknowledged twice, and nothing comes after a reset", () => {
  const trace = format().trace(VISIT);
  trace.opened();
  expect(trace.delivered()).toHaveLength(0);
  trace.data("down", Buffer.from("x"));
  expect(trace.delivered().length).toBeGreaterThan(0);
  expect(trace.delivered()).toHaveLength(0);
  trace.reset("up", "gone");
  const late = [trace.data("down", Buffer.from("y")), trace.ended("down"), trace.reset("down", "")];
  expect(Buffer.concat([...late, trace.closed()])).toHaveLength(0);
});
