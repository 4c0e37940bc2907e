// `proxy dns-check`: what its flags mean, what it prints, and that it leaves nothing behind, whatever goes wrong.

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { dnsCheckSettings } from "../../src/commands/dns-check-flags.ts";
import { inFolder } from "../support/daemon.ts";
import { type ProxyProcess, runProxy, startWith } from "./proxy-process.ts";

/** @param mode of dns-check-child.ts */
function start(mode: string, ...domains: string[]): ProxyProcess {
  return startWith({ script: join(import.meta.dir, "dns-check-child.ts") }, mode, ...domains);
}

describe("a provider that works", () => {
  test("writes, shows and removes a record for each domain, and says how long it took", async () => {
    const { code, stdout, stderr } = await start("works", "example.test", "other.test").outcome;
    const lines = stdout
      .replaceAll(/^ +\d+(\.\d)? m?s {2}/gm, "  ")
      .replaceAll(/\(127\S+\)/g, "(…)");
    expect(
      lines
        .replaceAll(/"[\w-]{43}"/g, '"…"')
        .split("\n")
        .toSorted(),
    ).toEqual(
      [
        "example.test",
        "  _acme-challenge.example.test is in the zone example.test, served by ns1.hosts.test, ns2.hosts.test",
        '  written: _acme-challenge.example.test TXT "…"',
        "  ns1.hosts.test (…) has it",
        "  ns2.hosts.test (…) has it",
        "  visible at the zone's servers",
        "  removed",
        "other.test",
        "  _acme-challenge.other.test is in the zone other.test, served by ns1.hosts.test, ns2.hosts.test",
        '  written: _acme-challenge.other.test TXT "…"',
        "  ns1.hosts.test (…) has it",
        "  ns2.hosts.test (…) has it",
        "  visible at the zone's servers",
        "  removed",
        "",
      ].toSorted(),
    );
    expect([code, stderr]).toEqual([0, "left behind: nothing\n"]);
  });

  test("writes where a CNAME leads", async () => {
    const { code, stdout, stderr } = await start("works", "alias.test").outcome;
    expect(stdout).toContain("_acme-challenge.alias.test is a CNAME, which is followed\n");
    expect(stdout).toContain("x.example.test is in the zone example.test");
    expect([code, stderr]).toEqual([0, "left behind: nothing\n"]);
  });

  test("is right also if one of the zone's servers is not, which is told", async () => {
    const { code, stdout, stderr } = await start("down", "example.test").outcome;
    expect(stdout).toMatch(
      /ns2\.hosts\.test \(\S+\) is left out, since the others have it: REFUSED\n/,
    );
    expect([code, stderr]).toEqual([0, "left behind: nothing\n"]);
  });
});

test("where the zone's servers cannot be asked, this is told, and is not the provider's fault", async () => {
  const { code, stdout, stderr } = await start("closed", "example.test").outcome;
  expect(stdout).toContain("no server of the zone can be asked from here: is port 53 closed");
  expect(stdout).toContain("an order would go on, since the provider has taken the record\n");
  expect([code, stderr]).toEqual([0, "left behind: nothing\n"]);
});

describe("what goes wrong is told with its cure, and the exit code is 1", () => {
  test("a token that may not write", async () => {
    const { code, stdout, stderr } = await start("denied", "example.test").outcome;
    expect(stdout).toMatch(
      /failed: example\.test cannot be proven by dns-01 with cloudflare: Cloudflare/,
    );
    expect(stdout).toContain("Invalid access token");
    expect(stdout).not.toContain("v1.0-");
    expect(stdout.split("\n")).toHaveLength(4); // and it is told once
    expect(stderr).toBe(
      "proxy: dns-check with cloudflare failed: example.test\nleft behind: nothing\n",
    );
    expect(code).toBe(1);
  });

  test("a domain that is not the account's; the others are checked all the same", async () => {
    const { code, stdout, stderr } = await start("works", "no.invalid", "other.test").outcome;
    expect(stdout).toContain("failed: no.invalid cannot be proven by dns-01 with cloudflare");
    expect(stdout).toContain("removed\n");
    expect(stderr).toContain("proxy: dns-check with cloudflare failed: no.invalid\n");
    expect(code).toBe(1);
  });

  test("a record that does not show in time, which is removed", async () => {
    const { code, stdout, stderr } = await start("late", "example.test").outcome;
    expect(stdout).toContain("ns1.hosts.test");
    expect(stdout).toContain("does not have it (NXDOMAIN)");
    expect(stdout).toContain("is not at all servers of example.test after 20ms");
    expect(stdout).toMatch(/ removed\n$/);
    expect(stderr).toContain("left behind: nothing\n");
    expect(code).toBe(1);
  });

  test("a record that cannot be removed, with its name and its value", async () => {
    const { code, stdout, stderr } = await start("stays", "example.test").outcome;
    const [, value] = /written: \S+ TXT "(\S+)"/.exec(stdout)!;
    expect(stdout).toContain(
      `failed: the TXT record _acme-challenge.example.test with the value "${value}" stays behind in the zone example.test`,
    );
    expect(stdout).toContain("not today");
    expect(stderr).toContain("left behind: _acme-challenge.example.test\n");
    expect(code).toBe(1);
  });
});

