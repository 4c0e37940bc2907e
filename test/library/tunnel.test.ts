// Tunnels: the built-in protocol on the relay engine and protocols of one's own in this thread, against the same expectations;
// then configuration and presets.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  BUFFER_SIZE_DEFAULT,
  BUFFER_SIZE_LARGE,
  clientPreset,
  dial,
  highThroughputPreset,
  listen,
  newForwarder,
  type Protocol,
  serverPreset,
  tcp,
  Tunnel,
  type TunnelConfig,
} from "../../src/index.ts";
import { compileTunnel } from "../../src/library/tunnel-plan.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { greeting } from "./examples/greeting.ts";
import { shout } from "./examples/shout.ts";
import { failure, wireAddress } from "./support/pairs.ts";

const MIB = 1024 * 1024;

/** A user's protocol that does what the built-in one does. */
const own = (): Protocol => ({ name: "own", listen, dial, forwarder: newForwarder });

const KINDS: readonly [string, () => Protocol][] = [
  ["tcp()", tcp],
  ["a protocol of one's own", own],
];

async function freePort(): Promise<number> {
  await using server = await WireServer.listen();
  return server.port;
}

async function started(
  protocol: Protocol,
  config: Partial<TunnelConfig> & { targetAddr: string },
): Promise<Tunnel> {
  const tunnel = new Tunnel({ listenAddr: "127.0.0.1:0", ...config });
  await tunnel.setProtocol(protocol).start();
  return tunnel;
}

