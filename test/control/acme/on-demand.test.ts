// Certificates on demand: who may have one, how many are ordered, and what clients that make up names cost.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { IssueError } from "../../../src/control/acme/issue-error.ts";
import { CertificateManager } from "../../../src/control/acme/manager.ts";
import { OnDemand } from "../../../src/control/acme/on-demand.ts";
import type { Solver } from "../../../src/control/acme/solver.ts";
import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import type { OnDemandPlan } from "../../../src/shared/auto-tls-plan.ts";
import { FakeClock, FakeIssuer, fakeSolver } from "../../support/acme-fakes.ts";
import { LogLines } from "../../support/log-lines.ts";
import { until } from "../../support/until.ts";

const HOUR = 3_600_000;

let folder = "";
let clock = new FakeClock();
let issuer = new FakeIssuer(clock);
let managers: CertificateManager[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "on-demand-"));
  clock = new FakeClock();
  issuer = new FakeIssuer(clock);
  managers = [];
});

afterEach(async () => {
  await Promise.all(managers.map((manager) => manager.stop()));
  rmSync(folder, { recursive: true, force: true });
});

class Demand {
  readonly log = new LogLines();
  readonly manager: CertificateManager;
  readonly onDemand: OnDemand;
  readonly said: string[] = [];

  constructor(plan: Partial<OnDemandPlan>, solvers: readonly Solver[] = []) {
    const { log } = this.log;
    const storage = new CertificateStorage(folder);
    const issuersFor = (): FakeIssuer[] => [issuer];
    const options = { storage, keyType: "p256", issuersFor, solvers, log, clock } as const;
    this.manager = new CertificateManager({ ...options, changed: () => {} });
    this.manager.start();
    managers.push(this.manager);
    const defaults = { ask: null, domains: [], orders: 10, intervalMs: HOUR, maxCertificates: 10 };
    this.onDemand = new OnDemand({
      plan: { ...defaults, ...plan },
      manager: this.manager,
      clock,
      log,
      granted: (name) => this.said.push(`${name} granted`),
      denied: (name) => this.said.push(`${name} denied`),
    });
  }

  /** What came of one name. */
  async want(name: string): Promise<string> {
    const before = this.said.length;
    this.onDemand.wanted(name);
    await until(`${name} is decided`, () => this.said.length > before);
    return this.said.at(-1)!;
  }

  get names(): string[] {
    return this.manager.status().map(({ names }) => names[0]!);
  }
}

test("a name that a pattern allows gets one, others none, and nobody is asked", async () => {
  const demand = new Demand({ domains: ["*.a.example", "b.example"] });
  expect(await demand.want("x.a.example")).toBe("x.a.example granted");
  expect(await demand.want("b.example")).toBe("b.example granted");
  expect(await demand.want("x.y.a.example")).toBe("x.y.a.example denied");
  expect(await demand.want("a.example")).toBe("a.example denied");
  expect(demand.names).toEqual(["x.a.example", "b.example"]);
  expect(issuer.requests.length).toBe(2);
});

test("a name is asked about, no redirect is followed, and a refusal holds for a minute", async () => {
  const asked: string[] = [];
  await using server = Bun.serve({
    port: 0,
    fetch: ({ url }) => {
      const { searchParams, pathname } = new URL(url);
      asked.push(`${pathname}?${searchParams}`);
      const name = searchParams.get("domain")!;
      if (name === "moved.example") return Response.redirect("/yes?domain=good.example", 302);
      return new Response("", { status: name === "good.example" ? 200 : 404 });
    },
  });
  const demand = new Demand({ ask: `http://127.0.0.1:${server.port}/check?key=1` });
  expect(await demand.want("good.example")).toBe("good.example granted");
  expect(await demand.want("bad.example")).toBe("bad.example denied");
  expect(await demand.want("bad.example")).toBe("bad.example denied");
  expect(await demand.want("moved.example")).toBe("moved.example denied");
  expect(asked).toEqual([
    "/check?key=1&domain=good.example",
    "/check?key=1&domain=bad.example",
    "/check?key=1&domain=moved.example",
  ]);
  clock.move(61_000);
  await demand.want("bad.example");
  expect(asked).toHaveLength(4);
});

test("nobody to ask means no, and is said", async () => {
  const server = Bun.serve({ port: 0, fetch: () => new Response("") });
  const ask = `http://127.0.0.1:${server.port}/`;
  await server.stop(true);
  const demand = new Demand({ ask });
  expect(await demand.want("a.example")).toBe("a.example denied");
  expect(demand.log.of("nobody says whether a name is allowed")).toHaveLength(1);
});

test("what is logged of whoever is asked has no password and no key", async () => {
  const demand = new Demand({ ask: "http://user:pa55@127.0.0.1:1/may?key=k3y" });
  expect(await demand.want("a.example")).toBe("a.example denied");
  const [line] = demand.log.of("nobody says whether a name is allowed");
  expect(line!.fields.ask).toBe("http://127.0.0.1:1/may?…");
  expect(JSON.stringify(demand.log.lines)).not.toMatch(/pa55|k3y/);
});

