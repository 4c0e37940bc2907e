// What a UDP listener promises, seen from its clients and targets, which are sockets of node:dgram.

import { describe, expect, test } from "bun:test";

import { streamBytes } from "../../support/bytes.ts";
import { LogLines } from "../../support/log-lines.ts";
import { type Datagram, Datagrams, type UdpAddress, UdpRelay } from "../../support/udp.ts";
import { until, within } from "../../support/until.ts";

/** What the target answered with: the port from which the session sends. */
async function portOf(client: Datagrams, relay: UdpAddress): Promise<string> {
  return (await client.ask("who", relay)).data.toString();
}

/** A target that answers with the port that it was asked from. */
async function portTeller(host?: string): Promise<Datagrams> {
  const server = await Datagrams.open(host);
  server.onDatagram = ({ from }) => void server.send(`${from.port}`, from);
  return server;
}

/** A port that was free a moment ago. */
async function unusedPort(): Promise<number> {
  await using socket = await Datagrams.open();
  return socket.address.port;
}

describe("datagrams", () => {
  test("go to the target, and answers come back from the address that was asked", async () => {
    await using target = await Datagrams.open();
    await using relay = await UdpRelay.start({ targets: [target.target] });
    await using client = await Datagrams.open();
    await client.send("question", relay.address);
    const question = await target.receive();
    expect(question.data.toString()).toBe("question");
    expect(question.from.port).not.toBe(client.address.port);
    await target.send("answer", question.from);
    await target.send("second answer", question.from);
    const answer = await client.receive();
    expect([answer.data.toString(), answer.from]).toEqual(["answer", relay.address]);
    expect(await client.text()).toBe("second answer");
    expect(relay.stats).toMatchObject({
      total: 1,
      active: 1,
      datagramsUp: 1,
      datagramsDown: 2,
      bytesUp: 8,
      bytesDown: 19,
    });
  });

  for (const host of ["127.0.0.1", "::1"]) {
    test(`of every size up to 65,507 bytes pass intact, empty ones too (${host})`, async () => {
      await using target = await Datagrams.echo(host);
      const listen = host === "::1" ? "[::1]:0" : "127.0.0.1:0";
      await using relay = await UdpRelay.start({ listen, targets: [target.target] });
      await using client = await Datagrams.open(host);
      for (const size of [0, 1, 1_472, 9_000, 65_506, 65_507, 0, 512]) {
        const { data } = await client.ask(streamBytes(1, size, size), relay.address);
        expect(data.equals(streamBytes(1, size, size))).toBe(true);
      }
    });
  }

  test("of a burst arrive in order", async () => {
    await using target = await Datagrams.echo();
    await using relay = await UdpRelay.start({ targets: [target.target] });
    await using client = await Datagrams.open();
    for (let burst = 0; burst < 5; burst++) {
      const numbers = Array.from({ length: 100 }, (_, i) => `${burst} ${i}`);
      await Promise.all(numbers.map((number) => client.send(number, relay.address)));
      for (const number of numbers) expect(await client.text()).toBe(number);
    }
  });

  test("too large for the way to the target are dropped and counted, and nothing else is", async () => {
    await using target = await Datagrams.echo("127.0.0.1");
    await using relay = await UdpRelay.start({ listen: "[::1]:0", targets: [target.target] });
    await using client = await Datagrams.open("::1");
    await client.send(Buffer.alloc(65_527), relay.address); // fits IPv6, not IPv4
    expect((await client.ask("next", relay.address)).data.toString()).toBe("next");
    expect(relay.stats.dropped).toEqual({
      queue_full: 0,
      too_large: 1,
      send_failed: 0,
      receive_full: 0,
    });
    expect(relay.stats.active).toBe(1);
  });
});

