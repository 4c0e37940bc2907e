// A client's connection (src/protocols/http/h2/server.ts) against frames that no client sends, or not in that order.

import { describe, expect, test } from "bun:test";

import * as C from "../../../../src/protocols/http/h2/constants.ts";
import { fieldsOf } from "../../../../src/protocols/http/message/fields.ts";
import { ResponseHead } from "../../../../src/protocols/http/message/heads.ts";
import { H2 } from "../../../../src/shared/limits.ts";
import { echo, hello } from "../../../support/h2-takers.ts";
import * as F from "./frames.ts";
import { errorsIn, type Taken, Talk } from "./talk.ts";

const { GET, POST } = F;
/** As many full ones as a stream's window takes. */
const FRAMES = H2.streamWindowBytes / 16_384;
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(0x61);

function answer(status = 200, entries: readonly (readonly [string, string])[] = []): ResponseHead {
  const head = new ResponseHead();
  head.status = status;
  head.fields.copy(fieldsOf(entries));
  return head;
}

function kinds(said: readonly F.Said[]): string[] {
  return said.map((each) => ("stream" in each ? `${each.kind} ${each.stream}` : each.kind));
}

function bodyOf(said: readonly F.Said[], stream: number): number {
  return said.reduce(
    (sum, each) => sum + (each.kind === "data" && each.stream === stream ? each.bytes.length : 0),
    0,
  );
}

describe("the connection", () => {
  test("says its settings first, and acknowledges the client's", () => {
    const talk = new Talk({ silent: true, limits: { streams: 7, headBytes: 9_000 } });
    expect(talk.said()).toEqual([
      {
        kind: "settings",
        ack: false,
        pairs: [
          [C.SETTINGS_MAX_CONCURRENT_STREAMS, 7],
          [C.SETTINGS_INITIAL_WINDOW_SIZE, H2.streamWindowBytes],
          [C.SETTINGS_MAX_HEADER_LIST_SIZE, 9_000],
          [C.SETTINGS_ENABLE_CONNECT_PROTOCOL, 1],
        ],
      },
      { kind: "window", stream: 0, increment: H2.connectionWindowBytes - C.FIRST_WINDOW },
    ]);
    expect(talk.ask(C.PREFACE, F.settings())).toEqual([{ kind: "settings", ack: true, pairs: [] }]);
  });

  test("what one turn brings leaves in one write, and an answer of one piece has no frame that is empty", () => {
    const talk = new Talk({ taker: hello });
    const { writes } = talk.wire;
    const said = talk.ask(talk.peer.headers(1, GET), talk.peer.headers(3, GET), F.ping());
    expect(talk.wire.writes).toBe(writes + 1);
    expect(kinds(said)).toEqual(["headers 1", "data 1", "headers 3", "data 3", "ping"]);
    expect(said[1]).toMatchObject({ end: true });
  });

  test("PING is answered with its own octets", () => {
    expect(new Talk().ask(F.ping("abcdefgh"))).toEqual([
      { kind: "ping", ack: true, text: "abcdefgh" },
    ]);
  });

  test("is told as gone once, and its requests as failed", () => {
    const talk = new Talk();
    talk.send(talk.peer.headers(1, POST, 0));
    talk.wire.handler.onClose(null);
    talk.server.destroy();
    expect(talk.taken[0]!.failure?.code).toBe("closed");
    expect(talk.gone).toBeNull();
  });

  test("a FIN ends requests that are not whole; others are answered", () => {
    const talk = new Talk();
    talk.send(talk.peer.headers(1, POST, 0), talk.peer.headers(3, GET));
    talk.wire.handler.onEnd();
    expect(talk.taken.map(({ failure }) => failure?.code)).toEqual(["closed", undefined]);
    expect(talk.wire.ended).toBe(false);
    talk.taken[1]!.stream.sendHead(answer());
    talk.taken[1]!.stream.sendEnd(null);
    expect(talk.wire.ended).toBe(true);
  });
});

