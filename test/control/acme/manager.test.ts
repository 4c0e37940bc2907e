// The manager of certificates against an authority without a network, with a clock that is moved: what is missing is ordered,
// what is due renewed, and whatever fails is tried again, whoever else uses the storage.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { IssueError } from "../../../src/control/acme/issue-error.ts";
import type { Issuer } from "../../../src/control/acme/issuer.ts";
import { CertificateManager } from "../../../src/control/acme/manager.ts";
import type { Solver } from "../../../src/control/acme/solver.ts";
import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import { SCHEDULE } from "../../../src/shared/auto-tls-limits.ts";
import { FakeClock, FakeIssuer, fakeSolver } from "../../support/acme-fakes.ts";
import { LogLines } from "../../support/log-lines.ts";
import { until, within } from "../../support/until.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let folder = "";
let clock = new FakeClock();
let issuer = new FakeIssuer(clock);
let running: CertificateManager[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "manager-"));
  clock = new FakeClock();
  issuer = new FakeIssuer(clock);
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((manager) => manager.stop()));
  rmSync(folder, { recursive: true, force: true });
});

interface Started {
  readonly manager: CertificateManager;
  readonly log: LogLines;
  readonly changes: { count: number };
}

interface StartOptions {
  readonly issuers?: readonly Issuer[];
  readonly solvers?: readonly Solver[];
}

async function load(names: (readonly string[])[], options: StartOptions = {}): Promise<Started> {
  const log = new LogLines();
  const changes = { count: 0 };
  const manager = new CertificateManager({
    storage: new CertificateStorage(folder),
    keyType: "p256",
    issuersFor: () => options.issuers ?? [issuer],
    solvers: options.solvers ?? [],
    log: log.log,
    clock,
    changed: () => changes.count++,
  });
  running.push(manager);
  await manager.load(names);
  return { manager, log, changes };
}

async function start(names: (readonly string[])[], options: StartOptions = {}): Promise<Started> {
  const started = await load(names, options);
  started.manager.start();
  return started;
}

const isValid = (manager: CertificateManager): boolean =>
  manager.status().every(({ state, ordering }) => state === "valid" && !ordering);

const valid = (manager: CertificateManager): Promise<void> =>
  until("all certificates are valid", () => isValid(manager));

/** Attempts so far have ended. */
const rest = (manager: CertificateManager, requests: number, of = issuer): Promise<void> =>
  until(`${requests} requests have ended`, () => {
    return of.requests.length === requests && manager.status().every(({ ordering }) => !ordering);
  });

const serialOf = (manager: CertificateManager, name: string): string =>
  new X509Certificate(manager.materialFor(name)!.chain).serialNumber;

const refuse =
  (failure: ConstructorParameters<typeof IssueError>[1] = {}) =>
  (): void => {
    throw new IssueError("fake: no", failure);
  };

