// Eight workers of each kind, as most machines have and no other test: listeners of every kind, with clients that stay and
// others that come and go, while listeners are reloaded and workers crash. Only those of a worker that crashed are cut off,
// and afterwards every count adds up and every place is free again.

import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Proxy } from "../../src/control/proxy.ts";
import { formatSocketAddress } from "../../src/shared/address.ts";
import type { ListenerStats } from "../../src/shared/counters.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { Authority } from "../support/certificates.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import {
  answersOf,
  type Kind,
  type Place,
  ROUTED,
  type Talk,
  talkTo,
} from "../support/reload-clients.ts";
import { Threads } from "../support/threads.ts";
import { Datagrams } from "../support/udp.ts";
import { until } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const WORKERS = 8;
/** Of each kind, that stay. */
const RESIDENTS = 6;
/** Where no client of anybody else comes from: its port would be in use. */
const HOST = `127.${1 + (process.pid % 200)}.0.2`;
/** In the plan's order. */
const KINDS = [
  "tcp",
  "routed",
  "link",
  "unix",
  "http",
  "tls",
  "http2",
  "udp",
  "quic",
  "http3",
] as const satisfies readonly Kind[];
/** What a visit makes (reload-clients.ts). */
const VISIT_CONNECTIONS: Readonly<Record<Kind, number>> = {
  tcp: 1,
  routed: 2,
  link: 1,
  unix: 1,
  http: 2,
  tls: 1,
  http2: 1,
  udp: 1,
  quic: 1,
  http3: 1,
};
/** Connections of the limit at the end. */
const LAST = 10;
/** Whose clients see at once that they are one too many. */
const TOLD_AT_ONCE: readonly Kind[] = ["tcp", "routed", "link", "unix", "http", "tls", "http2"];
/** Who connected to a listener just before it was replaced is told to go, and asks again. */
const SAYS_GOAWAY: ReadonlySet<Kind> = new Set(["http2", "http3"]);
const OVER_QUIC: ReadonlySet<Kind> = new Set(["quic", "http3"]);
/** Not cut off by a crash: clients of UDP go on with another worker, and those of QUIC are all in one that does not crash. */
const ELSEWHERE: ReadonlySet<Kind> = new Set([...OVER_QUIC, "udp"]);

class World implements AsyncDisposable {
  readonly socketFile = join(tmpdir(), `many-workers-${process.pid}.sock`);
  readonly authority: Authority;
  readonly stream: WireServer;
  readonly datagrams: Datagrams;
  readonly web: Bun.Server<undefined>;

  /** With one listener over QUIC, for `link`. */
  readonly #far: Proxy;

