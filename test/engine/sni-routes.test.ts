// Routes by the first TLS message, for every engine: names, wildcards, protocols, those who name nothing, hellos that are cut,
// broken or never come, and everything behind them.

import { expect, test } from "bun:test";

import { parseProxyHeader } from "../../src/l4/proxy/parse.ts";
import { parseEndpoint } from "../../src/shared/address.ts";
import { type RoutePlan, singleTarget } from "../../src/shared/plan.ts";
import { alpn, hello, POST_QUANTUM, record, recut, sni, wrap } from "../l4/tls/hellos.ts";
import { streamBytes } from "../support/bytes.ts";
import { forEveryEngine } from "../support/engines.ts";
import { LogLines } from "../support/log-lines.ts";
import type { ListenerOptions } from "../support/plan.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

/** By group: every client that nothing else fits, a name, names below another, a protocol. */
const NAMES = ["default", "exact", "wildcard", "protocol"];
const RULES: readonly RoutePlan[] = [
  { name: "route", sni: "db.example.com", alpn: null, group: 1 },
  { name: "route", sni: "*.apps.example.com", alpn: null, group: 2 },
  { name: "route", sni: null, alpn: ["imap", "acme-tls/1"], group: 3 },
  { name: "route", sni: null, alpn: null, group: 0 },
];
const DB = hello([sni("db.example.com"), alpn("postgresql")]);