describe("requests", () => {
  test("bodies begin paused, are told in order, and their end and trailers behind them", () => {
    const talk = new Talk();
    talk.send(
      talk.peer.headers(1, [...POST, ["content-length", "6"]], 0),
      F.data(1, "abc"),
      F.data(1, "def"),
    );
    talk.send(talk.peer.headers(1, [["x-sum", "7"]]));
    const [taken] = talk.taken as [Taken];
    expect(taken.head.contentLength).toBe(6);
    expect([taken.body, taken.ended]).toEqual(["", false]);
    taken.stops = true;
    taken.stream.resume();
    expect([taken.body, taken.ended]).toEqual(["abcdef", false]);
    taken.stream.resume();
    expect(taken.ended).toBe(true);
    expect(taken.trailers).toEqual([["x-sum", "7"]]);
  });

  test("an answer before the request's end resets the rest of it with NO_ERROR, and ignores what was under way", () => {
    const talk = new Talk();
    talk.send(talk.peer.headers(1, POST, 0));
    const { stream } = talk.taken[0]!;
    stream.sendHead(answer());
    stream.sendEnd(null);
    expect(errorsIn(talk.said())).toEqual(["RST_STREAM 1 NO_ERROR"]);
    expect(errorsIn(talk.ask(F.data(1, "abc"), F.data(1, "", C.END_STREAM)))).toEqual([]);
    expect(talk.taken[0]!.failure).toBeNull();
  });

  test("a body that is not as long as it said is malformed", () => {
    for (const frames of [
      [F.data(1, "abcd")],
      [F.data(1, "ab", C.END_STREAM)],
      [F.data(1, "abc"), F.data(1, "d", C.END_STREAM)],
    ]) {
      const talk = new Talk();
      talk.send(talk.peer.headers(1, [...POST, ["content-length", "3"]], 0));
      expect(errorsIn(talk.ask(...frames))).toEqual(["RST_STREAM 1 PROTOCOL_ERROR"]);
      expect(talk.taken[0]!.failure?.code).toBe("malformed");
      expect(talk.taken[0]!.ended).toBe(false);
    }
  });

  test("malformed heads and trailers are stream errors, and the connection goes on", () => {
    const talk = new Talk({ taker: hello });
    expect(errorsIn(talk.ask(talk.peer.headers(1, [...GET, ["connection", "close"]])))).toEqual([
      "RST_STREAM 1 PROTOCOL_ERROR",
    ]);
    expect(talk.refusals).toEqual([{ reason: "http_malformed", detail: expect.any(String) }]);
    expect(kinds(talk.ask(talk.peer.headers(3, GET)))).toEqual(["headers 3", "data 3"]);
    const second = new Talk();
    second.send(second.peer.headers(1, POST, 0));
    expect(errorsIn(second.ask(second.peer.headers(1, [["x", "y"]], 0)))).toEqual([
      "RST_STREAM 1 PROTOCOL_ERROR",
    ]);
  });

  test("heads beyond the limit are answered with 431, and tables stay in step", () => {
    const talk = new Talk({ limits: { headBytes: 2_000 } });
    const large: [string, string] = ["x-large", "v".repeat(1_900)];
    const said = talk.ask(talk.peer.headers(1, [...GET, ["x-a", "1"], ["x-a", "1"], large]));
    expect(said[0]).toMatchObject({
      kind: "headers",
      end: true,
      entries: [
        [":status", "431"],
        ["content-length", "0"],
      ],
    });
    expect(errorsIn(said)).toEqual([]);
    expect(talk.refusals[0]!.reason).toBe("http_head_too_large");
    talk.send(talk.peer.headers(3, [...GET, ["x-a", "1"]]));
    expect(talk.taken[0]!.head.fields.entries()).toEqual([["x-a", "1"]]);
    const unfinished = new Talk({ limits: { headFields: 5 } });
    const many = [1, 2, 3].map((i): [string, string] => [`x-${i}`, "v"]);
    expect(errorsIn(unfinished.ask(unfinished.peer.headers(1, [...POST, ...many], 0)))).toEqual([
      "RST_STREAM 1 NO_ERROR",
    ]);
  });

  test("streams beyond the limit are refused, and may be opened again later", () => {
    const talk = new Talk({ limits: { streams: 2 } });
    const { peer } = talk;
    expect(
      errorsIn(talk.ask(peer.headers(1, GET), peer.headers(3, GET), peer.headers(5, GET))),
    ).toEqual(["RST_STREAM 5 REFUSED_STREAM"]);
    talk.taken[0]!.stream.sendHead(Object.assign(answer(), { bodyless: true }));
    talk.said();
    expect(errorsIn(talk.ask(peer.headers(7, GET)))).toEqual([]);
    expect(talk.taken.length).toBe(3);
  });

  test("cancelled requests are told once, and nothing is sent for them any more", () => {
    const talk = new Talk();
    talk.send(talk.peer.headers(1, GET), F.reset(1));
    const [taken] = talk.taken as [Taken];
    expect(taken.failure?.code).toBe("reset");
    taken.stream.sendHead(answer());
    expect(taken.stream.sendBody(bytes(10))).toBe(false);
    taken.stream.sendEnd(null);
    taken.stream.reset({ code: "internal", message: "", unprocessed: false });
    taken.stream.resume();
    expect(talk.said()).toEqual([]);
  });

  test("informational heads, trailers, and what a reset says", () => {
    const talk = new Talk();
    talk.send(talk.peer.headers(1, GET), talk.peer.headers(3, GET), talk.peer.headers(5, GET));
    const [first, second, third] = talk.taken as [Taken, Taken, Taken];
    first.stream.sendInformational(answer(103, [["link", "</a>"]]));
    first.stream.sendHead(
      answer(200, [
        ["Connection", "close"],
        ["Transfer-Encoding", "chunked"],
        ["X-Own", "1"],
      ]),
    );
    first.stream.sendBody(bytes(3));
    first.stream.sendEnd(fieldsOf([["grpc-status", "0"]]));
    second.stream.sendHead(Object.assign(answer(304), { bodyless: true, contentLength: 5 }));
    third.stream.reset({ code: "closed", message: "", unprocessed: false });
    const said = talk.said();
    expect(kinds(said)).toEqual([
      "headers 1",
      "headers 1",
      "data 1",
      "headers 1",
      "headers 3",
      "reset 5",
    ]);
    expect(said[0]).toMatchObject({
      end: false,
      entries: [
        [":status", "103"],
        ["link", "</a>"],
      ],
    });
    expect(said[1]).toMatchObject({
      end: false,
      entries: [
        [":status", "200"],
        ["x-own", "1"],
      ],
    });
    expect(said[3]).toMatchObject({ end: true, entries: [["grpc-status", "0"]] });
    expect(said[4]).toMatchObject({
      end: true,
      entries: [
        [":status", "304"],
        ["content-length", "5"],
      ],
    });
    expect(said[5]).toMatchObject({ code: C.INTERNAL_ERROR });
  });

  test("extended CONNECT is an upgrade whose directions end apart", () => {
    const talk = new Talk({ taker: echo });
    const connect: [string, string][] = [
      [":method", "CONNECT"],
      [":protocol", "websocket"],
      [":scheme", "https"],
      [":path", "/chat"],
      [":authority", "a.example"],
    ];
    const said = talk.ask(talk.peer.headers(1, connect, 0), F.data(1, "hi"));
    expect(said[0]).toMatchObject({ kind: "headers", end: false, entries: [[":status", "200"]] });
    expect(bodyOf(said, 1)).toBe(2);
    expect(talk.ask(F.data(1, "", C.END_STREAM))).toEqual([
      { kind: "data", stream: 1, end: true, bytes: new Uint8Array(0) },
    ]);
  });

  test("a head of more than a frame goes out and comes in with CONTINUATION", () => {
    const long = Array.from({ length: 100 }, (_, i): [string, string] => [
      `x-${i}`,
      `${i} `.repeat(100) + i,
    ]);
    const talk = new Talk({
      take: ({ stream, head }) => stream.sendHead(answer(200, head.fields.entries())),
    });
    const block = talk.peer.block([...GET, ...long]);
    const frames = [F.frame(C.HEADERS, C.END_STREAM, 1, block.subarray(0, 10_000))];
    frames.push(F.frame(C.CONTINUATION, 0, 1, block.subarray(10_000, 20_000)));
    frames.push(F.frame(C.CONTINUATION, C.END_HEADERS, 1, block.subarray(20_000)));
    const said = talk.ask(...frames);
    expect(said).toEqual([
      { kind: "headers", stream: 1, end: false, entries: [[":status", "200"], ...long] },
    ]);
  });
});

