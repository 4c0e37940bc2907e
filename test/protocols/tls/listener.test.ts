// What a TLS listener promises: decrypted bytes to its target and back, whole; ends, resets and refusals as they are.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ConnectionOptions } from "node:tls";

import { Authority } from "../../support/certificates.ts";
import { groupOf } from "../../support/gateway-host.ts";
import { testWith } from "../../support/programs.ts";
import { SilentTarget } from "../../support/silent-target.ts";
import { TlsPeer } from "../../support/tls-peer.ts";
import { type TlsClient, TlsRelay } from "../../support/tls-relay.ts";
import type { TlsOptions } from "../../support/tls.ts";
import { until, within } from "../../support/until.ts";
import { Wire, WireServer } from "../../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
afterAll(() => authority[Symbol.dispose]());

const MIB = 1024 * 1024;

function start(
  options: Omit<TlsOptions, "certificates"> & { workers?: number },
): Promise<TlsRelay> {
  return TlsRelay.start({ certificates: [OWN], ...options });
}

/** A client and its connection at the target. */
async function through(
  relay: TlsRelay,
  target: WireServer,
  options: ConnectionOptions = {},
): Promise<TlsClient & { far: Wire }> {
  const client = await relay.connect({ ca: authority.ca, ...options });
  return { ...client, far: await within("the target's client", target.accept()) };
}

function peerOf(relay: TlsRelay, version: "1.2" | "1.3"): Promise<TlsPeer> {
  return TlsPeer.connect({ port: relay.port, caFile: authority.caFile, version });
}

/** A count that has grown, and grows no more for half a second. */
async function atRest(what: string, count: () => number): Promise<number> {
  let seen = 0;
  let rested = waited(0);
  await until(`${what} comes to rest`, () => {
    if (count() === seen) return seen > 0 && rested();
    seen = count();
    rested = waited(500);
    return false;
  });
  return seen;
}

describe("bytes", () => {
  test("go both ways at once, whole, and both ends arrive", async () => {
    await using target = await WireServer.listen();
    await using relay = await start({ target: target.target });
    const { wire, far } = await through(relay, target);
    const length = 16 * MIB;
    const received = [wire.expectStream(2, length), far.expectStream(1, length)];
    await Promise.all([wire.sendStream(1, length), far.sendStream(2, length)]);
    wire.end();
    far.end();
    await within("both streams", Promise.all(received));
    await until("the end", () => relay.stats.active === 0);
    expect(relay.stats).toMatchObject({ total: 1, bytesUp: length, bytesDown: length });
    expect(relay.stats.targets[0]).toMatchObject({ connects: 1, failures: 0, active: 0 });
  });

  test("of a target that does not read stop the client, with bounded memory", async () => {
    await using target = await WireServer.listen();
    const buffers = { highWatermarkBytes: 262_144, lowWatermarkBytes: 65_536 };
    await using relay = await start({ target: target.target, buffers });
    const { wire, far } = await through(relay, target);
    far.socket.pause();
    const length = 96 * MIB;
    const sending = wire.sendStream(3, length);
    const seen = await atRest("what the client sends", () => relay.stats.bytesUp);
    expect(seen).toBeLessThan(length / 2);
    const [row] = relay.proxy.connections();
    expect(row!.bytesUp).toBe(seen);
    const received = far.expectStream(3, length);
    far.socket.resume();
    await sending;
    wire.end();
    await within("the stream", received, 30_000);
  });

  test("of a client that does not read stop the target", async () => {
    await using target = await WireServer.listen();
    await using relay = await start({ target: target.target });
    const { socket, wire, far } = await through(relay, target);
    socket.pause();
    const length = 96 * MIB;
    const sending = far.sendStream(4, length);
    const seen = await atRest("what the target sends", () => relay.stats.bytesDown);
    expect(seen).toBeLessThan(length / 2);
    const received = wire.expectStream(4, length);
    socket.resume();
    await sending;
    far.end();
    await within("the stream", received, 30_000);
  });

  test("that a client sends with its handshake wait for its target", async () => {
    using silent = await SilentTarget.start();
    await using target = await WireServer.listen();
    const groups = [groupOf([silent.target, target.target])];
    await using relay = await start({ groups, connectMs: 600 });
    const client = await relay.connect({ ca: authority.ca });
    await client.wire.write("early");
    const far = await within("the target's client", target.accept());
    expect(await far.readBytes(5)).toBe("early");
    client.wire.reset();
  });

  test("go to a unix socket", async () => {
    await using target = await WireServer.echo({ path: `${authority.folder}/target.sock` });
    await using relay = await start({ target: target.target });
    const { wire } = await relay.connect({ ca: authority.ca });
    await wire.write("ping");
    expect(await wire.readBytes(4)).toBe("ping");
    wire.reset();
  });
});

