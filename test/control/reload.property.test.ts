// The property of a reload: whatever plan follows whatever plan, afterwards the same is open, the same targets answer and the
// same clients are refused as after a fresh start with the second one, and connections that were there go on all the time.
// RELOAD_RUNS says how many pairs are tried, RELOAD_SEED which.

import { expect, test } from "bun:test";
import { connect as connectTls } from "node:tls";

import fc from "fast-check";

import { Proxy } from "../../src/control/proxy.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { Authority } from "../support/certificates.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { freePort } from "../support/daemon.ts";
import { Datagrams } from "../support/udp.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const RUNS = Number(process.env.RELOAD_RUNS ?? 40);
const SEED = Number(process.env.RELOAD_SEED ?? 8);
const NAMES = ["a", "b", "c"] as const;
/** Listeners of streams, and of datagrams. */
const STREAMS = 3;
const DATAGRAMS = 1;
/** Where no client of anybody else comes from: its port would be in use. */
const HOST = `127.${1 + (process.pid % 200)}.0.1`;

interface Spec {
  readonly name: "tcp" | "http" | "tls" | "udp";
  readonly target: number;
  /** Of HTTP, for `/r`. */
  readonly routed: number;
  readonly denied: boolean;
  readonly limit: number;
}

/** By port; null: nobody listens there. */
type Specs = readonly (Spec | null)[];

const specOf = (...names: Spec["name"][]): fc.Arbitrary<Spec | null> =>
  fc.option(
    fc.record({
      name: fc.constantFrom(...names),
      target: fc.nat(NAMES.length - 1),
      routed: fc.nat(NAMES.length - 1),
      denied: fc.boolean(),
      limit: fc.constantFrom(500, 600),
    }),
    { freq: 5 },
  );

const specs: fc.Arbitrary<Specs> = fc.tuple(
  ...Array.from({ length: STREAMS }, () => specOf("tcp", "http", "tls")),
  ...Array.from({ length: DATAGRAMS }, () => specOf("udp")),
);

/** Answers `?` with its name, and a request with it as a body. */
function named(name: string): Promise<WireServer> {
  const body = `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${name}`;
  return WireServer.listen((wire) => {
    wire.onData((chunk) => void wire.write(chunk.toString().startsWith("GET") ? body : name));
    void wire.ending.then(() => wire.end());
  });
}

async function namedDatagrams(name: string): Promise<Datagrams> {
  const socket = await Datagrams.open();
  socket.onDatagram = ({ from }) => void socket.send(Buffer.from(name), from);
  return socket;
}

async function spoken(port: number, text: string): Promise<string> {
  try {
    const wire = await Wire.connect({ host: HOST, port });
    let heard = "";
    const answered = new Promise<void>((resolve) => {
      wire.onData((chunk) => {
        heard += chunk.toString();
        resolve();
      });
    });
    await wire.write(text);
    await within("an answer", Promise.race([answered, wire.ending]));
    wire.reset();
    return heard.slice(-1) || "refused";
  } catch (error) {
    const { code } = error as { code?: string };
    return code === "ECONNREFUSED" ? "closed" : "refused";
  }
}

function spokenOverTls(port: number): Promise<string> {
  const answer = Promise.withResolvers<string>();
  const socket = connectTls({ host: HOST, port, rejectUnauthorized: false }, () => {
    socket.write("?");
  });
  socket.on("data", (bytes) => answer.resolve(bytes.toString()));
  socket.on("error", () => answer.resolve("refused"));
  socket.on("close", () => answer.resolve("refused"));
  return within("an answer over TLS", answer.promise).finally(() => socket.destroy());
}

async function asked(proxy: Proxy, port: number): Promise<string> {
  const denied = (): number =>
    Object.entries(proxy.stats().listeners).find(([key]) => key.endsWith(`:${port}`))?.[1].refused
      .denied ?? -1;
  const before = denied();
  if (before < 0) return "closed";
  await using client = await Datagrams.open();
  await client.send(Buffer.from("?"), { host: HOST, port });
  await until("an answer", () => client.received.length > 0 || denied() > before);
  return client.received[0]?.data.toString() ?? "refused";
}