describe("what is missing", () => {
  test("is ordered at once, each entry on its own, and shown when it is on disk", async () => {
    const { manager, changes } = await start([["a.example"], ["b.example", "*.b.example"]]);
    expect(manager.materials()).toEqual([]);
    expect(manager.missing()).toEqual([["a.example"], ["b.example", "*.b.example"]]);
    await valid(manager);
    expect(issuer.requests.map(({ names }) => names).toSorted()).toEqual([
      ["a.example"],
      ["b.example", "*.b.example"],
    ]);
    expect(changes.count).toBe(2);
    expect(manager.missing()).toEqual([]);
    expect(manager.materialFor("x.b.example")).toBe(manager.materialFor("b.example"));
    expect(manager.materialFor("c.example")).toBeNull();
    const stored = await new CertificateStorage(folder).certificates.read("a.example");
    expect(new X509Certificate(stored!.chain).serialNumber).toBe(serialOf(manager, "a.example"));
  });

  test("is nothing after a restart: no order is made", async () => {
    const first = await start([["a.example"]]);
    await valid(first.manager);
    await first.manager.stop();
    const second = await load([["a.example"]]);
    expect(serialOf(second.manager, "a.example")).toBe(serialOf(first.manager, "a.example"));
    second.manager.start();
    clock.move(DAY);
    await until("the window is asked for", () => isValid(second.manager));
    expect(issuer.requests.length).toBe(1);
  });

  test("is what has expired, is for fewer names than asked, or was damaged", async () => {
    const first = await start([["a.example"]]);
    await valid(first.manager);
    await first.manager.stop();
    const wider = await load([["a.example", "b.example"]]);
    expect(wider.manager.missing()).toEqual([["a.example", "b.example"]]);
    clock.move(91 * DAY);
    const later = await load([["a.example"]]);
    expect(later.manager.status()[0]).toMatchObject({ state: "expired", daysLeft: -1 });
    expect(later.manager.missing()).toEqual([["a.example"]]);
    later.manager.start();
    await valid(later.manager);
    await later.manager.stop();
    const { chainFile } = (await new CertificateStorage(folder).certificates.read("a.example"))!;
    await Bun.write(chainFile, "damaged");
    const third = await start([["a.example"]]);
    expect(third.log.of("stored certificate not used")).toHaveLength(1);
    await valid(third.manager);
    expect(issuer.requests.length).toBe(3);
  });

  test("is what an authority signed that is not asked any more, which is shown until then", async () => {
    const staging = new FakeIssuer(clock, "staging");
    const first = await start([["a.example"]], { issuers: [staging] });
    await valid(first.manager);
    await first.manager.stop();
    const { manager } = await load([["a.example"]]);
    const before = serialOf(manager, "a.example");
    manager.start();
    await rest(manager, 1);
    expect(serialOf(manager, "a.example")).not.toBe(before);
    expect(issuer.requests[0]!.replaces).toBeNull();
    clock.move(MINUTE);
    expect(manager.status()[0]).toMatchObject({ authority: "fake", failures: 0 });
    expect(issuer.requests.length).toBe(1);
  });

  test("is ordered four at a time", async () => {
    const gate = Promise.withResolvers<void>();
    issuer.before = () => gate.promise;
    const names = Array.from({ length: 10 }, (_, i) => [`n${i}.example`]);
    const { manager } = await start(names);
    await until("four are under way", () => issuer.requests.length === 4);
    expect(manager.status().filter(({ ordering }) => ordering)).toHaveLength(4);
    gate.resolve();
    await valid(manager);
    expect(issuer.requests.length).toBe(10);
  });
});

describe("renewal", () => {
  test("comes at two thirds of the lifetime, with what it replaces, and changes what is shown", async () => {
    const { manager } = await start([["a.example"]]);
    await valid(manager);
    const before = manager.materialFor("a.example")!;
    clock.move(57 * DAY);
    expect(issuer.requests.length).toBe(1);
    clock.move(3 * DAY);
    await rest(manager, 2);
    expect(issuer.requests[1]!.replaces!.trim()).toBe(before.chain.trim());
    expect(manager.materialFor("a.example")!.chain).not.toBe(before.chain);
  });

  test("comes in time for certificates of six days, and of minutes", async () => {
    for (const lifetimeMs of [6 * DAY, 10 * MINUTE]) {
      issuer = new FakeIssuer(clock);
      issuer.lifetimeMs = lifetimeMs;
      const { manager } = await start([[`${lifetimeMs}.example`]]);
      await valid(manager);
      for (let renewals = 2; renewals < 5; renewals++) {
        clock.move(lifetimeMs * 0.6);
        expect(issuer.requests.length).toBe(renewals - 1);
        clock.move(lifetimeMs * 0.1);
        await rest(manager, renewals);
      }
    }
  });

  test("comes in the window that the authority tells, which is asked for again", async () => {
    const { manager, log } = await start([["a.example"]]);
    const nowMs = clock.now();
    const window = { startMs: nowMs + 20 * DAY, endMs: nowMs + 21 * DAY, explanationUrl: null };
    issuer.window = { ...window, askAgainMs: nowMs + 6 * HOUR };
    await until("the window is known", () => {
      return manager.status()[0]!.nextAttemptMs === nowMs + 20.5 * DAY;
    });
    const explanationUrl = "https://ca.example/incident";
    issuer.window = {
      ...window,
      startMs: nowMs - DAY,
      endMs: nowMs - 1,
      explanationUrl,
      askAgainMs: 0,
    };
    clock.move(2 * DAY);
    await rest(manager, 2);
    const [why] = log.of("the authority says why it wants a certificate renewed");
    expect(why!.fields).toMatchObject({ names: "a.example", explanation: explanationUrl });
  });

  test("after a machine slept, is made when it wakes up", async () => {
    const { manager } = await start([["a.example"]]);
    await valid(manager);
    clock.move(200 * DAY);
    await rest(manager, 2);
    expect(isValid(manager)).toBe(true);
  });

  test("does not wait for a day that the clock said by mistake", async () => {
    issuer.before = refuse();
    const { manager } = await start([["a.example"]]);
    await rest(manager, 1);
    clock.set(clock.now() + 30 * DAY);
    clock.move(MINUTE);
    await rest(manager, 2);
    clock.set(clock.now() - 30 * DAY);
    clock.move(MINUTE);
    clock.move(3 * MINUTE);
    await rest(manager, 3);
  });

  test("by hand takes all that is named, due or not", async () => {
    const { manager } = await start([["a.example"], ["b.example"]]);
    await valid(manager);
    await manager.renew(null, false);
    expect(issuer.requests.length).toBe(2);
    await manager.renew(["a.example"], true);
    expect(issuer.requests.length).toBe(3);
    issuer.before = refuse();
    await expect(manager.renew(["a.example"], true)).rejects.toMatchObject({ code: "ERR_ISSUE" });
    await expect(manager.renew(["c.example"], true)).rejects.toMatchObject({ code: "ERR_STATE" });
    expect(isValid(manager)).toBe(true);
    clock.move(HOUR);
    expect(issuer.requests.length).toBe(4);
  });
});

