// TLS clients that no one here wrote are routed by the name that they ask for, to TLS servers that no one here wrote, and the
// proxy has no key: openssl on both ends, curl in front.

import { expect } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { parseEndpoint } from "../../src/shared/address.ts";
import { type RoutePlan, singleTarget } from "../../src/shared/plan.ts";
import { Daemon, run } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { program, testWith } from "../support/programs.ts";
import { Relay } from "../support/relay.ts";

const LARGE_BYTES = 20_000_003;
/** By group. */
const NAMES = ["everything-else", "db.example.com", "wildcard", "only-imap"];
const ROUTES: readonly RoutePlan[] = [
  { name: "route", sni: "db.example.com", alpn: null, group: 1 },
  { name: "route", sni: "*.apps.example.com", alpn: null, group: 2 },
  { name: "route", sni: null, alpn: ["imap"], group: 3 },
  { name: "route", sni: null, alpn: null, group: 0 },
];

/** Serves its folder with a certificate of this name. */
function server(name: string): Promise<Daemon> {
  return Daemon.start(async (folder, port) => {
    const openssl = program("openssl");
    const files = ["-keyout", `${folder}/key.pem`, "-out", `${folder}/cert.pem`];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const subject = ["-subj", `/CN=${name}`, "-days", "2"];
    await run([openssl, "req", "-x509", ...curve, ...subject, ...files]);
    writeFileSync(join(folder, "name"), name);
    if (name === "wildcard") writeFileSync(join(folder, "large"), randomBytes(LARGE_BYTES));
    const own = ["-cert", "cert.pem", "-key", "key.pem", "-accept", `127.0.0.1:${port}`];
    const serve = [openssl, "s_server", "-quiet", "-WWW", "-alpn", "http/1.1,imap", ...own];
    return ["sh", "-c", `cd ${folder} && exec "$0" "$@"`, ...serve];
  });
}

async function withServers(use: (servers: readonly Daemon[]) => Promise<void>): Promise<void> {
  const servers = await Promise.all(NAMES.map(server));
  try {
    await use(servers);
  } finally {
    await Promise.all(servers.map((each) => each[Symbol.asyncDispose]()));
  }
}

/** The name in the certificate that a client is shown. */
async function nameFor(port: number, ...options: string[]): Promise<string> {
  const connect = ["s_client", "-connect", `127.0.0.1:${port}`, ...options];
  const { stdout } = await run([program("openssl"), ...connect], { stdin: new Uint8Array(0) });
  return /subject=CN ?= ?(\S+)/.exec(stdout)?.[1] ?? stdout;
}

forEveryEngine((engine) => {
  testWith(["openssl", "curl"], `openssl and curl reach whom they ask for (${engine})`, () =>
    withServers(async (servers) => {
      const groups = servers.map(({ port }) =>
        singleTarget(parseEndpoint(`127.0.0.1:${port}`, "target")),
      );
      const listener = { target: "127.0.0.1:1", groups, routes: ROUTES };
      await using relay = await Relay.start(engine, listener);
      const { port } = relay.bound as { port: number };
      expect(await nameFor(port, "-servername", "db.example.com")).toBe("db.example.com");
      expect(await nameFor(port, "-servername", "a.apps.example.com", "-tls1_2")).toBe("wildcard");
      expect(await nameFor(port, "-servername", "x.example", "-alpn", "imap")).toBe("only-imap");
      expect(await nameFor(port, "-servername", "x.example")).toBe("everything-else");
      expect(await nameFor(port, "-noservername")).toBe("everything-else");
      const get = async (host: string, file: string, saved: string): Promise<Buffer> => {
        const resolve = ["--resolve", `${host}:${port}:127.0.0.1`, "--noproxy", "*", "-k"];
        const options = ["-sS", "--fail", "--http1.1", "-o", saved, ...resolve];
        await run([program("curl"), ...options, `https://${host}:${port}/${file}`]);
        return readFileSync(saved);
      };
      const [, , wildcard] = servers;
      const saved = join(wildcard!.folder, "saved");
      expect((await get("db.example.com", "name", saved)).toString()).toBe("db.example.com");
      const large = await get("b.apps.example.com", "large", saved);
      const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
      expect(sha256(large)).toBe(sha256(readFileSync(join(wildcard!.folder, "large"))));
    }),
  );
});
