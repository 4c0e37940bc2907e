// The command line with certificates on demand, with Pebble as its authority.

import { expect } from "bun:test";

import { AutoTlsProxy, challengePorts, issuedBy, shownAt } from "../../support/auto-tls-proxy.ts";
import { inFolder } from "../../support/daemon.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { testWith } from "../../support/programs.ts";

testWith(
  PEBBLE_PROGRAMS,
  "on demand, a name gets its certificate at the first handshake, and one that is not allowed gets none",
  () =>
    inFolder(async (folder) => {
      const ports = await challengePorts();
      await using pebble = await Pebble.start(ports);
      const more = ['on_demand: { domains: ["*.example.com"] }'];
      const options = { folder, ...ports, authorities: [pebble], domains: [], more };
      await using proxy = await AutoTlsProxy.start(options);
      // Several clients at once, over both workers: they wait for one order.
      const clients = Array.from({ length: 8 }, () => shownAt(proxy.port, "wanted.example.com"));
      for (const shown of await Promise.all(clients)) {
        expect(shown.subjectAltName).toBe("DNS:wanted.example.com");
      }
      await expect(shownAt(proxy.port, "other.example.net")).rejects.toThrow();
      expect(issuedBy(pebble)).toBe(1);
      await proxy.stop();
      await using next = await AutoTlsProxy.start(options);
      await shownAt(next.port, "wanted.example.com");
      expect(issuedBy(pebble)).toBe(1);
    }),
  60_000,
);