describe("a failure", () => {
  test("is tried again by the table, said once at first, and over when it is over", async () => {
    issuer.before = refuse();
    const { manager, log } = await start([["a.example"]]);
    await rest(manager, 1);
    expect(manager.status()[0]).toMatchObject({
      state: "missing",
      failures: 1,
      lastFailure: { authority: "fake", reason: "fake: no" },
    });
    for (const [after, requests] of [
      [1, 2],
      [2, 3],
      [2, 4],
      [5, 5],
      [10, 6],
    ] as const) {
      clock.move(after * MINUTE * 1.1);
      await rest(manager, requests);
    }
    expect(log.of("certificate not obtained, trying on")).toHaveLength(2);
    issuer.before = () => {};
    clock.move(2 * HOUR);
    await rest(manager, 7);
    expect(log.of("certificate obtained").map(({ fields }) => fields)).toEqual([
      { names: "a.example", authority: "fake", daysLeft: 90, failures: 6 },
    ]);
    expect(manager.status()[0]).toMatchObject({ state: "valid", failures: 0, lastFailure: null });
  });

  test("of a renewal is a warning, and an error when a quarter of the lifetime is left", async () => {
    const { manager, log } = await start([["a.example"]]);
    await valid(manager);
    issuer.before = refuse();
    for (let day = 0; day < 80; day++) {
      const requests = issuer.requests.length;
      clock.move(DAY);
      if (day >= 60) await until("another attempt", () => issuer.requests.length > requests);
      await until("it ended", () => manager.status().every(({ ordering }) => !ordering));
    }
    const warnings = log.of("certificate not renewed, trying on");
    const errors = log.of("certificate not obtained, trying on");
    expect(warnings.length).toBeWithin(5, 12);
    expect(errors.length).toBeWithin(8, 14);
    expect(errors[0]).toMatchObject({ level: "error", fields: { daysLeft: expect.any(Number) } });
    expect(manager.materialFor("a.example")).not.toBeNull();
  });

  test("of a challenge leads to the next one at once, of those that fit", async () => {
    issuer.before = (request) => {
      const [solver] = request.solvers;
      if (solver!.type === "http-01") return;
      refuse({ failedChallenges: [{ name: "a.example", type: solver!.type }] })();
    };
    const solvers = [
      fakeSolver("tls-alpn-01"),
      fakeSolver("dns-01", () => true),
      fakeSolver("http-01"),
    ];
    const { manager } = await start([["a.example"]], { solvers });
    await rest(manager, 1);
    clock.move(2_000);
    await rest(manager, 2);
    expect(isValid(manager)).toBe(true);
    expect(issuer.requests.map((each) => each.solvers.map(({ type }) => type))).toEqual([
      ["tls-alpn-01", "http-01"],
      ["http-01", "tls-alpn-01"],
    ]);
  });

  test("twice with one authority leads to the next, and the first is asked for the renewal", async () => {
    const second = new FakeIssuer(clock, "second");
    issuer.before = refuse();
    const { manager } = await start([["a.example"]], { issuers: [issuer, second] });
    await rest(manager, 1);
    clock.move(2 * MINUTE);
    await rest(manager, 2);
    clock.move(3 * MINUTE);
    await rest(manager, 1, second);
    expect(manager.status()[0]).toMatchObject({ state: "valid", authority: "second" });
    issuer.before = () => {};
    clock.move(61 * DAY);
    await rest(manager, 3);
    expect(manager.status()[0]).toMatchObject({ state: "valid", authority: "fake" });
    expect(issuer.requests[2]!.replaces).toBeNull();
  });

  test("of one name does not keep others from their certificates", async () => {
    issuer.before = ({ names }) => {
      if (names[0] === "bad.example") refuse()();
    };
    const { manager } = await start([["bad.example"], ["good.example"]]);
    await until("one is there", () => manager.materialFor("good.example") !== null);
    expect(manager.missing()).toEqual([["bad.example"]]);
  });

  test("is known to the next process: the authority's limit holds for all together", async () => {
    issuer.before = refuse({ failedChallenges: [{ name: "a.example", type: "http-01" }] });
    for (let i = 1; i <= 4; i++) {
      const { manager } = await start([["a.example"]]);
      await rest(manager, i);
      await manager.stop();
      clock.move(1_000);
    }
    const { manager } = await start([["a.example"]]);
    expect(manager.status()[0]!.nextAttemptMs).toBeGreaterThan(clock.now() + 59 * MINUTE);
    clock.move(HOUR);
    await rest(manager, 5);
  });

  test("with a wait that no authority means holds the next process up no longer than this one", async () => {
    issuer.before = () => {
      throw new IssueError("no", { notBeforeMs: clock.now() + 10 * 365 * DAY });
    };
    const first = await start([["a.example"]]);
    await rest(first.manager, 1);
    await first.manager.stop();
    const latest = clock.now() + SCHEDULE.notBeforeMaxMs;
    expect(first.manager.status()[0]!.nextAttemptMs).toBeLessThanOrEqual(latest);
    const second = await start([["a.example"]]);
    expect(second.manager.status()[0]!.nextAttemptMs).toBeLessThanOrEqual(latest);
  });

  test("that a clock which was ahead has noted is no reason to wait until then", async () => {
    issuer.before = refuse();
    const nowMs = clock.now();
    clock.set(nowMs + 365 * DAY);
    for (let i = 1; i <= 4; i++) {
      const { manager } = await start([["a.example"]]);
      await rest(manager, i);
      await manager.stop();
    }
    clock.set(nowMs);
    const { manager } = await start([["a.example"]]);
    expect(manager.status()[0]!.nextAttemptMs).toBeLessThan(nowMs + HOUR);
  });

  test("of the disk is one before anything is ordered", async () => {
    await Bun.write(join(folder, "certificates"), "a file, where a folder should be");
    const { manager, log } = await start([["a.example"]]);
    await until("it is said", () => log.of("certificate not obtained, trying on").length === 1);
    expect(manager.status()[0]!.lastFailure!.reason).toContain(folder);
    expect(issuer.requests).toEqual([]);
  });
});