forEveryEngine((engine) => {
  interface Parts {
    relay: Relay;
    servers: readonly WireServer[];
    log: LogLines;
  }

  async function withRoutes(
    routes: readonly RoutePlan[],
    options: Partial<ListenerOptions>,
    use: (parts: Parts) => Promise<void>,
  ): Promise<void> {
    const servers = await Promise.all(NAMES.map(() => WireServer.listen()));
    try {
      const groups = servers.map(({ target }) => singleTarget(parseEndpoint(target, "target")));
      const log = new LogLines();
      const listener = { target: "127.0.0.1:1", groups, routes, ...options };
      await using relay = await Relay.start(engine, listener, { log: log.log });
      await use({ relay, servers, log });
    } finally {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    }
  }

  /** The target of this name gets a client, who has sent these bytes and nothing else. */
  async function reaches(
    { relay, servers }: Parts,
    name: string,
    bytes: Uint8Array,
    send = (client: Wire): Promise<void> => client.write(bytes),
  ): Promise<void> {
    const client = await relay.connect();
    await send(client);
    const target = await within(`target ${name}`, servers[NAMES.indexOf(name)]!.accept());
    client.end();
    expect(Buffer.compare(await within("the bytes", target.readToEnd()), bytes)).toBe(0);
    await target.write("answer");
    target.end();
    expect(await within("the answer", client.readAll())).toBe("answer");
  }

  async function refuses(
    { relay, servers }: Parts,
    reason: "client_hello" | "no_route" | "hello_timeout",
    bytes: Uint8Array,
  ): Promise<void> {
    const client = relay.connect();
    void client.then((wire) => wire.write(bytes)).catch(() => {});
    expect(["ECONNRESET", "EPIPE"]).toContain(await relay.refusal(client));
    expect(relay.stats.refused[reason]).toBe(1);
    await until("it is forgotten", () => relay.stats.active === 0);
    expect(servers.map(({ accepted }) => accepted)).toEqual(NAMES.map(() => 0));
  }

  test("the name that a client asks for chooses its target, and then its protocols", () =>
    withRoutes(RULES, {}, async (parts) => {
      await reaches(parts, "exact", DB);
      await reaches(parts, "exact", hello([sni("DB.Example.COM"), alpn("imap")]));
      await reaches(parts, "wildcard", hello([sni("a.apps.example.com")]));
      await reaches(parts, "wildcard", hello([sni("a.b.apps.example.com"), POST_QUANTUM]));
      await reaches(parts, "default", hello([sni("apps.example.com")]));
      await reaches(parts, "protocol", hello([sni("mail.example.com"), alpn("h2", "imap")]));
      await reaches(parts, "default", hello([alpn("h2")]));
      await reaches(parts, "default", hello(null));
      expect(parts.relay.stats.targets.map(({ connects }) => connects)).toEqual([3, 2, 2, 1]);
    }));

  test("a client that does not speak TLS goes where those go who name nothing", () =>
    withRoutes(RULES, {}, (parts) =>
      reaches(parts, "default", Buffer.from("GET / HTTP/1.0\r\n\r\n")),
    ));

  test("a hello may come byte by byte, and in records of one byte", () =>
    withRoutes(RULES, {}, async (parts) => {
      const trickle = (bytes: Uint8Array) => async (client: Wire) => {
        client.socket.setMaxListeners(0);
        for (let i = 0; i < bytes.length; i++) await client.write(bytes.subarray(i, i + 1));
      };
      await reaches(parts, "exact", DB, trickle(DB));
      const cut = recut(DB, Array<number>(DB.length).fill(1));
      await reaches(parts, "exact", cut);
    }));

  test("a client whom no route fits is turned away, counted and named", () =>
    withRoutes(RULES.slice(0, 2), {}, async (parts) => {
      await refuses(parts, "no_route", hello([sni("other.example.com"), alpn("h2")]));
      await until("it is logged", () => parts.log.of("refused").length > 0);
      expect(parts.log.of("refused")[0]!.fields).toMatchObject({
        reason: "no_route",
        detail: '127.0.0.1: no route for "other.example.com" with "h2"',
      });
    }));

  test("a hello that breaks the rules of TLS is turned away", () =>
    withRoutes(RULES, {}, (parts) =>
      refuses(parts, "client_hello", Uint8Array.from(record([2, 0, 0, 0]))),
    ));

  test("a hello that is cut into too many records is turned away at its bound", () => {
    const long = Uint8Array.from(record(wrap(Array<number>(16_000).fill(0))));
    const cut = recut(long, Array<number>(16_000).fill(1));
    return withRoutes(RULES, {}, (parts) => refuses(parts, "client_hello", cut));
  });

  test("a client that sends nothing, or not enough, is closed after client_hello", async () => {
    for (const bytes of [new Uint8Array(0), DB.subarray(0, 40)]) {
      await withRoutes(RULES, { clientHelloMs: 100 }, (parts) =>
        refuses(parts, "hello_timeout", bytes),
      );
    }
  });

  test("bulk behind a hello arrives intact, both ways", () =>
    withRoutes(RULES, {}, async ({ relay, servers }) => {
      const client = await relay.connect();
      void client.write(DB);
      const target = await within("the target", servers[1]!.accept());
      const head = await within("the hello", target.readHead(DB.length));
      expect(head).toBe(Buffer.from(DB).toString("latin1"));
      const checks = [target.expectStream(1, 30_000_000), client.expectStream(2, 30_000_000)];
      await Promise.all([client.sendStream(1, 30_000_000), target.sendStream(2, 30_000_000)]);
      client.end();
      target.end();
      await within("both streams", Promise.all(checks), 20_000);
      await until("it is over", () => relay.stats.active === 0);
      expect(relay.stats.bytesUp).toBe(DB.length + 30_000_000);
    }));

  test("a target that does not take a long hello at once gets all of it, and what follows", () => {
    const padding = [21, Array<number>(30_000).fill(0)] as const;
    const long = recut(hello([sni("db.example.com"), padding]), [16_000]);
    const socket = { sendBufferBytes: 4_096 };
    return withRoutes(RULES, { socket, proxyProtocol: { send: "v1" } }, async (parts) => {
      const { relay, servers } = parts;
      for (let round = 0; round < 5; round++) {
        const client = await relay.connect();
        void client.write(long);
        const sent = client.sendStream(1, 500_000).then(() => client.end());
        const target = await within("the target", servers[1]!.accept());
        const bytes = await within("the stream", target.readToEnd());
        const header = bytes.indexOf("\r\n") + 2;
        expect(Buffer.compare(bytes.subarray(header, header + long.length), long)).toBe(0);
        const rest = bytes.subarray(header + long.length);
        expect(Buffer.compare(rest, streamBytes(1, 0, 500_000))).toBe(0);
        await sent;
        target.end();
        await within("the end", client.ending);
      }
      await until("all are over", () => relay.stats.active === 0);
      expect(relay.stats.bytesUp).toBe(5 * (long.length + 500_000));
    });
  });

  test("version 2 tells the target what the client asked for", () =>
    withRoutes(RULES, { proxyProtocol: { send: "v2" } }, async ({ relay, servers }) => {
      for (const [bytes, authority, offered] of [
        [DB, "db.example.com", "postgresql"],
        [hello([alpn("h2", "http/1.1")]), null, undefined],
      ] as const) {
        const client = await relay.connect();
        client.socket.end(bytes);
        const target = await within("the target", servers[authority === null ? 0 : 1]!.accept());
        const all = await within("all bytes", target.readToEnd());
        const outcome = parseProxyHeader(all, "v2");
        if (outcome.type !== "header") throw new Error(JSON.stringify(outcome));
        expect(outcome.header.authority).toBe(authority);
        expect(outcome.header.alpn && Buffer.from(outcome.header.alpn).toString()).toBe(
          offered ?? null,
        );
        expect(Buffer.compare(all.subarray(outcome.length), bytes)).toBe(0);
        target.end();
        await within("the end", client.ending);
      }
    }));
});
