// What listeners show of certificates that are managed: behind their own files, with stand-ins for what nothing else covers.

import { afterAll, expect, test } from "bun:test";

import { Certificates } from "../../../src/control/certificates/certificates.ts";
import type { ManagedSource } from "../../../src/control/certificates/managed.ts";
import type { CertificateMaterial } from "../../../src/shared/certificates.ts";
import { Secret } from "../../../src/shared/secret.ts";
import { Authority } from "../../support/certificates.ts";
import { LogLines } from "../../support/log-lines.ts";
import { type TlsOptions, tlsPlan } from "../../support/tls.ts";

const authority = new Authority();
afterAll(() => authority[Symbol.dispose]());

function material(...names: string[]): CertificateMaterial<Secret> {
  return { chain: names.join(), key: Secret.of(Buffer.from("key")), names, keyType: "ec" };
}

class Source implements ManagedSource {
  readonly #materials: readonly CertificateMaterial<Secret>[];
  readonly #standIns: readonly CertificateMaterial<Secret>[];

  constructor(
    materials: readonly CertificateMaterial<Secret>[],
    standIns: readonly CertificateMaterial<Secret>[],
  ) {
    this.#materials = materials;
    this.#standIns = standIns;
  }

  materials = (): readonly CertificateMaterial<Secret>[] => this.#materials;
  standIns = (): readonly CertificateMaterial<Secret>[] => this.#standIns;
}

function namesShown(options: TlsOptions, source: Source): (readonly string[])[] {
  const plan = tlsPlan({ key: "tls", ...options });
  const certificates = Certificates.read([plan], new LogLines().log, () => {}, source);
  return certificates.of("tls")!.server!.certificates.map(({ names }) => names);
}

test("files come first, then what is managed, then stand-ins", () => {
  const files = [authority.issue(["file.example"])];
  const source = new Source([material("a.example")], [material("b.example", "c.example")]);
  expect(namesShown({ managed: true, certificates: files }, source)).toEqual([
    ["file.example"],
    ["a.example"],
    ["b.example", "c.example"],
  ]);
});

test("a stand-in does not hide what covers its names, by themselves or by a wildcard", () => {
  const files = [authority.issue(["*.file.example"])];
  const source = new Source(
    [material("*.a.example", "a.example")],
    [material("x.a.example"), material("x.file.example"), material("x.y.a.example")],
  );
  expect(namesShown({ managed: true, certificates: files }, source)).toEqual([
    ["*.file.example"],
    ["*.a.example", "a.example"],
    ["x.y.a.example"],
  ]);
});

test("where nothing is there at all, there is a stand-in all the same", () => {
  expect(namesShown({ managed: true }, new Source([], [material("localhost")]))).toEqual([
    ["localhost"],
  ]);
});

test("listeners with certificates of their own show no others, and are not told of changes", () => {
  const files = [authority.issue(["file.example"])];
  const source = new Source([material("a.example")], [material("b.example")]);
  expect(namesShown({ certificates: files }, source)).toEqual([["file.example"]]);
  const plans = [
    tlsPlan({ key: "own", certificates: files }),
    tlsPlan({ key: "managed", managed: true }),
  ];
  const changes: string[] = [];
  const certificates = Certificates.read(
    plans,
    new LogLines().log,
    (key) => changes.push(key),
    source,
  );
  certificates.managedChanged();
  expect(changes).toEqual(["managed"]);
});
