// The original's forms of automatic certificates, as its README has them: flags, and options that are all of text. Names that
// no public authority signs are this machine's own, so that nobody is asked.

import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { startWith } from "../../commands/proxy-process.ts";
import { isStandIn, shownAt } from "../../support/auto-tls-proxy.ts";
import { freePort, inFolder } from "../../support/daemon.ts";
import { until, within } from "../../support/until.ts";

const ROOT = "certificates/authorities/internal/root.pem";

/** Started in the folder, where its certificates come to be. */
async function obtained(
  folder: string,
  port: number,
  name: string,
  args: readonly string[],
): Promise<string> {
  const child = startWith({ by: ["env", "-C", folder] }, ...args, "-log-format", "json");
  await child.line(/"msg":"started"/);
  let shown: X509Certificate | undefined;
  await until(
    `a certificate for ${name}`,
    async () => !isStandIn((shown = await shownAt(port, name))),
  );
  const root = new X509Certificate(readFileSync(join(folder, ROOT)));
  expect([shown!.verify(root.publicKey), shown!.subjectAltName]).toEqual([true, `DNS:${name}`]);
  child.kill("SIGTERM");
  return (await within("the proxy stops", child.outcome, 15_000)).stderr;
}

test(
  "-auto-tls -email -domains -staging",
  () =>
    inFolder(async (folder) => {
      const port = await freePort();
      const listener = [
        "-protocol",
        "http2",
        "-listen",
        `127.0.0.1:${port}`,
        "-target",
        "localhost:8080",
      ];
      const flags = ["-auto-tls", "-email", "dev@example.com", "-domains", "dev.local", "-staging"];
      const log = await obtained(folder, port, "dev.local", [...listener, ...flags]);
      expect(log).toContain(
        '"authorities":"letsencrypt-staging","msg":"-auto-tls agrees to the terms of service of these authorities"',
      );
      expect(log).not.toContain('"level":"error"');
    }),
  60_000,
);

test(
  "options",
  () =>
    inFolder(async (folder) => {
      const port = await freePort();
      const file = join(folder, "config.yaml");
      writeFileSync(
        file,
        `version: "1.0"
log_level: info

protocols:
  - name: http2
    listen: "127.0.0.1:${port}"
    target: "127.0.0.1:80"
    enabled: true

options:
  auto_tls: "true"
  email: "admin@example.com"
  domains: "service-a.internal,service-b.internal"
  staging: "false"
`,
      );
      const log = await obtained(folder, port, "service-b.internal", ["-config", file]);
      expect(log).not.toContain("agrees to the terms"); // nobody is asked
    }),
  60_000,
);