/** What clients see, port by port. */
function seen(proxy: Proxy, wanted: Specs, ports: readonly number[]): Promise<string[]> {
  return Promise.all(
    wanted.map(async (spec, i) => {
      const port = ports[i]!;
      if (i >= STREAMS) return asked(proxy, port);
      if (spec?.name === "tls") return spokenOverTls(port);
      if (spec?.name !== "http") return spoken(port, "?");
      const request = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;
      return `${await spoken(port, request("/"))} ${await spoken(port, request("/r"))}`;
    }),
  );
}

interface World {
  readonly streams: readonly WireServer[];
  readonly datagrams: readonly Datagrams[];
  readonly tls: object;
}

function planOf({ streams, datagrams, tls }: World, wanted: Specs, ports: readonly number[]): Plan {
  const protocols = wanted.flatMap((spec, i) => {
    if (spec === null) return [];
    const { name, target, routed, denied, limit } = spec;
    const targets = name === "udp" ? datagrams : streams;
    const routes = [{ match: { path: "/r" }, target: targets[routed]!.target }];
    return [
      {
        name,
        listen: `${HOST}:${ports[i]}`,
        target: targets[target]!.target,
        limits: { max_connections: limit },
        ...(denied ? { deny: ["127.0.0.0/8"] } : {}),
        ...(name === "http" ? { routes } : {}),
        ...(name === "tls" ? { tls } : {}),
      },
    ];
  });
  const spare = { name: "http", listen: "127.0.0.1:0", target: streams[0]!.target };
  return compiledPlan([...protocols, spare, { ...spare, name: "tcp" }]);
}

/** A client of a listener of tcp that never stops asking. */
class Talker {
  answers = 0;
  wrong = "";
  #asks = true;
  readonly #done: Promise<void>;
  readonly wire: Wire;

  constructor(wire: Wire, name: string) {
    this.wire = wire;
    this.#done = this.#talk(name);
  }

  async #talk(name: string): Promise<void> {
    while (this.#asks) {
      await this.wire.write("?");
      const answer = await within("an answer", this.wire.readBytes(1));
      if (answer !== name) this.wrong = answer;
      this.answers++;
    }
  }

  /** @throws Error if it was cut off. */
  async end(): Promise<void> {
    this.#asks = false;
    await this.#done;
    this.wire.reset();
  }
}

async function freePorts(): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < STREAMS + DATAGRAMS) {
    const port = await freePort();
    if (!ports.includes(port)) ports.push(port);
  }
  return ports;
}

test("after a reload everything is as after a fresh start, and who was untouched noticed nothing", async () => {
  using authority = new Authority();
  const { certFile, keyFile } = authority.issue(["a.example"]);
  const world: World = {
    streams: await Promise.all(NAMES.map(named)),
    datagrams: await Promise.all(NAMES.map(namedDatagrams)),
    tls: { cert_file: certFile, key_file: keyFile },
  };
  const [ports, others] = [await freePorts(), await freePorts()];
  const nobody = Array.from({ length: STREAMS + DATAGRAMS }, () => null);
  await using proxy = await Proxy.start(planOf(world, nobody, ports));
  let kept = 0;
  const holds = async (before: Specs, after: Specs): Promise<void> => {
    await proxy.reload(planOf(world, before, ports));
    const talkers: Talker[] = [];
    for (const [i, spec] of before.entries()) {
      if (spec?.name !== "tcp" || spec.denied) continue;
      const wire = await Wire.connect({ host: HOST, port: ports[i]! });
      talkers.push(new Talker(wire, NAMES[spec.target]!));
    }
    const counts = talkers.map(({ answers }) => answers);
    await proxy.reload(planOf(world, after, ports));
    const found = await seen(proxy, after, ports);
    await using fresh = await Proxy.start(planOf(world, after, others));
    expect(found).toEqual(await seen(fresh, after, others));
    const told = proxy.listeners().map(({ key }) => key.replace(/:\d+$/, ""));
    expect(told).toEqual(fresh.listeners().map(({ key }) => key.replace(/:\d+$/, "")));
    await until("everybody is answered", () =>
      talkers.every(({ answers }, i) => answers > counts[i]!),
    );
    await Promise.all(talkers.map((talker) => talker.end()));
    for (const { wrong } of talkers) expect(wrong).toBe("");
    kept += talkers.length;
  };
  await fc.assert(fc.asyncProperty(specs, specs, holds), {
    numRuns: RUNS,
    seed: SEED,
    endOnFailure: true,
  });
  expect(kept).toBeGreaterThan(0);
  for (const target of [...world.streams, ...world.datagrams]) await target[Symbol.asyncDispose]();
}, 300_000);
