// The PROXY protocol for every engine, in both directions: headers of all kinds, cut anywhere, with bytes and a FIN behind
// them; those that are malformed, late or of somebody who is not trusted; and what targets are sent.

import { expect, test } from "bun:test";

import type { ProxyHeader } from "../../src/l4/proxy/header.ts";
import { parseProxyHeader } from "../../src/l4/proxy/parse.ts";
import { parseEndpoint } from "../../src/shared/address.ts";
import type { ListenerStats } from "../../src/shared/counters.ts";
import { formatIp, parseIp } from "../../src/shared/ip.ts";
import { GROUP_DEFAULTS } from "../../src/shared/plan.ts";
import { ascii, IPV4_BODY, v2 } from "../l4/proxy/headers.ts";
import { inFolder } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { LogLines } from "../support/log-lines.ts";
import type { ListenerOptions } from "../support/plan.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

const ANY = { accept: "any", trusted: ["127.0.0.1", "::1"] } as const;
const IPV6_BODY = [...parseIp("2001:db8::1")!, ...parseIp("2001:db8::2")!, 0xdc, 0x04, 0x01, 0xbb];

/** Name, header, and the client that the table of live connections shows; null: who connected. */
const HEADERS: readonly (readonly [string, Uint8Array, string | null])[] = [
  ["v1 TCP4", ascii("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"), "192.0.2.1:56324"],
  ["v1 TCP6", ascii("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"), "[2001:db8::1]:1"],
  ["v1 UNKNOWN", ascii("PROXY UNKNOWN\r\n"), null],
  ["v2 IPv4", v2(1, 0x11, IPV4_BODY), "192.0.2.1:56324"],
  ["v2 IPv6", v2(1, 0x21, IPV6_BODY), "[2001:db8::1]:56324"],
  ["v2 LOCAL", v2(0, 0, []), null],
  ["v2 unspecified", v2(1, 0, []), null],
];
const HEADER = HEADERS[0]![1];

/** Each byte in a write of its own. */
async function trickle(client: Wire, bytes: Uint8Array): Promise<void> {
  client.socket.setMaxListeners(0);
  for (let i = 0; i < bytes.length; i++) await client.write(bytes.subarray(i, i + 1));
}

/** What a target was sent before `payload`. */
async function headerBefore(payload: string, target: Wire): Promise<ProxyHeader> {
  const bytes = await within("all bytes", target.readToEnd());
  const outcome = parseProxyHeader(bytes, "any");
  if (outcome.type !== "header") throw new Error(JSON.stringify(outcome));
  expect(bytes.subarray(outcome.length).toString()).toBe(payload);
  return outcome.header;
}