describe("flow control", () => {
  test("no more is sent than both windows allow, and streams take turns", () => {
    const talk = new Talk({ settings: [[C.SETTINGS_INITIAL_WINDOW_SIZE, 50_000]] });
    talk.send(talk.peer.headers(1, GET), talk.peer.headers(3, GET));
    const [first, second] = talk.taken as [Taken, Taken];
    for (const { stream } of [first, second]) {
      stream.sendHead(answer());
      expect(stream.sendBody(bytes(60_000))).toBe(false);
    }
    let said = talk.said();
    expect([bodyOf(said, 1), bodyOf(said, 3)]).toEqual([50_000, 15_535]);
    expect(talk.ask(F.windowUpdate(1, 100_000))).toEqual([]);
    said = talk.ask(F.windowUpdate(0, 40_000));
    expect(kinds(said)).toEqual(["data 3", "data 1", "data 3"]);
    expect([bodyOf(said, 1), bodyOf(said, 3)]).toEqual([10_000, 30_000]);
    expect([first.drains, second.drains]).toEqual([1, 0]);
    said = talk.ask(
      F.windowUpdate(0, 100_000),
      F.settings([C.SETTINGS_INITIAL_WINDOW_SIZE, 60_000]),
    );
    expect(bodyOf(said, 3)).toBe(14_465);
    expect(second.drains).toBe(1);
  });

  test("a window may become negative, and an end waits behind what waits", () => {
    const talk = new Talk();
    talk.send(F.windowUpdate(0, 1_000_000), talk.peer.headers(1, GET));
    const { stream } = talk.taken[0]!;
    stream.sendHead(answer());
    stream.sendBody(bytes(65_536));
    stream.sendEnd(fieldsOf([["x-t", "1"]]));
    expect(bodyOf(talk.said(), 1)).toBe(65_535);
    expect(kinds(talk.ask(F.settings([C.SETTINGS_INITIAL_WINDOW_SIZE, 10])))).toEqual(["settings"]);
    expect(talk.ask(F.windowUpdate(1, 65_525))).toEqual([]);
    expect(kinds(talk.ask(F.windowUpdate(1, 1)))).toEqual(["data 1", "headers 1"]);
  });

  test("a client gets its window back for what was taken, and not for what waits", () => {
    const talk = new Talk();
    talk.send(talk.peer.headers(1, POST, 0));
    for (let i = 0; i < FRAMES / 2; i++) talk.send(F.data(1, bytes(16_384)));
    expect(talk.said()).toEqual([]);
    const [taken] = talk.taken as [Taken];
    taken.stops = true;
    taken.stream.resume();
    expect(talk.said()).toEqual([]); // it was taken, and made the taker stop
    taken.stops = false;
    taken.stream.resume();
    expect(talk.said()).toEqual([
      { kind: "window", stream: 1, increment: H2.streamWindowBytes / 2 },
    ]);
  });

  test("streams that stall are bounded each and together", () => {
    const talk = new Talk();
    talk.send(talk.peer.headers(1, POST, 0));
    for (let i = 0; i < FRAMES; i++) talk.send(F.data(1, bytes(16_384)));
    expect(errorsIn(talk.ask(F.data(1, bytes(1))))).toEqual(["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
    const many = new Talk();
    let sent = 0;
    for (let id = 1; sent < H2.connectionWindowBytes; id += 2) {
      many.send(many.peer.headers(id, POST, 0));
      for (let i = 0; i < FRAMES; i++, sent += 16_384) many.send(F.data(id, bytes(16_384)));
    }
    expect(errorsIn(many.said())).toEqual([]);
    many.send(many.peer.headers(201, POST, 0));
    expect(errorsIn(many.ask(F.data(201, bytes(1))))).toEqual(["GOAWAY FLOW_CONTROL_ERROR"]);
  });

  test("what a stream held when it ended is given back to the connection, also in the middle of a frame", () => {
    const talk = new Talk();
    let returned = 0;
    for (let id = 1; id < 400; id += 2) {
      const frame = F.data(id, bytes(16_384));
      talk.send(talk.peer.headers(id, POST, 0), frame.subarray(0, 9_000));
      talk.taken.at(-1)!.stream.sendHead(Object.assign(answer(), { bodyless: true }));
      const said = talk.ask(frame.subarray(9_000));
      for (const each of said)
        if (each.kind === "window" && each.stream === 0) returned += each.increment;
    }
    expect(returned).toBeGreaterThan(200 * 16_384 - H2.connectionWindowBytes);
  });

  test("a wire that takes no more stops streams, which go on in turns when it drains", () => {
    const talk = new Talk({ settings: [[C.SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30]] });
    talk.wire.flowing = false;
    talk.wire.highBytes = 100_000;
    talk.send(F.windowUpdate(0, 1 << 30), talk.peer.headers(1, GET), talk.peer.headers(3, GET));
    for (const { stream } of talk.taken) {
      stream.sendHead(answer());
      for (let i = 0; i < 10; i++) stream.sendBody(bytes(65_536));
      stream.sendEnd(null);
    }
    expect(talk.wire.pending).toBeLessThan(100_000 + 2 * H2.outputBytes);
    let said = talk.said();
    for (let i = 0; i < 30; i++) {
      talk.wire.drain();
      said = [...said, ...talk.said()];
    }
    expect([bodyOf(said, 1), bodyOf(said, 3)]).toEqual([655_360, 655_360]);
    const order = kinds(said.filter(({ kind }) => kind === "data")).slice(-20);
    expect(new Set(order).size).toBe(2);
  });
});

describe("the end of a connection", () => {
  test("goes in two steps, and what is under way is answered", () => {
    const talk = new Talk();
    talk.send(talk.peer.headers(1, GET));
    talk.server.drain();
    talk.server.drain();
    const said = talk.said();
    expect(said).toMatchObject([
      { kind: "goaway", last: C.MAXIMUM, code: C.NO_ERROR },
      { kind: "ping", ack: false, text: "draining" },
    ]);
    talk.send(talk.peer.headers(3, GET));
    expect(talk.ask(F.ping("draining", C.ACK))).toMatchObject([
      { kind: "goaway", last: 3, code: C.NO_ERROR },
    ]);
    // What was sent before the client knew does not end what is under way.
    const late = talk.ask(
      talk.peer.headers(5, [...GET, ["x-a", "1"]], 0),
      F.data(5, "late"),
      F.windowUpdate(5, 1),
      F.data(5, "", C.END_STREAM),
    );
    expect(errorsIn(late)).toEqual(["RST_STREAM 5 REFUSED_STREAM"]);
    expect(talk.taken.length).toBe(2);
    for (const { stream } of talk.taken) {
      expect(talk.wire.ended).toBe(false);
      stream.sendHead(Object.assign(answer(), { bodyless: true }));
    }
    expect(talk.wire.ended).toBe(true);
  });

  test("comes without the answer to PING after a while, after a rest, a number of requests, or a lifetime", () => {
    const silent = new Talk();
    silent.server.drain();
    silent.server.sweep(9_000); // the one before was long ago
    silent.server.sweep(9_000 + H2.drainPingMs - 1);
    expect(silent.wire.ended).toBe(false);
    silent.server.sweep(9_000 + H2.drainPingMs);
    expect(silent.wire.ended).toBe(true);
    const resting = new Talk({ timeouts: { keepaliveMs: 5_000 } });
    resting.server.sweep(5_999);
    expect(resting.said()).toEqual([]);
    resting.server.sweep(6_000);
    expect(kinds(resting.said())).toEqual(["goaway", "ping"]);
    const old = new Talk({ timeouts: { lifetimeMs: 9_000 } });
    old.send(old.peer.headers(1, GET)); // one that always has a request would never end otherwise
    old.server.sweep(10_000);
    expect(kinds(old.said())).toEqual(["goaway", "ping"]);
    const busy = new Talk({ taker: hello, limits: { requestsPerConnection: 2 } });
    expect(kinds(busy.ask(busy.peer.headers(1, GET)))).toEqual(["headers 1", "data 1"]);
    expect(kinds(busy.ask(busy.peer.headers(3, GET)))).toEqual([
      "goaway",
      "ping",
      "headers 3",
      "data 3",
    ]);
  });

  test("a peer that does not close is reset", () => {
    const talk = new Talk();
    talk.server.drain();
    talk.send(F.ping("draining", C.ACK));
    expect([talk.wire.ended, talk.wire.wasReset]).toEqual([true, false]);
    talk.server.sweep(1_000 + H2.lingerMs);
    expect(talk.wire.wasReset).toBe(true);
    expect(talk.gone).toBeNull();
  });
});
