// The io_uring engine under faults: whatever fails, is short, late or out of order, bytes arrive intact or the connection is
// reset, nothing hangs, and rows, buffers, pipes and descriptors come back. A failure is replayed with what fast-check prints:
// FAULT_SEED=… FAULT_PATH=… bun test FILE -t NAME; FAULT_RUNS is how many runs each test makes.

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";

import type { SocketAddress } from "../../../src/shared/address.ts";
import { streamBytes, StreamCheck } from "../../support/bytes.ts";
import { inFolder } from "../../support/daemon.ts";
import { ENGINES } from "../../support/engines.ts";
import { Faults } from "../../support/fault-kernel.ts";
import { countDescriptors } from "../../support/proc.ts";
import { until, within } from "../../support/until.ts";
import { UringRelay } from "../../support/uring-relay.ts";
import { type Wire, WireServer } from "../../support/wire.ts";

const RUN_MS = 10_000;
const { FAULT_RUNS = "60", FAULT_SEED, FAULT_PATH } = process.env;
const runs = FAULT_SEED === undefined ? Number(FAULT_RUNS) : 1;
const replay =
  FAULT_SEED === undefined ? {} : { seed: Number(FAULT_SEED), path: FAULT_PATH ?? "0" };

type Step =
  | { do: "write"; bytes: number }
  | { do: "pause" | "resume" }
  /** Lets this many rounds of the event loop pass. */
  | { do: "rest"; turns: number };

interface Part {
  steps: Step[];
  /** How it ends: FIN after its script, FIN after the other's end, a reset. */
  ends: "fin" | "after" | "reset";
}

interface Run {
  /** Connections at once. */
  pairs: { client: Part; target: Part }[];
  /** See Faults. */
  decisions: number[];
}

const bytes = fc.oneof(
  fc.integer({ min: 1, max: 100 }),
  fc.integer({ min: 400, max: 2_200 }), // about a buffer
  fc.integer({ min: 1, max: 600_000 }),
);
const rounds = fc.oneof(fc.constant(1), fc.nat(20));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("write" as const), bytes }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("pause" as const, "resume" as const) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("rest" as const), turns: rounds }) },
);

function part(ends: fc.Arbitrary<Part["ends"]>): fc.Arbitrary<Part> {
  return fc.record({ steps: fc.array(step, { maxLength: 10 }), ends });
}

function run(ends: fc.Arbitrary<Part["ends"]>): fc.Arbitrary<Run> {
  const decision = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 30 }));
  return fc.record({
    pairs: fc.array(fc.record({ client: part(ends), target: part(ends) }), {
      minLength: 1,
      maxLength: 5,
    }),
    decisions: fc.array(decision, { minLength: 1, maxLength: 200 }),
  });
}

/** One end of a connection: plays its script and says what it saw. */
class Actor {
  readonly #wire: Wire;
  readonly #seed: number;
  readonly check: StreamCheck;
  sent = 0;
  failure: unknown;
  ending = "";

  constructor(wire: Wire, seed: number, peerSeed: number) {
    this.#wire = wire;
    this.#seed = seed;
    this.check = new StreamCheck(peerSeed);
  }

  get state(): string {
    const { writableLength, writableFinished } = this.#wire.socket;
    const sent = `sent ${this.sent - writableLength} of ${this.sent}`;
    return `${sent}${writableFinished ? " and FIN" : ""}, got ${this.check.received} ${this.ending}`;
  }

  async play({ steps, ends }: Part): Promise<void> {
    const { socket, ending } = this.#wire;
    this.#wire.onData((chunk) => {
      try {
        this.check.take(chunk);
      } catch (error) {
        this.failure ??= error;
      }
    });
    for (const item of steps) {
      if (socket.destroyed) break;
      if (item.do === "rest") await turns(item.turns);
      else if (item.do === "write") {
        socket.write(streamBytes(this.#seed, this.sent, item.bytes));
        this.sent += item.bytes;
      } else if (item.do === "pause") socket.pause();
      else socket.resume();
    }
    if (ends === "reset") this.#wire.reset();
    socket.resume();
    if (ends === "fin") this.#wire.end();
    this.ending = await ending;
    if (ends === "after") this.#wire.end();
    await this.#wire.closed;
  }
}

/** Rounds of this thread's event loop. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

const HEAD_BYTES = 6;
/** What every client begins with, and every target gets, where PROXY headers are asked for. */
const HEADER = "PROXY TCP4 192.0.2.1 192.0.2.2 7 443\r\n";
const HEADERS = { accept: "v1", send: "v1", trusted: ["127.0.0.0/8"] } as const;

/** A server whose connections say first which client they are of: the relay may drop others before they say anything. */
class Targets implements AsyncDisposable {
  readonly #expected = new Map<string, (wire: Wire) => void>();
  #next = 0;
  readonly #header: string;
  server!: WireServer;

  private constructor(header: string) {
    this.#header = header;
  }

  static async listen(at: { host: string } | { path: string }, header: string): Promise<Targets> {
    const targets = new Targets(header);
    targets.server = await WireServer.listen((wire) => {
      const drop = (): void => wire.reset();
      const found = (head: string): void => {
        const taker = targets.#expected.get(head);
        targets.#expected.delete(head);
        if (taker === undefined) drop();
        else taker(wire);
      };
      void wire.readHead(header.length + HEAD_BYTES).then(found, drop);
    }, at);
    return targets;
  }

