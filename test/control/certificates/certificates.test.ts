// Certificates that change while the proxy runs, in the ways in which files change; what is wrong keeps the old ones.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";

import { Certificates } from "../../../src/control/certificates/certificates.ts";
import type { ListenerPlan } from "../../../src/shared/plan.ts";
import { Authority, type Issued } from "../../support/certificates.ts";
import { type LogLine, LogLines } from "../../support/log-lines.ts";
import { tlsPlan } from "../../support/tls.ts";
import { until } from "../../support/until.ts";

const authority = new Authority();
const [one, two] = [authority.issue(["one.example"]), authority.issue(["two.example"])];
afterAll(() => authority[Symbol.dispose]());

class Reader implements Disposable {
  readonly log = new LogLines();
  readonly changes: string[] = [];
  readonly certificates: Certificates;

  constructor(plan: ListenerPlan) {
    this.certificates = Certificates.read([plan], this.log.log, (key) => this.changes.push(key));
    this.certificates.watch();
  }

  get lines(): readonly LogLine[] {
    return this.log.lines;
  }

  get names(): readonly string[] {
    return this.certificates.of("tls")!.server!.certificates.flatMap(({ names }) => names);
  }

  [Symbol.dispose](): void {
    this.certificates.stop();
  }
}

let folders = 0;

function newFolder(): string {
  const folder = join(authority.folder, `folder-${folders++}`);
  mkdirSync(folder);
  return folder;
}

function planOf(certFile: string, keyFile: string): ListenerPlan {
  return tlsPlan({ key: "tls", target: "127.0.0.1:1", certificates: [{ certFile, keyFile }] });
}

function write(folder: string, { cert, key }: Pick<Issued, "cert" | "key">): [string, string] {
  const paths: [string, string] = [join(folder, "tls.crt"), join(folder, "tls.key")];
  writeFileSync(paths[0], cert);
  writeFileSync(paths[1], key);
  return paths;
}

describe("files that change", () => {
  test("in place are read again, and nothing of keys is in the log", async () => {
    const folder = newFolder();
    using reader = new Reader(planOf(...write(folder, one)));
    expect(reader.names).toEqual(["one.example"]);
    write(folder, two);
    await until("the new certificate", () => reader.changes.length > 0);
    expect(reader.names).toEqual(["two.example"]);
    expect(reader.changes).toEqual(["tls"]);
    expect(reader.lines.at(-1)).toMatchObject({ level: "info", message: "new certificates" });
    expect(inspect(reader, { depth: 9 })).not.toContain("PRIVATE");
  });

  test("by renaming others over them are read again", async () => {
    const folder = newFolder();
    const [cert, key] = write(folder, one);
    using reader = new Reader(planOf(cert, key));
    const [newCert, newKey] = write(newFolder(), two);
    renameSync(newKey, key);
    renameSync(newCert, cert);
    await until("the new certificate", () => reader.names[0] === "two.example");
    // And once more, since the file that was watched is gone.
    write(folder, one);
    await until("the old certificate", () => reader.names[0] === "one.example");
  });

  test("as secrets of Kubernetes do are read again", async () => {
    const folder = newFolder();
    for (const [name, issued] of [
      ["..1", one],
      ["..2", two],
    ] as const) {
      mkdirSync(join(folder, name));
      write(join(folder, name), issued);
    }
    symlinkSync("..1", join(folder, "..data"));
    const [cert, key] = [join(folder, "tls.crt"), join(folder, "tls.key")];
    symlinkSync("..data/tls.crt", cert);
    symlinkSync("..data/tls.key", key);
    using reader = new Reader(planOf(cert, key));
    expect(reader.names).toEqual(["one.example"]);
    symlinkSync("..2", join(folder, "..data_tmp"));
    renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    rmSync(join(folder, "..1"), { recursive: true });
    await until("the new certificate", () => reader.names[0] === "two.example");
  });

  test("to something that is wrong change nothing, and the log says what is wrong", async () => {
    const folder = newFolder();
    using reader = new Reader(planOf(...write(folder, one)));
    write(folder, { cert: two.cert, key: one.key });
    await until("the complaint", () => reader.lines.some(({ level }) => level === "error"));
    expect(reader.names).toEqual(["one.example"]);
    expect(reader.changes).toEqual([]);
    const line = reader.lines.find(({ level }) => level === "error")!;
    expect(line.message).toBe("certificates stay as they were");
    expect(line.fields.error).toContain("does not belong to the certificate");
    rmSync(join(folder, "tls.crt"));
    reader.certificates.reload();
    expect(reader.lines.at(-1)!.fields.error).toContain("the file does not exist");
    write(folder, two);
    await until("the new certificate", () => reader.names[0] === "two.example");
  });

  test("one after the other are taken together, without a complaint", async () => {
    const folder = newFolder();
    const [cert, key] = write(folder, one);
    using reader = new Reader(planOf(cert, key));
    writeFileSync(cert, two.cert);
    reader.certificates.of("tls");
    setTimeout(() => writeFileSync(key, two.key), 500);
    await until("the new certificate", () => reader.names[0] === "two.example");
    expect(reader.lines.filter(({ level }) => level === "error")).toEqual([]);
  });
});

test("asking for it reads at once, and tells nobody if nothing has changed", () => {
  const folder = newFolder();
  using reader = new Reader(planOf(...write(folder, one)));
  reader.certificates.reload();
  expect(reader.changes).toEqual([]);
  write(folder, two);
  reader.certificates.reload();
  expect(reader.changes).toEqual(["tls"]);
  expect(reader.names).toEqual(["two.example"]);
});

test("what is wrong at the start is an error", () => {
  const folder = newFolder();
  const [cert] = write(folder, one);
  expect(() => new Reader(planOf(cert, join(folder, "missing.key")))).toThrow(
    "missing.key: the file does not exist",
  );
});

test("a certificate that has expired is warned of, and used", () => {
  const old = authority.issue(["old.example"], { expired: true });
  using reader = new Reader(planOf(old.certFile, old.keyFile));
  expect(reader.names).toEqual(["old.example"]);
  expect(reader.lines[0]).toMatchObject({ level: "warn" });
  expect(reader.lines[0]!.message).toContain("has expired");
});
