// The manager with Pebble and a clock that is moved: an authority that is away at the start, wildcards and several names by
// DNS, and renewals that name what they replace.

import { expect } from "bun:test";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";

import { AcmeIssuer } from "../../../src/control/acme/acme-issuer.ts";
import { CertificateManager } from "../../../src/control/acme/manager.ts";
import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import { Proxy } from "../../../src/control/proxy.ts";
import type { AuthorityPlan, ChallengeType } from "../../../src/shared/auto-tls-plan.ts";
import { FakeClock } from "../../support/acme-fakes.ts";
import { issuedBy } from "../../support/auto-tls-proxy.ts";
import { ServedSolver } from "../../support/challenge-server.ts";
import { freePort, inFolder } from "../../support/daemon.ts";
import { LogLines } from "../../support/log-lines.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { makePlan } from "../../support/plan.ts";
import { testWith } from "../../support/programs.ts";
import { until } from "../../support/until.ts";

interface Options {
  readonly folder: string;
  readonly pebble: Pebble;
  readonly plan?: AuthorityPlan;
  readonly types?: readonly ChallengeType[];
  readonly clock: FakeClock;
}

function managerOf({ folder, pebble, plan, types = ["http-01", "dns-01"], clock }: Options) {
  const storage = new CertificateStorage(join(folder, "storage"));
  const issuer = new AcmeIssuer({
    plan: plan ?? pebble.plan(),
    storage,
    warn: () => {},
    now: () => clock.now(),
  });
  const log = new LogLines();
  const manager = new CertificateManager({
    storage,
    keyType: "p256",
    issuersFor: () => [issuer],
    solvers: types.map((type) => new ServedSolver(pebble.challenges, type)),
    log: log.log,
    clock,
    changed: () => {},
  });
  return { manager, log };
}

const states = (manager: CertificateManager): string[] =>
  manager.status().map(({ state, ordering }) => `${state}${ordering ? " ordering" : ""}`);

testWith(
  PEBBLE_PROGRAMS,
  "an authority that is away at the start is asked until it is there",
  () =>
    inFolder(async (folder) => {
      const clock = new FakeClock(Date.now());
      await using pebble = await Pebble.start();
      const port = await freePort();
      const directory = `https://127.0.0.1:${port}/dir`;
      const { manager, log } = managerOf({
        folder,
        pebble,
        plan: pebble.plan({ directory }),
        clock,
      });
      await manager.load([["a.example.com"]]);
      manager.start();
      await until("the first attempt failed", () => manager.status()[0]!.failures === 1);
      expect(manager.status()[0]!.lastFailure!.reason).toContain(`127.0.0.1:${port}`);
      const { host } = new URL(pebble.directory);
      const between = makePlan({ engine: "bun" }, { listen: `127.0.0.1:${port}`, target: host });
      await using _there = await Proxy.start(between);
      clock.move(2 * 60_000);
      await until("it is there", () => states(manager).join() === "valid", 20_000);
      expect(log.of("certificate not obtained, trying on")).toHaveLength(1);
      await manager.stop();
    }),
  60_000,
);

testWith(
  PEBBLE_PROGRAMS,
  "a wildcard is proven by DNS beside the name itself, and renewed in the authority's window, once",
  () =>
    inFolder(async (folder) => {
      const clock = new FakeClock(Date.now());
      await using pebble = await Pebble.start({ nonceReject: 20 });
      const { manager } = managerOf({ folder, pebble, clock });
      const names = ["example.com", "*.example.com", "www.other.example"];
      await manager.load([names]);
      manager.start();
      await until("it is there", () => states(manager).join() === "valid", 20_000);
      const first = new X509Certificate(manager.materialFor("x.example.com")!.chain);
      expect(first.subjectAltName!.split(", ").toSorted()).toEqual(
        names.map((name) => `DNS:${name}`).toSorted(),
      );
      const { notBeforeMs, notAfterMs } = manager.status()[0]!;
      const twoThirds = notBeforeMs! + (notAfterMs! - notBeforeMs!) * (2 / 3);
      await until("the window is known", () => {
        return Math.abs(manager.status()[0]!.nextAttemptMs - twoThirds) > 86_400_000;
      });
      // Far from it nothing is renewed, and inside it at once.
      clock.move(86_400_000);
      expect(issuedBy(pebble)).toBe(1);
      await manager.renew(null, true);
      expect(issuedBy(pebble)).toBe(2);
      const second = new X509Certificate(manager.materialFor("x.example.com")!.chain);
      expect(second.serialNumber).not.toBe(first.serialNumber);
      await manager.revoke("example.com", 4);
      expect(await pebble.status(second.serialNumber)).toMatchObject({ Status: "Revoked" });
      await until("another is there", () => issuedBy(pebble) === 3, 20_000);
      await manager.stop();
    }),
  60_000,
);
