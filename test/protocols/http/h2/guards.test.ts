// Hostile clients (src/protocols/http/h2/guards.ts and who asks it): each flood ends its connection, and is counted by its kind.

import { describe, expect, test } from "bun:test";

import * as C from "../../../../src/protocols/http/h2/constants.ts";
import { ResponseHead } from "../../../../src/protocols/http/message/heads.ts";
import { H2 } from "../../../../src/shared/limits.ts";
import { hello } from "../../../support/h2-takers.ts";
import * as F from "./frames.ts";
import { errorsIn, refusalsOf, Talk } from "./talk.ts";

const { GET, POST } = F;
const CALM = "GOAWAY ENHANCE_YOUR_CALM";

/** Sends the same again and again. @returns after how many times the connection was ended. */
function flood(talk: Talk, make: (i: number) => Uint8Array, most = 20_000): number {
  for (let i = 1; i <= most; i++) {
    talk.send(make(i));
    if (talk.wire.ended) {
      expect(errorsIn(talk.said())).toContain(CALM);
      return i;
    }
  }
  return Infinity;
}

describe("floods", () => {
  test("rapid reset (CVE-2023-44487): streams that are opened and cancelled", () => {
    const talk = new Talk();
    const times = flood(talk, (i) => F.join(talk.peer.headers(i * 2 - 1, GET), F.reset(i * 2 - 1)));
    expect(times).toBe(H2.resets.burst + 1);
    expect(refusalsOf(talk)).toEqual(["http2_rapid_reset"]);
    expect(talk.taken.every(({ failure }) => failure?.code === "reset")).toBe(true);
  });

  test("MadeYouReset (CVE-2025-8671): streams that the client has us reset", () => {
    for (const provoke of [
      (id: number) => F.windowUpdate(id, 0),
      (id: number) => F.windowUpdate(id, C.MAXIMUM),
      (id: number) => F.frame(C.PRIORITY, 0, id, Uint8Array.from([...F.uint32(id), 1])),
      (id: number) => F.frame(C.PRIORITY, 0, id, new Uint8Array(4)),
      (id: number) => F.data(id, "more than its length"),
    ]) {
      const talk = new Talk();
      const head = [...POST, ["content-length", "1"]] as const;
      const times = flood(talk, (i) =>
        F.join(talk.peer.headers(i * 2 - 1, head, 0), provoke(i * 2 - 1)),
      );
      expect(times).toBe(H2.resets.burst + 1);
      expect(refusalsOf(talk)).toContain("http2_rapid_reset");
    }
  });

  test("requests that are malformed, or beyond the number of streams, count as well", () => {
    const malformed = new Talk();
    expect(flood(malformed, (i) => malformed.peer.headers(i * 2 - 1, [...GET, ["te", "x"]]))).toBe(
      H2.resets.burst + 1,
    );
    const many = new Talk({ limits: { streams: 3 } });
    expect(flood(many, (i) => many.peer.headers(i * 2 - 1, GET))).toBe(3 + H2.resets.burst + 1);
  });

  test("a client that cancels now and then is not hostile", () => {
    const talk = new Talk();
    for (let i = 0; i < 2_000; i++) {
      talk.send(talk.peer.headers(i * 2 + 1, GET), F.reset(i * 2 + 1));
      if (i % 20 === 0) talk.server.sweep(1_000 + i * 50);
    }
    expect(talk.wire.ended).toBe(false);
  });

  test("one that cancels every second of many requests is not, nor one that pings for each frame that it is sent", () => {
    const talk = new Talk({ taker: hello });
    for (let i = 1; i < 4_000; i += 4) {
      talk.send(talk.peer.headers(i, GET), talk.peer.headers(i + 2, POST, 0), F.ping());
    }
    expect(talk.wire.ended).toBe(false);
    const half = new Talk();
    for (let i = 1; i < 4_000; i += 4) {
      half.send(half.peer.headers(i, GET), half.peer.headers(i + 2, GET), F.reset(i + 2));
      half.taken.at(-2)!.stream.sendHead(Object.assign(new ResponseHead(), { bodyless: true }));
    }
    expect(half.wire.ended).toBe(false);
  });

  test("PING, SETTINGS, empty DATA, PRIORITY, unknown frames, WINDOW_UPDATE", () => {
    for (const [make, burst] of [
      [() => F.ping(), H2.pings.burst],
      [() => F.ping("nobody's", C.ACK), H2.pings.burst],
      [() => F.settings([1, 100]), H2.settings.burst - 1],
      [() => F.SETTINGS_ACK, H2.settings.burst - 1],
      [() => F.data(1, ""), H2.emptyData.burst],
      [() => F.frame(C.DATA, C.PADDED, 1, Uint8Array.of(3, 0, 0, 0)), H2.emptyData.burst],
      [() => F.frame(C.PRIORITY, 0, 1, Uint8Array.of(0, 0, 0, 3, 1)), H2.uselessFrames.burst],
      [() => F.frame(99, 0, 1), H2.uselessFrames.burst],
      [() => F.windowUpdate(1, 1), H2.windowUpdates.burst],
      [() => F.windowUpdate(0, 1), H2.windowUpdates.burst],
    ] as const) {
      const talk = new Talk();
      talk.send(talk.peer.headers(1, POST, 0));
      expect(flood(talk, make)).toBe(burst + 1);
      expect(refusalsOf(talk)).toEqual(["http2_flood"]);
      expect(talk.taken[0]!.failure?.code).toBe("malformed");
    }
  });

  test("WINDOW_UPDATE for each frame of a long answer is no flood", () => {
    const talk = new Talk();
    talk.send(talk.peer.headers(1, GET));
    const { stream } = talk.taken[0]!;
    stream.sendHead(new ResponseHead());
    for (let i = 0; i < 10_000; i++) {
      stream.sendBody(new Uint8Array(100));
      talk.send(F.windowUpdate(0, 100), F.windowUpdate(1, 100));
      talk.said();
    }
    expect(talk.wire.ended).toBe(false);
  });

  test("CONTINUATION (CVE-2024-27316): a block of many small or empty frames, or one without end", () => {
    const talk = new Talk();
    talk.send(F.frame(C.HEADERS, 0, 1, talk.peer.block(GET)));
    expect(flood(talk, () => F.frame(C.CONTINUATION, 0, 1))).toBe(H2.continuations);
    expect(refusalsOf(talk)).toEqual(["http2_flood"]);
    const slow = new Talk({ timeouts: { headMs: 5_000 } });
    slow.send(F.frame(C.HEADERS, 0, 1, slow.peer.block(GET)));
    slow.server.sweep(2_000);
    slow.server.sweep(6_900);
    expect(slow.wire.ended).toBe(false);
    slow.server.sweep(7_000);
    expect(slow.wire.ended).toBe(true);
    expect(refusalsOf(slow)).toEqual(["http_head_timeout"]);
  });

  test("HPACK bombs: a block of references to one large field is no answer's worth, and is counted", () => {
    const talk = new Talk({ limits: { headBytes: 16_384 } });
    const prime = [0x40, 0x01, 0x61, 0x7f, 0xa1, 0x1e, ...new Uint8Array(4_000).fill(0x62)];
    const bomb = Uint8Array.from([
      ...talk.peer.block(GET),
      ...prime,
      ...new Uint8Array(10_000).fill(0xbe),
    ]);
    const said = talk.ask(F.frame(C.HEADERS, C.END_HEADERS | C.END_STREAM, 1, bomb));
    expect(said[0]).toMatchObject({ kind: "headers", stream: 1, end: true });
    expect(talk.taken.length).toBe(0);
    expect(refusalsOf(talk)).toEqual(["http2_header_bomb"]);
  });

  test("a client that asks and does not read is not read", () => {
    const talk = new Talk({ taker: hello, limits: { streams: 100 } });
    talk.wire.flowing = false;
    talk.wire.highBytes = 64 * 1_024;
    let sent = 0;
    for (; !talk.wire.paused && sent < 100_000; sent++) {
      talk.send(talk.peer.headers(sent * 2 + 1, [[":method", "HEAD"], ...GET.slice(1)]));
      talk.server.sender.output.flush();
    }
    expect(talk.wire.paused).toBe(true);
    expect(talk.wire.pending).toBeLessThan(64 * 1_024 + H2.stalledOutputBytes + 2 * H2.outputBytes);
    talk.wire.drain();
    expect(talk.wire.paused).toBe(false);
  });
});

