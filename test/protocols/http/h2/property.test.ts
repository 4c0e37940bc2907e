// Sessions under frames in any order: whatever a client sends, nothing throws, nothing is told twice, no more is sent than
// windows allow or held than they give, and at the end everybody was told. And a client and a server of ours, with messages of
// any shape, wires that stall, and bytes that are split anywhere.

import { expect, test } from "bun:test";

import fc from "fast-check";

import type { RequestTaker } from "../../../../src/protocols/http/exchange.ts";
import * as C from "../../../../src/protocols/http/h2/constants.ts";
import { fieldsOf } from "../../../../src/protocols/http/message/fields.ts";
import { ResponseHead } from "../../../../src/protocols/http/message/heads.ts";
import { H2 } from "../../../../src/shared/limits.ts";
import { H2TestClient } from "../../../support/h2-client.ts";
import { echo } from "../../../support/h2-takers.ts";
import * as F from "./frames.ts";
import { MemoryWire } from "./memory-wire.ts";
import { Talk } from "./talk.ts";

const STREAMS_MAX = 4;
const WINDOW = 20_000;

const stream = fc.constantFrom(0, 1, 1, 2, 3, 3, 5, 7, 9, 11);
const flags = fc.constantFrom(0, 0, C.END_STREAM);
const HEADS = [
  F.GET,
  F.POST,
  [...F.POST, ["content-length", "40"]],
  [["x-t", "1"]],
  [...F.GET, ["te", "x"]],
] as const;

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("headers"),
      stream,
      flags,
      head: fc.constantFrom(...HEADS),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("data"),
      stream,
      flags,
      length: fc.constantFrom(0, 1, 40, 16_384),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("raw"),
      stream,
      type: fc.nat(10),
      flags: fc.nat(63),
      payload: fc.uint8Array({ maxLength: 24 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("window"),
      stream,
      increment: fc.constantFrom(1, 500, 30_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reset"), stream }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("settings"),
      value: fc.constantFrom(0, 10, WINDOW, 60_000),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("owner"),
      which: fc.nat(10),
      what: fc.constantFrom(
        "resume",
        "pause",
        "head",
        "bodyless",
        "body",
        "end",
        "trailers",
        "reset",
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drain wire") }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("sweep"), ms: fc.constantFrom(10, 1_500, 20_000) }),
  },
);
type Step = Partial<
  Record<"stream" | "flags" | "length" | "type" | "increment" | "value" | "which" | "ms", number>
> & {
  do: string;
  what?: string;
  head?: (typeof HEADS)[number];
  payload?: Uint8Array;
};

/** What the client has allowed to be sent. */
class Windows {
  connection = C.FIRST_WINDOW;
  initial = WINDOW;
  /** Granted by WINDOW_UPDATE, less what was sent. */
  readonly streams = new Map<number, number>();

  read(said: readonly F.Said[]): void {
    for (const each of said) {
      if (each.kind !== "data") continue;
      this.connection -= each.bytes.length;
      this.add(each.stream, -each.bytes.length);
      expect(this.connection).toBeGreaterThanOrEqual(0);
      if (each.bytes.length > 0)
        expect(this.streams.get(each.stream)! + this.initial).toBeGreaterThanOrEqual(0);
      expect(each.bytes.length).toBeLessThanOrEqual(C.FIRST_FRAME_SIZE);
    }
  }

  add(id: number, bytes: number): void {
    this.streams.set(id, (this.streams.get(id) ?? 0) + bytes);
  }
}

class Run {
  readonly talk = new Talk({
    limits: { streams: STREAMS_MAX },
    settings: [[C.SETTINGS_INITIAL_WINDOW_SIZE, WINDOW]],
  });
  readonly windows = new Windows();
  #nowMs = 1_000;

  constructor() {
    this.talk.wire.flowing = false;
    this.talk.wire.highBytes = 50_000;
  }

  step(each: Step): void {
    const { talk, windows } = this;
    const id = each.stream ?? 0;
    if (each.do === "headers") talk.send(talk.peer.headers(id, each.head!, each.flags!));
    else if (each.do === "data") talk.send(F.data(id, new Uint8Array(each.length!), each.flags!));
    else if (each.do === "raw") {
      // What raw bytes grant is not looked at, so they grant nothing.
      const type = each.type === C.WINDOW_UPDATE || each.type === C.SETTINGS ? C.PING : each.type!;
      talk.send(F.frame(type, each.flags!, id, each.payload!));
    } else if (each.do === "window") {
      if (id === 0) windows.connection += each.increment!;
      else windows.add(id, each.increment!);
      talk.send(F.windowUpdate(id, each.increment!));
    } else if (each.do === "reset") talk.send(F.reset(id));
    else if (each.do === "settings") {
      windows.read(talk.said());
      windows.initial = each.value!;
      talk.send(F.settings([C.SETTINGS_INITIAL_WINDOW_SIZE, each.value!]));
    } else if (each.do === "owner") this.#owner(each.which!, each.what!);
    else if (each.do === "drain wire") talk.wire.drain();
    else talk.server.sweep((this.#nowMs += each.ms!));
    windows.read(talk.said());
    const open = talk.taken.filter((taken) => !taken.stream["over" as never]);
    expect(open.length).toBeLessThanOrEqual(STREAMS_MAX);
  }

  #owner(which: number, what: string): void {
    const { taken } = this.talk;
    if (taken.length === 0) return;
    const { stream: each } = taken[which % taken.length]!;
    const head = new ResponseHead();
    if (what === "resume") each.resume();
    else if (what === "pause") each.pause();
    else if (what === "head") each.sendHead(head);
    else if (what === "bodyless") each.sendHead(Object.assign(head, { bodyless: true }));
    else if (what === "body") each.sendBody(new Uint8Array(9_000));
    else if (what === "end") each.sendEnd(null);
    else if (what === "trailers") each.sendEnd(fieldsOf([["x-t", "1"]]));
    else each.reset({ code: "closed", message: "", unprocessed: false });
  }
}

test("whatever a client sends, in any order, a session keeps its bounds and tells everybody once", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const run = new Run();
      for (const each of steps) run.step(each as Step);
      run.talk.wire.handler.onClose(null);
      run.talk.server.destroy();
      for (const { stream: each } of run.talk.taken)
        expect(each["over" as never] as boolean).toBe(true);
      expect(run.talk.gone === undefined && !run.talk.wire.wasReset).toBe(false);
      expect(run.talk.server.sender.output.used).toBe(0);
    }),
    { numRuns: 400 },
  );
});

