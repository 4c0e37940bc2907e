// One port for all names: a `tcp` listener routes those of the own gateway to it, and others to a server that has TLS itself.

import { expect } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { startProxy } from "../commands/proxy-process.ts";
import { Daemon, freePort, run, temporaryFolder } from "../support/daemon.ts";
import { writeCertificate } from "../support/gateway.ts";
import { startNginx } from "../support/nginx.ts";
import { program, testWith } from "../support/programs.ts";
import { within } from "../support/until.ts";

/** A server of its own, whose certificate has this name. */
function stranger(name: string): Promise<Daemon> {
  return Daemon.start(async (folder, port) => {
    await writeCertificate(join(folder, "cert.pem"), join(folder, "key.pem"), name);
    writeFileSync(join(folder, "page"), "the stranger's");
    const own = ["-cert", "cert.pem", "-key", "key.pem", "-accept", `127.0.0.1:${port}`];
    const serve = [program("openssl"), "s_server", "-quiet", "-WWW", ...own];
    return ["sh", "-c", `cd ${folder} && exec "$0" "$@"`, ...serve];
  });
}

testWith(
  ["nginx", "curl", "openssl"],
  "names of the own gateway and of others share a port",
  async () => {
    await using nginx = await startNginx({ page: "the gateway's" });
    await using other = await stranger("other.example");
    const folder = temporaryFolder();
    const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    await writeCertificate(certFile, keyFile, "own.example");
    const [port, inner] = [await freePort(), await freePort()];
    const config = {
      version: "1.0",
      workers: 1,
      tls: { cert_file: certFile, key_file: keyFile },
      protocols: [
        {
          name: "tcp",
          listen: `127.0.0.1:${port}`,
          routes: [
            { sni: "own.example", target: `127.0.0.1:${inner}` },
            { target: `127.0.0.1:${other.port}` },
          ],
        },
        { name: "http2", listen: `127.0.0.1:${inner}`, target: nginx.address },
      ],
    };
    const file = join(folder, "proxy.yaml");
    writeFileSync(file, JSON.stringify(config)); // which is YAML
    const proxy = startProxy("-config", file);
    await proxy.line(/started/);
    const get = async (name: string, ...flags: string[]): Promise<string> => {
      const resolve = ["--resolve", `${name}:${port}:127.0.0.1`, "--noproxy", "*"];
      const curl = [program("curl"), "-sSk", ...resolve, ...flags, `https://${name}:${port}/page`];
      return (await run(curl)).stdout;
    };
    expect(await get("own.example", "-w", " by %{http_version}")).toBe("the gateway's by 2");
    expect(await get("other.example", "--http0.9")).toContain("the stranger's");
    proxy.kill("SIGTERM");
    expect((await within("the proxy stops", proxy.outcome, 40_000)).code).toBe(0);
    rmSync(folder, { recursive: true });
  },
);
