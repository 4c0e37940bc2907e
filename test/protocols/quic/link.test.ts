// What a quic:// target promises: a TCP listener whose clients share QUIC connections to another proxy, with either driver at
// either end. Who is not let in, whatever is missing, reads why in the logs of both.

import { afterAll, describe, expect, test } from "bun:test";

import { pickDriver } from "../../../src/protocols/quic/pick.ts";
import type { Plan } from "../../../src/shared/plan.ts";
import { Authority } from "../../support/certificates.ts";
import { freePort } from "../../support/daemon.ts";
import { TestHost } from "../../support/gateway-host.ts";
import {
  type LinkOptions,
  type QuicOptions,
  startLink,
  startQuic,
  type StreamRelay,
} from "../../support/quic-relay.ts";
import { until, within } from "../../support/until.ts";
import { WireServer } from "../../support/wire.ts";
import { Server } from "./harness.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
const TOKEN = "0123456789abcdef0123456789abcdef";
const tokenFile = authority.file("token", `${TOKEN}\n`);
const otherFile = authority.file("other", `${TOKEN.replace("0", "1")}\n`);
afterAll(() => authority[Symbol.dispose]());

const MIB = 1024 * 1024;
const TRUST = { caFile: authority.caFile, serverName: "a.example" };

interface Ends {
  readonly server: StreamRelay;
  readonly link: StreamRelay;
}

/** TCP in, QUIC between, TCP out. */
async function join(
  server: Partial<QuicOptions> & { target: string },
  link: Partial<LinkOptions>,
  use: (ends: Ends) => Promise<void>,
): Promise<void> {
  await using far = await startQuic({ certificates: [OWN], ...server });
  const targets = [`127.0.0.1:${far.port}`];
  await using near = await startLink({ targets, ...link, tls: { ...TRUST, ...link.tls } });
  await use({ server: far, link: near });
}

async function conversation(link: StreamRelay, text = "x"): Promise<string> {
  const wire = await link.connect();
  await wire.write(text);
  const answer = await wire.readBytes(text.length).catch((error: Error) => error.message);
  wire.destroy();
  return answer;
}

/** The first line of one of these reasons, once there is one. */
async function told(relay: StreamRelay, ...reasons: string[]): Promise<string> {
  const lines = (): string[] => reasons.flatMap((reason) => relay.refusals(reason));
  await until(`a line of ${reasons.join(" or ")}`, () => lines().length > 0);
  return lines()[0]!;
}

/** How a client that is not let in sees it. */
async function refusedClient(link: StreamRelay): Promise<string> {
  const wire = await link.connect();
  await wire.write("x");
  return within("the end", wire.ending);
}

/** The same listener, which has to be replaced for it. */
function otherPlan(plan: Plan): Plan {
  const listeners = plan.listeners.map((listener) => ({
    ...listener,
    timeouts: { ...listener.timeouts, idleMs: 77_000 },
  }));
  return { ...plan, listeners: listeners as Plan["listeners"] };
}