  /** @returns what the target has of a client that was just connected; null if the relay refused it. */
  async of(client: Wire): Promise<Wire | null> {
    const head = this.#header + String(this.#next++).padStart(HEAD_BYTES, "0");
    const target = new Promise<Wire>((resolve) => this.#expected.set(head, resolve));
    const cut = this.#next % (head.length - 1);
    void client.write(head.slice(0, cut));
    await turns(1);
    void client.write(head.slice(cut));
    const wire = await Promise.race([target, client.ending]);
    this.#expected.delete(head);
    return typeof wire === "string" ? null : wire;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}

interface Place {
  readonly relay: UringRelay;
  readonly targets: Targets;
  readonly faults: Faults;
}

/** @returns null if the relay refused the client. */
async function connectPair({ relay, targets }: Place): Promise<[Wire, Wire] | null> {
  const client = await relay.connect().catch(() => null); // the reset may be there before connect(2) returns
  if (client === null) return null;
  const target = await targets.of(client);
  return target === null ? null : [client, target];
}

async function holds(place: Place, { pairs, decisions }: Run, harsh: boolean): Promise<void> {
  place.faults.set(decisions, harsh);
  try {
    const played: Promise<void>[] = [];
    const actors: [Actor, Actor, boolean][] = [];
    for (const [i, { client, target }] of pairs.entries()) {
      const wires = await within("a connection", connectPair(place), RUN_MS);
      if (wires === null) {
        if (!harsh) throw new Error("a client was refused");
        continue;
      }
      const up = new Actor(wires[0], 2 * i, 2 * i + 1);
      const down = new Actor(wires[1], 2 * i + 1, 2 * i);
      const bothWait = client.ends === "after" && target.ends === "after";
      const parts = bothWait ? { ...client, ends: "fin" as const } : client;
      played.push(up.play(parts), down.play(target));
      const byPeer = client.ends === "reset" || target.ends === "reset";
      actors.push([up, down, byPeer || (harsh && "path" in place.relay.address)]);
    }
    await within("the scripts", Promise.all(played), RUN_MS).catch((cause: unknown) => {
      const state = actors.map(([up, down]) => `${up.state} / ${down.state}`).join(", ");
      throw new Error(`${place.relay.rows} rows are left; ${state}`, { cause });
    });
    for (const [up, down, reset] of actors) {
      arrived(up, down, harsh, reset);
      arrived(down, up, harsh, reset);
    }
  } finally {
    place.faults.set([], false);
  }
  await place.relay.atRest();
}

/**
 * What `to` saw is a beginning of what `from` sent; all of it, if it saw an end in order.
 * @param reset `from` may have seen a reset instead. On unix sockets that is an end like any other.
 */
function arrived(from: Actor, to: Actor, harsh: boolean, reset: boolean): void {
  if (to.failure !== undefined) throw to.failure;
  const said = `${to.check.received} of ${from.sent} bytes, then ${to.ending}`;
  const whole = to.ending === "fin" && to.check.received === from.sent;
  if (!whole && (to.ending === "fin" ? !reset : !harsh && !reset)) throw new Error(said);
}

const RINGS = {
  "a small ring": { sqEntries: 8, cqEntries: 16, ring: { bufferBytes: 512, buffers: 64 } },
  "few buffers": { sqEntries: 64, cqEntries: 128, ring: { bufferBytes: 512, buffers: 16 } },
} as const;

async function underFaults(
  name: keyof typeof RINGS,
  kind: "TCP" | "unix",
  harsh: boolean,
  numRuns: number,
  headers = false,
): Promise<void> {
  const before = countDescriptors(process.pid);
  await inFolder(async (folder) => {
    const at = kind === "TCP" ? { host: "127.0.0.1" } : { path: `${folder}/target` };
    await using targets = await Targets.listen(at, headers ? HEADER : "");
    const target: SocketAddress =
      kind === "TCP"
        ? { kind: "ip", host: "127.0.0.1", port: targets.server.port }
        : { kind: "unix", path: `${folder}/target` };
    const faults = new Faults();
    await using relay = await UringRelay.start(
      { ...RINGS[name], targets: [target, target], faults: faults.buffer },
      {
        target: targets.server.target,
        listen: kind === "TCP" ? "127.0.0.1:0" : `unix:${folder}/listen`,
        proxyProtocol: headers ? HEADERS : {},
        buffers: { highWatermarkBytes: 65_536, lowWatermarkBytes: 32_768 },
      },
    );
    const ends = harsh
      ? fc.constantFrom<Part["ends"]>("fin", "fin", "after", "reset")
      : fc.constantFrom<Part["ends"]>("fin", "after");
    const place = { relay, targets, faults };
    const property = fc.asyncProperty(run(ends), (each) => holds(place, each, harsh));
    await fc.assert(property, { numRuns, endOnFailure: true, ...replay });

    if (FAULT_SEED === undefined) expect(faults.done).toBeGreaterThan(numRuns);
    await relay.drain();
    expect(await relay.end()).toBe(0);
  });
  await until("descriptors are back", () => countDescriptors(process.pid).all <= before.all);
  expect(countDescriptors(process.pid)).toEqual(before);
}

describe.if(ENGINES.includes("uring"))("io_uring under faults", () => {
  for (const name of Object.keys(RINGS) as (keyof typeof RINGS)[]) {
    for (const kind of ["TCP", "unix"] as const) {
      for (const harsh of [false, true]) {
        test(
          `with ${name}, over ${kind}: the same holds behind PROXY headers${harsh ? ", and after failures" : ""}`,
          () => underFaults(name, kind, harsh, runs, true),
          60_000 + runs * 1_000,
        );
      }
      test(
        `with ${name}, over ${kind}: what can be done again is, and every byte arrives`,
        () => underFaults(name, kind, false, runs),
        60_000 + runs * 1_000,
      );
      test(
        `with ${name}, over ${kind}: after failures and resets bytes arrive intact or the connection is reset`,
        () => underFaults(name, kind, true, runs),
        60_000 + runs * 1_000,
      );
    }
  }
});
