// Who a client of HTTP over TLS is by its certificate, as its backend is told: curl in front, a listener that asks, and a
// backend that says what it was sent.

import { afterAll, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { startProxy } from "../../commands/proxy-process.ts";
import { Authority, type Issued } from "../../support/certificates.ts";
import { freePort, inFolder, run } from "../../support/daemon.ts";
import { program, testWith } from "../../support/programs.ts";
import { within } from "../../support/until.ts";

const authority = new Authority();
afterAll(() => authority[Symbol.dispose]());

const OWN = authority.issue(["a.example"]);
const KNOWN = authority.issue([], { name: "known", subject: "/C=DE/O=Example, Ltd/CN=known" });
const STRANGER = authority.selfSigned([], { name: "stranger" });

/** `ask` resolves with what the backend was told of a client with this certificate. @param auth as in a configuration. */
async function withListener(
  auth: "request" | "require",
  use: (ask: (version: string, shown: Issued | null) => Promise<string>) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    using backend = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ headers }) => new Response(headers.get("x-client") ?? "nobody"),
    });
    const port = await freePort();
    const listener = {
      name: "http2",
      listen: `127.0.0.1:${port}`,
      target: `127.0.0.1:${backend.port}`,
      client_subject_header: "X-Client",
      tls: {
        cert_file: OWN.certFile,
        key_file: OWN.keyFile,
        client_auth: auth,
        ca_file: authority.caFile,
      },
    };
    const file = join(folder, "proxy.yaml");
    writeFileSync(file, JSON.stringify({ workers: 1, protocols: [listener] }));
    const proxy = startProxy("-config", file, "-log-format", "json");
    await proxy.line(/"msg":"started"/);
    const at = ["--resolve", `a.example:${port}:127.0.0.1`, "--cacert", authority.caFile];
    const lie = ["-H", "X-Client: CN=somebody else", "-H", "X_Client: CN=somebody else"];
    await use(async (version, shown) => {
      const own = shown === null ? [] : ["--cert", shown.certFile, "--key", shown.keyFile];
      const url = `https://a.example:${port}/`;
      const command = [program("curl"), "-sS", version, ...at, ...lie, ...own, url];
      return run(command).then(
        ({ stdout }) => stdout,
        () => "refused",
      );
    });
    proxy.kill("SIGTERM");
    expect((await within("the end", proxy.outcome)).code).toBe(0);
  });
}

for (const version of ["--http1.1", "--http2"]) {
  testWith(["curl", "openssl"], `a backend is told a client's subject (curl ${version})`, () =>
    withListener("require", async (ask) => {
      expect(await ask(version, KNOWN)).toBe("CN=known,O=Example\\, Ltd,C=DE");
      expect(await ask(version, null)).toBe("refused");
      expect(await ask(version, STRANGER)).toBe("refused");
    }),
  );

  testWith(["curl", "openssl"], `and of none that was shown, nothing (curl ${version})`, () =>
    withListener("request", async (ask) => {
      expect(await ask(version, null)).toBe("nobody");
      expect(await ask(version, KNOWN)).toBe("CN=known,O=Example\\, Ltd,C=DE");
      expect(await ask(version, STRANGER)).toBe("refused");
    }),
  );
}
