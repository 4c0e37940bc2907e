// Certificates are exchanged under load: not one request is lost, and who comes later sees the new one.

import { expect } from "bun:test";
import { renameSync } from "node:fs";
import { join } from "node:path";

import { run } from "../../support/daemon.ts";
import { STAGE_PROGRAMS, withStage, writeCertificate } from "../../support/gateway.ts";
import { program, testWith } from "../../support/programs.ts";
import { until } from "../../support/until.ts";

async function subjectAt(port: number): Promise<string> {
  const connect = [program("openssl"), "s_client", "-connect", `127.0.0.1:${port}`];
  const { stdout } = await run(connect, { stdin: new Uint8Array(0) });
  return /subject=CN ?= ?(\S+)/.exec(stdout)?.[1] ?? stdout;
}

const REQUESTS = 30_000;

testWith(
  [...STAGE_PROGRAMS, "h2load", "wrk"],
  "certificates that are exchanged under load cost no request",
  () =>
    withStage({ complains: true }, async (gateway) => {
      const { folder, certFile, keyFile, tlsPort } = gateway;
      const url = `https://127.0.0.1:${tlsPort}/nginx/small`;
      const lasting = run([program("h2load"), "-t1", "-n", String(REQUESTS), "-c16", "-m16", url], {
        timeoutMs: 60_000,
      });
      // Handshakes all the while.
      const coming = run([program("wrk"), "-t1", "-c8", "-d4s", "-H", "Connection: close", url]);
      expect(await subjectAt(tlsPort)).toBe("localhost");
      for (const name of ["second", "third"]) {
        const [newCert, newKey] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
        await writeCertificate(newCert, newKey, name);
        renameSync(newKey, keyFile);
        renameSync(newCert, certFile);
        gateway.kill("SIGHUP");
        await until(`${name} is shown`, async () => (await subjectAt(tlsPort)) === name);
      }
      expect((await lasting).stdout).toContain(`${REQUESTS} succeeded, 0 failed, 0 errored`);
      const { stdout } = await coming;
      expect(stdout).not.toContain("Socket errors");
      expect(stdout).not.toContain("Non-2xx");
    }),
  90_000,
);
