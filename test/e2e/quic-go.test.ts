// Raw QUIC with quic-go, which nobody here wrote: its client at a quic listener, and its server as a quic:// target.

import { afterAll, describe, expect } from "bun:test";

import { Authority } from "../support/certificates.ts";
import { GoPeer } from "../support/go-peer.ts";
import { testWith } from "../support/programs.ts";
import {
  type LinkOptions,
  type QuicOptions,
  startLink,
  startQuic,
  type StreamRelay,
} from "../support/quic-relay.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
const CLIENT = authority.issue(["client.example"]);
const STRANGER = authority.selfSigned(["stranger.example"]);
afterAll(() => authority[Symbol.dispose]());

const NEEDED = ["quic-peer", "openssl"] as const;
const TIMEOUT_MS = 120_000;
/** Many times the windows of either side. */
const LARGE_BYTES = 16_000_000;
const TRUST = ["-ca", authority.caFile, "-name", "a.example"];

function quicTest(name: string, run: () => Promise<void>): void {
  testWith(NEEDED, name, run, TIMEOUT_MS);
}

const own = (issued: { certFile: string; keyFile: string }): string[] => [
  "-cert",
  issued.certFile,
  "-key",
  issued.keyFile,
];

describe.each(["quiche", "bun"] as const)("a listener with the driver %s", (driver) => {
  const start = (target: WireServer, options: Partial<QuicOptions> = {}): Promise<StreamRelay> =>
    startQuic({
      certificates: [OWN],
      target: target.target,
      handshakeMs: 60_000,
      ...options,
      quic: { driver, ...options.quic },
    });
  const client = (relay: StreamRelay, command: string, ...flags: string[]): GoPeer =>
    new GoPeer(command, ...TRUST, ...flags, `127.0.0.1:${relay.port}`);

  quicTest("echoes many streams at once, and one that is larger than any window", async () => {
    await using target = await WireServer.echo();
    await using relay = await start(target);
    await using many = client(relay, "echo", "-streams", "100", "-bytes", "20000");
    const names = { alpn: "quic-proxy", names: ["a.example"] };
    expect(await many.says()).toEqual({ whole: 100, ...names });
    await using large = client(relay, "echo", "-bytes", String(LARGE_BYTES));
    expect(await large.says()).toEqual({ whole: 1, ...names });
    await until("both are gone", () => relay.stats.active === 0);
    const bytes = 100 * 20_000 + LARGE_BYTES;
    expect(relay.stats).toMatchObject({ total: 2, bytesUp: bytes, bytesDown: bytes });
  });

  quicTest("passes the client's reset on, and its connection lives on", async () => {
    await using target = await WireServer.listen();
    await using relay = await start(target);
    await using peer = client(relay, "reset", "-code", "7");
    const far = await within("the target's client", target.accept());
    expect(await far.readBytes(1)).toBe("x");
    await far.write("x");
    expect(await peer.says()).toEqual({ echoed: "x" });
    expect(await within("the reset", far.ending)).toBe("ECONNRESET");
    expect((await peer.saysOf("read")).read).toBeGreaterThanOrEqual(0);
    const next = await within("the next stream", target.accept());
    next.socket.pipe(next.socket);
    expect(await peer.says()).toMatchObject({ whole: 1 });
  });

  quicTest("passes the target's reset on, in both directions of the stream", async () => {
    await using target = await WireServer.listen();
    await using relay = await start(target);
    await using peer = client(relay, "reset");
    const far = await within("the target's client", target.accept());
    expect(await far.readBytes(1)).toBe("x");
    await far.write("x");
    expect(await peer.says()).toEqual({ echoed: "x" });
    far.reset();
    expect((await peer.saysOf("read")).read).toBeGreaterThanOrEqual(0);
    expect((await peer.saysOf("written")).written).toBeGreaterThanOrEqual(0);
    const next = await within("the next stream", target.accept());
    next.socket.pipe(next.socket);
    expect(await peer.says()).toMatchObject({ whole: 1 });
  });

  quicTest("refuses a protocol that it does not speak, and a server name is verified", async () => {
    await using target = await WireServer.echo();
    await using relay = await start(target, { alpn: ["first", "second"] });
    await using other = client(relay, "echo", "-alpn", "third");
    expect((await other.says()).error).toMatch(/no application protocol|0x178/);
    await using elsewhere = client(relay, "echo", "-alpn", "first", "-name", "b.example");
    expect((await elsewhere.says()).error).toContain("b.example");
    await using second = client(relay, "echo", "-alpn", "second");
    expect(await second.says()).toMatchObject({ whole: 1, alpn: "second" });
    expect(target.accepted).toBe(1);
  });

  quicTest("lets in who shows a certificate, and nobody else", async () => {
    await using target = await WireServer.echo();
    const asks = { clientCaFile: authority.caFile, clientAuth: "require" } as const;
    await using relay = await start(target, asks);
    await using known = client(relay, "echo", ...own(CLIENT));
    expect(await known.says()).toMatchObject({ whole: 1 });
    for (const flags of [[], own(STRANGER)]) {
      await using refused = client(relay, "echo", ...flags);
      expect((await refused.saysOf("error")).error).toMatch(/certificate|CRYPTO_ERROR|reset/);
    }
    expect(target.accepted).toBe(1);
  });
});