  private constructor(stream: WireServer, datagrams: Datagrams, authority: Authority, far: Proxy) {
    this.stream = stream;
    this.datagrams = datagrams;
    this.authority = authority;
    this.#far = far;
    datagrams.onDatagram = ({ data, from }) => void datagrams.send(`${data} a`, from);
    this.web = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("a")),
      websocket: { message: (socket) => void socket.send("a") },
    });
  }

  static async open(): Promise<World> {
    const stream = await WireServer.listen((wire) => {
      wire.onData(() => void wire.write("a"));
      void wire.ending.then(() => wire.end());
    });
    const authority = new Authority();
    const { certFile, keyFile } = authority.issue(["a.example"]);
    const tls = { cert_file: certFile, key_file: keyFile };
    const quic = { name: "quic", listen: `${HOST}:0`, target: stream.target, tls };
    const far = await Proxy.start(compiledPlan([quic]));
    return new World(stream, await Datagrams.open(), authority, far);
  }

  planOf(maxConnections: number): Plan {
    const { certFile, keyFile } = this.authority.issue(["a.example"]);
    const web = `127.0.0.1:${this.web.port}`;
    const { target } = this.stream;
    const [far] = this.#far.listeners()[0]!.bound;
    const keys: Record<(typeof KINDS)[number], object> = {
      tcp: { name: "tcp", target },
      routed: { name: "tcp", target, routes: [{ sni: ROUTED, target }] },
      link: {
        name: "tcp",
        target: {
          address: `quic://${formatSocketAddress(far!)}`,
          tls: { insecure_skip_verify: true },
        },
      },
      unix: { name: "tcp", listen: `unix:${this.socketFile}`, target },
      http: { name: "http", target: web },
      tls: { name: "tls", target },
      http2: { name: "http2", target: web },
      udp: { name: "udp", target: this.datagrams.target, timeouts: { idle: "1s" } },
      quic: { name: "quic", target },
      http3: { name: "http3", target: web },
    };
    const protocols = KINDS.map((kind) => ({
      listen: `${HOST}:0`,
      limits: { max_connections: maxConnections },
      ...keys[kind],
    }));
    return compiledPlan(protocols, {
      workers: WORKERS,
      tls: { cert_file: certFile, key_file: keyFile },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#far.kill();
    await this.stream[Symbol.asyncDispose]();
    await this.datagrams[Symbol.asyncDispose]();
    await this.web.stop(true);
    this.authority[Symbol.dispose]();
    rmSync(this.socketFile, { force: true });
  }
}

type OfKind<T> = Record<(typeof KINDS)[number], T>;

/** Who stays, and asks now and then. */
interface Resident {
  readonly kind: Kind;
  readonly talk: Talk;
}

class Crowd {
  readonly #proxy: Proxy;
  readonly #places: OfKind<Place>;
  /** By kind: connections that clients have made. */
  readonly made = new Map<Kind, number>();
  #residents: Resident[] = [];

  constructor(world: World, proxy: Proxy) {
    this.#proxy = proxy;
    const places = proxy.listeners().map(({ bound: [bound] }, i): [Kind, Place] => {
      const port = bound?.kind === "ip" ? bound.port : 0;
      const place = { host: HOST, port, path: world.socketFile, ca: world.authority.ca };
      return [KINDS[i]!, place];
    });
    this.#places = Object.fromEntries(places) as OfKind<Place>;
  }

  #count(kind: Kind, connections: number): void {
    this.made.set(kind, (this.made.get(kind) ?? 0) + connections);
  }

  open(kind: Kind): Promise<Talk> {
    this.#count(kind, 1);
    return talkTo(kind, this.#places[kind]);
  }

  async settle(): Promise<void> {
    const opening = KINDS.map(async (kind) => {
      for (let i = 0; i < RESIDENTS; i++) {
        const talk = await this.open(kind);
        expect(await talk.ask()).toBe("a");
        this.#residents.push({ kind, talk });
      }
    });
    await Promise.all(opening);
  }

  /** A client of each kind that comes and goes. */
  async visit(): Promise<void> {
    await Promise.all(
      KINDS.map(async (kind) => {
        const ask = (): Promise<string> => {
          this.#count(kind, VISIT_CONNECTIONS[kind]);
          return answersOf(kind, this.#places[kind]);
        };
        const answers = await ask().catch((error: unknown) => {
          if (!SAYS_GOAWAY.has(kind)) throw error;
          return ask();
        });
        expect({ kind, answers }).toEqual({ kind, answers: answers.replaceAll(/[^ ]/g, "a") });
      }),
    );
  }

  /** Everybody who stays asks. @returns how many of each kind are cut off, who are then forgotten. */
  async ask(): Promise<Partial<OfKind<number>>> {
    const lost: Partial<OfKind<number>> = {};
    const left: Resident[] = [];
    await Promise.all(
      this.#residents.map(async (resident) => {
        const { kind, talk } = resident;
        const answer = await talk.ask().catch((error: unknown) => {
          if (/not within/.test(String(error))) throw error;
          lost[kind] = (lost[kind] ?? 0) + 1;
          talk.end();
          return null;
        });
        if (answer === null) return;
        expect(answer).toBe("a");
        left.push(resident);
      }),
    );
    this.#residents = left;
    return lost;
  }

  /** Those who stay ask again and again, and others come and go, until this is over. */
  async during(change: Promise<unknown>): Promise<void> {
    let isOver = false;
    void change.finally(() => (isOver = true));
    do {
      const [lost] = await Promise.all([this.ask(), this.visit()]);
      expect(lost).toEqual({});
    } while (!isOver);
    await change;
  }

  /** How many of each kind a worker has, when visitors are gone. */
  async on(worker: number): Promise<Partial<OfKind<number>>> {
    const { listeners } = this.#proxy.plan;
    const kindOf = (key: string): Kind => KINDS[listeners.findIndex((each) => each.key === key)]!;
    const staying = (): { kind: Kind; worker: number }[] => {
      const all = this.#proxy.connections();
      const named = all.map(({ listener, worker: at }) => ({ kind: kindOf(listener), worker: at }));
      return named.filter(({ kind }) => !ELSEWHERE.has(kind));
    };
    const residents = this.#residents.filter(({ kind }) => !ELSEWHERE.has(kind));
    await until("visitors are gone", () => staying().length === residents.length);
    const counts: Partial<OfKind<number>> = {};
    for (const { kind, worker: at } of staying()) {
      if (at === worker) counts[kind] = (counts[kind] ?? 0) + 1;
    }
    return counts;
  }

  leave(kinds: ReadonlySet<Kind>): void {
    for (const { kind, talk } of this.#residents) if (kinds.has(kind)) talk.end();
    this.#residents = this.#residents.filter(({ kind }) => !kinds.has(kind));
  }
}

const isOpenEverywhere = (proxy: Proxy): boolean =>
  proxy
    .listeners()
    .every(({ workers }, i) => workers.length === (KINDS[i] === "quic" ? 1 : WORKERS));

const statsOf = (proxy: Proxy): OfKind<ListenerStats> =>
  Object.fromEntries(
    Object.values(proxy.stats().listeners).map((stats, i) => [KINDS[i]!, stats]),
  ) as OfKind<ListenerStats>;

test("listeners of every kind on eight workers lose nobody to reloads, and to a crash only who was there", async () => {
  await using world = await World.open();
  using threads = new Threads();
  await using proxy = await Proxy.start(world.planOf(500));
  const crowd = new Crowd(world, proxy);
  const crash = async (worker: number): Promise<void> => {
    const restarts = proxy.stats().workerRestarts;
    threads.crash(threads.all[worker]!);
    proxy.disconnect(worker, -1); // wakes one that blocks in a system call
    await until("it is replaced", () => proxy.stats().workerRestarts > restarts);
    await until("listeners are open on all workers", () => isOpenEverywhere(proxy));
  };

  await crowd.settle();
  for (let worker = 0; worker < WORKERS; worker++) {
    expect(await crowd.on(worker)).not.toEqual({}); // of engines, which hand over
  }
  await crowd.during(proxy.reload(world.planOf(600)));

  for (const worker of [5, WORKERS + 5]) {
    const there = await crowd.on(worker);
    await crash(worker);
    expect(await crowd.ask()).toEqual(there);
    await crowd.visit();
  }
  await crowd.during(proxy.reload(world.planOf(500)));

  // The worker that has QUIC: its clients hear nothing of its end before their idle timeout, so they go before.
  crowd.leave(OVER_QUIC);
  await until("QUIC is left", () =>
    [...OVER_QUIC].every((kind) => statsOf(proxy)[kind].active === 0),
  );
  const there = await crowd.on(WORKERS);
  await crash(WORKERS);
  expect(await crowd.ask()).toEqual(there);
  await crowd.visit();

  crowd.leave(new Set(KINDS));
  await until("nobody is left", () =>
    Object.values(statsOf(proxy)).every(({ active }) => active === 0),
  );
  expect(proxy.connections()).toEqual([]);
  for (const [kind, stats] of Object.entries(statsOf(proxy)) as [Kind, ListenerStats][]) {
    const { total, refused, http, targets } = stats;
    const seen = { kind, total, refused: Object.values(refused).reduce((sum, n) => sum + n) };
    const made = crowd.made.get(kind)!;
    // Who rests, and whose worker crashed, begins another session.
    expect(seen).toEqual({ kind, total: kind === "udp" ? expect.any(Number) : made, refused: 0 });
    expect(total).toBeGreaterThanOrEqual(made);
    expect(http.active).toBe(0);
    // Backends of HTTP keep connections that rest.
    const open = kind.startsWith("http") ? [] : targets.filter(({ active }) => active !== 0);
    expect(open).toEqual([]);
  }

  // As many as may be there now, and not one more: what the limit counts is right, too.
  await proxy.reload(world.planOf(LAST));
  for (const kind of TOLD_AT_ONCE) {
    const talks = await Promise.all(Array.from({ length: LAST }, () => crowd.open(kind)));
    expect(await Promise.all(talks.map((talk) => talk.ask()))).toEqual(talks.map(() => "a"));
    await expect(crowd.open(kind).then((talk) => talk.ask())).rejects.toThrow();
    for (const talk of talks) talk.end();
  }
}, 240_000);
