// The property of a reload: whatever plan follows whatever plan, afterwards clients of every listener are answered by the same
// targets, and the same ones are refused, as after a fresh start with the second plan. Connections that were there go on all the
// time, whether their listener stays, changes or goes. RELOAD_RUNS says how many pairs are tried, RELOAD_SEED which.

import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";

import { Proxy } from "../../src/control/proxy.ts";
import { formatSocketAddress } from "../../src/shared/address.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { Authority } from "../support/certificates.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { freePort } from "../support/daemon.ts";
import {
  answersOf,
  type Kind,
  PATH,
  type Place,
  ROUTED,
  type Talk,
  talkTo,
} from "../support/reload-clients.ts";
import { Datagrams } from "../support/udp.ts";
import { until } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const RUNS = Number(process.env.RELOAD_RUNS ?? 200);
const SEED = Number(process.env.RELOAD_SEED ?? 8);
/** Different plans, of which pairs are made: each is started afresh once. */
const PLANS = 30;
const NAMES = ["a", "b", "c"] as const;
/** What may be at each address. */
const ADDRESSES: readonly (readonly Kind[])[] = [
  ["tcp", "routed", "link"],
  ["tcp", "http", "tls"],
  ["http", "http2"],
  ["unix"],
  ["udp"],
  ["quic", "http3"],
  ["http3"],
];
/** At each address, so that a listener often is as it was. */
const SPECS_EACH = 4;
/** Reloads that a connection sees after its listener is another or gone. */
const RELOADS_AFTER = 2;
/** Where no client of anybody else comes from: its port would be in use. */
const HOST = `127.${1 + (process.pid % 200)}.0.1`;

type Keys = Readonly<Record<string, unknown>>;

interface Spec {
  readonly kind: Kind;
  readonly target: number;
  /** Of routes. */
  readonly routed: number;
  readonly denied: boolean;
  readonly limit: number;
}

/** By address; null: nobody listens there. */
type Specs = readonly (Spec | null)[];

/** @param mayDeny clients of this kind are let in elsewhere. */
const specOf = (kind: Kind, mayDeny: boolean): fc.Arbitrary<Spec> =>
  fc.record({
    kind: fc.constant(kind),
    target: fc.nat(NAMES.length - 1),
    routed: fc.nat(NAMES.length - 1),
    denied: mayDeny && kind !== "unix" ? fc.boolean() : fc.constant(false),
    limit: fc.constantFrom(500, 600),
  });

/** Plans of few listeners for each address, of all kinds. */
function samplePlans(): Specs[] {
  const pools = ADDRESSES.map((kinds, i) =>
    Array.from({ length: SPECS_EACH }, (_, j) => {
      const spec = specOf(kinds[j % kinds.length]!, j >= kinds.length);
      return fc.sample(spec, { numRuns: 1, seed: SEED * 100 + i * SPECS_EACH + j })[0]!;
    }),
  );
  const each = pools.map((pool) => fc.option(fc.constantFrom(...pool), { freq: 4 }));
  return fc.sample(fc.tuple(...each), { numRuns: PLANS, seed: SEED });
}

/** Where listeners are: of the proxy that is reloaded, or of one that is started afresh. */
interface Site {
  readonly ports: readonly number[];
  readonly socketFile: string;
}

async function newSite(name: string): Promise<Site> {
  const ports: number[] = [];
  while (ports.length < ADDRESSES.length) {
    const port = await freePort();
    if (!ports.includes(port)) ports.push(port);
  }
  return { ports, socketFile: join(tmpdir(), `reload-${process.pid}-${name}.sock`) };
}

interface World extends AsyncDisposable {
  readonly streams: readonly WireServer[];
  readonly datagrams: readonly Datagrams[];
  readonly web: readonly Bun.Server<undefined>[];
  /** Addresses with QUIC, which lead to `streams`. */
  readonly far: readonly string[];
  readonly authority: Authority;
  readonly tls: object;
}

async function namedDatagrams(name: string): Promise<Datagrams> {
  const socket = await Datagrams.open();
  socket.onDatagram = ({ data, from }) => void socket.send(`${data} ${name}`, from);
  return socket;
}

function namedWeb(name: string): Bun.Server<undefined> {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(name)),
    websocket: { message: (socket) => void socket.send(name) },
  });
}

/** One answer for all that comes at once. */
function namedStream(name: string): Promise<WireServer> {
  return WireServer.listen((wire) => {
    wire.onData(() => void wire.write(name));
    void wire.ending.then(() => wire.end());
  });
}