test("random bytes behind the preface never throw", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (parts) => {
      const talk = new Talk();
      for (const part of parts) talk.send(part);
      talk.server.destroy();
    }),
    { numRuns: 1_000 },
  );
});

/** Carries what each side wrote to the other in pieces, until nobody says anything any more. */
function carry(a: MemoryWire, b: MemoryWire, flush: () => void, cut: () => number): void {
  for (let idle = 0; idle < 2;) {
    flush();
    const up = a.taken();
    const down = b.taken();
    idle = up.length + down.length === 0 ? idle + 1 : 0;
    for (const [bytes, to] of [
      [up, b],
      [down, a],
    ] as const) {
      for (let at = 0; at < bytes.length;) {
        const end = Math.min(bytes.length, at + cut());
        to.handler.onData(bytes.slice(at, end));
        at = end;
      }
    }
    a.drain();
    b.drain();
  }
}

test("messages of any shape go from our client to our server and back, over wires that stall and split", () => {
  const field = fc.tuple(
    fc.constantFrom("x-a", "x-b", "accept", "cookie", "user-agent", "authorization"),
    fc.stringMatching(/^[!-~]{0,30}$/),
  );
  const message = fc.record({
    fields: fc.array(field, { maxLength: 6 }),
    length: fc.constantFrom(0, 1, 100, 16_384, 70_000, 200_000),
    trailers: fc.option(fc.array(field, { minLength: 1, maxLength: 3 })),
  });
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      (messages, cuts, stalls) => {
        const taken: [string, string][][] = [];
        const taker: RequestTaker = (each, head) => {
          taken.push(head.fields.entries());
          echo(each, head);
        };
        const talk = new Talk({ silent: true, taker });
        const wire = new MemoryWire();
        const client = new H2TestClient(wire);
        for (const each of [wire, talk.wire]) {
          each.flowing = !stalls;
          each.highBytes = 60_000;
        }
        let i = 0;
        const cut = (): number => cuts[i++ % cuts.length]!;
        const flush = (): void => {
          client.backend.sender.output.flush();
          talk.server.sender.output.flush();
        };
        carry(wire, talk.wire, flush, cut);
        const asked = messages.map(({ fields, length, trailers }) => {
          const body = new Uint8Array(length).fill(fields.length + 65);
          return client.ask({
            method: "POST",
            fields,
            body,
            ...(trailers === null ? {} : { trailers }),
          });
        });
        carry(wire, talk.wire, flush, cut);
        asked.forEach((each, n) => {
          const { fields, length, trailers } = messages[n]!;
          expect([each.status, each.failure, each.isOver]).toEqual([200, null, true]);
          expect(each.text).toBe(String.fromCharCode(fields.length + 65).repeat(length));
          expect(each.trailers).toEqual(trailers?.filter(([name]) => name !== "cookie") ?? null);
        });
        expect(taken.map((entries) => entries.filter(([name]) => name !== "cookie"))).toEqual(
          messages.map(({ fields }) => fields.filter(([name]) => name !== "cookie")),
        );
        expect(client.backend.active).toBe(0);
      },
    ),
    { numRuns: 40 },
  );
});

test("the bounds that these tests rely on are those of the program", () => {
  expect(H2.frameBytes).toBe(C.FIRST_FRAME_SIZE);
  expect(H2.streamWindowBytes).toBeGreaterThanOrEqual(C.FIRST_WINDOW);
});