describe.each(["quiche", "bun"] as const)("a target, with the driver %s", (driver) => {
  const joined = async (
    flags: readonly string[],
    options: Partial<LinkOptions>,
    use: (link: StreamRelay, peer: GoPeer) => Promise<void>,
  ): Promise<void> => {
    await using peer = new GoPeer("serve", ...own(OWN), ...flags);
    const { port } = await peer.saysOf("port");
    const tls = { caFile: authority.caFile, serverName: "a.example", ...options.tls };
    const quic = { driver, ...options.quic };
    const targets = [`127.0.0.1:${port}`];
    await using link = await startLink({ targets, connectMs: 30_000, ...options, tls, quic });
    await use(link, peer);
  };

  quicTest("takes streams of many clients on one connection, each whole", () =>
    joined([], {}, async (link, peer) => {
      const first = await link.connect();
      await first.write("x");
      expect(await first.readBytes(1)).toBe("x");
      const length = 500_000;
      const wires = await Promise.all(Array.from({ length: 20 }, () => link.connect()));
      const sums = wires.map((wire, i) => wire.expectStream(i, length));
      await Promise.all(wires.map((wire, i) => wire.sendStream(i, length)));
      for (const wire of wires) wire.end();
      await within("the echoes", Promise.all(sums), TIMEOUT_MS);
      const ends = await within("the ends", Promise.all(wires.map(({ ending }) => ending)));
      expect(new Set(ends)).toEqual(new Set(["fin"]));
      first.end();
      expect(await peer.says()).toEqual({ client: false });
      expect(await peer.says()).toEqual({ connection: "quic-proxy", names: [] });
      for (let i = 0; i < 21; i++) {
        expect((await peer.says()).stream).toBe("end"); // and no second connection
      }
    }),
  );

  quicTest("takes a stream that is larger than any window", () =>
    joined([], {}, async (link, peer) => {
      const wire = await link.connect();
      const got = wire.expectStream(1, LARGE_BYTES);
      await wire.sendStream(1, LARGE_BYTES);
      wire.end();
      await within("the echo", got, TIMEOUT_MS);
      expect(await peer.saysOf("stream")).toEqual({ stream: "end", bytes: LARGE_BYTES });
    }),
  );

  quicTest("hears of a client's reset, and a client of its", () =>
    joined(["-code", "9"], {}, async (link, peer) => {
      const wire = await link.connect();
      await wire.write("x");
      expect(await wire.readBytes(1)).toBe("x");
      wire.reset();
      const told = await peer.saysOf("stream");
      expect(told.stream).toBe("reset");
      expect(told.code).toBeGreaterThanOrEqual(0);
      const other = await link.connect();
      await other.write("reset\n");
      expect(await within("the reset", other.ending)).toBe("ECONNRESET");
    }),
  );

  quicTest("is shown a certificate if it asks for one, and proves itself after a Retry", () =>
    joined(
      ["-retry", "-ca", authority.caFile],
      { tls: { certificate: CLIENT } },
      async (link, peer) => {
        const wire = await link.connect();
        await wire.write("hello");
        expect(await wire.readBytes(5)).toBe("hello");
        expect(await peer.says()).toEqual({ client: true });
        expect(await peer.says()).toEqual({ connection: "quic-proxy", names: ["client.example"] });
        wire.destroy();
      },
    ),
  );

  quicTest(
    "that speaks another protocol, or trusts nobody like us, is told of as down",
    async () => {
      for (const flags of [
        ["-alpn", "other"],
        ["-ca", authority.caFile],
      ]) {
        await joined(flags, {}, async (link) => {
          const wire = await link.connect();
          await wire.write("x");
          expect(await within("the end", wire.ending, 40_000)).not.toBe("fin");
          const told = (): string[] => [
            ...link.refusals("target_down"),
            ...link.refusals("target_tls"),
            ...link.refusals("quic_target"),
          ];
          await until("the line", () => told().length > 0);
        });
      }
    },
  );
});

quicTest("a quic listener asks a crowd to prove its addresses, and lets in who does", async () => {
  await using target = await WireServer.echo();
  // A long chain: what is sent to whom has proved nothing is bounded by what he sent, and not by that.
  const names = Array.from({ length: 300 }, (_, i) => `name-${i}.a.example`);
  const large = authority.issue(["a.example", ...names]);
  const options = { certificates: [large], handshakeMs: 60_000, maxConnections: 10_000 };
  await using relay = await startQuic({
    target: target.target,
    ...options,
    quic: { driver: "quiche" },
  });
  const at = `127.0.0.1:${relay.port}`;
  await using crowd = new GoPeer("crowd", ...TRUST, "-crowd", "1100", at);
  const masses = (await crowd.saysOf("received")) as Record<string, number>;
  expect(masses.retries).toBeGreaterThan(0);
  expect(masses.received! / masses.sent!).toBeLessThanOrEqual(3);
  const { retries, alpn } = await crowd.says();
  expect(retries).toBeGreaterThan(0); // more, if it asked again before the first one came
  expect(alpn).toBe("quic-proxy");
});
