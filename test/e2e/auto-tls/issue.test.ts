// The command line with Pebble as its authority: self-signed certificates first, then real ones within seconds, by every
// challenge that its listeners can answer; and whatever an authority or a network refuses, the next challenge or authority
// gives.

import { expect } from "bun:test";
import { X509Certificate } from "node:crypto";

import { AutoTlsProxy, challengePorts, isStandIn, issuedBy } from "../../support/auto-tls-proxy.ts";
import { inFolder } from "../../support/daemon.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { testWith } from "../../support/programs.ts";

for (const challenge of ["http-01", "tls-alpn-01"]) {
  testWith(
    PEBBLE_PROGRAMS,
    `${challenge}: a self-signed certificate is shown until the real one is there, which a restart finds again`,
    () =>
      inFolder(async (folder) => {
        const ports = await challengePorts();
        await using pebble = await Pebble.start({ ...ports, sleepSeconds: 2 });
        const domains = [["a.example.com", "b.example.com"], "c.example.com"];
        const options = { folder, ...ports, authorities: [pebble], domains, challenge };
        const first = await AutoTlsProxy.start(options);
        expect(isStandIn(await first.shown("a.example.com"))).toBe(true);
        const names = ["a.example.com", "b.example.com", "c.example.com"];
        const shown = await Promise.all(names.map((name) => first.obtained(name)));
        expect(shown[0]!.serialNumber).toBe(shown[1]!.serialNumber);
        const intermediate = new X509Certificate(await pebble.intermediate());
        expect(shown.every((each) => each.verify(intermediate.publicKey))).toBe(true);
        expect(await first.stop()).not.toContain('"level":"error"');
        await using second = await AutoTlsProxy.start(options);
        expect((await second.shown("c.example.com")).serialNumber).toBe(shown[2]!.serialNumber);
        expect(issuedBy(pebble)).toBe(2);
      }),
    60_000,
  );
}