forEveryEngine((engine) => {
  interface Parts {
    relay: Relay;
    server: WireServer;
    log: LogLines;
  }

  async function withRelay(
    options: Omit<ListenerOptions, "target">,
    use: (parts: Parts) => Promise<void>,
  ): Promise<void> {
    await using server = await WireServer.listen();
    const log = new LogLines();
    const listener = { target: server.target, ...options };
    await using relay = await Relay.start(engine, listener, { log: log.log });
    await use({ relay, server, log });
  }

  /** A client that says this is turned away for this reason, and no target hears of it. */
  async function expectRefusal(
    { relay, server }: Parts,
    reason: keyof ListenerStats["refused"],
    bytes: Uint8Array,
    from = "127.0.0.1",
  ): Promise<void> {
    const before = relay.stats.refused[reason];
    const client = relay.connectFrom(from);
    void client.then((wire) => wire.write(bytes)).catch(() => {});
    expect(["ECONNRESET", "EPIPE"]).toContain(await relay.refusal(client));
    await until("it is counted", () => relay.stats.refused[reason] === before + 1);
    await until("it is forgotten", () => relay.stats.active === 0);
    expect(server.accepted).toBe(0);
  }

  for (const [name, header, shown] of HEADERS) {
    test(`${name} names the client, however it is cut, and what follows is the stream`, () =>
      withRelay({ proxyProtocol: ANY }, async ({ relay, server }) => {
        const together = async (client: Wire): Promise<void> => {
          await client.write(Buffer.concat([header, Buffer.from("hello")]));
        };
        const apart = async (client: Wire): Promise<void> => {
          await trickle(client, header);
          await client.write("hello");
        };
        for (const send of [together, apart]) {
          const client = await relay.connect();
          await send(client);
          const target = await within("the target", server.accept());
          expect(await within("its bytes", target.readHead(5))).toBe("hello");
          const [row] = relay.proxy.connections();
          expect(row!.client).toBe(shown ?? `127.0.0.1:${client.socket.localPort}`);
          await until("they are counted", () => relay.proxy.connections()[0]?.bytesUp === 5);
          await target.write("answer");
          expect(await within("the answer", client.readHead(6))).toBe("answer");
          client.end();
          target.end();
          await within("the end", client.ending);
          await until("it is over", () => relay.stats.active === 0);
        }
        expect(relay.stats.bytesUp).toBe(10);
      }));
  }

  test("a FIN right behind the header, and behind bytes after it, is kept, and the answer comes", () =>
    withRelay({ proxyProtocol: ANY }, async ({ relay, server }) => {
      for (const payload of ["", "question"]) {
        const client = await relay.connect();
        client.socket.end(Buffer.concat([HEADER, Buffer.from(payload)]));
        const target = await within("the target", server.accept());
        expect(await within("the end", target.readAll())).toBe(payload);
        await target.write("answer");
        target.end();
        expect(await within("the answer", client.readAll())).toBe("answer");
      }
    }));

  test("a target that speaks first is heard by a client that sent only its header", () =>
    withRelay({ proxyProtocol: ANY }, async ({ relay, server }) => {
      const client = await relay.connect();
      await client.write(HEADER);
      const target = await within("the target", server.accept());
      await target.write("220 ready");
      expect(await within("the greeting", client.readBytes(9))).toBe("220 ready");
    }));

  test("bulk behind a header arrives intact", () =>
    withRelay({ proxyProtocol: ANY }, async ({ relay, server }) => {
      const client = await relay.connect();
      void client.write(HEADER);
      const sent = client.sendStream(4, 20_000_000).then(() => client.end());
      const target = await within("the target", server.accept());
      await within("the stream", Promise.all([target.expectStream(4, 20_000_000), sent]));
    }));

  test("whoever does not begin with a header that was asked for is turned away and counted", () =>
    withRelay({ proxyProtocol: ANY }, async (parts) => {
      const wrong = ["GET / HTTP/1.1\r\n", "PROXY TCP4 1.2.3.4\r\n", `PROXY ${"x".repeat(200)}`];
      for (const text of wrong) await expectRefusal(parts, "proxy_header", ascii(text));
      await expectRefusal(parts, "proxy_header", v2(1, 0x11, [1, 2, 3]));
      await expectRefusal(parts, "proxy_header", v2(0, 0, Array<number>(600).fill(0)));
      await until("it is logged", () => parts.log.of("refused").length > 0);
      expect(parts.log.of("refused")[0]!.fields).toMatchObject({
        reason: "proxy_header",
        detail: "127.0.0.1: it does not begin with a PROXY header",
      });
    }));

  test("a header of the other version is refused where one version is asked for", async () => {
    for (const accept of ["v1", "v2"] as const) {
      await withRelay({ proxyProtocol: { ...ANY, accept } }, async (parts) => {
        await expectRefusal(parts, "proxy_header", accept === "v1" ? v2(0, 0, []) : HEADER);
      });
    }
  });

  test("whoever is not trusted is turned away before anything is read", () =>
    withRelay({ proxyProtocol: ANY }, async (parts) => {
      await expectRefusal(parts, "proxy_untrusted", HEADER, "127.0.0.2");
      expect(parts.relay.stats.total).toBe(0);
      await until("it is logged", () => parts.log.of("refused").length > 0);
      expect(parts.log.of("refused")[0]!.fields).toMatchObject({
        reason: "proxy_untrusted",
        detail: "127.0.0.2 is not in proxy_protocol.trusted",
      });
    }));

  test("a header that does not come in time is not waited for, also if its bytes trickle in", () =>
    withRelay({ proxyProtocol: ANY, proxyHeaderMs: 200 }, async (parts) => {
      await expectRefusal(parts, "proxy_timeout", HEADER.subarray(0, 20));
      const client = await parts.relay.connect();
      client.socket.setMaxListeners(0);
      const slow = setInterval(() => void client.write("P"), 1_000);
      await client.write("PROXY ");
      const ending = await within("the end", client.ending);
      clearInterval(slow);
      expect(ending).toBe("ECONNRESET");
      expect(parts.relay.stats.refused.proxy_timeout).toBe(2);
    }));

  test("a client that leaves before its header is whole is forgotten", () =>
    withRelay({ proxyProtocol: ANY }, async ({ relay, server }) => {
      const silent = await relay.connect();
      silent.end();
      expect(await within("its end", silent.ending)).toBe("fin");
      const half = await relay.connect();
      half.socket.end(HEADER.subarray(0, 10));
      await within("its end", half.ending);
      await until("it is counted", () => relay.stats.refused.proxy_header === 1);
      await until("both are forgotten", () => relay.stats.active === 0);
      const lost = await relay.connect();
      await lost.write(HEADER.subarray(0, 10));
      await until("it is there", () => relay.stats.total === 3);
      lost.reset();
      await until("all are forgotten", () => relay.stats.active === 0);
      expect(relay.proxy.connections()).toEqual([]);
      expect(relay.stats.total).toBe(3);
      expect(server.accepted).toBe(0);
    }));

  test("a client whose header is awaited can be disconnected, and a stop resets it after its timeout", () =>
    withRelay({ proxyProtocol: ANY }, async ({ relay }) => {
      const first = await relay.connect();
      await until("it is there", () => relay.proxy.connections().length === 1);
      const [row] = relay.proxy.connections();
      relay.proxy.disconnect(row!.worker, row!.id);
      expect(await within("its reset", first.ending)).toBe("ECONNRESET");
      await until("it is gone", () => relay.proxy.connections().length === 0);
      const second = await relay.connect();
      await until("it is there", () => relay.proxy.connections().length === 1);
      expect(await within("the stop", relay.proxy.stop(50))).toEqual({ reset: 1 });
      expect(await within("its reset", second.ending)).toBe("ECONNRESET");
    }));

  test("access lists and max_per_ip hold for the client that the header names", () =>
    withRelay(
      {
        proxyProtocol: ANY,
        access: { allow: ["192.0.2.0/24"], deny: ["192.0.2.9"] },
        maxPerIp: 2,
      },
      async (parts) => {
        const { relay, server } = parts;
        const from = (ip: string): Uint8Array => ascii(`PROXY TCP4 ${ip} 192.0.2.2 1 443\r\n`);
        await expectRefusal(parts, "denied", from("192.0.2.9"));
        await expectRefusal(parts, "denied", from("198.51.100.1"));
        await expectRefusal(parts, "denied", ascii("PROXY UNKNOWN\r\n"));
        const connect = async (header: Uint8Array): Promise<Wire> => {
          const client = await relay.connect();
          await client.write(header);
          await within("the target", server.accept());
          return client;
        };
        const own = await connect(v2(0, 0, []));
        const clients = [await connect(from("192.0.2.1")), await connect(from("192.0.2.1"))];
        const third = await relay.connect();
        await third.write(from("192.0.2.1"));
        expect(await within("the refusal", third.ending)).toBe("ECONNRESET");
        expect(relay.stats.refused.max_per_ip).toBe(1);
        await connect(from("192.0.2.3"));
        for (const client of clients) client.reset();
        await until("both are over", () => relay.stats.active === 2);
        await connect(from("192.0.2.1"));
        own.reset();
      },
    ));

  test("source_hash chooses for the client that the header names", async () => {
    await using a = await WireServer.listen((wire) => wire.socket.end("a"));
    await using b = await WireServer.listen((wire) => wire.socket.end("b"));
    const targets = [a, b].map(({ target }) => ({
      endpoint: parseEndpoint(target, "target"),
      weight: 1,
      backup: false,
    }));
    const groups = [{ ...GROUP_DEFAULTS, balance: "source_hash", targets } as const];
    await withRelay({ proxyProtocol: ANY, groups }, async ({ relay }) => {
      const answers = new Map<number, Set<string>>();
      for (let i = 0; i < 32; i++) {
        const client = await relay.connect();
        await client.write(ascii(`PROXY TCP4 10.0.0.${i % 16} 10.0.0.99 ${i + 1} 443\r\n`));
        const answer = await within("the answer", client.readAll());
        answers.set(i % 16, (answers.get(i % 16) ?? new Set()).add(answer));
        client.end();
      }
      expect([...answers.values()].every((each) => each.size === 1)).toBeTrue();
      expect(new Set([...answers.values()].flatMap((each) => [...each]))).toEqual(
        new Set(["a", "b"]),
      );
    });
  });

  test("over unix sockets headers are taken from whoever may open them", () =>
    inFolder((folder) =>
      withRelay({ listen: `unix:${folder}/in`, proxyProtocol: ANY }, async ({ relay, server }) => {
        const client = await relay.connect();
        client.socket.end(Buffer.concat([HEADER, Buffer.from("hello")]));
        const target = await within("the target", server.accept());
        expect(await within("the end", target.readAll())).toBe("hello");
        expect(relay.proxy.connections()[0]!.client).toBe("192.0.2.1:56324");
      }),
    ));

  for (const send of ["v1", "v2"] as const) {
    test(`${send} is sent before the client's first byte, and is not counted as one`, () =>
      withRelay({ proxyProtocol: { send } }, async ({ relay, server }) => {
        for (const payload of ["", "hello"]) {
          const client = await relay.connect();
          client.socket.end(payload);
          const target = await within("the target", server.accept());
          const header = await headerBefore(payload, target);
          const local = { kind: "ip", ip: parseIp("127.0.0.1")! } as const;
          const { port: listening } = relay.bound as { port: number };
          expect(header).toMatchObject({ version: send === "v1" ? 1 : 2, command: "PROXY" });
          expect(header.endpoints).toEqual({
            source: { ...local, port: client.socket.localPort! },
            destination: { ...local, port: listening },
          });
          target.end();
          await within("the end", client.ending);
        }
        await until("all are over", () => relay.stats.active === 0);
        expect(relay.stats.bytesUp).toBe(5);
      }));

    test(`${send} carries on what came in, over unix sockets too`, () =>
      inFolder(async (folder) => {
        await using server = await WireServer.listen(undefined, { path: `${folder}/target` });
        const proxyProtocol = { ...ANY, send };
        const listener = { target: server.target, proxyProtocol };
        await using relay = await Relay.start(engine, listener);
        const client = await relay.connect();
        client.socket.end(Buffer.concat([v2(1, 0x21, IPV6_BODY), Buffer.from("hello")]));
        const header = await headerBefore("hello", await within("the target", server.accept()));
        const { source, destination } = header.endpoints!;
        expect(source.kind === "ip" && formatIp(source.ip)).toBe("2001:db8::1");
        expect(destination.kind === "ip" && formatIp(destination.ip)).toBe("2001:db8::2");
      }));

    test(`${send} says of a unix socket's client that it is not known`, () =>
      inFolder((folder) =>
        withRelay({ listen: `unix:${folder}/in`, proxyProtocol: { send } }, async (parts) => {
          const client = await parts.relay.connect();
          client.socket.end("hello");
          const target = await within("the target", parts.server.accept());
          expect((await headerBefore("hello", target)).endpoints).toBeNull();
        }),
      ));
  }

  test("a header that is sent goes to the target that answers, not to one that does not", async () => {
    const gone = await WireServer.listen();
    const dead = gone.target;
    await gone[Symbol.asyncDispose]();
    await using server = await WireServer.listen();
    const targets = [dead, server.target].map((address) => ({
      endpoint: parseEndpoint(address, "target"),
      weight: 1,
      backup: false,
    }));
    const groups = [{ ...GROUP_DEFAULTS, balance: "round_robin", targets } as const];
    const options = {
      target: "127.0.0.1:1",
      groups,
      proxyProtocol: { ...ANY, send: "v1" } as const,
    };
    await using relay = await Relay.start(engine, options);
    for (let i = 0; i < 4; i++) {
      const client = await relay.connect();
      client.socket.end(Buffer.concat([HEADER, Buffer.from("hello")]));
      const target = await within("the target", server.accept());
      expect(await within("its bytes", target.readAll())).toBe(
        `${Buffer.from(HEADER).toString()}hello`,
      );
    }
  });
});
