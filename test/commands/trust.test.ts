// `proxy trust` as a process: what it tells, what it refuses, and that a browser believes the root once it is in its store.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { rootFiles } from "../../src/control/acme/internal-authority.ts";
import { InternalIssuer } from "../../src/control/acme/internal-issuer.ts";
import { CertificateStorage } from "../../src/control/acme/storage.ts";
import { BROWSER_PROGRAMS, startBelievingBrowser } from "../support/browser.ts";
import { run, temporaryFolder } from "../support/daemon.ts";
import { program, testWith } from "../support/programs.ts";
import { type Outcome, runProxy, runUnprivileged, startWith } from "./proxy-process.ts";

/** A process each, on a machine that may be busy. */
setDefaultTimeout(30_000);

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const storage = join(folder, "storage");
const { certificateFile } = rootFiles(storage);
const issued = await new InternalIssuer(new CertificateStorage(storage)).issue(
  { names: ["localhost", "127.0.0.1"], keyType: "p256" },
  new AbortController().signal,
);
const root = new X509Certificate(readFileSync(certificateFile));
const name = /CN=(.*)/.exec(root.subject)![1]!;

/** With a home of the test's own: nothing of this machine's user is looked at. */
function trust(home: string, ...args: string[]): Promise<Outcome> {
  return startWith({ env: { HOME: home, SUDO_USER: "" } }, "trust", ...args).outcome;
}

test("without a flag it tells which root it is and what could be done, and changes nothing", async () => {
  const { code, stdout, stderr } = await trust(folder, "-storage", storage);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(`name         ${name}\n`);
  expect(stdout).toContain(`root         ${certificateFile}\n`);
  const [first, second] = [root.fingerprint256.slice(0, 47), root.fingerprint256.slice(48)];
  expect(stdout).toContain(`SHA-256      ${first}\n               ${second}\n`);
  for (const device of ["macOS", "Windows", "iPhone", "Android", "Firefox", "curl"]) {
    expect(stdout).toContain(device);
  }
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(250);
});

test("the folder may be that of a configuration's auto_tls", async () => {
  const file = join(folder, "proxy.yaml");
  writeFileSync(
    file,
    `auto_tls: { ca: internal, domains: [localhost], storage: ${storage} }
protocols: [{ name: http2, listen: "127.0.0.1:0", target: "127.0.0.1:1" }]
`,
  );
  const { code, stdout, stderr } = await trust(folder, "-config", file);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(name);
  expect(stdout).toContain(`proxy trust -config ${file} -install`);
});

describe("refused is", () => {
  test("a folder without an authority, and the error says how there will be one", async () => {
    const empty = join(folder, "empty");
    const { code, stderr } = await runProxy("trust", "-install", "-storage", empty);
    expect(stderr).toContain(`${rootFiles(empty).certificateFile}: there is no internal authority`);
    expect(stderr).toContain("Start the proxy once");
    expect(code).toBe(1);
  });

  test.each([
    [["-install", "-uninstall"], "-install and -uninstall cannot be given together"],
    [["-config", "x", "-storage", "y"], "-config cannot be given together with -storage"],
  ])("%p", async (args, message) => {
    const { code, stderr } = await runProxy("trust", ...args);
    expect(stderr).toStartWith(`proxy: ${message}`);
    expect(code).toBe(2);
  });

  test("a configuration without auto_tls", async () => {
    const file = join(folder, "plain.yaml");
    writeFileSync(file, 'protocols: [{ name: tcp, listen: ":8080", target: "127.0.0.1:80" }]');
    const { code, stderr } = await runProxy("trust", "-config", file);
    expect(stderr).toStartWith(`proxy: ${file} has no auto_tls`);
    expect(code).toBe(2);
  });

  test("to change the system's store without being root, before anything is run", async () => {
    const { code, stdout, stderr } = await runUnprivileged(
      "trust",
      "-install",
      "-storage",
      storage,
    );
    expect(stderr).toContain(`Run sudo proxy trust -storage ${storage} -install`);
    expect([code, stdout]).toEqual([1, ""]);
  });

  test("-browsers where no browser has a store", async () => {
    const { code, stderr } = await trust(folder, "-install", "-browsers", "-storage", storage);
    expect(stderr).toStartWith("proxy: no store of authorities is known here. ");
    expect(code).toBe(1);
  });
});

/** A user's folder with databases where Chromium, in its newer and older versions, and Firefox have theirs. */
async function newHome(): Promise<{ home: string; databases: string[] }> {
  const home = join(folder, "home");
  const databases = [".local/share/pki/nssdb", ".mozilla/firefox/a.default", ".pki/nssdb"];
  for (const path of databases) {
    mkdirSync(join(home, path), { recursive: true });
    const create = ["-d", `sql:${join(home, path)}`, "-N", "--empty-password"];
    await run([program("certutil"), ...create]);
  }
  return { home, databases: databases.map((path) => join(home, path)) };
}

testWith(
  [...BROWSER_PROGRAMS, "certutil"],
  "a browser believes a page once the root is in its store, and no more after it was taken out",
  async () => {
    const { home, databases } = await newHome();
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: issued.chain, key: Buffer.from(issued.key.reveal()).toString() },
      fetch: () => new Response("believed"),
    });
    const visit = async (): Promise<string> => {
      await using browser = await startBelievingBrowser(home);
      const page = await browser.newPage();
      const answer = await page.goto(`https://localhost:${server.port}/`);
      return await answer!.text(); // before the browser goes
    };
    try {
      await expect(visit()).rejects.toThrow("ERR_CERT_AUTHORITY_INVALID");
      const installed = await trust(home, "-install", "-browsers", "-storage", storage);
      expect([installed.code, installed.stderr]).toEqual([0, ""]);
      for (const database of databases) {
        // Of a copy: what the storage has could be exchanged meanwhile.
        const start = `$ certutil -d sql:${database} -A -a -t C,, -n '${name}' < `;
        const [, file] = installed.stdout.split(start, 2)[1]!.match(/^(\S+)\n/)!;
        expect(file).not.toBe(certificateFile);
        expect(existsSync(file!)).toBe(false);
      }
      expect(installed.stdout).toContain(`${name} is trusted now.`);
      expect(await visit()).toBe("believed");
      const removed = await trust(home, "-uninstall", "-browsers", "-storage", storage);
      expect([removed.code, removed.stderr]).toEqual([0, ""]);
      expect(removed.stdout.match(/^\$ certutil .* -D /gm)).toHaveLength(databases.length);
      await expect(visit()).rejects.toThrow("ERR_CERT_AUTHORITY_INVALID");
    } finally {
      await server.stop(true);
    }
  },
);