async function newWorld(): Promise<World> {
  const authority = new Authority();
  const { certFile, keyFile } = authority.issue(["a.example"]);
  const tls = { cert_file: certFile, key_file: keyFile };
  const streams = await Promise.all(NAMES.map(namedStream));
  const datagrams = await Promise.all(NAMES.map(namedDatagrams));
  const web = NAMES.map(namedWeb);
  const listeners = streams.map(({ target }) => ({
    name: "quic",
    listen: `${HOST}:0`,
    target,
    tls,
  }));
  const relay = await Proxy.start(compiledPlan(listeners));
  return {
    streams,
    datagrams,
    web,
    far: relay.listeners().map(({ bound: [bound] }) => `quic://${formatSocketAddress(bound!)}`),
    authority,
    tls,
    async [Symbol.asyncDispose]() {
      await relay.kill();
      for (const each of [...streams, ...datagrams]) await each[Symbol.asyncDispose]();
      for (const each of web) await each.stop(true);
      authority[Symbol.dispose]();
    },
  };
}

function planOf(world: World, specs: Specs, site: Site): Plan {
  const protocols = specs.flatMap((spec, i) =>
    spec === null ? [] : [listenerOf(world, spec, site, i)],
  );
  // So that both kinds of workers are always there.
  const spare = { name: "http", listen: `${HOST}:0`, target: world.streams[0]!.target };
  return compiledPlan([...protocols, spare, { ...spare, name: "tcp" }]);
}

function listenerOf(world: World, spec: Spec, site: Site, i: number): Keys {
  const { kind, denied, limit } = spec;
  const common = {
    listen: kind === "unix" ? `unix:${site.socketFile}` : `${HOST}:${site.ports[i]}`,
    limits: { max_connections: limit },
    ...(denied ? { deny: ["127.0.0.0/8"] } : {}),
  };
  const [target, routed] = [spec.target, spec.routed].map((n) => targetOf(world, kind, n));
  const tls =
    kind === "tls" || kind === "quic" || kind.startsWith("http") ? { tls: world.tls } : {};
  const web = { ...common, target, routes: [{ match: { path: PATH }, target: routed }] };
  switch (kind) {
    case "http":
      return { name: kind, ...web };
    case "http2":
    case "http3":
      return { name: kind, ...web, ...tls };
    case "routed":
      return { name: "tcp", ...common, target, routes: [{ sni: ROUTED, target: routed }] };
    case "link":
    case "unix":
      return { name: "tcp", ...common, target };
    default:
      return { name: kind, ...common, target, ...tls };
  }
}

function targetOf({ streams, datagrams, web, far }: World, kind: Kind, n: number): unknown {
  if (kind === "udp") return datagrams[n]!.target;
  if (kind === "link") return { address: far[n]!, tls: { insecure_skip_verify: true } };
  if (kind.startsWith("http")) return `127.0.0.1:${web[n]!.port}`;
  return streams[n]!.target;
}

const placeOf = ({ authority }: World, { ports, socketFile }: Site, i: number): Place => ({
  host: HOST,
  port: ports[i]!,
  path: socketFile,
  ca: authority.ca,
});

/** What clients see, address by address. */
function seen(world: World, proxy: Proxy, specs: Specs, site: Site): Promise<string[]> {
  return Promise.all(
    specs.map(async (spec, i) => {
      const kind = spec?.kind ?? ADDRESSES[i]![0]!;
      const place = placeOf(world, site, i);
      const isUdp = ["udp", "quic", "http3"].includes(kind);
      if (isUdp && spec === null) return "closed";
      try {
        if (isUdp && spec!.denied) return await deniedOver(proxy, place, kind);
        return await answersOf(kind, place);
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        if (/not within/.test(message) || spec?.denied === false) {
          throw new Error(`${kind} at ${i}, ${JSON.stringify(spec)}`, { cause: error });
        }
        return code === "ECONNREFUSED" || code === "ENOENT" ? "closed" : "refused";
      }
    }),
  );
}

/** Datagrams of who is denied are not answered, only counted. */
async function deniedOver(proxy: Proxy, place: Place, kind: Kind): Promise<string> {
  const denied = (): number => {
    const all = Object.entries(proxy.stats().listeners);
    return all.find(([key]) => key.endsWith(`:${place.port}`))![1].refused.denied;
  };
  const before = denied();
  let answer = "";
  void answersOf(kind, place).then(
    (name) => (answer = name),
    () => {}, // it gives up
  );
  await until("it is counted", () => answer !== "" || denied() > before);
  return answer === "" ? "refused" : answer;
}

