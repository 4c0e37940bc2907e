// Targets over TLS are verified without a word in the configuration: by the authorities that the system trusts.

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";

import { startWith } from "../../commands/proxy-process.ts";
import { Authority, type Issued } from "../../support/certificates.ts";
import { freePort, inFolder } from "../../support/daemon.ts";
import { within } from "../../support/until.ts";

interface Target extends Disposable {
  readonly port: number;
}

async function startTarget({ cert, key }: Issued): Promise<Target> {
  const server = createServer({ cert, key }, (_request, response) => response.end("hello"));
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const { port } = server.address() as { port: number };
  const stop = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { port, [Symbol.dispose]: stop };
}

/** @param trusted by the system. @returns what a client is answered, and what the proxy says. */
async function ask(folder: string, targetPort: number, trusted: Authority) {
  const port = await freePort();
  const listener = {
    name: "http",
    listen: `127.0.0.1:${port}`,
    target: `https://localhost:${targetPort}`,
  };
  const file = join(folder, "proxy.yaml");
  writeFileSync(file, JSON.stringify({ workers: 1, protocols: [listener] }));
  const env = { SSL_CERT_FILE: trusted.caFile };
  const proxy = startWith({ env }, "-config", file, "-log-format", "json");
  await proxy.line(/"msg":"started"/);
  const answer = await within(
    "the answer",
    fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } }),
  );
  const body = await answer.text();
  proxy.kill("SIGTERM");
  const { stderr } = await within("the end", proxy.outcome);
  return { status: answer.status, body, stderr };
}

test.if(process.platform === "linux")(
  "a target is verified by the system's authorities, and by nobody else's",
  () =>
    inFolder(async (folder) => {
      using known = new Authority();
      using stranger = new Authority();
      using target = await startTarget(known.issue(["localhost"]));
      expect(await ask(folder, target.port, known)).toMatchObject({ status: 200, body: "hello" });
      const refused = await ask(folder, target.port, stranger);
      expect(refused.status).toBe(502);
      expect(refused.stderr).toContain("its certificate is of an authority that is not trusted");
    }),
  30_000,
);
