// Protocol tls between programs that no one here wrote: curl and openssl(1) in front, nginx, haproxy and openssl(1) behind; and
// certificates that are exchanged while clients come and go.

import { afterAll, describe, expect } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Authority, type Issued } from "../support/certificates.ts";
import { Daemon, run, temporaryFolder } from "../support/daemon.ts";
import { groupOf } from "../support/gateway-host.ts";
import { startNginx } from "../support/nginx.ts";
import { program, testWith } from "../support/programs.ts";
import { TlsRelay } from "../support/tls-relay.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
afterAll(() => authority[Symbol.dispose]());

const LARGE_BYTES = 50_000_003;

/** What curl is answered over TLS. */
async function curl(relay: TlsRelay, path: string, ...flags: string[]): Promise<string> {
  const at = ["--resolve", `a.example:${relay.port}:127.0.0.1`, "--cacert", authority.caFile];
  const url = `https://a.example:${relay.port}${path}`;
  const { stdout } = await run([program("curl"), "-sS", "--fail", ...at, ...flags, url]);
  return stdout;
}

function digest(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

testWith(
  ["curl", "nginx"],
  "curl loads from nginx, whole, with one connection and with many",
  async () => {
    const large = randomBytes(LARGE_BYTES);
    await using nginx = await startNginx({ small: "hello\n", large });
    await using relay = await TlsRelay.start({ certificates: [OWN], target: nginx.address });
    const file = join(nginx.folder, "loaded");
    for (const version of ["1.2", "1.3"]) {
      await curl(relay, "/large", "-o", file, "--tls-max", version, `--tlsv${version}`);
      expect(digest(file)).toBe(createHash("sha256").update(large).digest("hex"));
    }
    const many = Array.from({ length: 20 }, () => curl(relay, "/small"));
    expect(await Promise.all(many)).toEqual(new Array<string>(20).fill("hello\n"));
    await until("the end", () => relay.stats.active === 0);
    expect(relay.stats.refused.tls_handshake).toBe(0);
  },
);

testWith(
  ["curl", "haproxy"],
  "haproxy behind is told who the client is, and what it asked for",
  async () => {
    await using haproxy = await Daemon.start((folder, port) => {
      const file = join(folder, "haproxy.cfg");
      writeFileSync(
        file,
        `global
  nbthread 1
defaults
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend all
  mode http
  bind 127.0.0.1:${port} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[dst_port] %[fc_pp_authority]"
`,
      );
      return [program("haproxy"), "-db", "-f", file];
    });
    for (const [sendProxy, authorityName] of [
      ["v1", ""],
      ["v2", "a.example"],
    ] as const) {
      const options = { certificates: [OWN], target: haproxy.address, sendProxy };
      await using relay = await TlsRelay.start(options);
      const said = await curl(relay, "/", "--interface", "127.0.0.9");
      expect(said).toBe(`127.0.0.9 ${relay.port} ${authorityName}`);
    }
  },
);

testWith(["curl", "openssl"], "openssl behind is spoken to over TLS, and verified", async () => {
  const target = await Daemon.start((folder, port) => {
    writeFileSync(join(folder, "hello"), "hello over both\n");
    const serve = ["s_server", "-quiet", "-WWW", "-cert", OWN.certFile, "-key", OWN.keyFile];
    const asks = ["-Verify", "1", "-verify_return_error", "-CAfile", authority.caFile];
    const at = ["-accept", `127.0.0.1:${port}`];
    return [
      "sh",
      "-c",
      `cd ${folder} && exec "$0" "$@"`,
      program("openssl"),
      ...serve,
      ...asks,
      ...at,
    ];
  });
  await using _target = target;
  const certificate = authority.issue([], { name: "proxy" });
  const tls = { serverName: "a.example", caFile: authority.caFile, certificate, insecure: false };
  await using relay = await TlsRelay.start({
    certificates: [OWN],
    groups: [groupOf(target.address, tls)],
  });
  expect(await curl(relay, "/hello", "--http0.9")).toContain("hello over both");
});

describe("client certificates", () => {
  const known = authority.issue([], { name: "known" });
  const stranger = authority.selfSigned([], { name: "stranger" });
  const shown = ({ certFile, keyFile }: Issued): string[] => ["--cert", certFile, "--key", keyFile];

  testWith(["curl", "nginx"], "are required, requested, or not asked for", async () => {
    await using nginx = await startNginx({ small: "hello\n" });
    const clientCaFile = authority.caFile;
    for (const [clientAuth, withoutOne, withBad] of [
      ["none", true, true],
      ["request", true, false],
      ["require", false, false],
    ] as const) {
      const options = { certificates: [OWN], target: nginx.address, clientAuth, clientCaFile };
      await using relay = await TlsRelay.start(options);
      const ask = (...flags: string[]): Promise<boolean> =>
        curl(relay, "/small", ...flags).then(
          () => true,
          () => false,
        );
      expect([clientAuth, await ask(...shown(known))]).toEqual([clientAuth, true]);
      expect([clientAuth, await ask()]).toEqual([clientAuth, withoutOne]);
      expect([clientAuth, await ask(...shown(stranger))]).toEqual([clientAuth, withBad]);
    }
  });
});

for (const version of ["1.2", "1.3"]) {
  testWith(["openssl"], `openssl goes on with its session of TLS ${version}`, async () => {
    await using target = await WireServer.listen(
      (wire) => void wire.readBytes(4).then(() => wire.socket.end("pong")),
    );
    await using relay = await TlsRelay.start({ certificates: [OWN], target: target.target });
    const folder = temporaryFolder();
    const session = join(folder, "session");
    const at = ["-connect", `127.0.0.1:${relay.port}`, "-servername", "a.example"];
    const flags = [`-tls${version.replace(".", "_")}`, "-ign_eof", ...at];
    const ask = async (...more: string[]): Promise<string> => {
      const stdin = Buffer.from("ping");
      return (await run([program("openssl"), "s_client", ...flags, ...more], { stdin })).stdout;
    };
    const first = await ask("-sess_out", session);
    expect(first).toMatch(/^New, TLS/m);
    const again = await ask("-sess_in", session);
    expect(again).toMatch(/^Reused, TLS/m);
    for (const said of [first, again]) expect(said).toContain("pong");
    rmSync(folder, { recursive: true });
  });
}

testWith(
  ["openssl"],
  "certificates are exchanged under load: no connection is lost, and new clients see the new one",
  async () => {
    const folder = temporaryFolder();
    const [certFile, keyFile] = [join(folder, "tls.crt"), join(folder, "tls.key")];
    const place = ({ cert, key }: Issued): void => {
      for (const [path, text] of [
        [keyFile, key],
        [certFile, cert],
      ] as const) {
        writeFileSync(`${path}.new`, text);
        renameSync(`${path}.new`, path);
      }
    };
    const generations = [1, 2, 3].map((n) =>
      authority.issue(["a.example"], { name: `generation-${n}` }),
    );
    place(generations[0]!);
    await using target = await WireServer.echo();
    await using relay = await TlsRelay.start({
      certificates: [{ certFile, keyFile }],
      target: target.target,
      workers: 2,
    });
    const options = { ca: authority.ca };
    const lasting = await Promise.all(Array.from({ length: 20 }, () => relay.connect(options)));
    const seen = new Set<string>();
    let failures = 0;
    let coming = true;
    const comer = async (): Promise<void> => {
      while (coming) {
        try {
          const { socket, wire } = await relay.connect(options);
          seen.add(socket.getPeerCertificate().subject.CN as unknown as string);
          await wire.write("ping");
          expect(await wire.readBytes(4)).toBe("ping");
          wire.end();
          await wire.closed;
        } catch {
          failures++;
        }
      }
    };
    const comers = Array.from({ length: 4 }, comer);
    for (const generation of generations) {
      place(generation);
      await until(`${generation.certFile} is shown`, () => seen.has(nameOf(generation)), 30_000);
    }
    coming = false;
    await within("the last clients", Promise.all(comers), 30_000);
    expect(failures).toBe(0);
    for (const { wire } of lasting) {
      await wire.write("still here");
      expect(await wire.readBytes(10)).toBe("still here");
      wire.reset();
    }
    expect(relay.stats.refused.tls_handshake).toBe(0);
  },
);

/** The common name. */
function nameOf({ certFile }: Issued): string {
  return /\d+-(generation-\d)\.pem$/.exec(certFile)![1]!;
}