describe("sessions", () => {
  test("each client has its own, with its own port towards the target", async () => {
    await using target = await portTeller();
    await using relay = await UdpRelay.start({ targets: [target.target] });
    await using one = await Datagrams.open();
    await using other = await Datagrams.open();
    const first = await portOf(one, relay.address);
    const second = await portOf(other, relay.address);
    expect(second).not.toBe(first);
    expect(await portOf(one, relay.address)).toBe(first);
    expect(relay.proxy.connections()).toMatchObject([
      { client: one.target, target: target.target, bytesUp: 6, listener: "udp 127.0.0.1:0" },
      { client: other.target, target: target.target, bytesUp: 3 },
    ]);
  });

  test("take answers from their target alone", async () => {
    await using target = await portTeller();
    await using stranger = await Datagrams.open();
    await using relay = await UdpRelay.start({ targets: [target.target] });
    await using client = await Datagrams.open();
    const port = Number(await portOf(client, relay.address));
    await stranger.send("forged", { host: "127.0.0.1", port }).catch(() => {});
    expect(await portOf(client, relay.address)).toBe(`${port}`);
    expect(client.received).toEqual([]);
  });

  test("on a port of both families have clients of both", async () => {
    await using target = await Datagrams.echo();
    await using relay = await UdpRelay.start({ listen: ":0", targets: [target.target] });
    const { port } = relay.bound;
    expect(relay.bound.host).toBe("");
    for (const host of ["127.0.0.1", "::1"]) {
      await using client = await Datagrams.open(host);
      const { data, from } = await client.ask(host, { host, port });
      expect([data.toString(), from]).toEqual([host, { host, port }]);
    }
    const clients = relay.proxy.connections().map(({ client }) => client);
    expect(clients).toEqual([
      expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      expect.stringMatching(/^\[::1\]:\d+$/),
    ]);
  });

  test("end when no datagram came either way for the idle timeout, and the next one begins another", async () => {
    await using target = await portTeller();
    const lines = new LogLines();
    const options = { targets: [target.target], idleMs: 200 };
    await using relay = await UdpRelay.start(options, { log: lines.log, debug: true });
    await using client = await Datagrams.open();
    const first = await portOf(client, relay.address);
    await until("the session is over", () => relay.stats.active === 0);
    expect(relay.proxy.connections()).toEqual([]);
    await until("it is in the log", () => lines.of("connection closed").length > 0);
    expect(lines.of("connection closed")[0]!.fields).toMatchObject({
      reason: "idle",
      client: client.target,
      target: target.target,
      bytesUp: 3,
    });
    expect(await portOf(client, relay.address)).not.toBe(first);
    expect(relay.stats).toMatchObject({ total: 2, active: 1 });
  });

  test("can be disconnected by name", async () => {
    await using target = await portTeller();
    await using relay = await UdpRelay.start({ targets: [target.target] });
    await using client = await Datagrams.open();
    await portOf(client, relay.address);
    const [session] = relay.proxy.connections();
    relay.proxy.disconnect(session!.worker, session!.id);
    await until("it is over", () => relay.proxy.connections().length === 0);
    await portOf(client, relay.address);
    expect(relay.stats.total).toBe(2);
  });
});

describe("max_sessions", () => {
  for (const workers of [1, 3]) {
    test(`is exact over ${workers} workers: the newest are refused, counted and logged, those that are there go on`, async () => {
      const lines = new LogLines();
      await using target = await Datagrams.echo();
      await using relay = await UdpRelay.start(
        { targets: [target.target], maxSessions: 5 },
        { log: lines.log, workers },
      );
      const clients = await Promise.all(Array.from({ length: 12 }, () => Datagrams.open()));
      try {
        for (const client of clients) await client.send("first", relay.address);
        const answered = (): Datagrams[] => clients.filter(({ received }) => received.length > 0);
        await until("seven are refused", () => relay.stats.refused.max_connections === 7);
        await until("five are served", () => answered().length === 5);
        expect(relay.stats).toMatchObject({ total: 5, active: 5 });
        for (const client of answered()) {
          client.received.length = 0;
          expect((await client.ask("more", relay.address)).data.toString()).toBe("more");
        }
        await until("it is in the log", () => lines.of("refused").length > 0);
        expect(lines.of("refused")[0]!.fields).toMatchObject({
          listener: "udp 127.0.0.1:0",
          reason: "max_connections",
        });
      } finally {
        await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
      }
    });
  }

  test("makes room again when sessions end", async () => {
    await using target = await Datagrams.echo();
    const options = { targets: [target.target], maxSessions: 1, idleMs: 200 };
    await using relay = await UdpRelay.start(options);
    await using one = await Datagrams.open();
    await using other = await Datagrams.open();
    await one.ask("first", relay.address);
    await other.send("refused", relay.address);
    await until("it is refused", () => relay.stats.refused.max_connections === 1);
    await until("the first is over", () => relay.stats.active === 0);
    expect((await other.ask("served", relay.address)).data.toString()).toBe("served");
  });

  test("a flood of clients leaves as many sessions as there may be, and their memory goes with them", async () => {
    await using target = await Datagrams.open();
    const options = { targets: [target.target], maxSessions: 50, idleMs: 300 };
    await using relay = await UdpRelay.start(options);
    for (let wave = 0; wave < 10; wave++) {
      const clients = await Promise.all(Array.from({ length: 30 }, () => Datagrams.open()));
      await Promise.all(clients.map((client) => client.send("spoofed", relay.address)));
      await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
      expect(relay.proxy.connections().length).toBeLessThanOrEqual(50);
    }
    // A port that is used again belongs to the session that has it.
    const seen = (): number => relay.stats.refused.max_connections + relay.stats.datagramsUp;
    await until("every datagram was seen or is counted as lost", () => {
      return seen() + relay.stats.dropped.receive_full === 300;
    });
    await until("all are over", () => relay.stats.active === 0);
    expect(relay.proxy.connections()).toEqual([]);
  });
});