describe("slow clients", () => {
  test("one that never sends its preface, or does not acknowledge settings, is not waited for", () => {
    const silent = new Talk({ silent: true, timeouts: { headMs: 5_000 } });
    silent.server.sweep(5_999);
    expect(silent.wire.ended).toBe(false);
    silent.server.sweep(6_000);
    expect(silent.wire.ended).toBe(true);
    expect(refusalsOf(silent)).toEqual(["http_head_timeout"]);
    const deaf = new Talk({ silent: true });
    deaf.send(C.PREFACE, F.settings());
    deaf.server.sweep(999 + H2.settingsAckMs);
    expect(deaf.wire.ended).toBe(false);
    deaf.server.sweep(1_000 + H2.settingsAckMs);
    expect(errorsIn(deaf.said())).toEqual(["GOAWAY SETTINGS_TIMEOUT"]);
  });

  test("a reader that never opens its window is cut off, others are not", () => {
    const talk = new Talk({ settings: [[C.SETTINGS_INITIAL_WINDOW_SIZE, 100]] });
    talk.send(talk.peer.headers(1, GET), talk.peer.headers(3, GET));
    for (const { stream } of talk.taken) {
      stream.sendHead(new ResponseHead());
      stream.sendBody(new Uint8Array(60_000));
    }
    for (let nowMs = 2_000; nowMs <= 12_000; nowMs += 1_000) {
      talk.server.sweep(nowMs);
      talk.send(F.windowUpdate(3, 300));
    }
    talk.server.sweep(13_000);
    expect(errorsIn(talk.said())).toEqual(["RST_STREAM 1 CANCEL"]);
    expect(talk.taken.map(({ failure }) => failure?.code)).toEqual(["timeout", undefined]);
    expect(refusalsOf(talk)).toEqual(["http_slow"]);
  });

  test("nobody is too slow whom our own limit of bandwidth holds back, and who goes on not to move then is", () => {
    for (const held of ["isHeldUp", "isHeldDown"] as const) {
      const talk = new Talk({ settings: [[C.SETTINGS_INITIAL_WINDOW_SIZE, 100]] });
      talk.send(talk.peer.headers(1, GET), talk.peer.headers(3, POST, 0));
      const [reader, sender] = talk.taken;
      reader!.stream.sendHead(new ResponseHead());
      reader!.stream.sendBody(new Uint8Array(60_000));
      sender!.stream.resume();
      const look = (fromMs: number, toMs: number, isHeld: boolean): void => {
        talk.wire[held] = isHeld;
        for (let nowMs = fromMs; nowMs <= toMs; nowMs += 1_000) {
          talk.server.sweep(nowMs);
          talk.send(F.data(3, "slow"));
        }
      };
      look(2_000, 9_000, false);
      look(10_000, 60_000, true);
      look(61_000, 70_000, false);
      expect(refusalsOf(talk)).toEqual([]);
      look(71_000, 73_000, false);
      expect(refusalsOf(talk)).toEqual(["http_slow", "http_slow"]);
    }
  });

  test("a body that rests is slow after a minute", () => {
    const talk = new Talk();
    talk.send(talk.peer.headers(1, POST, 0));
    talk.taken[0]!.stream.resume();
    for (let nowMs = 2_000; nowMs < 62_000; nowMs += 1_000) talk.server.sweep(nowMs);
    expect(talk.taken[0]!.failure).toBeNull();
    for (let nowMs = 62_000; nowMs < 73_000; nowMs += 1_000) talk.server.sweep(nowMs);
    expect(talk.taken[0]!.failure?.code).toBe("timeout");
  });

  test("a sender of a body that hardly moves is answered with 408; one that we do not read, or gRPC, is not blamed", () => {
    const talk = new Talk();
    const grpc: [string, string] = ["content-type", "application/grpc+proto"];
    talk.send(
      talk.peer.headers(1, POST, 0),
      talk.peer.headers(3, POST, 0),
      talk.peer.headers(5, [...POST, grpc], 0),
      talk.peer.headers(7, POST, 0),
    );
    for (const i of [0, 2, 3]) talk.taken[i]!.stream.resume();
    for (let nowMs = 2_000; nowMs <= 13_000; nowMs += 1_000) {
      talk.server.sweep(nowMs);
      talk.send(F.data(1, "slow"), F.data(7, new Uint8Array(300)));
    }
    const said = talk.said();
    expect(said.filter(({ kind }) => kind === "headers")).toMatchObject([
      {
        stream: 1,
        end: true,
        entries: [
          [":status", "408"],
          ["content-length", "0"],
        ],
      },
    ]);
    expect(talk.taken.map(({ failure }) => failure?.code)).toEqual([
      "timeout",
      undefined,
      undefined,
      undefined,
    ]);
  });
});