describe("two on one storage", () => {
  test("order once, and both show what came", async () => {
    const gate = Promise.withResolvers<void>();
    issuer.before = () => gate.promise;
    const started = await Promise.all([start([["a.example"]]), start([["a.example"]])]);
    await until("one has begun", () => issuer.requests.length === 1);
    gate.resolve();
    await Promise.all(started.map(({ manager }) => valid(manager)));
    expect(issuer.requests.length).toBe(1);
    const serials = started.map(({ manager }) => serialOf(manager, "a.example"));
    expect(serials[0]).toBe(serials[1]!);
  });

  test("see what the other renewed or revoked, soon", async () => {
    const [one, other] = await Promise.all([start([["a.example"]]), start([["a.example"]])]);
    await Promise.all([valid(one.manager), valid(other.manager)]);
    clock.move(MINUTE);
    await one.manager.renew(["a.example"], true);
    clock.move(MINUTE);
    await until("the other has it", () => {
      return serialOf(one.manager, "a.example") === serialOf(other.manager, "a.example");
    });
    expect(issuer.requests.length).toBe(2);
  });
});

test("a storage that cannot be read for a while changes nothing", async () => {
  const { manager, log } = await start([["a.example"]]);
  await valid(manager);
  const record = join(folder, "certificates", "a.example", "certificate.json");
  const text = await Bun.file(record).text();
  await Bun.write(record, "damaged");
  clock.move(2 * MINUTE);
  await until("it is said", () => log.of("stored certificate not used").length > 0);
  clock.move(2 * MINUTE);
  await Bun.write(record, text);
  clock.move(2 * MINUTE);
  expect(log.of("stored certificate not used")).toHaveLength(1);
  expect(isValid(manager)).toBe(true);
  rmSync(record);
  clock.move(2 * MINUTE);
  await until("it is ordered anew", () => issuer.requests.length === 2);
  expect(log.of("certificate was removed")).toHaveLength(1);
  await valid(manager);
});

