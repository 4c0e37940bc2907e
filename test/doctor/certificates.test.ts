// Certificates of files and of the folder: what is told of those that end, do not fit, or are open to others.

import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";

import {
  type CertificateFile,
  checkFiles,
  checkStorage,
  type ListenerFiles,
  readFiles,
  type Storage,
} from "../../src/doctor/certificates.ts";
import { readStorage } from "../../src/doctor/checks.ts";
import { planOf } from "../explain/plans.ts";
import { Authority } from "../support/certificates.ts";
import { faults, NOW_MS } from "./machines.ts";

const authority = new Authority();
afterAll(() => authority[Symbol.dispose]());
const DAY_MS = 86_400_000;

const WELL: CertificateFile = {
  certFile: "/c.pem",
  keyFile: "/k.pem",
  names: ["a.example", "*.b.example"],
  notBeforeMs: NOW_MS - DAY_MS,
  notAfterMs: NOW_MS + 60 * DAY_MS,
  chain: "whole",
  keyMode: 0o100600,
};

function files(changes: Partial<CertificateFile>, rest: Partial<ListenerFiles> = {}): string[] {
  const file = { ...WELL, ...changes };
  const one = {
    listener: "tls :443",
    fault: null,
    files: [file],
    wanted: [],
    managed: false,
    ...rest,
  };
  return faults(checkFiles([one], NOW_MS));
}

describe("a file", () => {
  test("that is well is told with its days", () => {
    expect(files({})).toEqual([]);
    const one = { listener: "tls :443", fault: null, files: [WELL], wanted: [], managed: false };
    expect(checkFiles([one], NOW_MS)[0]!.finding).toBe(
      "tls :443: /c.pem, for a.example, *.b.example, ends in 60 days",
    );
  });

  test.each<[Partial<CertificateFile>, string]>([
    [
      { notAfterMs: NOW_MS },
      "problem certificates: tls :443: /c.pem has expired on 2026-01-15. Renew it",
    ],
    [
      { notBeforeMs: NOW_MS + DAY_MS },
      "problem certificates: tls :443: /c.pem is not valid before 2026-01-16. Set the clock",
    ],
    [
      { notAfterMs: NOW_MS + 5 * DAY_MS },
      "warning certificates: tls :443: /c.pem ends in 5 days. Renew it",
    ],
    [{ chain: "open" }, "warning certificates: tls :443: /c.pem has no intermediate certificate"],
    [{ chain: "self-signed" }, "warning certificates: tls :443: /c.pem is signed by itself"],
    [
      { keyMode: 0o100644 },
      "warning certificates: tls :443: others may use the key /k.pem (mode 0644). chmod 600 /k.pem",
    ],
  ])("with %j is told", (changes, expected) => {
    const found = files(changes);
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith(expected);
  });

  test("that has not the names of the routes is told, unless others are obtained", () => {
    const wanted = [
      "a.example",
      "x.b.example",
      "*.b.example",
      "y.x.b.example",
      "c.example",
      "10.0.0.1",
    ];
    expect(files({}, { wanted })).toEqual([
      "warning certificates: tls :443: no certificate is for y.x.b.example, c.example, which routes are for. " +
        "Name one that has the name, or obtain it (auto_tls)",
    ]);
    expect(files({}, { wanted, managed: true })).toEqual([]);
  });
});

test("files are read as the proxy reads them", () => {
  const { certFile, keyFile } = authority.issue(["a.example"]);
  chmodSync(keyFile, 0o640);
  const other = authority.issue(["b.example"]);
  const { listeners } = planOf(`
protocols:
  - { name: tcp, listen: ":1", target: "127.0.0.1:9" }
  - name: http2
    listen: ":2"
    tls: { cert_file: "${certFile}", key_file: "${keyFile}" }
    routes: [{ match: { host: c.example }, target: "127.0.0.1:1" }]
  - { name: tls, listen: ":3", target: "127.0.0.1:1", tls: { cert_file: "${certFile}", key_file: "${other.keyFile}" } }
`);
  const read = readFiles(listeners, Date.now());
  expect(read.map(({ listener }) => listener)).toEqual(["http2 :2", "tls :3"]);
  expect(read[0]).toMatchObject({
    fault: null,
    wanted: ["c.example"],
    files: [{ names: ["a.example"], chain: "open", keyMode: 0o100640 }],
  });
  expect(faults(checkFiles(read, Date.now())).at(-1)).toStartWith(
    `problem certificates: tls :3: ${other.keyFile}: the key does not belong to the certificate in ${certFile}. Both must`,
  );
});

describe("the folder of automatic certificates", () => {
  const certificate = {
    authority: "letsencrypt",
    issuedMs: 0,
    notBeforeMs: 0,
    notAfterMs: NOW_MS + 50 * DAY_MS,
    renewalMs: NOW_MS + 20 * DAY_MS,
    chainFile: "",
    keyFile: "",
  };
  const failures = [{ authority: "letsencrypt", count: 2, lastMs: 0, message: "no DNS" }];
  const entry = { names: ["a.example"], certificate, failures: [], damage: null };
  const told = (changes: Partial<Storage>): string[] =>
    faults(
      checkStorage(
        { folder: "/st", mode: 0o40700, fault: null, entries: [], wanted: [], ...changes },
        NOW_MS,
      ),
    );

  test("is well with certificates that last, and before there are any", () => {
    expect(told({ entries: [entry], wanted: [["a.example"]] })).toEqual([]);
    expect(told({ mode: null })).toEqual([]);
  });

  test.each<[Partial<Storage>, string]>([
    [{ fault: "EACCES" }, "problem auto_tls: /st: EACCES. Give it to the user of the proxy"],
    [
      { mode: 0o40755 },
      "warning auto_tls: /st is open to others (mode 0755), and has keys. chmod 700 /st",
    ],
    [
      { wanted: [["a.example", "b.example"]] },
      "warning auto_tls: not obtained yet: a.example. Start the proxy",
    ],
    [
      { entries: [{ ...entry, damage: "no key" }] },
      "problem auto_tls: a.example: no key. Remove it",
    ],
    [
      { entries: [{ ...entry, certificate: null, failures }] },
      "warning auto_tls: a.example: none is there; the last attempt failed: letsencrypt: no DNS. See",
    ],
    [
      { entries: [{ ...entry, certificate: { ...certificate, notAfterMs: NOW_MS } }] },
      "problem auto_tls: a.example: expired. See",
    ],
    [
      { entries: [{ ...entry, certificate: { ...certificate, renewalMs: NOW_MS - 2 * DAY_MS } }] },
      "warning auto_tls: a.example: 50 days left, and its renewal is overdue. See",
    ],
  ])("with %j is told", (changes, expected) => {
    const found = told(changes);
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith(expected);
  });

  test("is read without being made", async () => {
    const autoTls = (storage: string) =>
      planOf(`
auto_tls: { agree_terms: true, email: a@b.example.com, domains: [a.example.com], storage: "${storage}" }
protocols: [{ name: http2, listen: ":443", target: "127.0.0.1:1" }]
`).autoTls!;
    const folder = join(authority.folder, "storage");
    expect(await readStorage(autoTls(join(folder, "deeper")))).toMatchObject({
      mode: null,
      fault: null,
    });
    mkdirSync(folder, { mode: 0o700 });
    expect(await readStorage(autoTls(folder))).toMatchObject({
      mode: 0o40700,
      fault: null,
      entries: [],
    });
    const { certFile } = authority.issue(["a.example"]);
    expect((await readStorage(autoTls(certFile))).fault).not.toBeNull();
  });
});