test("names that clients make up fill no log, however fast they do", async () => {
  const patterns = new Demand({ domains: ["*.example"], orders: 0 });
  const nobody = new Demand({ ask: "http://127.0.0.1:1/" });
  for (let i = 0; i < 30; i++) {
    await patterns.want(`n${i}.example`);
    await nobody.want(`n${i}.example`);
  }
  const [limit, silence] = [
    patterns.log.of("no certificate on demand"),
    nobody.log.of("nobody says whether a name is allowed"),
  ];
  expect([limit.length, silence.length]).toEqual([1, 1]);
  clock.move(61_000);
  await patterns.want("again.example");
  const lines = patterns.log.of("no certificate on demand");
  expect(lines.map(({ fields }) => fields.others)).toEqual([undefined, 29]);
});

test("names that no certificate can have are denied at once, and cost no order", async () => {
  const demand = new Demand({ domains: ["*.b.example"] });
  for (const name of ["_a.b.example", "-a.b.example", `${"a".repeat(50)}_.b.example`]) {
    expect(await demand.want(name)).toBe(`${name} denied`);
  }
  expect(issuer.requests).toEqual([]);
  expect(demand.log.lines.filter(({ level }) => level !== "debug")).toEqual([]);
});

test("a name of the greatest length gets its certificate", async () => {
  const label = "a".repeat(63);
  const name = `${[label, label, label].join(".")}.${"b".repeat(53)}.example`;
  expect(name.length).toBe(253);
  const demand = new Demand({ domains: [name] });
  expect(await demand.want(name)).toBe(`${name} granted`);
});

test("names that many clients make up are asked about sixteen at a time", async () => {
  const gate = Promise.withResolvers<void>();
  let asked = 0;
  await using server = Bun.serve({
    port: 0,
    fetch: async () => {
      asked++;
      await gate.promise;
      return new Response("", { status: 403 });
    },
  });
  const demand = new Demand({ ask: `http://127.0.0.1:${server.port}/` });
  for (let i = 0; i < 100; i++) demand.onDemand.wanted(`n${i}.example`);
  await until("sixteen are asked about", () => asked === 16 && demand.said.length === 84);
  gate.resolve();
  await until("all are denied", () => demand.said.length === 100);
  expect(demand.names).toEqual([]);
  expect(asked).toBe(16);
});

test("no more are ordered than the plan allows, and what the storage has is no order", async () => {
  const first = new Demand({ domains: ["*.example"], orders: 2 });
  expect(await first.want("a.example")).toBe("a.example granted");
  expect(await first.want("b.example")).toBe("b.example granted");
  expect(await first.want("c.example")).toBe("c.example denied");
  expect(first.log.of("no certificate on demand")[0]!.fields.error).toContain("on_demand.rate");
  clock.move(HOUR + 1);
  expect(await first.want("c.example")).toBe("c.example granted");
  const second = new Demand({ domains: ["*.example"], orders: 0 });
  expect(await second.want("a.example")).toBe("a.example granted");
  expect(await second.want("d.example")).toBe("d.example denied");
  expect(issuer.requests.length).toBe(3);
});

test("many who ask for one name at once cause one order", async () => {
  const demand = new Demand({ domains: ["*.example"] });
  for (let i = 0; i < 5; i++) demand.onDemand.wanted("a.example");
  await until("it is granted", () => demand.said.length > 0);
  expect(demand.said).toEqual(["a.example granted"]);
  expect(issuer.requests.length).toBe(1);
});

test("the one that was asked for longest ago goes first, and is back from the storage", async () => {
  const demand = new Demand({ domains: ["*.example"], maxCertificates: 2 });
  await demand.want("a.example");
  await demand.want("b.example");
  await demand.want("a.example");
  await demand.want("c.example");
  expect(demand.names).toEqual(["a.example", "c.example"]);
  await demand.want("b.example");
  expect(demand.names).toEqual(["c.example", "b.example"]);
  expect(issuer.requests.length).toBe(3);
});

test("an order that fails is tried by another challenge while the client waits, then given up for a while", async () => {
  issuer.before = ({ solvers }) => {
    const [solver] = solvers;
    throw new IssueError("no", { failedChallenges: [{ name: "a", type: solver!.type }] });
  };
  const demand = new Demand({ domains: ["*.example"] }, [
    fakeSolver("tls-alpn-01"),
    fakeSolver("http-01"),
  ]);
  const wanted = demand.want("a.example");
  await until("one has failed", () => demand.manager.status()[0]?.failures === 1);
  await until("the other is due", () => {
    clock.move(1_000);
    return issuer.requests.length === 2;
  });
  expect(await wanted).toBe("a.example denied");
  expect(demand.names).toEqual([]);
  expect(await demand.want("a.example")).toBe("a.example denied");
  expect(issuer.requests.length).toBe(2);
});
