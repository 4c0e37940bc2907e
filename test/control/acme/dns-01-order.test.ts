// Certificates of a real authority, Pebble, proven by dns-01: it asks a resolver for what the solver wrote at the zone's
// servers.

import { expect } from "bun:test";
import { X509Certificate } from "node:crypto";

import { AcmeIssuer } from "../../../src/control/acme/acme-issuer.ts";
import { Dns01Solver, logDns01Steps } from "../../../src/control/acme/dns-01.ts";
import type { IssuedCertificate } from "../../../src/control/acme/issuer.ts";
import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import { compileDns01 } from "../../../src/control/compile/auto-tls.ts";
import { inFolder } from "../../support/daemon.ts";
import { DnsWorld, WorldProvider } from "../../support/dns-world.ts";
import { LogLines } from "../../support/log-lines.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { testWith } from "../../support/programs.ts";

const ORIGIN = "example.test";

interface Scene {
  readonly world: DnsWorld;
  readonly provider: WorldProvider;
  readonly warnings: string[];
  issue(...names: string[]): Promise<IssuedCertificate>;
}

function scene(use: (scene: Scene) => Promise<void>): Promise<void> {
  return inFolder(async (folder) => {
    await using world = await DnsWorld.start(3);
    const { host, port } = world.resolver;
    await using pebble = await Pebble.start({ dnsServer: `${host}:${port}` });
    world.zone(ORIGIN, [1, 2]);
    world.zone("delegated.test", [3]);
    const provider = new WorldProvider(world, ORIGIN, "delegated.test");
    const { log, lines } = new LogLines();
    const solver = new Dns01Solver({
      plan: { ...compileDns01({ dns_provider: "cloudflare" })!, resolvers: world.endpoints },
      tell: logDns01Steps(log),
      makeProvider: async () => provider,
      timing: { port, lookFirstMs: 5, tryMs: 10_000 },
    });
    const warnings: string[] = [];
    const storage = new CertificateStorage(folder);
    const warn = (message: string): void => void warnings.push(message);
    const issuer = new AcmeIssuer({ plan: pebble.plan(), storage, warn });
    const issue = (...names: string[]): Promise<IssuedCertificate> =>
      issuer.issue(
        { names, keyType: "p256", solvers: [solver], replaces: null },
        AbortSignal.timeout(40_000),
      );
    await use({ world, provider, warnings, issue });
    expect(lines.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
  });
}

const textsIn = (world: DnsWorld, origin: string): string[] =>
  world
    .copies(origin)
    .flatMap(({ records }) => records.filter(({ type }) => type === "TXT").map(({ name }) => name));

testWith(PEBBLE_PROGRAMS, "a domain, its wildcard and a delegated one are one certificate", () =>
  scene(async ({ world, provider, warnings, issue }) => {
    const alias = `_acme-challenge.www.${ORIGIN}`;
    world.add(ORIGIN, alias, "CNAME", "www.delegated.test");
    // The resolver that the authority asks knows what the first server has, which is late.
    provider.sees = (zone) => zone !== world.copy(ORIGIN, 1);
    world.server(1).refresh = () => {
      const [first, second] = [world.copy(ORIGIN, 1), world.copy(ORIGIN, 2)];
      const name = `_acme-challenge.${ORIGIN}`;
      const isLate = world.server(1).asked(name, "TXT").length < 4;
      if (isLate) return;
      for (const value of second.values(name, "TXT")) {
        if (!first.values(name, "TXT").includes(value)) first.add(name, "TXT", value);
      }
    };
    const { chain } = await issue(ORIGIN, `*.${ORIGIN}`, `www.${ORIGIN}`);
    expect(new X509Certificate(chain).subjectAltName?.split(", ").toSorted()).toEqual([
      `DNS:*.${ORIGIN}`,
      `DNS:${ORIGIN}`,
      `DNS:www.${ORIGIN}`,
    ]);
    expect(provider.calls.filter((call) => call.startsWith("add")).toSorted()).toEqual([
      `add _acme-challenge.${ORIGIN} 120`,
      `add _acme-challenge.${ORIGIN} 120`,
      "add www.delegated.test 120",
    ]);
    expect([...textsIn(world, ORIGIN), ...textsIn(world, "delegated.test")]).toEqual([]);
    expect(warnings).toEqual([]);
  }),
);

testWith(PEBBLE_PROGRAMS, "what the authority does not see fails, and is removed", () =>
  scene(async ({ world, issue }) => {
    world.freeze(ORIGIN); // as the authority's resolver knows it
    await expect(issue(ORIGIN)).rejects.toThrow(/dns-01.*TXT record/);
    expect(textsIn(world, ORIGIN)).toEqual([]);
  }),
);
