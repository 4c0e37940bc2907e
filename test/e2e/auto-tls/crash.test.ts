// A proxy that is killed while it orders: the next one begins clean, and gets exactly the certificates that are needed.

import { expect } from "bun:test";

import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import { AutoTlsProxy, challengePorts, issuedBy } from "../../support/auto-tls-proxy.ts";
import { inFolder } from "../../support/daemon.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { testWith } from "../../support/programs.ts";
import { until } from "../../support/until.ts";

/** What Pebble logs when the order is as far. */
const STEPS = [
  ["before an account is made", /GET \/dir/],
  ["when its order is made", /There are now \d+ orders in the db|Added order/],
  [
    "while the authority looks at the challenge",
    /Attempting to validate|Pulled a task from the Tasks queue/,
  ],
  ["when the certificate is issued", /Issued certificate serial/],
] as const;

for (const [step, pattern] of STEPS) {
  testWith(
    PEBBLE_PROGRAMS,
    `killed ${step}, the next start gets what is needed, and no certificate is issued twice`,
    () =>
      inFolder(async (folder) => {
        const ports = await challengePorts();
        await using pebble = await Pebble.start({ ...ports, sleepSeconds: 1 });
        const domains = ["a.example.com"];
        const options = { folder, ...ports, authorities: [pebble], domains };
        const killed = AutoTlsProxy.spawn(options);
        await until(step, () => pattern.test(pebble.log()), 20_000);
        await killed.crash();
        await using proxy = await AutoTlsProxy.start(options);
        await proxy.obtained("a.example.com");
        expect(issuedBy(pebble)).toBe(1);
        const stored = new CertificateStorage(`${folder}/storage`).certificates;
        expect((await stored.read("a.example.com"))!.names).toEqual(domains);
      }),
    60_000,
  );
}