describe.each([
  ["quiche", "quiche"],
  ["bun", "bun"],
  ["quiche", "bun"],
  ["bun", "quiche"],
] as const)("from the driver %s to the driver %s", (near, far) => {
  const joined = (
    server: Partial<QuicOptions> & { target: string },
    link: Partial<LinkOptions>,
    use: (ends: Ends) => Promise<void>,
  ): Promise<void> =>
    join(
      { ...server, quic: { driver: far, ...server.quic } },
      { ...link, quic: { driver: near, ...link.quic } },
      use,
    );

  test("bytes go both ways at once, whole, and both ends arrive", async () => {
    await using target = await WireServer.listen();
    await joined({ target: target.target }, {}, async ({ server, link }) => {
      const wire = await link.connect();
      const length = 4 * MIB;
      await wire.write(new Uint8Array());
      const sending = wire.sendStream(1, length);
      const wireGot = wire.expectStream(2, length);
      const farWire = await within("the target's client", target.accept());
      const farGot = farWire.expectStream(1, length);
      await Promise.all([sending, farWire.sendStream(2, length)]);
      wire.end();
      farWire.end();
      await within("both streams", Promise.all([wireGot, farGot]), 30_000);
      await until("the ends", () => link.stats.active + server.stats.targets[0]!.active === 0);
      expect(link.stats).toMatchObject({ total: 1, bytesUp: length, bytesDown: length });
    });
  });

  test("clients share one connection, and resets pass", async () => {
    await using target = await WireServer.listen();
    await joined({ target: target.target }, {}, async ({ server, link }) => {
      const wires = await Promise.all([1, 2, 3].map(() => link.connect()));
      for (const wire of wires) await wire.write("hello");
      const farWires = await Promise.all([1, 2, 3].map(() => target.accept()));
      for (const farWire of farWires) expect(await farWire.readBytes(5)).toBe("hello");
      expect(server.stats).toMatchObject({ total: 1, active: 1 });
      expect(server.stats.targets[0]).toMatchObject({ connects: 3, active: 3 });
      expect(link.stats.targets[0]).toMatchObject({ connects: 3, active: 3 });
      for (const farWire of farWires) farWire.reset();
      for (const wire of wires) expect(await within("a reset", wire.ending)).toBe("ECONNRESET");
      await until("the ends", () => link.stats.active === 0);
      expect(server.stats.active).toBe(1);
    });
  });

  test("another connection is made when the streams of one are used up", async () => {
    await using target = await WireServer.echo();
    await joined({ target: target.target, quic: { streams: 2 } }, {}, async ({ server, link }) => {
      const wires = await Promise.all([1, 2, 3, 4, 5].map(() => link.connect()));
      for (const wire of wires) {
        await wire.write("x");
        expect(await within("the echo", wire.readBytes(1))).toBe("x");
      }
      expect(server.stats).toMatchObject({ total: 3, active: 3 });
      for (const wire of wires) wire.destroy();
    });
  });

  test("the same token lets in, another one is refused, and so is none", async () => {
    await using target = await WireServer.echo();
    const asks = { target: target.target, quic: { tokenFile } };
    await joined(asks, { quic: { tokenFile } }, async ({ link }) => {
      expect(await conversation(link)).toBe("x");
    });
    await joined(asks, { quic: { tokenFile: otherFile } }, async ({ server, link }) => {
      expect(await refusedClient(link)).toBe("ECONNRESET");
      expect(await told(link, "target_down")).toContain("the token is missing or wrong");
      expect(await told(server, "quic_token")).toContain("another token");
      for (const { log } of [server, link]) expect(JSON.stringify(log.lines)).not.toContain(TOKEN);
    });
    await joined(asks, {}, async ({ server, link }) => {
      expect(await refusedClient(link)).not.toBe("fin");
      expect(await told(link, "quic_target")).toContain("the token is missing or wrong");
      expect(await told(server, "quic_token")).toContain("it showed no token");
    });
    expect(target.accepted).toBe(1);
  });

  test("a token that nobody asks for is not shown to the target", async () => {
    await using target = await WireServer.echo();
    await joined({ target: target.target }, { quic: { tokenFile } }, async ({ link }) => {
      expect(await refusedClient(link)).toBe("ECONNRESET");
      expect(await told(link, "target_down")).toContain("it asks for no token");
      expect(target.accepted).toBe(0);
    });
  });

  test("a certificate that is not trusted, or for another name, is refused", async () => {
    await using target = await WireServer.echo();
    const other = new Authority();
    const wrong = [{ caFile: other.caFile }, { serverName: "b.example" }];
    for (const tls of wrong) {
      await joined({ target: target.target }, { tls }, async ({ link }) => {
        expect(await refusedClient(link)).toBe("ECONNRESET");
        const line = await told(link, "target_down");
        expect(line).toContain("ERR_QUIC_HANDSHAKE");
        expect(line).toContain("certificate");
      });
    }
    other[Symbol.dispose]();
  });

  test("a client certificate that is asked for lets in, and without one nobody comes through", async () => {
    await using target = await WireServer.echo();
    const own = authority.issue([], { name: "client" });
    const asks = {
      target: target.target,
      clientAuth: "require",
      clientCaFile: authority.caFile,
    } as const;
    const certificate = { certFile: own.certFile, keyFile: own.keyFile };
    await joined(asks, { tls: { certificate } }, async ({ link }) => {
      expect(await conversation(link)).toBe("x");
    });
    await joined(asks, {}, async ({ server, link }) => {
      expect(await refusedClient(link)).not.toBe("fin");
      // TLS 1.3: a client may have begun when the server sees that there is none.
      const line = await told(link, "quic_target", "target_down");
      expect(line).toContain("client certificate");
      // The other driver does not know who it was.
      if (far === "quiche") {
        expect(await told(server, "tls_handshake")).toContain("client certificate");
      }
    });
    expect(target.accepted).toBe(1);
  });

  test("a server that comes back is found again", async () => {
    await using target = await WireServer.echo();
    const quic = { driver: far };
    const first = await startQuic({ certificates: [OWN], target: target.target, quic });
    const { port } = first;
    const tls = TRUST;
    await using link = await startLink({
      targets: [`127.0.0.1:${port}`],
      tls,
      quic: { driver: near },
    });
    const wire = await link.connect();
    await wire.write("x");
    expect(await wire.readBytes(1)).toBe("x");
    await first.proxy.kill();
    expect(await within("the end of what went over it", wire.ending)).not.toBe("fin");
    const listen = `127.0.0.1:${port}`;
    await using second = await startQuic({
      certificates: [OWN],
      target: target.target,
      quic,
      listen,
    });
    await until("the link", async () => (await conversation(link)) === "x");
    expect(second.stats.total).toBe(1);
  });

  // The driver bun cannot hand its endpoints on.
  if (far === "quiche") {
    test("a server that is replaced while a client stays is left for new ones", async () => {
      await using target = await WireServer.echo();
      await joined({ target: target.target }, {}, async ({ server, link }) => {
        const stays = await link.connect();
        await stays.write("x");
        expect(await stays.readBytes(1)).toBe("x");
        await server.proxy.reload(otherPlan(server.proxy.plan));
        for (const text of ["a", "b", "c", "d"]) expect(await conversation(link, text)).toBe(text);
        await until("another connection", async () => {
          expect(await conversation(link)).toBe("x");
          return server.stats.total === 2;
        });
        await stays.write("y");
        stays.onData(() => {});
        await until("the echo", () => stays.received === 2);
        stays.destroy();
      });
    });
  }

  test("a stop waits for clients, and closes the connection behind them", async () => {
    await using target = await WireServer.echo();
    await joined({ target: target.target }, {}, async ({ server, link }) => {
      const wire = await link.connect();
      await wire.write("x");
      expect(await wire.readBytes(1)).toBe("x");
      const stopped = link.proxy.stop();
      await until("the drain", () => link.log.of("listening").length > 0);
      await wire.write("y");
      wire.onData(() => {});
      await until("the echo", () => wire.received === 2);
      wire.end();
      expect(await within("the stop", stopped)).toEqual({ reset: 0 });
      await until("the connection's end", () => server.stats.active === 0);
    });
  });
});