test("datagrams that the listener's socket has no room for are counted", async () => {
  await using target = await Datagrams.open();
  const options = { targets: [target.target], idleMs: 400, socket: { receiveBufferBytes: 4_096 } };
  await using relay = await UdpRelay.start(options);
  await using client = await Datagrams.open();
  const burst = Array.from({ length: 200 }, () => Buffer.alloc(1_000));
  let sent = 0;
  await until("some are lost", async () => {
    await Promise.all(burst.map((data) => client.send(data, relay.address)));
    sent += burst.length;
    return relay.stats.dropped.receive_full > 0;
  });
  const { stats } = relay;
  expect(stats.dropped.receive_full).toBeLessThan(sent);
  await until("every one is accounted for", () => {
    const { datagramsUp, dropped } = relay.stats;
    return datagramsUp + dropped.receive_full === sent;
  });
});

describe("who may begin a session", () => {
  test("is who is in allow and not in deny; others are refused, counted and logged, and cost nothing", async () => {
    const lines = new LogLines();
    await using target = await Datagrams.echo();
    const access = { allow: ["127.0.0.0/29"], deny: ["127.0.0.3"] };
    const options = { targets: [target.target], ...access };
    await using relay = await UdpRelay.start(options, { log: lines.log });
    await using admitted = await Datagrams.open("127.0.0.2");
    await using denied = await Datagrams.open("127.0.0.3");
    await using stranger = await Datagrams.open("127.0.0.9");
    for (const client of [denied, stranger]) await client.send("hello", relay.address);
    expect((await admitted.ask("hello", relay.address)).data.toString()).toBe("hello");
    await until("two are refused", () => relay.stats.refused.denied === 2);
    expect(relay.stats).toMatchObject({ total: 1, active: 1 });
    await until("it is in the log", () => lines.of("refused").length > 0);
    expect(lines.of("refused")[0]!.fields).toMatchObject({ reason: "denied" });
    expect([denied.received, stranger.received]).toEqual([[], []]);
  });

  for (const workers of [1, 3]) {
    test(`is bounded for each address, exactly over ${workers} workers, until sessions end`, async () => {
      await using target = await Datagrams.echo();
      const options = { targets: [target.target], maxPerIp: 2, idleMs: 300 };
      await using relay = await UdpRelay.start(options, { workers });
      const clients = await Promise.all(Array.from({ length: 6 }, () => Datagrams.open()));
      await using other = await Datagrams.open("127.0.0.2");
      try {
        for (const client of clients) await client.send("first", relay.address);
        await until("four are refused", () => relay.stats.refused.max_per_ip === 4);
        expect((await other.ask("mine", relay.address)).data.toString()).toBe("mine");
        await until("all are over", () => relay.stats.active === 0);
        expect(relay.stats.total).toBe(3);
        clients[5]!.received.length = 0;
        expect((await clients[5]!.ask("now", relay.address)).data.toString()).toBe("now");
      } finally {
        await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
      }
    });
  }

  test("waits for accept_rate; sessions that are there do not", async () => {
    await using target = await Datagrams.echo();
    const options = { targets: [target.target], acceptRate: 2 };
    await using relay = await UdpRelay.start(options);
    const clients = await Promise.all(Array.from({ length: 8 }, () => Datagrams.open()));
    try {
      for (const client of clients) await client.send("first", relay.address);
      await until("some are served, the others refused", () => {
        const { total, refused } = relay.stats;
        return refused.accept_rate > 0 && total + refused.accept_rate === 8;
      });
      const answered = (): Datagrams[] => clients.filter(({ received }) => received.length > 0);
      await until("who is served is answered", () => answered().length === relay.stats.total);
      const served = answered()[0]!;
      served.received.length = 0;
      for (let i = 0; i < 20; i++) await served.ask("more", relay.address);
    } finally {
      await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    }
  });
});

