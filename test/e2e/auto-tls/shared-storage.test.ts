// Several proxies on one storage, at once or one after the other: each certificate is ordered once, and all show it.

import { expect } from "bun:test";

import { AutoTlsProxy, challengePorts, issuedBy, shownAt } from "../../support/auto-tls-proxy.ts";
import { freePort, inFolder } from "../../support/daemon.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { testWith } from "../../support/programs.ts";
import { Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

testWith(
  PEBBLE_PROGRAMS,
  "two that are started at once on one storage order once, and both show it",
  () =>
    inFolder(async (folder) => {
      const ports = await challengePorts();
      await using pebble = await Pebble.start({ ...ports, sleepSeconds: 1 });
      const storage = `${folder}/storage`;
      const domains = ["a.example.com"];
      const common = { storage, authorities: [pebble], domains, challenge: "http-01" };
      // The authority comes to the first; the second opens a listener of its own for nobody.
      const other = { httpPort: await freePort(), tlsPort: await freePort() };
      await using first = await AutoTlsProxy.start({ ...common, folder: `${folder}/1`, ...ports });
      await using second = await AutoTlsProxy.start({ ...common, folder: `${folder}/2`, ...other });
      const shown = await first.obtained("a.example.com");
      const also = await second.obtained("a.example.com", 70_000);
      expect(also.serialNumber).toBe(shown.serialNumber);
      expect(issuedBy(pebble)).toBe(1);
    }),
  90_000,
);

testWith(
  PEBBLE_PROGRAMS,
  "a proxy that is replaced while it orders leaves the order to its successor, and one certificate is issued",
  () =>
    inFolder(async (folder) => {
      const ports = await challengePorts();
      await using pebble = await Pebble.start({ ...ports, sleepSeconds: 3 });
      const domains = ["a.example.com"];
      const file = AutoTlsProxy.configure({ folder, ...ports, authorities: [pebble], domains });
      await using service = await Service.start(folder, "-config", file);
      await until("the order is under way", () => /Pulled a task/.test(pebble.log()));
      await service.upgrade();
      const shown = async (): Promise<boolean> => {
        const { subjectAltName } = await shownAt(ports.tlsPort, "a.example.com");
        return subjectAltName === "DNS:a.example.com" && issuedBy(pebble) > 0;
      };
      await until("the certificate is shown", shown, 40_000);
      expect(issuedBy(pebble)).toBe(1);
      const { code } = await service.stop();
      expect(code).toBe(0);
    }),
  90_000,
);