for (const [name, protocol] of KINDS) {
  describe(`with ${name}`, () => {
    test("bytes arrive exactly, both ways at once, and the figures are exact", async () => {
      await using server = await WireServer.listen();
      await using tunnel = await started(protocol(), { targetAddr: server.target });
      const client = await Wire.connect(wireAddress(tunnel.addr));
      const target = await server.accept();
      const arrived = [target.expectStream(1, 9 * MIB), client.expectStream(2, 7 * MIB)];
      await Promise.all([
        client.sendStream(1, 9 * MIB).then(() => client.end()),
        target.sendStream(2, 7 * MIB).then(() => target.end()),
      ]);
      await within("both streams", Promise.all(arrived));
      await until("the connection is over", () => tunnel.stats().active === 0);
      const { uptime, ...figures } = tunnel.stats();
      expect(figures).toEqual({
        connections: 1,
        active: 0,
        bytesReceived: 9 * MIB,
        bytesSent: 7 * MIB,
        errors: 0,
        rejected: 0,
      });
      expect(uptime).toBeGreaterThan(0);
    });

    test("beyond maxConnections clients are turned away and counted", async () => {
      await using server = await WireServer.echo();
      await using tunnel = await started(protocol(), {
        targetAddr: server.target,
        maxConnections: 1,
      });
      const first = await Wire.connect(wireAddress(tunnel.addr));
      await first.write("x");
      expect(await first.readBytes(1)).toBe("x");
      const second = await Wire.connect(wireAddress(tunnel.addr)).catch(() => null);
      if (second !== null) expect(await second.ending).toBeOneOf(["ECONNRESET", "fin"]);
      await until("it is counted", () => tunnel.stats().rejected === 1);
      first.end();
      expect(await first.ending).toBe("fin");
      await until("there is room again", () => tunnel.stats().active === 0);
      const third = await Wire.connect(wireAddress(tunnel.addr));
      await third.write("y");
      expect(await third.readBytes(1)).toBe("y");
      third.destroy();
    });

    test("a target that is down turns clients away, and is an error in the figures", async () => {
      await using tunnel = await started(protocol(), {
        targetAddr: `127.0.0.1:${await freePort()}`,
      });
      // The reset may come before the client learns that it was connected.
      const ending = Wire.connect(wireAddress(tunnel.addr)).then(
        (client) => client.ending,
        (error: NodeJS.ErrnoException) => error.code,
      );
      expect(await within("the end", ending)).toBeOneOf(["ECONNRESET", "fin"]);
      await until("it is over", () => tunnel.stats().rejected === 1 && tunnel.stats().active === 0);
      expect(tunnel.stats()).toMatchObject({ connections: 1, errors: 1 });
    });

    test("a connection without a byte for connectionTimeout is reset", async () => {
      await using server = await WireServer.echo();
      await using tunnel = await started(protocol(), {
        targetAddr: server.target,
        connectionTimeout: 150,
      });
      const client = await Wire.connect(wireAddress(tunnel.addr));
      await client.write("x");
      expect(await client.readBytes(1)).toBe("x");
      expect(await within("the reset", client.ending)).toBe("ECONNRESET");
      await until("it is over", () => tunnel.stats().active === 0);
    });

    test("stop lets connections finish, and takes no new ones", async () => {
      await using server = await WireServer.echo();
      await using tunnel = await started(protocol(), { targetAddr: server.target });
      const client = await Wire.connect(wireAddress(tunnel.addr));
      await client.write("a");
      expect(await client.readHead(1)).toBe("a");
      const { addr } = tunnel;
      const stopped = tunnel.stop();
      expect(await tunnelRefuses(wireAddress(addr))).toBe(true);
      await client.write("b");
      expect(await client.readHead(1)).toBe("b");
      client.end();
      expect(await client.ending).toBe("fin");
      expect(await within("the stop", stopped)).toEqual({ reset: 0 });
      expect(await tunnel.stop()).toEqual({ reset: 0 });
      expect(tunnel.stats()).toMatchObject({
        active: 0,
        bytesReceived: 2,
        bytesSent: 2,
        errors: 0,
      });
      expect(String(tunnel.addr)).toBe(String(addr));
      const { uptime } = tunnel.stats();
      expect(tunnel.stats().uptime).toBe(uptime);
    });

    test("stop resets what takes longer than its timeout", async () => {
      await using server = await WireServer.echo();
      await using tunnel = await started(protocol(), {
        targetAddr: server.target,
        shutdownTimeout: 50,
      });
      const client = await Wire.connect(wireAddress(tunnel.addr));
      await client.write("a");
      expect(await client.readBytes(1)).toBe("a");
      expect(await within("the stop", tunnel.stop())).toEqual({ reset: 1 });
      expect(await client.ending).toBe("ECONNRESET");
    });

    test("disposing resets connections at once, also while stop waits for them", async () => {
      await using server = await WireServer.echo();
      const tunnel = await started(protocol(), { targetAddr: server.target });
      const client = await Wire.connect(wireAddress(tunnel.addr));
      await client.write("a");
      expect(await client.readBytes(1)).toBe("a");
      const stopped = tunnel.stop();
      await within("the end", tunnel[Symbol.asyncDispose]());
      expect(await client.ending).toBe("ECONNRESET");
      expect(await stopped).toEqual({ reset: 1 });
    });

    test("an aborted signal stops the tunnel; a stopped tunnel may start again", async () => {
      await using server = await WireServer.echo();
      const tunnel = new Tunnel({ listenAddr: "127.0.0.1:0", targetAddr: server.target });
      tunnel.setProtocol(protocol());
      const controller = new AbortController();
      await tunnel.start({ signal: controller.signal });
      const at = wireAddress(tunnel.addr);
      controller.abort();
      expect(await tunnelRefuses(at)).toBe(true);
      await tunnel.stop();
      const old = new AbortController();
      await tunnel.start({ signal: old.signal });
      await tunnel.stop();
      await tunnel.start();
      old.abort(); // of a run that is over
      const client = await Wire.connect(wireAddress(tunnel.addr));
      await client.write("again");
      expect(await client.readBytes(5)).toBe("again");
      expect(tunnel.stats().connections).toBe(1);
      client.destroy();
      await tunnel[Symbol.asyncDispose]();
    });

    test("an address in use is ERR_LISTEN, and the tunnel may try again", async () => {
      await using server = await WireServer.echo();
      const tunnel = new Tunnel({ listenAddr: server.target, targetAddr: "127.0.0.1:1" });
      tunnel.setProtocol(protocol());
      expect((await failure(tunnel.start())).code as string).toBe("ERR_LISTEN");
      expect((await failure(tunnel.start())).code as string).toBe("ERR_LISTEN");
    });

    test("unix sockets work both ways", async () => {
      const folder = mkdtempSync(join(tmpdir(), "tunnel-"));
      {
        await using server = await WireServer.echo({ path: `${folder}/back` });
        await using tunnel = await started(protocol(), {
          listenAddr: `unix:${folder}/front`,
          targetAddr: server.target,
        });
        const client = await Wire.connect(wireAddress(tunnel.addr));
        await client.write("through files");
        expect(await client.readBytes(13)).toBe("through files");
        client.destroy();
      }
      rmSync(folder, { recursive: true });
    });
  });
}

