// A proxy whose listeners show managed certificates, signed by the internal authority: stand-ins first, then those, also for
// what is added by a restart; and the end.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Proxy } from "../../src/control/proxy.ts";
import { AUTO_TLS_DEFAULTS } from "../../src/shared/auto-tls-limits.ts";
import type { AutoTlsPlan } from "../../src/shared/auto-tls-plan.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { isStandIn, shownAt } from "../support/auto-tls-proxy.ts";
import { LogLines } from "../support/log-lines.ts";
import { makePlan } from "../support/plan.ts";
import { tlsPlan } from "../support/tls.ts";
import { until, within } from "../support/until.ts";

let storage = "";
beforeEach(() => (storage = mkdtempSync(join(tmpdir(), "auto-tls-"))));
afterEach(() => rmSync(storage, { recursive: true, force: true }));

function planOf(...names: string[]): Plan {
  const autoTls: AutoTlsPlan = {
    certificates: names.map((name) => [name]),
    authorities: [],
    internal: true,
    challenges: [],
    keyType: "p256",
    storage,
    dns: null,
    httpPort: AUTO_TLS_DEFAULTS.httpPort,
    tlsPort: AUTO_TLS_DEFAULTS.tlsPort,
    onDemand: null,
  };
  const plan = makePlan({ engine: "bun" }, { target: "127.0.0.1:1" });
  return { ...plan, autoTls, listeners: [tlsPlan({ managed: true })] };
}

function portOf(proxy: Proxy): number {
  const [bound] = proxy.listeners()[0]!.bound;
  return bound?.kind === "ip" ? bound.port : 0;
}

const allValid = (proxy: Proxy): Promise<void> =>
  until("all are valid", () => proxy.certificates().every(({ state }) => state === "valid"));

test("a listener serves at once, and shows what was signed when it is there", async () => {
  const log = new LogLines();
  await using proxy = await Proxy.start(planOf("a.internal"), { log: log.log });
  expect(proxy.certificates().map(({ names }) => names)).toEqual([["a.internal"]]);
  const isReal = async (): Promise<boolean> =>
    !isStandIn(await shownAt(portOf(proxy), "a.internal"));
  await until("it is shown", isReal);
  expect(proxy.certificates()[0]).toMatchObject({ state: "valid", authority: "internal" });
  const [missing] = log.of(
    "certificates are missing or expired, self-signed ones are shown until they are obtained",
  );
  expect(missing!.fields).toEqual({ names: "a.internal", certificates: 1 });
});

test("what a restart adds is obtained beside what was there, which is shown from the start", async () => {
  const first = await Proxy.start(planOf("a.internal"));
  await allValid(first);
  const { notAfterMs } = first.certificates()[0]!;
  await first.stop();
  const names = Array.from({ length: 12 }, (_, i) => `n${i}.internal`);
  await using second = await Proxy.start(planOf("a.internal", ...names));
  expect(isStandIn(await shownAt(portOf(second), "a.internal"))).toBe(false);
  await allValid(second);
  const isReal = async (): Promise<boolean> =>
    (await shownAt(portOf(second), "n11.internal")).subjectAltName === "DNS:n11.internal";
  await until("the last is shown", isReal);
  expect(second.certificates()[0]).toMatchObject({ notAfterMs });
});

test("an end in a hurry does not wait", async () => {
  const proxy = await Proxy.start(planOf("a.internal", "b.internal"));
  await within("the end", proxy.kill());
  expect(proxy.certificates()).toHaveLength(2);
});

test("a proxy that ends while it reloads orders nothing more", async () => {
  const proxy = await Proxy.start(planOf("a.internal"));
  await allValid(proxy);
  const wanted = planOf("b.internal");
  const reloaded = proxy.reload(wanted);
  await until("it is taken up", () => proxy.plan.autoTls === wanted.autoTls);
  await within("the end", Promise.all([proxy.kill(), reloaded]));
  expect(proxy.certificates()[0]).toMatchObject({ ordering: false, state: "missing" });
});

test("a reload with other names keeps what is there, obtains what is new, and forgets the rest", async () => {
  await using proxy = await Proxy.start(planOf("a.internal", "b.internal"));
  await allValid(proxy);
  const isReal = async (name: string): Promise<boolean> =>
    !isStandIn(await shownAt(portOf(proxy), name));
  await until("the first is shown", () => isReal("a.internal"));
  const before = await shownAt(portOf(proxy), "a.internal");
  await proxy.reload(planOf("a.internal", "c.internal"));
  expect(proxy.certificates().map(({ names }) => names[0])).toEqual(["a.internal", "c.internal"]);
  expect((await shownAt(portOf(proxy), "a.internal")).serialNumber).toBe(before.serialNumber);
  await until("the new one is shown", () => isReal("c.internal"));
  expect((await shownAt(portOf(proxy), "b.internal")).subjectAltName).not.toBe("DNS:b.internal");
  await proxy.reload(planOf("a.internal"));
  await until("the other is not shown", async () => {
    return (await shownAt(portOf(proxy), "c.internal")).subjectAltName !== "DNS:c.internal";
  });
});