test("Ctrl-C removes what was written, and checks no other domain", async () => {
  const child = start("unseen", "example.test", "other.test");
  await child.line(/ns2\.hosts\.test \S+ does not have it/);
  child.kill("SIGINT");
  const { code, stdout, stderr } = await child.outcome;
  expect(stdout).toMatch(/failed: stopped by SIGINT\n.* removed\n$/);
  expect(stdout).not.toContain("other.test");
  expect(stderr).toBe("proxy: dns-check with cloudflare stopped by SIGINT\nleft behind: nothing\n");
  expect(code).toBe(1);
});

test("a second Ctrl-C does not wait for an API that hangs, and says what stays", async () => {
  const child = start("hangs", "example.test");
  await child.line(/visible at the zone's servers/);
  child.kill("SIGINT");
  child.kill("SIGTERM");
  const { code, stderr } = await child.outcome;
  const said = stderr.replace(/"[\w-]{43}"/, '"…"');
  expect(said).toBe(
    'proxy: the TXT record _acme-challenge.example.test with the value "…" in the zone example.test ' +
      "stays behind. Remove it by hand\n",
  );
  expect(code).toBe(1);
});

describe("the command line", () => {
  test("says what is missing and what is wrong, all at once", async () => {
    const nothing = await runProxy("dns-check");
    expect(nothing.stderr).toBe(
      "proxy: -dns-provider is missing. It is one of cloudflare, alidns, route53, digitalocean, godaddy\n" +
        "proxy: -domains is missing. Write -domains example.com\n" +
        'Run "proxy dns-check -h" for help.\n',
    );
    expect(nothing.code).toBe(2);
    const wrong = await runProxy(
      "dns-check",
      "-dns-provider",
      "cloudflar",
      "-domains",
      "192.0.2.1,a..b",
    );
    expect(wrong.stderr).toContain(
      '-dns-provider: "cloudflar" is unknown. Did you mean "cloudflare"?',
    );
    expect(wrong.stderr).toContain("-domains: 192.0.2.1 is an address, which has no DNS zone");
    expect(wrong.stderr).toContain('-domains: "a..b"');
    expect(wrong.code).toBe(2);
  });

  test("says which credentials it looks for, before anything is asked", async () => {
    const env = { CLOUDFLARE_API_TOKEN: "" };
    const args = ["dns-check", "-dns-provider", "cloudflare", "-domains", "example.com"];
    const { code, stdout, stderr } = await startWith({ env }, ...args).outcome;
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("CLOUDFLARE_API_TOKEN");
  });

  test("has a help page with examples", async () => {
    const { code, stdout } = await runProxy("dns-check", "-h");
    expect(stdout).toStartWith("proxy dns-check: ");
    expect(stdout).toContain("proxy dns-check -config proxy.yaml\n");
    expect(code).toBe(0);
  });
});

describe("settings", () => {
  test("wildcards are proven at the name below, and each name once", async () => {
    const domains = " *.Example.com, example.com,b.example.com ,";
    const flags = { "dns-provider": "route53", domains };
    expect(await dnsCheckSettings(flags)).toMatchObject({
      plan: { provider: "route53", credentialFiles: {}, resolvers: [] },
      domains: ["example.com", "b.example.com"],
    });
    await expect(dnsCheckSettings({ ...flags, domains: " , " })).rejects.toThrow(
      "-domains has none",
    );
  });

  const FILE = `auto_tls:
  email: you@example.com
  agree_terms: true
  domains: [example.com, ["*.example.com", www.example.net], localhost]
  dns_provider: cloudflare
  dns: { resolvers: [192.0.2.53], credentials: { CLOUDFLARE_API_TOKEN: /run/token } }
protocols:
  - { name: http2, listen: ":8443", target: "127.0.0.1:80" }
`;

  test("a file says provider, credentials, resolvers and domains", () =>
    inFolder(async (folder) => {
      const config = join(folder, "proxy.yaml");
      writeFileSync(config, FILE);
      const expected = {
        plan: {
          provider: "cloudflare",
          credentialFiles: { CLOUDFLARE_API_TOKEN: "/run/token" },
          resolvers: [{ kind: "tcp", host: "192.0.2.53", port: 53 }],
        },
        domains: ["example.com", "www.example.net"],
      };
      expect(await dnsCheckSettings({ config })).toMatchObject(expected);
      const one = { config, domains: "other.example.com" };
      expect((await dnsCheckSettings(one)).domains).toEqual(["other.example.com"]);
      await expect(dnsCheckSettings({ config, "dns-provider": "godaddy" })).rejects.toMatchObject({
        code: "ERR_USAGE",
        message: expect.stringContaining("-dns-provider has no effect with -config"),
      });
    }));

  test("a file without a provider is told of", () =>
    inFolder(async (folder) => {
      const config = join(folder, "proxy.yaml");
      writeFileSync(config, 'protocols: [{ name: tcp, listen: ":8080", target: "127.0.0.1:80" }]');
      await expect(dnsCheckSettings({ config })).rejects.toMatchObject({
        code: "ERR_USAGE",
        message: `${config} has no auto_tls.dns_provider. Write it there, or leave out -config`,
      });
    }));
});