describe("ICMP errors", () => {
  test("of a target that does not listen are counted and end the session after three; when it listens, all is well", async () => {
    const port = await unusedPort();
    const lines = new LogLines();
    await using relay = await UdpRelay.start({ targets: [`127.0.0.1:${port}`] }, lines);
    await using client = await Datagrams.open();
    for (let sent = 0; sent < 3; sent++) {
      await client.send("anyone?", relay.address);
      await until("the error is counted", () => relay.stats.errors.ECONNREFUSED === sent + 1);
    }
    await until("the session is over", () => relay.stats.active === 0);
    expect(relay.stats.refused.target_down).toBe(1);
    await until("it is in the log", () => lines.of("target down").length > 0);
    expect(lines.of("target down")[0]!.fields).toMatchObject({
      detail: `127.0.0.1:${port}: ECONNREFUSED`,
    });
    await using target = await Datagrams.echo("127.0.0.1", port);
    expect((await client.ask("now?", relay.address)).data.toString()).toBe("now?");
    expect(target.address.port).toBe(port);
    expect(relay.proxy.stats().workerRestarts).toBe(0);
  });

  test("of one restart of the target do not end a session", async () => {
    const target = await portTeller();
    const { port } = target.address;
    await using relay = await UdpRelay.start({ targets: [target.target] });
    await using client = await Datagrams.open();
    const first = await portOf(client, relay.address);
    await target[Symbol.asyncDispose]();
    await client.send("lost", relay.address);
    await until("the error is counted", () => relay.stats.errors.ECONNREFUSED === 1);
    await using again = await Datagrams.echo("127.0.0.1", port);
    expect((await client.ask("back", relay.address)).data.toString()).toBe("back");
    expect(relay.proxy.connections()).toMatchObject([{ bytesUp: 11 }]);
    expect(Number(first)).toBeGreaterThan(0);
    expect(again.address.port).toBe(port);
  });

  test("of clients that are gone take nothing from the others", async () => {
    await using target = await Datagrams.open();
    await using relay = await UdpRelay.start({ targets: [target.target] });
    await using stays = await Datagrams.open();
    const gone = await Promise.all(Array.from({ length: 20 }, () => Datagrams.open()));
    await Promise.all(gone.map((client) => client.send("question", relay.address)));
    const questions: Datagram[] = [];
    while (questions.length < gone.length) questions.push(await target.receive());
    await Promise.all(gone.map((client) => client[Symbol.asyncDispose]()));
    await stays.send("question", relay.address);
    const last = await target.receive();
    for (let round = 0; round < 5; round++) {
      for (const { from } of questions) await target.send("nobody waits", from);
      await target.send(`answer ${round}`, last.from);
    }
    for (let round = 0; round < 5; round++) expect(await stays.text()).toBe(`answer ${round}`);
    expect(relay.stats.dropped).toEqual({
      queue_full: 0,
      too_large: 0,
      send_failed: 0,
      receive_full: 0,
    });
  });
});

describe("a stop", () => {
  test("lets answers that are under way through, and takes no new clients", async () => {
    await using target = await Datagrams.open();
    await using relay = await UdpRelay.start({ targets: [target.target] });
    await using client = await Datagrams.open();
    await using late = await Datagrams.open();
    await client.send("question", relay.address);
    const { from } = await target.receive();
    const stopped = relay.proxy.stop();
    await target.send("answer", from);
    expect(await client.text()).toBe("answer");
    await late.send("too late", relay.address);
    expect(await within("the stop", stopped, 5_000)).toEqual({ reset: 0 });
    expect(target.received).toEqual([]);
    expect(relay.stats).toMatchObject({ total: 1, active: 0 });
  });

  test("without sessions is over at once, and the port is free", async () => {
    await using target = await Datagrams.echo();
    await using relay = await UdpRelay.start({ targets: [target.target] });
    const { host, port } = relay.address;
    expect(await within("the stop", relay.proxy.stop(), 1_000)).toEqual({ reset: 0 });
    await using again = await Datagrams.open(host, port);
    expect(again.address.port).toBe(port);
  });

  test("cuts sessions that go on for longer than it may take, and says how many", async () => {
    await using target = await Datagrams.echo();
    await using relay = await UdpRelay.start({ targets: [target.target] });
    await using client = await Datagrams.open();
    await client.ask("there", relay.address);
    expect(await relay.proxy.stop(50)).toEqual({ reset: 1 });
  });
});
