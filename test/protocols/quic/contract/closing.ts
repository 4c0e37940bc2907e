// The contract of ends: what is told to whom, in which order, and that nothing stays.

import { expect } from "bun:test";
import { readdirSync } from "node:fs";

import type { QuicError } from "../../../../src/protocols/quic/transport.ts";
import type { SocketAddress } from "../../../../src/shared/address.ts";
import { UdpPath } from "../../../support/udp-path.ts";
import { until, within } from "../../../support/until.ts";
import { Recorder } from "../../wire/recorder.ts";
import { clientOptions, connect, Link, type Players, Server, TRANSPORT } from "../harness.ts";

export function closing(players: Players): void {
  const { test } = players;
  test("close tells the peer its code and reason, after its streams, and nobody else", async () => {
    await using link = await Link.make(players);
    const { client, server } = await link.streams();
    const order: string[] = [];
    void server.closed.then(() => order.push("stream"));
    void link.accepted.closed.then(() => order.push("connection"));
    link.client.connection.close(42, "enough");
    const error = await within("the close", link.accepted.closed);
    expect([error!.code, error!.wireCode]).toEqual(["ERR_QUIC_CLOSED", 42]);
    expect(error!.message).toContain("enough");
    const lost = (await within("the stream's close", server.closed)) as QuicError;
    expect(lost.code).toBe("ERR_QUIC_CLOSED");
    expect(order).toEqual(["stream", "connection"]);
    expect([link.client.closes, client.closes]).toEqual([0, 0]);
    expect(client.wire.write(Buffer.from("x"))).toBe(false);
    expect(link.client.connection.openStream()).toBeNull();
    link.client.connection.close(1, "again");
    link.client.connection.destroy();
  });

  test("a close without an error is none, also the server's", async () => {
    await using link = await Link.make(players);
    link.accepted.connection.close(0, "");
    expect(await within("the close", link.client.closed)).toBeNull();
    expect(link.accepted.closes).toBe(0);
  });

  test("what was written before the close arrives, as far as one packet goes", async () => {
    await using link = await Link.make(players);
    const { client, server } = await link.streams();
    client.write(Buffer.from("last words"));
    client.end();
    link.client.connection.close(0, "");
    await within("the close", link.accepted.closed);
    expect(server.text).toBe("last words");
  });

  test("a client whose server has forgotten it is told so", async () => {
    await using link = await Link.make(players);
    const { client } = await link.streams();
    const { address, endpoint } = link.server;
    // What the server says at its end is lost.
    await using path = await UdpPath.open(address);
    path.onServer = (data) => (silent ? null : data);
    let silent = false;
    const told = await connect(players.client, clientOptions(path.address));
    const recorder = new Recorder();
    recorder.adopt(told.connection.openStream()!);
    recorder.write(Buffer.from("x"));
    await until("the echo", () => recorder.text === "x");
    silent = true;
    endpoint.destroy();
    await within("the other's close", client.closed);
    await using next = await serverAt(players, address);
    silent = false;
    recorder.write(Buffer.from("y".repeat(100)));
    const error = await within("the close", told.closed);
    expect(error!.code).toBe("ERR_QUIC_CLOSED");
    expect(next.told).toHaveLength(0);
  });

  test("many connections leave no descriptor and no timer", async () => {
    await using server = await Server.listen(players.server);
    const round = async (): Promise<void> => {
      const clients = await Promise.all(
        Array.from({ length: 10 }, () => connect(players.client, clientOptions(server.address))),
      );
      for (const { connection } of clients) connection.close(0, "");
      await until("all are gone", () => server.told.every(({ closes }) => closes === 1));
    };
    const count = (): number => readdirSync("/proc/self/fd").length;
    const idle = count();
    await round();
    // Whoever closes stays for three round trips, in case its peer did not hear it.
    await until("the first clients' sockets are closed", () => count() <= idle);
    const before = count();
    for (let i = 0; i < 5; i++) await round();
    await until("the others' sockets are closed", () => count() <= before);
  }, 20_000);

  test("a connection without packets is over after its idle time, for both", async () => {
    const transport = { ...TRANSPORT, idleMs: 1_000 };
    await using link = await Link.make(players, { transport }, { transport });
    const { client, server } = await link.streams();
    expect(await within("the client's close", link.client.closed)).toBeNull();
    expect(await within("the server's close", link.accepted.closed)).toBeNull();
    for (const recorder of [client, server]) {
      const error = (await within("the stream's close", recorder.closed)) as QuicError;
      expect(error.code).toBe("ERR_QUIC_TIMEOUT");
    }
  });

  test("keepalive holds a connection that rests", async () => {
    const transport = { ...TRANSPORT, idleMs: 1_000 };
    const lively = { ...transport, keepAliveMs: 250 };
    await using resting = await Link.make(players, { transport }, { transport });
    await using held = await Link.make(players, { transport }, { transport: lively });
    await within("the other's close", resting.client.closed);
    await using again = await Link.make(players, { transport }, { transport });
    await within("a further one's close", again.client.closed);
    expect([held.client.closes, held.accepted.closes]).toEqual([0, 0]);
    await held.streams();
  });

  test("an endpoint that closes takes nobody new, keeps its clients, and frees its address behind them", async () => {
    const server = await Server.listen(players.server);
    const told = await connect(players.client, clientOptions(server.address));
    server.endpoint.close();
    const recorder = new Recorder();
    recorder.adopt(told.connection.openStream()!);
    recorder.write(Buffer.from("still here"));
    await until("the echo", () => recorder.text === "still here");
    const transport = { ...TRANSPORT, handshakeMs: 300 };
    const options = clientOptions(server.address, { transport });
    const late = Promise.withResolvers<QuicError | null>();
    players.client.connect(options, (_connection, error) => late.resolve(error));
    expect(await within("the refusal", late.promise)).not.toBeNull();
    told.connection.close(0, "");
    await within("the server's close", server.told[0]!.closed);
    (await serverAt(players, server.address)).endpoint.destroy();
  });

  test("an endpoint that is destroyed tells its clients, and frees its address at once", async () => {
    await using link = await Link.make(players);
    const { client } = await link.streams();
    link.server.endpoint.destroy();
    await within("the client's close", link.client.closed);
    await within("the stream's close", client.closed);
    expect(link.accepted.closes).toBe(0);
    (await serverAt(players, link.server.address)).endpoint.destroy();
  });
}

/** As soon as the address is free. */
async function serverAt(players: Players, address: SocketAddress): Promise<Server> {
  let server: Server | null = null;
  await until("the address is free", async () => {
    try {
      server = await Server.listen(players.server, { address });
    } catch (error) {
      expect((error as { code?: string }).code).toBe("ERR_LISTEN");
    }
    return server !== null;
  });
  return server!;
}