test("a target that cannot be reached is passed over for the next one", async () => {
  await using target = await WireServer.echo();
  const port = await freePort();
  await using server = await startQuic({ certificates: [OWN], target: target.target });
  const targets = [`127.0.0.1:${port}`, `127.0.0.1:${server.port}`];
  await using link = await startLink({ targets, tls: TRUST, connectMs: 2_000 });
  for (let i = 0; i < 4; i++) expect(await conversation(link)).toBe("x");
  expect(link.stats.targets.map(({ connects }) => connects)).toEqual([0, 4]);
  expect(link.stats.targets[0]!.failures).toBeGreaterThan(0);
});

test("a target that does not answer a token is given up in time, and tried anew", async () => {
  const driver = pickDriver("quiche", new TestHost());
  await using server = await Server.listen(driver, {
    alpn: ["quic-proxy"],
    certificates: { certificates: [OWN.material], clientCa: null },
  });
  const targets = [`127.0.0.1:${server.address.port}`];
  const options = { targets, tls: TRUST, quic: { tokenFile }, connectMs: 300 };
  await using link = await startLink(options);
  await until("a second connection", async () => {
    await refusedClient(link);
    return server.told.length > 1;
  });
  await server.told[0]!.closed;
});

test("every worker has a connection of its own", async () => {
  await using target = await WireServer.echo();
  await join({ target: target.target }, { workers: 2 }, async ({ server, link }) => {
    await until("both", async () => {
      expect(await conversation(link)).toBe("x");
      return server.stats.total === 2;
    });
  });
});
