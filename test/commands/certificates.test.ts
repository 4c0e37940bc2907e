// `proxy certificates` as a process: which folder it reads, what it finds in it, and its exit codes.

import { afterAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CertificateStorage } from "../../src/control/acme/storage.ts";
import { Secret } from "../../src/shared/secret.ts";
import { Authority } from "../support/certificates.ts";
import { runProxy } from "./proxy-process.ts";

setDefaultTimeout(30_000); // several processes each

const authority = new Authority();
const folders: string[] = [];
let folder = "";
let storage: CertificateStorage;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "proxy-certificates-"));
  folders.push(folder);
  storage = new CertificateStorage(join(folder, "tls"));
});
afterAll(() => {
  authority[Symbol.dispose]();
  for (const each of folders) rmSync(each, { recursive: true });
});

async function save(names: string[], options: { expired?: boolean } = {}) {
  const { certFile, keyFile } = authority.issue(names, options);
  const chain = readFileSync(certFile, "utf8");
  const key = Secret.of(readFileSync(keyFile));
  return storage.certificates.save(names, { chain, key }, "letsencrypt", Date.now());
}

test("what is in the folder is listed, with its last failure", async () => {
  await save(["example.com", "www.example.com"]);
  await save(["*.example.org"]);
  await storage.certificates.note(["*.example.org"], {
    renewalWindow: null,
    failures: [
      {
        authority: "letsencrypt",
        count: 2,
        firstMs: 0,
        lastMs: 0,
        recentMs: [],
        notBeforeMs: null,
        isFinal: false,
        failedChallenges: [],
        message: "DNS problem",
      },
    ],
  });
  const { code, stdout, stderr } = await runProxy("certificates", "-storage", storage.folder);
  expect([code, stderr]).toEqual([0, ""]);
  const lines = stdout.trimEnd().split("\n");
  expect(lines[0]).toMatch(/^NAMES +AUTHORITY +EXPIRES +LEFT +RENEWAL$/);
  expect(lines[1]).toMatch(/^\*\.example\.org +letsencrypt +\d{4}-\d\d-\d\d +\d+ days +/);
  expect(lines[2]).toMatch(/^example\.com, www\.example\.com +letsencrypt /);
  expect(lines.slice(3)).toEqual([
    "",
    "*.example.org: 2 attempts with letsencrypt failed, the last at 1970-01-01 00:00 UTC: DNS problem",
  ]);
});

test("the folder is that of the configuration, and JSON names the files", async () => {
  const { chainFile } = await save(["example.com"]);
  const config = join(folder, "proxy.yaml");
  const settings = `domains: [example.com], agree_terms: true, storage: "${storage.folder}"`;
  const listener = '{ name: http2, listen: ":443", target: "127.0.0.1:80" }';
  writeFileSync(config, `auto_tls: { ${settings} }\nprotocols: [${listener}]`);
  const { code, stdout, stderr } = await runProxy("certificates", "-config", config, "-json");
  expect([code, stderr]).toEqual([0, ""]);
  expect(JSON.parse(stdout)).toMatchObject([{ names: ["example.com"], state: "valid", chainFile }]);
});

test("exit code 1 tells that one has expired, or cannot be used", async () => {
  await save(["example.org"], { expired: true });
  const { keyFile } = await save(["example.com"]);
  rmSync(keyFile);
  const { code, stdout } = await runProxy("certificates", "-storage", storage.folder);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^example\.org .* expired +due$/m);
  expect(stdout).toContain(`example.com: ${keyFile}: the file is missing`);
});

test("what a configuration wants and the folder has not is missing", async () => {
  await save(["example.com"]);
  const config = join(folder, "proxy.yaml");
  const domains = "[example.com, [b.example.com, c.example.com]]";
  const settings = `domains: ${domains}, agree_terms: true, storage: "${storage.folder}"`;
  const listener = '{ name: http2, listen: ":443", target: "127.0.0.1:80" }';
  writeFileSync(config, `auto_tls: { ${settings} }\nprotocols: [${listener}]\n`);
  const { code, stdout } = await runProxy("certificates", "-config", config);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^b\.example\.com, c\.example\.com +missing +at once$/m);
});

test("an empty folder has no certificates, and one that is not there is a mistake", async () => {
  await storage.prepare(AbortSignal.timeout(5_000));
  const empty = await runProxy("certificates", "-storage", storage.folder);
  expect([empty.code, empty.stdout]).toEqual([
    0,
    `there are no certificates in ${storage.folder}\n`,
  ]);
  const gone = await runProxy("certificates", "-storage", join(folder, "gone"));
  expect([gone.code, gone.stdout]).toEqual([2, ""]);
  expect(gone.stderr).toStartWith(`proxy: -storage: there is no folder ${join(folder, "gone")}\n`);
});

test("a configuration without auto_tls has no storage", async () => {
  const config = join(folder, "proxy.yaml");
  writeFileSync(config, 'protocols: [{ name: tcp, listen: ":80", target: "127.0.0.1:81" }]');
  const { code, stderr } = await runProxy("certificates", "-config", config);
  expect([code, stderr]).toEqual([2, `${config}: there is no auto_tls in it\n`]);
  const both = await runProxy("certificates", "-config", config, "-storage", folder);
  expect(both.code).toBe(2);
});