/** A connection that is there, and asks again and again. */
interface Resident {
  readonly at: number;
  readonly spec: Spec;
  readonly talk: Talk;
  /** Reloads since its listener is another. */
  reloads: number;
}

/** The proxy that is reloaded, and who is connected to it. */
class Subject {
  readonly #world: World;
  readonly #site: Site;
  readonly proxy: Proxy;
  #specs: Specs = [];
  #residents: Resident[] = [];
  /** By kind: connections that saw a reload. */
  readonly kept = new Map<Kind, number>();

  constructor(world: World, site: Site, proxy: Proxy) {
    this.#world = world;
    this.#site = site;
    this.proxy = proxy;
  }

  /** Everybody is answered by the target that answered first, before, during and after the reload. */
  async reload(specs: Specs): Promise<string[]> {
    await this.#fill();
    let over = false;
    const reloading = this.proxy
      .reload(planOf(this.#world, specs, this.#site))
      .finally(() => (over = true));
    while (!over && this.#residents.length > 0) await this.#askAll();
    await reloading;
    await this.#askAll();
    this.#specs = specs;
    this.#release();
    return seen(this.#world, this.proxy, specs, this.#site);
  }

  /** One connection for each listener as it is now. */
  async #fill(): Promise<void> {
    for (const [at, spec] of this.#specs.entries()) {
      if (spec === null || spec.denied || this.#residents.some((each) => each.spec === spec))
        continue;
      const talk = await talkTo(spec.kind, placeOf(this.#world, this.#site, at));
      this.#residents.push({ at, spec, talk, reloads: 0 });
    }
  }

  async #askAll(): Promise<void> {
    await Promise.all(
      this.#residents.map(async ({ talk, spec, at }) => {
        const name = await talk.ask().catch((error: unknown) => {
          throw new Error(`${spec.kind} at ${at}: ${String(error)}`);
        });
        const target = spec.kind === "routed" ? spec.routed : spec.target;
        if (name !== NAMES[target]) throw new Error(`${spec.kind} at ${at}: ${name}`);
      }),
    );
  }

  #release(): void {
    this.#residents = this.#residents.filter((resident) => {
      const { spec, at, talk } = resident;
      this.kept.set(spec.kind, (this.kept.get(spec.kind) ?? 0) + 1);
      // A session whose listener is gone ends when it rests, as it does between two reloads.
      const isLast = spec.kind === "udp" && this.#specs[at] === null;
      const isKept = this.#specs[at] === spec || resident.reloads++ < RELOADS_AFTER;
      if (isKept && !isLast) return true;
      talk.end();
      return false;
    });
  }

  end(): void {
    for (const { talk } of this.#residents) talk.end();
  }
}

const keysOf = (proxy: Proxy): string[] =>
  proxy.listeners().map(({ key }) => key.replace(/:\d+$|-[a-z]+\.sock$/, ""));

test("after a reload everything is as after a fresh start, and who was there noticed nothing", async () => {
  await using world = await newWorld();
  const [site, other] = [await newSite("old"), await newSite("new")];
  const plans = samplePlans();
  const fresh = new Map<Specs, { answers: string[]; keys: string[] }>();
  const afresh = async (specs: Specs) => {
    await using proxy = await Proxy.start(planOf(world, specs, other));
    return { answers: await seen(world, proxy, specs, other), keys: keysOf(proxy) };
  };
  await using proxy = await Proxy.start(planOf(world, [], site));
  const subject = new Subject(world, site, proxy);
  const order = fc.sample(fc.nat(PLANS - 1), { numRuns: RUNS, seed: SEED });
  for (const specs of order.map((n) => plans[n]!)) {
    const wanted = fresh.get(specs) ?? (await afresh(specs));
    fresh.set(specs, wanted);
    expect(await subject.reload(specs)).toEqual(wanted.answers);
    expect(keysOf(proxy)).toEqual(wanted.keys);
  }
  subject.end();
  const kinds = new Set(ADDRESSES.flat());
  if (RUNS >= 100) expect(new Set(subject.kept.keys())).toEqual(kinds);
  rmSync(site.socketFile, { force: true });
}, 300_000);