describe("while it runs", () => {
  test("certificates are added, and removed with what they wait for", async () => {
    const { manager, changes } = await start([["a.example"]]);
    await valid(manager);
    issuer.before = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    await manager.addDomains([["b.example"]]);
    await until("it is ordered", () => issuer.requests.length === 2);
    manager.removeDomains(["b.example", "a.example"]);
    expect(manager.status()).toEqual([]);
    expect(manager.materials()).toEqual([]);
    expect(changes.count).toBe(2);
    expect(await new CertificateStorage(folder).certificates.list()).toContain("a.example");
  });

  test("orders that an orderly end gives up do not count as failures", async () => {
    issuer.before = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    for (let i = 1; i <= 6; i++) {
      const { manager } = await start([["a.example"]]);
      await until("it is ordered", () => issuer.requests.length === i);
      await manager.stop();
    }
    const record = await new CertificateStorage(folder).certificates.record("a.example");
    expect(record!.failures).toEqual([]);
  });

  test("one is revoked, shown until the next has come, which is ordered at once", async () => {
    const { manager } = await start([["a.example"]]);
    await valid(manager);
    const before = serialOf(manager, "a.example");
    const gate = Promise.withResolvers<void>();
    issuer.before = () => gate.promise;
    await manager.revoke("a.example", 1);
    expect(issuer.revoked).toHaveLength(1);
    expect(serialOf(manager, "a.example")).toBe(before);
    gate.resolve();
    await rest(manager, 2);
    expect(serialOf(manager, "a.example")).not.toBe(before);
    await expect(manager.revoke("b.example", 1)).rejects.toMatchObject({ code: "ERR_STATE" });
  });

  test("it stops at once, and what was under way fails nobody", async () => {
    issuer.before = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    const { manager, log } = await start([["a.example"]]);
    await until("it is ordered", () => issuer.requests.length === 1);
    const waiting = manager.renew(["a.example"], true);
    await within("the end", manager.stop());
    await expect(waiting).rejects.toMatchObject({ code: "ERR_CLOSED" });
    expect(log.of("certificate not obtained, trying on")).toEqual([]);
  });

  test("its end waits for challenges to be taken back, unless somebody is in a hurry", async () => {
    const gate = Promise.withResolvers<void>();
    issuer.before = () => gate.promise;
    const { manager } = await start([["a.example"]]);
    await until("it is ordered", () => issuer.requests.length === 1);
    let ended = false;
    const stopped = manager.stop().then(() => (ended = true));
    await Promise.race([stopped, new Promise((resolve) => setImmediate(resolve))]);
    expect(ended).toBe(false);
    manager.hurry();
    await within("the end", stopped);
    gate.resolve();
  });

  test("one is obtained for whoever waits, who hears of failure, and later at once", async () => {
    const { manager } = await start([]);
    const permit = async (): Promise<void> => {};
    await manager.obtain("a.example", permit);
    expect(manager.materialFor("a.example")).not.toBeNull();
    expect(manager.status()[0]!.onDemand).toBe(true);
    issuer.before = refuse();
    await expect(manager.obtain("b.example", permit)).rejects.toMatchObject({ code: "ERR_ISSUE" });
    await expect(manager.obtain("b.example", permit)).rejects.toThrow("the next is due at");
    expect(issuer.requests.length).toBe(2);
  });

  test("one that the storage has needs no permission, and one that gets none is not kept", async () => {
    const first = await start([["a.example"]]);
    await valid(first.manager);
    const { manager } = await start([]);
    const denied = new IssueError("denied");
    const permit = (): Promise<void> => Promise.reject(denied);
    await manager.obtain("a.example", permit);
    expect(manager.materialFor("a.example")).not.toBeNull();
    await expect(manager.obtain("b.example", permit)).rejects.toBe(denied);
    expect(manager.status().map(({ names }) => names)).toEqual([["a.example"]]);
    expect(issuer.requests.length).toBe(1);
  });
});
