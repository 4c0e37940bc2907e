// What a QUIC listener promises, with either driver: each stream of a client is a connection to its target, whole, with its
// ends and resets; limits, tokens and drains are as they are elsewhere.

import { afterAll, describe, expect, test } from "bun:test";

import { QUIC_CODES } from "../../../src/protocols/quic/codes.ts";
import { QuicError } from "../../../src/protocols/quic/transport.ts";
import type { CertificatePlan } from "../../../src/shared/http-plan.ts";
import { Authority } from "../../support/certificates.ts";
import { groupOf } from "../../support/gateway-host.ts";
import {
  type PeerOptions,
  type QuicOptions,
  QuicPeer,
  startQuic,
  TRANSPORT,
} from "../../support/quic-relay.ts";
import { until, within } from "../../support/until.ts";
import { WireServer } from "../../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
const TOKEN = "0123456789abcdef0123456789abcdef";
const tokenFile = authority.file("token", `${TOKEN}\n`);
afterAll(() => authority[Symbol.dispose]());

const MIB = 1024 * 1024;

describe.each(["quiche", "bun"] as const)("with the driver %s", (driver) => {
  const start = (options: Partial<QuicOptions> & { target: string }) =>
    startQuic({ certificates: [OWN], ...options, quic: { driver, ...options.quic } });
  const connect = (port: number, options: PeerOptions = {}): Promise<QuicPeer> =>
    QuicPeer.connect(port, authority.ca, { driver, ...options });

  test("bytes go both ways at once, whole, and both ends arrive", async () => {
    await using target = await WireServer.listen();
    await using relay = await start({ target: target.target });
    const peer = await connect(relay.port);
    const { recorder } = peer.open();
    const length = 4 * MIB;
    recorder.expectStream(2);
    recorder.sendStream(1, length);
    const far = await within("the target's client", target.accept());
    const received = far.expectStream(1, length);
    await far.sendStream(2, length);
    far.end();
    await until("what was sent", () => recorder.wire.pending === 0 && !recorder.stopped);
    recorder.end();
    await within("both streams", Promise.all([received, recorder.ended]), 30_000);
    expect(recorder.received).toBe(length);
    expect(await within("the end", recorder.closed)).toBeNull();
    await until("the stream's end", () => relay.stats.targets[0]!.active === 0);
    expect(relay.stats).toMatchObject({ total: 1, active: 1, bytesUp: length, bytesDown: length });
    peer.connection.close(0, "");
    await until("the client's end", () => relay.stats.active === 0);
  });

  test("each stream is a connection of its own, with a row, and an end of one leaves the others", async () => {
    await using target = await WireServer.echo();
    await using relay = await start({ target: target.target });
    const peer = await connect(relay.port);
    const streams = [1, 2, 3].map(() => peer.open());
    for (const [i, { recorder }] of streams.entries()) recorder.write(Buffer.from(`stream ${i}`));
    await until("answers", () => streams.every(({ recorder }) => recorder.text !== ""));
    expect(streams.map(({ recorder }) => recorder.text)).toEqual([
      "stream 0",
      "stream 1",
      "stream 2",
    ]);
    const rows = relay.proxy.connections();
    expect(rows.map(({ target: to }) => to).toSorted()).toEqual([
      "",
      target.target,
      target.target,
      target.target,
    ]);
    expect(relay.stats).toMatchObject({ total: 1, active: 1 });
    expect(relay.stats.targets[0]).toMatchObject({ connects: 3, active: 3 });
    streams[0]!.recorder.end();
    expect(await within("its end", streams[0]!.recorder.closed)).toBeNull();
    streams[1]!.recorder.write(Buffer.from("!"));
    await until("an answer", () => streams[1]!.recorder.text.endsWith("!"));
    peer.connection.close(0, "");
  });

  test("a reset of either side is one of the other, with its code", async () => {
    await using target = await WireServer.listen();
    await using relay = await start({ target: target.target });
    const peer = await connect(relay.port);
    const first = peer.open();
    first.recorder.write(Buffer.from("x"));
    const far = await within("the target's client", target.accept());
    expect(await far.readBytes(1)).toBe("x");
    first.stream.abort(7);
    expect(await within("the reset", far.ending)).toBe("ECONNRESET");
    const second = peer.open();
    second.recorder.write(Buffer.from("y"));
    const other = await within("the target's client", target.accept());
    expect(await other.readBytes(1)).toBe("y");
    other.reset();
    const error = await within("the stream's reset", second.recorder.closed);
    expect(error).toMatchObject({ code: "ERR_QUIC_RESET" });
    await until("both ends", () => relay.stats.targets[0]!.active === 0);
    peer.connection.close(0, "");
  });

  test("a target that is down resets the stream, and is told of", async () => {
    await using relay = await start({ target: "127.0.0.1:1" });
    const peer = await connect(relay.port);
    const { recorder } = peer.open();
    recorder.write(Buffer.from("x"));
    expect(await within("the reset", recorder.closed)).toMatchObject({ code: "ERR_QUIC_RESET" });
    await until("the line", () => relay.refusals("target_down").length > 0);
    expect(relay.refusals("target_down")[0]).toContain("127.0.0.1:1: ECONNREFUSED");
    expect(relay.stats.active).toBe(1);
    peer.connection.close(0, "");
  });

  test("of streams at once there are as many as the listener allows", async () => {
    await using target = await WireServer.echo();
    await using relay = await start({ target: target.target, quic: { streams: 2 } });
    const peer = await connect(relay.port);
    const [first, second] = [peer.open(), peer.open()];
    expect(peer.connection.openStream()).toBeNull();
    for (const { recorder } of [first, second]) recorder.write(Buffer.from("x"));
    await until("echoes", () => first.recorder.text + second.recorder.text === "xx");
    first.recorder.end();
    await within("its end", first.recorder.closed);
    await until("room", () => peer.connection.openStream() !== null);
    peer.connection.close(0, "");
  });

  test("unidirectional streams are not agreed to", async () => {
    await using target = await WireServer.echo();
    await using relay = await start({ target: target.target });
    const peer = await connect(relay.port);
    expect(peer.connection.openUnidirectional()).toBeNull();
    expect(peer.connection.sendDatagram(new Uint8Array(1))).toBe(false);
    peer.connection.close(0, "");
  });

  test("limits are on connections, and whoever is beyond them gets none", async () => {
    await using target = await WireServer.echo();
    await using relay = await start({ target: target.target, maxConnections: 1 });
    const peer = await connect(relay.port);
    await until("the first", () => relay.stats.active === 1);
    const second = connect(relay.port, {
      transport: { ...TRANSPORT, handshakeMs: 1_000 },
    }).then(
      (other) => within("its end", other.closed),
      (error: unknown) => error,
    );
    await until("the refusal", () => relay.refusals("max_connections").length > 0);
    await within("the second's end", second);
    expect(relay.stats).toMatchObject({ total: 1, active: 1 });
    peer.connection.close(0, "");
  });

  test("a client that shows the token is let in, and one that does not is told so", async () => {
    await using target = await WireServer.echo();
    await using relay = await start({ target: target.target, quic: { tokenFile } });
    const welcome = await connect(relay.port);
    welcome.show(TOKEN);
    await until("the answer", () => welcome.opened.length === 1);
    const { recorder } = welcome.open();
    recorder.write(Buffer.from("x"));
    await until("the echo", () => recorder.text === "x");
    for (const act of [
      (peer: QuicPeer) => void peer.open().recorder.write(Buffer.from("x")),
      (peer: QuicPeer) => peer.show(TOKEN.replace("0", "1")),
      (peer: QuicPeer) => peer.show(TOKEN.slice(1)),
      (peer: QuicPeer) => peer.show("x".repeat(100_000)),
    ]) {
      const peer = await connect(relay.port);
      act(peer);
      const error = await within("the refusal", peer.closed);
      expect(error).toBeInstanceOf(QuicError);
      expect(error).toMatchObject({ code: "ERR_QUIC_CLOSED", wireCode: 1 });
      expect(error!.message).toContain("the token is missing or wrong");
    }
    expect(relay.stats.refused.quic_token).toBe(4);
    expect(relay.refusals("quic_token")[0]).toContain("it showed no token");
    expect(JSON.stringify(relay.log.lines)).not.toContain(TOKEN);
    expect(target.accepted).toBe(1);
    welcome.connection.close(0, "");
  });

  test("a client that shows nothing is not waited for", async () => {
    await using target = await WireServer.echo();
    const quic = { tokenFile };
    await using relay = await start({ target: target.target, quic, handshakeMs: 1_000 });
    const peer = await connect(relay.port);
    expect(await within("the refusal", peer.closed)).toMatchObject({ wireCode: 1 });
  });

  test("a stream without a byte for too long is reset, and its connection stays", async () => {
    await using target = await WireServer.echo();
    await using relay = await start({ target: target.target, idleMs: 300 });
    const peer = await connect(relay.port);
    const { recorder } = peer.open();
    recorder.write(Buffer.from("x"));
    expect(await within("the reset", recorder.closed)).toMatchObject({ code: "ERR_QUIC_RESET" });
    expect(relay.stats.active).toBe(1);
    peer.connection.close(0, "");
  });

  test("a drain waits for streams, and closes connections without any", async () => {
    await using target = await WireServer.echo();
    await using relay = await start({ target: target.target });
    const [busy, idle] = [await connect(relay.port), await connect(relay.port)];
    const { recorder } = busy.open();
    recorder.write(Buffer.from("x"));
    await until("the echo", () => recorder.text === "x");
    const stopped = relay.proxy.stop();
    expect(await within("the idle one's end", idle.closed)).toBeNull();
    recorder.write(Buffer.from("y"));
    await until("the echo", () => recorder.text === "xy");
    recorder.end();
    expect(await within("the end", recorder.closed)).toBeNull();
    expect(await within("the busy one's end", busy.closed)).toBeNull();
    expect(await within("the stop", stopped)).toEqual({ reset: 0 });
  });

  // The runtime takes no streams on an endpoint that is closed.
  if (driver === "quiche") {
    test("a drain takes streams that are on their way, and aborts later ones", async () => {
      await using target = await WireServer.echo();
      await using relay = await start({ target: target.target });
      const peer = await connect(relay.port);
      const { recorder: first } = peer.open();
      first.write(Buffer.from("x"));
      await until("the echo", () => first.text === "x");
      const stopped = relay.proxy.stop();
      const { recorder: second } = peer.open();
      second.write(Buffer.from("y"));
      await until("the echo", () => second.text === "y");
      second.end();
      expect(await within("the end", second.closed)).toBeNull();
      const refused = async (): Promise<boolean> => {
        const { recorder } = peer.open();
        recorder.write(Buffer.from("z"));
        await until("an answer", () => recorder.text !== "" || recorder.isClosed);
        if (!recorder.isClosed) recorder.end();
        const error = (await within("the end", recorder.closed)) as QuicError | null;
        return error?.wireCode === QUIC_CODES.draining;
      };
      await until("no more streams", refused);
      first.end();
      expect(await within("the end", first.closed)).toBeNull();
      expect(await within("the stop", stopped)).toEqual({ reset: 0 });
    });
  }

  test("the certificate fits the name that is asked for, and follows its files", async () => {
    const other = authority.issue(["b.example"]);
    const files = { certFile: other.certFile, keyFile: other.keyFile };
    const certificates: CertificatePlan[] = [OWN, files];
    await using target = await WireServer.echo();
    await using relay = await start({ target: target.target, certificates });
    for (const serverName of ["a.example", "b.example"]) {
      const peer = await connect(relay.port, { serverName });
      peer.connection.close(0, "");
    }
    const renewed = authority.issue(["c.example"]);
    await Bun.write(other.certFile, renewed.cert);
    await Bun.write(other.keyFile, renewed.key);
    relay.proxy.reloadCertificates();
    await until("the new certificate", () => relay.log.of("new certificates").length > 0);
    const named = (serverName: string): Promise<string> =>
      connect(relay.port, { serverName }).then(
        (peer) => {
          peer.connection.close(0, "");
          return "welcome";
        },
        (error: QuicError) => error.code,
      );
    await until("the swap", async () => (await named("c.example")) === "welcome");
    expect(await named("b.example")).toBe("ERR_QUIC_HANDSHAKE");
    expect(await named("a.example")).toBe("welcome");
  });

  test("clients without a protocol in common are refused", async () => {
    await using target = await WireServer.echo();
    await using relay = await start({ target: target.target, alpn: ["echo"] });
    const refused = connect(relay.port, { alpn: ["other"] });
    expect(await refused.catch((error: unknown) => error)).toMatchObject({
      code: "ERR_QUIC_HANDSHAKE",
    });
    const peer = await connect(relay.port, { alpn: ["echo"] });
    expect(peer.connection.tls.alpn).toBe("echo");
    peer.connection.close(0, "");
  });
});

