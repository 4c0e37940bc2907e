// A connection to a backend (src/protocols/http/h2/client.ts) against frames that no server sends, or not in that order.

import { describe, expect, test } from "bun:test";

import * as C from "../../../../src/protocols/http/h2/constants.ts";
import { H1, H2 } from "../../../../src/shared/limits.ts";
import { H2TestClient } from "../../../support/h2-client.ts";
import { until } from "../../../support/until.ts";
import * as F from "./frames.ts";
import { MemoryWire } from "./memory-wire.ts";
import { errorsIn } from "./talk.ts";

const OK: readonly (readonly [string, string])[] = [[":status", "200"]];

/** A backend on a wire without a socket; tests play the server. */
class Play {
  readonly wire = new MemoryWire();
  readonly peer = new F.Peer();
  readonly client = new H2TestClient(this.wire);

  constructor(...settings: readonly (readonly [number, number])[]) {
    this.client.backend.sender.output.flush();
    this.wire.taken();
    this.send(F.settings(...settings), F.SETTINGS_ACK);
    this.said();
  }

  send(...frames: readonly Uint8Array[]): void {
    this.wire.handler.onData(F.join(...frames));
  }

  said(): F.Said[] {
    this.client.backend.sender.output.flush();
    return this.peer.read(this.wire.taken());
  }
}

