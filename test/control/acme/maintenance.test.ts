// What is asked of whoever uses the folder of certificates, and what is done to it from outside.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { InternalIssuer } from "../../../src/control/acme/internal-issuer.ts";
import { IssueError } from "../../../src/control/acme/issue-error.ts";
import { findRecord, renewStored, revokeStored } from "../../../src/control/acme/maintenance.ts";
import { CertificateManager } from "../../../src/control/acme/manager.ts";
import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import { silentLog } from "../../../src/shared/log.ts";
import { FakeClock, FakeIssuer } from "../../support/acme-fakes.ts";
import { until } from "../../support/until.ts";

const MINUTE = 60_000;
const NAMES = ["a.example.com", "b.example.com"];

let folder = "";
let storage: CertificateStorage;
let clock: FakeClock;
let issuer: FakeIssuer;
const managers: CertificateManager[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "maintenance-"));
  storage = new CertificateStorage(folder);
  clock = new FakeClock();
  issuer = new FakeIssuer(clock);
});
afterEach(async () => {
  await Promise.all(managers.splice(0).map((manager) => manager.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<CertificateManager> {
  const manager = new CertificateManager({
    storage,
    keyType: "p256",
    issuersFor: () => [issuer],
    solvers: [],
    log: silentLog,
    clock,
    changed: () => {},
  });
  managers.push(manager);
  await manager.load([NAMES]);
  manager.start();
  await until("there is a certificate", () => manager.materials().length === 1);
  return manager;
}

/** Time passes for the manager, until it has asked its authority so many times, and what came of it is on disk. */
const untilAsked = (manager: CertificateManager, times: number) => async (): Promise<void> => {
  clock.move(MINUTE);
  const isOver = (): boolean =>
    issuer.requests.length >= times && !manager.status().some(({ ordering }) => ordering);
  await until(`it asks ${times} times`, isOver);
};

test("a certificate is found by any of its names", async () => {
  await start();
  expect((await findRecord(storage, "b.example.com")).names).toEqual(NAMES);
  expect(findRecord(storage, "c.example.com")).rejects.toMatchObject({ code: "ERR_STATE" });
});

test("whoever keeps a certificate hears of the wish for a new one, which is then over", async () => {
  const manager = await start();
  const before = await findRecord(storage, "a.example.com");
  expect(await renewStored(storage, before, untilAsked(manager, 2))).toBeNull();
  const after = await findRecord(storage, "a.example.com");
  expect(after.replaced).toEqual(before.current);
  expect(await storage.certificates.takeWant("a.example.com")).toBe(false);
});

test("what went wrong is told", async () => {
  const manager = await start();
  issuer.before = () => {
    throw new IssueError("the authority is on holiday");
  };
  const before = await findRecord(storage, "a.example.com");
  const failure = await renewStored(storage, before, untilAsked(manager, 2));
  expect(failure).toBe("fake: the authority is on holiday");
});

test("where nobody hears, the next one that starts does", async () => {
  const first = await start();
  await first.stop();
  const before = await findRecord(storage, "a.example.com");
  const asked = renewStored(storage, before, async () => {});
  expect(asked).rejects.toThrow(
    `no proxy that uses ${folder} has renewed a.example.com. Start one`,
  );
  await asked.catch(() => {});
  await start();
  await until("it is renewed", async () => {
    const { current } = await findRecord(storage, "a.example.com");
    return current!.version !== before.current!.version;
  });
  expect(issuer.requests).toHaveLength(2);
});

test("certificates that nobody can revoke are left alone", async () => {
  await start();
  const record = await findRecord(storage, "a.example.com");
  const signal = AbortSignal.timeout(5_000);
  const revoked = revokeStored(storage, record, 0, [], signal);
  expect(revoked).rejects.toThrow(`there is no account with fake in ${folder}`);
  await revoked.catch(() => {});
  const request = { names: ["c.internal"], keyType: "p256" } as const;
  const issued = await new InternalIssuer(storage).issue(request, signal);
  await storage.certificates.save(["c.internal"], issued, "internal", Date.now());
  const own = revokeStored(storage, await findRecord(storage, "c.internal"), 0, [], signal);
  expect(own).rejects.toThrow("the internal authority revokes no certificates");
  await own.catch(() => {});
  expect(await storage.certificates.list()).toEqual(["a.example.com", "c.internal"]);
});
