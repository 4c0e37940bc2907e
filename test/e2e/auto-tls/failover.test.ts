// Whatever an authority, a network or a disk refuses to the command line, the next challenge or authority gives, or a line of
// the log says the cure.

import { expect } from "bun:test";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";

import { AutoTlsProxy, challengePorts, isStandIn, issuedBy } from "../../support/auto-tls-proxy.ts";
import { freePort, inFolder } from "../../support/daemon.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { testWith } from "../../support/programs.ts";

testWith(
  PEBBLE_PROGRAMS,
  "a challenge that cannot be answered is followed by the next one, within seconds",
  () =>
    inFolder(async (folder) => {
      const ports = await challengePorts();
      await using pebble = await Pebble.start({ ...ports, tlsPort: await freePort() });
      const domains = ["a.example.com"];
      const challenge = "[tls-alpn-01, http-01]";
      const options = { folder, ...ports, authorities: [pebble], domains, challenge };
      await using proxy = await AutoTlsProxy.start(options);
      await proxy.obtained("a.example.com");
      const log = await proxy.stop();
      expect(log.match(/"level":"error".*trying on/g)).toHaveLength(1);
      expect(log).toContain('"failures":1,"msg":"certificate obtained"');
    }),
  60_000,
);

testWith(
  PEBBLE_PROGRAMS,
  "an authority that refuses for good is followed by the next one",
  () =>
    inFolder(async (folder) => {
      const ports = await challengePorts();
      await using closed = await Pebble.start({ ...ports, eab: { key: "c2VjcmV0LXNlY3JldA" } });
      await using open = await Pebble.start(ports);
      const domains = ["a.example.com"];
      const options = { folder, ...ports, authorities: [closed, open], domains };
      await using proxy = await AutoTlsProxy.start(options);
      const shown = await proxy.obtained("a.example.com");
      const intermediate = new X509Certificate(await open.intermediate());
      expect(shown.verify(intermediate.publicKey)).toBe(true);
    }),
  60_000,
);

testWith(
  PEBBLE_PROGRAMS,
  "a disk that takes nothing is found before anything is ordered, and said with its cure",
  () =>
    inFolder(async (folder) => {
      const ports = await challengePorts();
      await using pebble = await Pebble.start(ports);
      const options = { folder, ...ports, authorities: [pebble], domains: ["a.example.com"] };
      const by = ["sh", "-c", 'ulimit -f 0; exec "$@"', "full"];
      await using proxy = await AutoTlsProxy.start({ ...options, by });
      await proxy.process.line(/"level":"error".*"msg":"certificate not obtained, trying on"/);
      expect(isStandIn(await proxy.shown("a.example.com"))).toBe(true);
      const log = await proxy.stop();
      expect(log).toContain(join(folder, "storage"));
      expect(pebble.log()).not.toContain("new-order");
      expect(issuedBy(pebble)).toBe(0);
    }),
  60_000,
);
