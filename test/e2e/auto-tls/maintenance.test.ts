// `proxy certificates` beside a proxy: a renewal that is asked for, and a revocation, after which another one is ordered.

import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { runProxy, startProxy } from "../../commands/proxy-process.ts";
import { AutoTlsProxy, challengePorts } from "../../support/auto-tls-proxy.ts";
import { inFolder } from "../../support/daemon.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { testWith } from "../../support/programs.ts";
import { until } from "../../support/until.ts";

testWith(
  PEBBLE_PROGRAMS,
  "a certificate is listed, renewed by the proxy that hears of it, and revoked",
  () =>
    inFolder(async (folder) => {
      const ports = await challengePorts();
      await using pebble = await Pebble.start(ports);
      const options = { folder, ...ports, authorities: [pebble], domains: ["a.example.com"] };
      const first = await AutoTlsProxy.start(options);
      const before = await first.obtained("a.example.com");
      const config = ["-config", join(folder, "proxy.yaml")];
      const listed = await runProxy("certificates", ...config, "-json");
      expect([listed.code, JSON.parse(listed.stdout)]).toMatchObject([
        0,
        [{ names: ["a.example.com"], state: "valid", failures: [] }],
      ]);

      await first.stop();
      const renewing = startProxy("certificates", "renew", "A.example.com", ...config);
      const wanted = join(folder, "storage", "certificates", "a.example.com", "wanted");
      await until("the wish is in the folder", () => existsSync(wanted));
      await using second = await AutoTlsProxy.start(options);
      const renewed = await renewing.outcome;
      expect([renewed.code, renewed.stdout]).toEqual([0, "a.example.com is renewed\n"]);
      const after = await second.obtained("a.example.com");
      expect(after.serialNumber).not.toBe(before.serialNumber);

      const revoked = await runProxy(
        "certificates",
        "revoke",
        "a.example.com",
        ...config,
        "-reason",
        "superseded",
      );
      expect([revoked.code, revoked.stderr]).toEqual([0, ""]);
      expect(revoked.stdout).toStartWith("a.example.com is revoked, and removed from ");
      expect(await pebble.status(after.serialNumber)).toMatchObject({
        Status: "Revoked",
        Reason: 4,
      });
      const gone = await runProxy("certificates", "revoke", "a.example.com", ...config);
      expect([gone.code, gone.stderr]).toMatchObject([
        1,
        expect.stringContaining("there is no certificate"),
      ]);
    }),
  60_000,
);