/** Waits until nobody listens there any more. */
async function tunnelRefuses(at: Parameters<typeof Wire.connect>[0]): Promise<boolean> {
  await until("connections are refused", async () => {
    const wire = await Wire.connect(at).catch(() => null);
    wire?.destroy();
    return wire === null;
  });
  return true;
}

describe("protocols of one's own", () => {
  test("greeting: the target reads who the client is, then the client's bytes", async () => {
    await using server = await WireServer.listen();
    await using tunnel = await started(greeting(), { targetAddr: server.target });
    const client = await Wire.connect(wireAddress(tunnel.addr));
    const target = await server.accept();
    const line = `CLIENT 127.0.0.1:${client.socket.localPort}\n`;
    await client.write("hello");
    client.end();
    expect(await target.readAll()).toBe(`${line}hello`);
    await target.write("welcome");
    target.end();
    expect(await client.readAll()).toBe("welcome");
    await until("it is over", () => tunnel.stats().active === 0);
    expect(tunnel.stats()).toMatchObject({ bytesReceived: 5, bytesSent: 7, errors: 0 });
  });

  test("shout: what the client says arrives in capitals, what comes back does not change", async () => {
    await using server = await WireServer.echo();
    await using tunnel = await started(shout(), { targetAddr: server.target });
    const client = await Wire.connect(wireAddress(tunnel.addr));
    await client.write("say it louder");
    client.end();
    expect(await client.readAll()).toBe("SAY IT LOUDER");
  });

  test("one whose dial never ends is cut off by acceptTimeout, and by stop", async () => {
    const signals: AbortSignal[] = [];
    const hangs: Protocol = {
      ...own(),
      dial: (_, { signal }) =>
        new Promise((_resolve, reject) => {
          signals.push(signal!);
          signal!.addEventListener("abort", () => reject(signal!.reason));
        }),
    };
    const tunnel = await started(hangs, { targetAddr: "127.0.0.1:1", acceptTimeout: 100 });
    const client = await Wire.connect(wireAddress(tunnel.addr));
    expect(await within("the reset", client.ending)).toBe("ECONNRESET");
    await tunnel.stop();
    expect(signals.map((signal) => signal.aborted)).toEqual([true]);
    expect(tunnel.stats()).toMatchObject({ connections: 1, active: 0, errors: 1 });
  });

  test("what the configuration asks of connections is passed to listen, dial and forwarder", async () => {
    await using server = await WireServer.echo();
    const seen: Record<string, unknown> = {};
    const spy: Protocol = {
      ...own(),
      listen: (addr, options) => ((seen["listen"] = options), listen(addr, options)),
      dial: (addr, options) => ((seen["dial"] = options), dial(addr, options)),
      forwarder: (options) => ((seen["forwarder"] = options), newForwarder(options)),
    };
    await using tunnel = await started(spy, {
      targetAddr: server.target,
      bufferSize: BUFFER_SIZE_LARGE,
      backpressureHighWatermark: 2 * MIB,
      acceptTimeout: 1_234,
      tcpNoDelay: false,
      sendBufferSize: 100_000,
      keepAlive: 9_000,
    });
    const client = await Wire.connect(wireAddress(tunnel.addr));
    await client.write("x");
    expect(await client.readBytes(1)).toBe("x");
    client.destroy();
    const conn = {
      noDelay: false,
      sendBufferSize: 100_000,
      keepAlive: 9_000,
      highWatermark: 2 * MIB,
    };
    expect(seen).toMatchObject({
      listen: conn,
      dial: { ...conn, timeout: 1_234 },
      forwarder: { bufferSize: 256 * 1024, highWatermark: 2 * MIB, lowWatermark: MIB },
    });
  });
});