describe("a backend", () => {
  test("is sent the preface and settings, and is ready when its own came", async () => {
    const wire = new MemoryWire();
    const client = new H2TestClient(wire);
    client.backend.sender.output.flush();
    const bytes = wire.taken();
    expect([...bytes.subarray(0, C.PREFACE.length)]).toEqual([...C.PREFACE]);
    expect(new F.Peer().read(bytes.subarray(C.PREFACE.length))[0]).toMatchObject({
      kind: "settings",
      pairs: [
        [C.SETTINGS_ENABLE_PUSH, 0],
        [C.SETTINGS_INITIAL_WINDOW_SIZE, H2.streamWindowBytes],
        [C.SETTINGS_MAX_HEADER_LIST_SIZE, 65_536],
      ],
    });
    expect(client.backend.free).toBe(0);
    wire.handler.onData(F.settings([C.SETTINGS_MAX_CONCURRENT_STREAMS, 3]));
    await client.ready;
    expect(client.backend.free).toBe(3);
  });

  test("takes as many requests as it allows, and tells when that changes", () => {
    const play = new Play([C.SETTINGS_MAX_CONCURRENT_STREAMS, 2]);
    const { client } = play;
    const first = client.ask();
    client.ask();
    expect([client.backend.free, client.backend.active]).toEqual([0, 2]);
    const { changes } = client;
    play.send(play.peer.headers(1, OK));
    expect([first.status, first.bodyless, client.backend.free]).toEqual([200, true, 1]);
    expect(client.changes).toBeGreaterThan(changes);
    play.send(F.settings([C.SETTINGS_MAX_CONCURRENT_STREAMS, 10_000]));
    expect(client.backend.free).toBe(H2.backendStreams - 1);
  });

  test("is sent requests in their own form", () => {
    const play = new Play([C.SETTINGS_ENABLE_CONNECT_PROTOCOL, 1]);
    play.client.ask({
      fields: [
        ["connection", "close"],
        ["x-own", "1"],
      ],
    });
    play.client.ask({
      method: "POST",
      path: "/a",
      body: new Uint8Array(3),
      trailers: [["x-sum", "7"]],
    });
    play.client.ask({ upgrade: "websocket", fields: [["sec-websocket-key", "k"]], body: null });
    const target = [
      [":scheme", "http"],
      [":authority", "a.example"],
    ];
    expect(play.said()).toMatchObject([
      {
        stream: 1,
        end: true,
        entries: [[":method", "GET"], ...target, [":path", "/"], ["x-own", "1"]],
      },
      { stream: 3, end: false, entries: [[":method", "POST"], ...target, [":path", "/a"]] },
      { kind: "data", stream: 3, end: false },
      { stream: 3, end: true, entries: [["x-sum", "7"]] },
      {
        stream: 5,
        end: false,
        entries: [[":method", "CONNECT"], ...target, [":path", "/"], [":protocol", "websocket"]],
      },
    ]);
  });

  test("that takes no extended CONNECT is not asked for upgrades", async () => {
    const play = new Play();
    const asked = await play.client.ask({ upgrade: "websocket", body: null }).over;
    expect([asked.status, asked.bodyless]).toEqual([501, true]);
    expect(play.said()).toEqual([]);
    expect(play.client.backend.active).toBe(0);
  });

  test("is not told of an upgrade that it was never asked for, nor of the requests that come at once", async () => {
    const play = new Play();
    const gone = play.client.ask({ upgrade: "websocket", body: null });
    const ended = play.client.ask({ upgrade: "websocket", body: null });
    const other = play.client.ask();
    ended.stream.sendEnd(null);
    gone.stream.reset({ code: "reset", message: "", unprocessed: false });
    expect(play.said()).toMatchObject([{ kind: "headers", stream: 1, end: true }]);
    play.send(play.peer.headers(1, OK));
    await Promise.all([ended.over, other.over]);
    expect([gone.status, ended.status, other.status, play.client.backend.active]).toEqual([
      0, 501, 200, 0,
    ]);
  });

  test("that declines an upgrade has its place free again", async () => {
    const play = new Play([C.SETTINGS_ENABLE_CONNECT_PROTOCOL, 1]);
    const whole = play.client.ask({ upgrade: "websocket", body: null });
    const bodied = play.client.ask({ upgrade: "websocket", body: null });
    play.said();
    play.send(
      play.peer.headers(1, [[":status", "403"]]),
      play.peer.headers(3, [[":status", "404"]], 0),
      F.data(3, "no", C.END_STREAM),
    );
    await Promise.all([whole.over, bodied.over]);
    expect([whole.status, bodied.text, play.client.backend.active]).toEqual([403, "no", 0]);
    expect(play.said()).toMatchObject([
      { kind: "data", stream: 1, end: true },
      { kind: "data", stream: 3, end: true },
    ]);
  });

  test("that never comes to its answer is left", async () => {
    const play = new Play();
    const asked = play.client.ask();
    for (let i = 0; i <= H1.interimMax; i++) {
      play.send(play.peer.headers(1, [[":status", "103"]], 0));
    }
    await asked.over;
    expect([asked.informational.length, asked.failure?.code]).toEqual([H1.interimMax, "malformed"]);
    expect(errorsIn(play.said())).toEqual(["RST_STREAM 1 PROTOCOL_ERROR"]);
  });

  test("answers in heads, bodies and trailers, and with 1xx before", async () => {
    const play = new Play();
    const asked = play.client.ask();
    play.send(
      play.peer.headers(
        1,
        [
          [":status", "103"],
          ["link", "</a>"],
        ],
        0,
      ),
      play.peer.headers(1, [...OK, ["content-length", "3"]], 0),
      F.data(1, "abc"),
      play.peer.headers(1, [["grpc-status", "0"]]),
    );
    await asked.over;
    expect([asked.informational, asked.status, asked.text, asked.trailers]).toEqual([
      [103],
      200,
      "abc",
      [["grpc-status", "0"]],
    ]);
  });

  test("has bodyless answers by HEAD and status, whatever follows", () => {
    const play = new Play();
    const head = play.client.ask({ method: "HEAD" });
    const not = play.client.ask();
    play.send(
      play.peer.headers(1, [...OK, ["content-length", "99"]], 0),
      F.data(1, "", C.END_STREAM),
      play.peer.headers(3, [
        [":status", "304"],
        ["content-length", "99"],
      ]),
    );
    expect([head.bodyless, head.contentLength, not.bodyless, not.contentLength]).toEqual([
      true,
      99,
      true,
      99,
    ]);
    expect(play.client.backend.active).toBe(0);
  });

  test("that breaks the rules of a stream fails that stream", () => {
    for (const frames of [
      () => [F.data(1, "abc")],
      (peer: F.Peer) => [peer.headers(1, [["x", "y"]])],
      (peer: F.Peer) => [peer.headers(1, [[":status", "101"]], 0)],
      (peer: F.Peer) => [peer.headers(1, [...OK, ["content-length", "2"]], 0), F.data(1, "abc")],
      (peer: F.Peer) => [
        peer.headers(1, [...OK, ["content-length", "2"]], 0),
        F.data(1, "a", C.END_STREAM),
      ],
      (peer: F.Peer) => [peer.headers(1, OK, 0), peer.headers(1, OK, 0)],
      (peer: F.Peer) => [peer.headers(1, [...OK, ["transfer-encoding", "chunked"]])],
    ]) {
      const play = new Play();
      const asked = play.client.ask();
      play.said();
      play.send(...frames(play.peer));
      expect(errorsIn(play.said())).toEqual(["RST_STREAM 1 PROTOCOL_ERROR"]);
      expect([asked.failure?.code, asked.failure?.unprocessed]).toEqual(["malformed", false]);
      expect(play.client.backend.closing).toBe(false);
    }
  });

  test("that breaks the rules of the connection is left, and all requests fail", async () => {
    for (const frame of [
      F.frame(C.HEADERS, C.END_HEADERS, 2, Uint8Array.of(0x88)),
      F.frame(C.HEADERS, C.END_HEADERS, 9, Uint8Array.of(0x88)),
      F.frame(C.HEADERS, C.END_HEADERS, 1, Uint8Array.of(0xff)),
      F.frame(C.PUSH_PROMISE, C.END_HEADERS, 1, new Uint8Array(5)),
      F.settings([C.SETTINGS_ENABLE_PUSH, 1]),
      F.windowUpdate(0, 0),
      F.data(2, "x"),
    ]) {
      const play = new Play();
      const asked = play.client.ask();
      play.send(frame);
      expect(asked.failure?.unprocessed).toBe(false);
      expect([play.client.backend.closing, play.client.backend.free, play.wire.ended]).toEqual([
        true,
        0,
        true,
      ]);
      expect(errorsIn(play.said())[0]).toStartWith("GOAWAY");
      play.wire.handler.onClose(null);
      expect((await play.client.gone)?.code).toBe("malformed");
    }
  });

  test("that sends GOAWAY has not processed what is beyond its last stream; the rest goes on", async () => {
    const play = new Play();
    const first = play.client.ask();
    const second = play.client.ask();
    play.send(F.goAway(1));
    expect([second.failure?.unprocessed, first.failure, play.client.backend.closing]).toEqual([
      true,
      null,
      true,
    ]);
    play.send(play.peer.headers(1, OK));
    expect(first.status).toBe(200);
    expect(play.wire.ended).toBe(true);
    play.wire.handler.onClose(null);
    expect(await play.client.gone).toBeNull();
  });

  test("that resets a stream with REFUSED_STREAM has not processed it; with others it may have", () => {
    for (const [code, unprocessed] of [
      [C.REFUSED_STREAM, true],
      [C.CANCEL, false],
      [C.INTERNAL_ERROR, false],
    ] as const) {
      const play = new Play();
      const asked = play.client.ask();
      play.send(F.reset(1, code));
      expect([asked.failure?.code, asked.failure?.unprocessed]).toEqual([
        "stream_reset",
        unprocessed,
      ]);
    }
  });

  test("may answer early and reset the rest, a thousand times", () => {
    const play = new Play();
    for (let id = 1; id < 2_000; id += 2) {
      const asked = play.client.ask({ method: "POST", body: null });
      play.send(play.peer.headers(id, OK), F.reset(id, C.NO_ERROR));
      expect([asked.isOver, asked.failure]).toEqual([true, null]);
    }
    expect([play.client.backend.closing, play.client.backend.active]).toEqual([false, 0]);
  });

  test("that resets a stream behind its whole answer loses none of it, nor one that closes", async () => {
    for (const end of [
      (play: Play) => play.send(F.reset(1, C.NO_ERROR)),
      (play: Play) => play.wire.handler.onClose(null),
      (play: Play) => play.wire.handler.onEnd(),
    ]) {
      const play = new Play();
      const asked = play.client.ask({ method: "POST", body: null, stalled: true });
      play.send(play.peer.headers(1, OK, 0), F.data(1, "abc", C.END_STREAM));
      end(play);
      expect([asked.status, asked.text, asked.isOver]).toEqual([200, "", false]);
      asked.stream.resume();
      expect([asked.text, asked.isOver, asked.failure]).toEqual(["abc", true, null]);
    }
  });

  test("that answers early is not sent the rest once its owner resets the stream", () => {
    const play = new Play();
    const asked = play.client.ask({ method: "POST", body: null });
    play.send(play.peer.headers(1, OK));
    expect(asked.isOver).toBe(true);
    asked.stream.reset({ code: "closed", message: "", unprocessed: false });
    expect(asked.stream.sendBody(new Uint8Array(5))).toBe(false);
    expect(play.client.backend.active).toBe(0);
  });

  test("is only asked whether it lives while requests wait, and is given up if it says nothing", async () => {
    const play = new Play();
    play.client.backend.sweep(1_000);
    play.client.backend.sweep(100_000);
    expect(play.said()).toEqual([]);
    const asked = play.client.ask();
    play.said();
    play.client.backend.sweep(100_000 + H2.idlePingMs);
    expect(play.said()).toMatchObject([{ kind: "ping", ack: false }]);
    play.send(F.ping("are you?", C.ACK));
    play.client.backend.sweep(101_000 + H2.idlePingMs);
    play.client.backend.sweep(101_000 + 2 * H2.idlePingMs);
    expect(play.said()).toMatchObject([{ kind: "ping", ack: false }]);
    play.client.backend.sweep(101_000 + 2 * H2.idlePingMs + H2.pingAckMs);
    expect(asked.failure?.code).toBe("timeout");
    expect((await play.client.gone)?.code).toBe("timeout");
    expect(play.wire.wasReset).toBe(true);
  });

  test("closes in order when it is told to, once its requests are over", async () => {
    const play = new Play();
    const asked = play.client.ask();
    play.client.backend.close();
    expect([play.client.backend.free, play.wire.ended]).toEqual([0, false]);
    play.send(play.peer.headers(1, OK));
    expect([asked.status, play.wire.ended]).toEqual([200, true]);
    const resting = new Play();
    resting.client.backend.close();
    expect(errorsIn(resting.said())).toEqual(["GOAWAY NO_ERROR"]);
    await until("it has ended", () => resting.wire.ended);
  });

  test("holds no more of a stalled answer than its window, and the others go on", () => {
    const play = new Play();
    const stalled = play.client.ask({ stalled: true });
    const other = play.client.ask();
    play.send(play.peer.headers(1, OK, 0), play.peer.headers(3, OK, 0));
    for (let i = 0; i < H2.streamWindowBytes / 16_384; i++)
      play.send(F.data(1, new Uint8Array(16_384)));
    for (let i = 0; i < 100; i++) play.send(F.data(3, new Uint8Array(16_384)));
    const returned = play
      .said()
      .reduce(
        (sum, each) => sum + (each.kind === "window" && each.stream === 3 ? each.increment : 0),
        0,
      );
    expect([other.received, stalled.received]).toEqual([100 * 16_384, 0]);
    expect(returned).toBeGreaterThan(100 * 16_384 - H2.streamWindowBytes);
    play.send(F.data(1, new Uint8Array(1)));
    expect(errorsIn(play.said())).toEqual(["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
  });
});