test("a target that does not read stops the client, with bounded memory", async () => {
  await using target = await WireServer.listen();
  await using relay = await startQuic({
    certificates: [OWN],
    groups: [groupOf(target.target)],
    buffers: { highWatermarkBytes: 65_536, lowWatermarkBytes: 32_768 },
  });
  const peer = await QuicPeer.connect(relay.port, authority.ca);
  const { recorder } = peer.open();
  const far = await (async () => {
    recorder.write(Buffer.alloc(1));
    return within("the target's client", target.accept());
  })();
  far.socket.pause();
  recorder.sendStream(3, 32 * MIB);
  let seen = -1;
  let quietAt = performance.now();
  await until("what arrives comes to rest", () => {
    if (relay.stats.bytesUp !== seen) {
      seen = relay.stats.bytesUp;
      quietAt = performance.now();
    }
    return performance.now() - quietAt > 500;
  });
  expect(seen).toBeLessThan(16 * MIB);
  expect(recorder.stopped).toBe(true);
  const received = far.readToEnd();
  far.socket.resume();
  await until("all of it", () => recorder.wire.pending === 0 && !recorder.stopped, 30_000);
  recorder.end();
  expect((await within("the stream", received, 30_000)).length).toBe(32 * MIB + 1);
  peer.connection.close(0, "");
});