describe("states", () => {
  test("before it starts: no address, empty figures, nothing to stop", async () => {
    const tunnel = new Tunnel({ listenAddr: ":0", targetAddr: "127.0.0.1:1" });
    expect(() => tunnel.addr).toThrow("has not started");
    expect(tunnel.stats()).toMatchObject({ connections: 0, uptime: 0 });
    expect(await tunnel.stop()).toEqual({ reset: 0 });
  });

  test("a started tunnel takes neither another start nor another protocol", async () => {
    await using server = await WireServer.echo();
    await using tunnel = await started(tcp(), { targetAddr: server.target });
    expect((await failure(tunnel.start())).code as string).toBe("ERR_STATE");
    expect(() => tunnel.setProtocol(own())).toThrow("has started");
  });

  test("a signal that is aborted already keeps it from starting", async () => {
    const reason = new Error("no");
    const tunnel = new Tunnel({ listenAddr: "127.0.0.1:0", targetAddr: "127.0.0.1:1" });
    expect(await failure(tunnel.start({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(() => tunnel.addr).toThrow("has not started");
  });
});

describe("configuration", () => {
  const addresses = { listenAddr: ":8080", targetAddr: "127.0.0.1:80" };
  const refusals: readonly [string, object, string, RegExp][] = [
    ["protocol", { protocol: "http2" }, "ERR_NOT_AVAILABLE", /"http2" is not available/],
    ["protocol", { protocol: "http3" }, "ERR_NOT_AVAILABLE", /"http3" is not available/],
    ["protocol", { protocol: "quic" }, "ERR_NOT_AVAILABLE", /"quic" is not available/],
    ["protocol", { protocol: "gopher" }, "ERR_USAGE", /protocol is "gopher". Use tcp, http2/],
    ["tlsConfig", { tlsConfig: {} }, "ERR_NOT_AVAILABLE", /^tlsConfig is not available/],
    ["enableMetrics", { enableMetrics: true }, "ERR_NOT_AVAILABLE", /read stats\(\)/],
    ["metricsPrefix", { metricsPrefix: "x" }, "ERR_NOT_AVAILABLE", /^metricsPrefix is not/],
    ["writeBufferPool", { writeBufferPool: false }, "ERR_USAGE", /always share/],
    ["enableBackpressure", { enableBackpressure: false }, "ERR_USAGE", /fill the memory/],
    ["backpressureYieldMin", { backpressureYieldMin: 1 }, "ERR_USAGE", /would have no effect/],
    ["backpressureYieldMax", { backpressureYieldMax: 1 }, "ERR_USAGE", /would have no effect/],
    [
      "a low watermark above the high one",
      { backpressureLowWatermark: 2 * MIB },
      "ERR_USAGE",
      /^backpressureLow/,
    ],
    [
      "a low watermark equal to the high one",
      { backpressureHighWatermark: MIB, backpressureLowWatermark: MIB },
      "ERR_USAGE",
      /^backpressureLowWatermark is 1048576. Give a whole number from 0 to 1048575/,
    ],
    ["bufferSize", { bufferSize: 1.5 }, "ERR_USAGE", /^bufferSize is 1.5/],
    ["maxConnections", { maxConnections: "many" }, "ERR_USAGE", /^maxConnections is many/],
    [
      "an unknown field",
      { maxConections: 5 },
      "ERR_USAGE",
      /"maxConections". Did you mean "maxConnections"/,
    ],
    ["listenAddr", { listenAddr: "8080" }, "ERR_ADDRESS", /Write :8080/],
    ["a missing targetAddr", { targetAddr: undefined }, "ERR_USAGE", /^targetAddr is missing/],
    ["workers", { workers: 0 }, "ERR_USAGE", /^workers is 0/],
    ["tcpNoDelay", { tcpNoDelay: "yes" }, "ERR_USAGE", /^tcpNoDelay is yes. Give a boolean/],
  ];
  for (const [name, extra, code, message] of refusals) {
    test(`${name} ${JSON.stringify(extra)} is ${code}`, () => {
      const make = (): unknown => new Tunnel({ ...addresses, ...extra } as TunnelConfig);
      expect(make).toThrow(message);
      expect(make).toThrow(expect.objectContaining({ code }));
    });
  }

  test("a protocol of one's own does not go with a configured one", () => {
    const tunnel = new Tunnel({ ...addresses, protocol: "tcp" });
    expect(() => tunnel.setProtocol(own())).toThrow('the configuration says protocol "tcp"');
    expect(tunnel.setProtocol(tcp())).toBe(tunnel);
  });

  test("the defaults are those of the reference", () => {
    const { plan, listener } = compileTunnel(addresses);
    expect(plan).toMatchObject({ engine: "auto", workers: 1, shutdownTimeoutMs: 30_000 });
    expect(listener).toMatchObject({
      limits: { maxConnections: 0 },
      timeouts: { connectMs: 5_000, idleMs: 0 },
      buffers: {
        copyBytes: BUFFER_SIZE_DEFAULT,
        highWatermarkBytes: MIB,
        lowWatermarkBytes: MIB / 2,
      },
      socket: { nodelay: true, quickack: false, fastopen: false, keepaliveSeconds: 30 },
    });
  });

  test("one read does not overshoot the high watermark", () => {
    const marks = { backpressureHighWatermark: 8_192 };
    const { listener } = compileTunnel({ ...addresses, ...marks, bufferSize: 65_536 });
    expect(listener.buffers).toEqual({
      copyBytes: 8_192,
      highWatermarkBytes: 8_192,
      lowWatermarkBytes: 4_096,
    });
  });

  test("every field has its place in the plan", () => {
    const { plan, listener } = compileTunnel({
      ...addresses,
      mode: "server",
      maxConnections: 7,
      connectionTimeout: 8_000,
      acceptTimeout: 9_000,
      readBufferSize: 16 * 1024,
      writeBufferSize: 128 * 1024,
      bufferSize: 1 * MIB,
      tcpNoDelay: false,
      tcpQuickAck: true,
      tcpFastOpen: true,
      sendBufferSize: 4_096,
      recvBufferSize: 8_192,
      keepAlive: 1_500,
      engine: "bun",
      workers: 2,
      shutdownTimeout: 10,
      writeBufferPool: true,
      enableBackpressure: true,
      enableMetrics: false,
    });
    expect(plan).toMatchObject({ engine: "bun", workers: 2, shutdownTimeoutMs: 10 });
    expect(listener).toMatchObject({
      key: "tcp :8080",
      limits: { maxConnections: 7 },
      timeouts: { connectMs: 9_000, idleMs: 8_000 },
      buffers: { copyBytes: 128 * 1024, highWatermarkBytes: 2 * MIB, lowWatermarkBytes: MIB },
      socket: {
        nodelay: false,
        quickack: true,
        fastopen: true,
        keepaliveSeconds: 2,
        sendBufferBytes: 4_096,
        receiveBufferBytes: 8_192,
      },
    });
  });
});

describe("presets", () => {
  const compiled = (preset: Partial<TunnelConfig>) =>
    compileTunnel({ ...preset, listenAddr: ":0", targetAddr: "127.0.0.1:1" }).listener;

  test("server: 10,000 connections, idle for 5 minutes, watermarks 2 MiB and 1 MiB", () => {
    expect(compiled(serverPreset())).toMatchObject({
      limits: { maxConnections: 10_000 },
      timeouts: { idleMs: 300_000 },
      buffers: { copyBytes: 65_536, highWatermarkBytes: 2 * MIB, lowWatermarkBytes: MIB },
      socket: { sendBufferBytes: 262_144, receiveBufferBytes: 262_144, quickack: false },
    });
  });

  test("client: 32 KiB, no limit, watermarks 1 MiB and 512 KiB, every option for short delays", () => {
    expect(compiled(clientPreset())).toMatchObject({
      limits: { maxConnections: 0 },
      timeouts: { idleMs: 0 },
      buffers: { copyBytes: 32_768, highWatermarkBytes: MIB, lowWatermarkBytes: MIB / 2 },
      socket: { nodelay: true, quickack: true, fastopen: true, sendBufferBytes: 131_072 },
    });
  });

  test("high throughput: 256 KiB, watermarks 4 MiB and 2 MiB, socket buffers 512 KiB", () => {
    expect(compiled(highThroughputPreset())).toMatchObject({
      buffers: {
        copyBytes: BUFFER_SIZE_LARGE,
        highWatermarkBytes: 4 * MIB,
        lowWatermarkBytes: 2 * MIB,
      },
      socket: { sendBufferBytes: 524_288, receiveBufferBytes: 524_288 },
    });
  });

  test("a preset is a fresh object, and what is given beside it wins", async () => {
    expect(serverPreset()).not.toBe(serverPreset());
    expect(compiled({ ...serverPreset(), maxConnections: 3 }).limits.maxConnections).toBe(3);
  });

  for (const preset of [serverPreset, clientPreset, highThroughputPreset]) {
    test(`${preset.name} runs, with both kinds of protocol`, async () => {
      await using server = await WireServer.echo();
      for (const [, protocol] of KINDS) {
        await using tunnel = await started(protocol(), { ...preset(), targetAddr: server.target });
        const client = await Wire.connect(wireAddress(tunnel.addr));
        await client.write("preset");
        expect(await client.readBytes(6)).toBe("preset");
        client.destroy();
      }
    });
  }
});