describe.each(["1.2", "1.3"] as const)("ends, TLS %s", (version) => {
  let target: WireServer;
  let relay: TlsRelay;
  beforeAll(async () => {
    target = await WireServer.listen();
    relay = await start({ target: target.target });
  });
  afterAll(async () => {
    await relay[Symbol.asyncDispose]();
    await target[Symbol.asyncDispose]();
  });

  testWith(
    ["python3"],
    "close_notify of the client is a FIN for the target, which still sends",
    async () => {
      await using peer = await peerOf(relay, version);
      const far = await target.accept();
      await peer.do("send question", "notify");
      expect(await far.readAll()).toBe("question");
      await far.write("answer");
      expect(await peer.next()).toBe("data answer");
      far.end();
      expect(await peer.next()).toBe("notify");
      await within("the target's close", far.closed);
      await until("the log", () => relay.log.lines.at(-1)?.fields.reason === "end");
    },
  );

  testWith(
    ["python3"],
    "a FIN of the target is close_notify for the client, which still sends",
    async () => {
      await using peer = await peerOf(relay, version);
      const far = await target.accept();
      await far.write("all there is");
      far.end();
      expect(await peer.next()).toBe("data all there is");
      expect(await peer.next()).toBe("notify");
      await peer.do("send thanks", "notify");
      expect(await far.readAll()).toBe("thanks");
      await until("the end", () => relay.stats.active === 0);
    },
  );

  testWith(["python3"], "a client that is cut off is a reset for the target", async () => {
    await using peer = await peerOf(relay, version);
    const far = await target.accept();
    await peer.do("send half of", "fin");
    expect(await within("the target's end", far.ending)).toBe("ECONNRESET");
    await until("the end", () => relay.stats.active === 0);
  });

  testWith(["python3"], "resets pass both ways", async () => {
    const one = await peerOf(relay, version);
    const far = await target.accept();
    await one.do("reset");
    expect(await within("the target's end", far.ending)).toBe("ECONNRESET");
    await using two = await peerOf(relay, version);
    (await target.accept()).reset();
    expect(await two.next()).toBe("reset");
  });
});

describe("a target over TLS", () => {
  const plan = {
    serverName: "a.example",
    caFile: authority.caFile,
    certificate: null,
    insecure: false,
  };

  test("is verified, and gets what clients send", async () => {
    await using target = await WireServer.echo();
    await using inner = await start({ target: target.target });
    await using outer = await start({ groups: [groupOf(`127.0.0.1:${inner.port}`, plan)] });
    const { wire } = await outer.connect({ ca: authority.ca });
    const received = wire.expectStream(5, 4 * MIB);
    await wire.sendStream(5, 4 * MIB);
    wire.end();
    await within("the echo", received);
    await until("the end", () => outer.stats.active + inner.stats.active === 0);
  });

  test("is shown our certificate, if it asks for one", async () => {
    const own = authority.issue([], { name: "proxy" });
    await using target = await WireServer.echo();
    const clientCaFile = authority.caFile;
    await using inner = await start({ target: target.target, clientAuth: "require", clientCaFile });
    const groups = (certificate: typeof own | null) => [
      groupOf(`127.0.0.1:${inner.port}`, { ...plan, certificate }),
    ];
    await using outer = await start({ groups: groups(own) });
    const { wire } = await outer.connect({ ca: authority.ca });
    await wire.write("ping");
    expect(await wire.readBytes(4)).toBe("ping");
    wire.reset();
    await using nobody = await start({ groups: groups(null) });
    const other = await nobody.connect({ ca: authority.ca });
    expect(await within("the client's end", other.wire.ending)).not.toBe("fin");
    await until("the refusal", () => inner.stats.refused.tls_handshake === 1);
  });

  test("whose certificate is for another name gets no clients, and the log says why", async () => {
    await using target = await WireServer.echo();
    await using inner = await start({ target: target.target });
    const wrong = { ...plan, serverName: "b.example" };
    await using outer = await start({ groups: [groupOf(`127.0.0.1:${inner.port}`, wrong)] });
    const { wire } = await outer.connect({ ca: authority.ca });
    expect(await within("the client's end", wire.ending)).toBe("ECONNRESET");
    expect(outer.stats.refused.target_down).toBe(1);
    await until("the log", () => outer.log.of("target down").length > 0);
    const { fields } = outer.log.of("target down")[0]!;
    expect(JSON.stringify(fields)).toContain("its certificate is for DNS:a.example, not b.example");
  });
});

