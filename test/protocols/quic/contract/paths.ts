// The contract of what lies between: clients that move, networks that lose, and strangers who send what they like.

import { expect } from "bun:test";
import { randomBytes } from "node:crypto";

import fc from "fast-check";

import { UdpPath } from "../../../support/udp-path.ts";
import { Datagrams } from "../../../support/udp.ts";
import { until, within } from "../../../support/until.ts";
import { Recorder } from "../../wire/recorder.ts";
import {
  attempt,
  clientOptions,
  connect,
  KIB,
  Link,
  type Players,
  Server,
  Told,
  TRANSPORT,
} from "../harness.ts";

export function paths(players: Players): void {
  moves(players);
  strangers(players);
  amplification(players);
}

interface Routed extends AsyncDisposable {
  readonly server: Server;
  readonly path: UdpPath;
  readonly client: Told;
  readonly accepted: Told;
}

/** The client says something now and then: behind a NAT, a server cannot find a client that moved. */
async function routed(players: Players): Promise<Routed> {
  const server = await Server.listen(players.server);
  const path = await UdpPath.open(server.address);
  const arrival = server.next();
  const transport = { ...TRANSPORT, keepAliveMs: 200 };
  const client = await connect(players.client, clientOptions(path.address, { transport }));
  return {
    server,
    path,
    client,
    accepted: await arrival,
    async [Symbol.asyncDispose]() {
      client.connection.destroy();
      await server[Symbol.asyncDispose]();
      await path[Symbol.asyncDispose]();
    },
  };
}

function moves(players: Players): void {
  const { test } = players;
  test("a client whose port changes in flight keeps its connection, and the server knows", async () => {
    await using link = await routed(players);
    const { client, accepted, path } = link;
    const recorder = new Recorder();
    recorder.adopt(client.connection.openStream()!);
    const length = 8 * 1024 * KIB;
    recorder.expectStream(1);
    recorder.sendStream(1, length);
    await until("it is under way", () => recorder.received > length / 4);
    const before = accepted.connection.peer;
    await path.move();
    await until("all bytes", () => recorder.received === length, 30_000);
    const { peer } = accepted.connection;
    expect(before.port).not.toBe(path.port);
    expect(peer.port).toBe(path.port);
    expect(peer).not.toBe(before);
    expect([client.closes, accepted.closes]).toEqual([0, 0]);
  }, 40_000);

  test("a client that was silent while its port changed goes on, also twice", async () => {
    await using link = await routed(players);
    const { client, accepted, path } = link;
    const recorder = new Recorder();
    recorder.adopt(client.connection.openStream()!);
    for (const text of ["before", "after", "again"]) {
      recorder.text = "";
      recorder.write(Buffer.from(text));
      await until(text, () => recorder.text === text);
      await until("the server knows", () => accepted.connection.peer.port === path.port);
      await path.move();
    }
    expect([client.closes, accepted.closes]).toEqual([0, 0]);
  });

  test("a client whose address changes is asked whether it is there", async () => {
    await using link = await routed(players);
    const { client, accepted, path } = link;
    const recorder = new Recorder();
    recorder.adopt(client.connection.openStream()!);
    recorder.write(Buffer.from("before"));
    await until("the echo", () => recorder.text === "before");
    await path.move("127.0.0.2");
    recorder.write(Buffer.from(" after"));
    await until("the second echo", () => recorder.text === "before after");
    await until("the server knows", () => accepted.connection.peer.ip[15] === 2);
    expect(accepted.connection.peer.port).toBe(path.port);
    await path.move("127.0.0.2");
    recorder.write(Buffer.from(" that"));
    await until("the third echo", () => recorder.text === "before after that");
    expect([client.closes, accepted.closes]).toEqual([0, 0]);
  });

  test("what is lost on the way comes all the same", async () => {
    await using link = await routed(players);
    let count = 0;
    const lose = (data: Buffer): Buffer | null => (++count % 20 === 0 ? null : data);
    link.path.onClient = lose;
    link.path.onServer = lose;
    const recorder = new Recorder();
    recorder.adopt(link.client.connection.openStream()!);
    recorder.expectStream(2);
    const length = 1024 * KIB;
    recorder.sendStream(2, length);
    await until("all bytes", () => recorder.received === length, 30_000);
  }, 40_000);
}