describe("who is turned away", () => {
  test("for its handshake is counted, and the reason is in the log", async () => {
    await using target = await WireServer.listen();
    await using relay = await start({ target: target.target });
    const client = await Wire.connect({ host: "127.0.0.1", port: relay.port });
    await client.write("GET / HTTP/1.1\r\n\r\n");
    await within("the client's end", client.ending);
    expect(relay.stats.refused.tls_handshake).toBe(1);
    await until("the end", () => relay.stats.active === 0);
    await until("the log", () => relay.log.of("refused").length > 0);
    const { fields } = relay.log.of("refused")[0]!;
    expect(JSON.stringify(fields)).toContain("127.0.0.1: it sent an HTTP request in clear");
  });

  test("for its address gets no handshake", async () => {
    await using target = await WireServer.listen();
    await using relay = await start({ target: target.target, access: { deny: ["127.0.0.2"] } });
    // The reset may overtake the connection.
    const at = { host: "127.0.0.1", port: relay.port, localAddress: "127.0.0.2" };
    const denied = Wire.connect(at).then(({ ending }) => ending);
    const seen = denied.catch((error: NodeJS.ErrnoException) => error.code);
    expect(await within("the client's end", seen)).toBe("ECONNRESET");
    expect(relay.stats.refused.denied).toBe(1);
    const { wire } = await through(relay, target);
    wire.reset();
  });

  test("for limits comes in again when another has left, whatever that was doing", async () => {
    await using target = await WireServer.listen();
    await using relay = await start({ target: target.target, maxConnections: 1, maxPerIp: 1 });
    for (const leave of ["in its handshake", "later"] as const) {
      const first =
        leave === "later"
          ? (await through(relay, target)).wire
          : await Wire.connect({ host: "127.0.0.1", port: relay.port });
      await until("the client is in", () => relay.stats.active === 1);
      expect(await relay.connect().catch((error: Error) => error)).toBeInstanceOf(Error);
      first.reset();
      await until("the client has left", () => relay.stats.active === 0);
    }
    expect(relay.stats.refused.max_connections).toBe(2);
    expect(relay.stats.refused.tls_handshake).toBe(0);
  });

  test("because no target answers", async () => {
    using silent = await SilentTarget.start();
    await using relay = await start({ target: silent.target, connectMs: 200 });
    const { wire } = await relay.connect({ ca: authority.ca });
    expect(await within("the client's end", wire.ending)).toBe("ECONNRESET");
    expect(relay.stats.refused.connect_timeout).toBe(1);
    expect(relay.stats.targets[0]!.failures).toBe(1);
  });
});

describe("routes", () => {
  test("lead by name and by the protocol that was agreed upon", async () => {
    const names = ["rest", "db", "h2"];
    const servers = await Promise.all(
      names.map((name) => WireServer.listen((wire) => void wire.write(name))),
    );
    const groups = servers.map(({ target }) => groupOf(target));
    const routes = [
      { name: "route", sni: "db.example", alpn: null, group: 1 },
      { name: "route", sni: null, alpn: ["h2"], group: 2 },
      { name: "route", sni: null, alpn: null, group: 0 },
    ];
    await using relay = await start({ groups, routes });
    for (const [servername, ALPNProtocols, expected] of [
      ["db.example", ["h2"], "db"],
      ["other.example", ["http/1.1", "h2"], "h2"],
      ["other.example", [], "rest"],
    ] as const) {
      const options = { servername, ALPNProtocols: [...ALPNProtocols], rejectUnauthorized: false };
      const { wire } = await relay.connect(options);
      expect(await wire.readBytes(expected.length)).toBe(expected);
      wire.reset();
    }
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  });

  test("that fit nobody turn clients away", async () => {
    await using relay = await start({
      routes: [{ name: "route", sni: "db.example", alpn: null, group: 0 }],
    });
    const { wire } = await relay.connect({ ca: authority.ca });
    expect(await within("the client's end", wire.ending)).toBe("ECONNRESET");
    expect(relay.stats.refused.no_route).toBe(1);
  });
});

describe("time", () => {
  test("without a byte ends a connection, and a byte in time keeps it", async () => {
    await using target = await WireServer.listen();
    await using relay = await start({ target: target.target, idleMs: 300 });
    const { wire, far } = await through(relay, target);
    for (let i = 1; i <= 6; i++) {
      await wire.write(".");
      await until("a tenth of a second", waited(100));
    }
    expect(far.received).toBe(6);
    expect(await within("the client's end", wire.ending)).toBe("ECONNRESET");
    expect(await within("the target's end", far.ending)).toBe("ECONNRESET");
    await until("the log", () => relay.log.lines.some(({ fields }) => fields.reason === "idle"));
  });

  test("of life is over whatever the connection does", async () => {
    await using target = await WireServer.echo();
    await using relay = await start({ target: target.target, lifetimeMs: 300 });
    const { socket, wire } = await relay.connect({ ca: authority.ca });
    wire.onData((chunk) => void socket.write(chunk));
    await wire.write("round and round");
    expect(await within("the client's end", wire.ending)).toBe("ECONNRESET");
    await until("the log", () =>
      relay.log.lines.some(({ fields }) => fields.reason === "lifetime"),
    );
  });

  test("for the handshake is bounded", async () => {
    await using relay = await start({ handshakeMs: 100 });
    const client = await Wire.connect({ host: "127.0.0.1", port: relay.port });
    await within("the client's end", client.ending);
    expect(relay.stats.refused.tls_handshake).toBe(1);
  });
});

/** True from so many milliseconds on. */
function waited(ms: number): () => boolean {
  const endMs = performance.now() + ms;
  return () => performance.now() >= endMs;
}

describe("operators", () => {
  test("see connections, and end one", async () => {
    await using target = await WireServer.listen();
    await using relay = await start({ target: target.target });
    const { socket, wire, far } = await through(relay, target);
    await until("the target is there", () => relay.proxy.connections()[0]?.target !== "");
    const [row] = relay.proxy.connections();
    expect(row).toMatchObject({
      listener: "tls 127.0.0.1:0",
      client: `127.0.0.1:${socket.localPort}`,
      target: target.target,
    });
    relay.proxy.disconnect(row!.worker, row!.id);
    expect(await within("the client's end", wire.ending)).toBe("ECONNRESET");
    expect(await within("the target's end", far.ending)).toBe("ECONNRESET");
    await until("the row is closed", () => relay.proxy.connections().length === 0);
  });

  test("drain: nobody enters, who is in goes on, and what is left is reset", async () => {
    await using target = await WireServer.listen();
    const relay = await start({ target: target.target });
    const one = await through(relay, target);
    const two = await through(relay, target);
    const stopped = relay.proxy.stop(600);
    await until("nobody enters", () =>
      relay.connect().then(
        ({ wire }) => (wire.reset(), false),
        () => true,
      ),
    );
    await one.wire.write("still here");
    expect(await one.far.readBytes(10)).toBe("still here");
    one.wire.end();
    one.far.end();
    expect(await within("the stop", stopped)).toEqual({ reset: 1 });
    expect(await within("the other's end", two.wire.ending)).toBe("ECONNRESET");
  });

  test("stop at once with a handshake going on", async () => {
    const relay = await start({});
    const client = await Wire.connect({ host: "127.0.0.1", port: relay.port });
    await until("the client is in", () => relay.stats.active === 1);
    await within("the kill", relay.proxy.kill(), 3_000);
    await within("the client's end", client.ending);
  });
});