function strangers(players: Players): void {
  const { test } = players;
  test("datagrams of nonsense are answered by nothing larger, and harm nobody", async () => {
    await using link = await Link.make(players);
    const { address } = link.server;
    await using stranger = await Datagrams.open();
    const nonsense = fc.asyncProperty(datagram(), async (bytes) => {
      const { received } = stranger;
      received.length = 0;
      await stranger.send(bytes, address);
      for (const { data } of received) expect(data.length).toBeLessThanOrEqual(bytes.length);
    });
    await fc.assert(nonsense, { numRuns: 500 });
    const { client } = await link.streams();
    client.end();
    expect(link.server.refused.length).toBeLessThanOrEqual(link.server.accepted.length);
    expect([link.client.closes, link.accepted.closes]).toEqual([0, 0]);
  });

  test("packets that were cut or changed on the way harm nobody", async () => {
    await using link = await routed(players);
    const { path, client } = link;
    let count = 0;
    const change = (data: Buffer): Buffer | null => {
      count++;
      if (count % 3 === 0) return data.subarray(0, 1 + (count % data.length));
      if (count % 3 === 1) return Buffer.concat([data.subarray(0, -1), randomBytes(1)]);
      return data;
    };
    const recorder = new Recorder();
    recorder.adopt(client.connection.openStream()!);
    recorder.write(Buffer.from("x"));
    await until("the echo", () => recorder.text === "x");
    path.onClient = change;
    path.onServer = change;
    recorder.write(Buffer.from("y"));
    await until("changed packets", () => count > 6, 10_000);
    path.onClient = path.onServer = (data) => data;
    await until("the second echo", () => recorder.text === "xy", 20_000);
  }, 30_000);

  test("an Initial that was cut or changed is no client, and the whole one is", async () => {
    await using server = await Server.listen(players.server);
    await using path = await UdpPath.open(server.address);
    const initial = Promise.withResolvers<Buffer>();
    path.onClient = (data) => {
      initial.resolve(Buffer.from(data));
      return null;
    };
    const { connecting, outcome } = attempt(players.client, clientOptions(path.address));
    const whole = await within("the Initial", initial.promise);
    await using stranger = await Datagrams.open();
    const cut = fc.asyncProperty(
      fc.nat(whole.length - 1),
      fc.integer({ min: 1, max: 255 }),
      async (at, bits) => {
        await stranger.send(whole.subarray(0, at), server.address);
        const changed = Buffer.from(whole);
        changed[at]! ^= bits;
        await stranger.send(changed, server.address);
      },
    );
    await fc.assert(cut, { numRuns: 100 });
    path.onClient = (data) => data;
    expect(await within("the handshake", outcome)).toBeInstanceOf(Told);
    connecting.cancel();
  });

  test("other versions are told of those that are spoken", async () => {
    await using server = await Server.listen(players.server);
    await using stranger = await Datagrams.open();
    const packet = Buffer.alloc(1_200);
    packet.set([
      0xc0,
      0xba,
      0xba,
      0xba,
      0xba,
      8,
      ...Buffer.from("dcid-dci"),
      3,
      ...Buffer.from("scd"),
    ]);
    const { data } = await stranger.ask(packet, server.address);
    expect(data[0]! & 0x80).toBe(0x80);
    expect(data.readUInt32BE(1)).toBe(0);
    expect(data.subarray(5, 18).toString("latin1")).toBe("\x03scd\x08dcid-dci");
    const versions = [];
    for (let at = 18; at < data.length; at += 4) versions.push(data.readUInt32BE(at));
    expect(versions).toContain(1);
    expect(data.length).toBeLessThan(200);
    expect(server.accepted).toHaveLength(0);
  });

  test("a packet of a connection that is not known is answered with a stateless reset", async () => {
    await using server = await Server.listen(players.server);
    await using stranger = await Datagrams.open();
    const packet = randomBytes(100);
    packet[0] = 0x40 | (packet[0]! & 0x3f);
    const { data } = await stranger.ask(packet, server.address);
    expect(data[0]! & 0xc0).toBe(0x40);
    expect(data.length).toBeGreaterThanOrEqual(21);
    expect(data.length).toBeLessThan(packet.length);
    const again = await stranger.ask(packet, server.address);
    // The same id, so the same token.
    expect(again.data.subarray(-16).equals(data.subarray(-16))).toBe(true);
  });
}

/** Of all sizes, with the bits of long and short headers set as often as not. */
function datagram(): fc.Arbitrary<Buffer> {
  const size = fc.oneof(fc.nat(64), fc.nat(1_500), fc.constant(1_200));
  const first = fc.constantFrom(0x40, 0x7f, 0xc0, 0xc3, 0xd0, 0xe0, 0xf0, 0xff, 0x00, 0x80);
  const version = fc.constantFrom(
    [0, 0, 0, 1],
    [0, 0, 0, 0],
    [0x6b, 0x33, 0x43, 0xcf],
    [9, 9, 9, 9],
  );
  return fc.tuple(size, first, version, fc.nat(25)).map(([bytes, head, four, length]) => {
    const made = randomBytes(bytes);
    made.set([head, ...four, length].slice(0, bytes));
    return made;
  });
}

function amplification(players: Players): void {
  const { test } = players;
  test("an address that is not proved gets no more than three times what it sent", async () => {
    const transport = { ...TRANSPORT, handshakeMs: 1_500 };
    await using server = await Server.listen(players.server, { transport });
    await using path = await UdpPath.open(server.address);
    let first = true;
    // The client's first datagram comes, and nothing that follows: its address stays unproved.
    path.onClient = (data) => {
      if (!first) return null;
      first = false;
      passed = data.length;
      return data;
    };
    let passed = 0;
    const { connecting } = attempt(players.client, clientOptions(path.address));
    await until("the refusal", () => server.refused.length === 1);
    connecting.cancel();
    expect(path.fromServer).toBeGreaterThan(0);
    expect(path.fromServer).toBeLessThanOrEqual(3 * passed);
  });
}
