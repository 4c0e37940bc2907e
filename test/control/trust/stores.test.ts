// Which commands each system gets, word by word; and that Debian's really change what is trusted, in folders of the test's own.

import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { person } from "../../../src/control/trust/machine.ts";
import { changeStores } from "../../../src/control/trust/run.ts";
import {
  folderStore,
  formatCommand,
  type Machine,
  nssStore,
  systemStore,
} from "../../../src/control/trust/stores.ts";
import { ProxyError } from "../../../src/shared/errors.ts";
import { Authority, openssl } from "../../support/certificates.ts";
import { inFolder } from "../../support/daemon.ts";
import { program, testWith } from "../../support/programs.ts";

const ROOT = {
  file: "/var/lib/proxy/authorities/internal/root.pem",
  name: "bun-tunnel internal authority 3f9a1c",
  thumbprint: "0011223344556677889900AABBCCDDEEFF001122",
};

function machine(platform: NodeJS.Platform, ...has: string[]): Machine {
  return {
    platform,
    hasProgram: (name) => has.includes(name),
    hasFolder: (path) => has.includes(path),
  };
}

const DEBIAN = ["update-ca-certificates", "/usr/local/share/ca-certificates"];
const FILE = "/usr/local/share/ca-certificates/bun-tunnel-internal-authority-3f9a1c.crt";
const ANCHORS = "/etc/pki/ca-trust/source/anchors";

describe("the commands for", () => {
  test.each([
    [
      "Debian, Ubuntu and Alpine",
      machine("linux", ...DEBIAN),
      [`install -m 0644 ${ROOT.file} ${FILE}`, "update-ca-certificates"],
      [`rm -f ${FILE}`, "update-ca-certificates --fresh"],
    ],
    [
      "Fedora and Red Hat",
      machine("linux", "update-ca-trust", ANCHORS, "trust"),
      [
        `install -m 0644 ${ROOT.file} ${ANCHORS}/bun-tunnel-internal-authority-3f9a1c.crt`,
        "update-ca-trust extract",
      ],
      [`rm -f ${ANCHORS}/bun-tunnel-internal-authority-3f9a1c.crt`, "update-ca-trust extract"],
    ],
    [
      "SUSE",
      machine("linux", "update-ca-certificates", "/etc/pki/trust/anchors", "trust"),
      [
        `install -m 0644 ${ROOT.file} /etc/pki/trust/anchors/bun-tunnel-internal-authority-3f9a1c.crt`,
        "update-ca-certificates",
      ],
      [
        "rm -f /etc/pki/trust/anchors/bun-tunnel-internal-authority-3f9a1c.crt",
        "update-ca-certificates",
      ],
    ],
    [
      "Arch",
      machine("linux", "trust", "update-ca-trust"),
      [`trust anchor --store ${ROOT.file}`],
      [`trust anchor --remove ${ROOT.file}`],
    ],
    [
      "macOS",
      machine("darwin"),
      [
        `security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${ROOT.file}`,
      ],
      [
        `security remove-trusted-cert -d ${ROOT.file}`,
        `security delete-certificate -Z ${ROOT.thumbprint} /Library/Keychains/System.keychain`,
      ],
    ],
    [
      "Windows",
      machine("win32"),
      [`certutil -addstore -f Root ${ROOT.file}`],
      [`certutil -delstore Root ${ROOT.thumbprint}`],
    ],
  ])("%s", (_, which, install, uninstall) => {
    const store = systemStore(which)!;
    expect(store.install(ROOT).map(formatCommand)).toEqual(install);
    expect(store.uninstall(ROOT).map(formatCommand)).toEqual(uninstall);
  });

  test("a browser's database, whose owner may not be who runs this", () => {
    const name = "'bun-tunnel internal authority 3f9a1c'";
    const own = nssStore("/home/ada/.pki/nssdb", null);
    expect(own.install(ROOT).map(formatCommand)).toEqual([
      `certutil -d sql:/home/ada/.pki/nssdb -A -a -t C,, -n ${name} < ${ROOT.file}`,
    ]);
    const hers = nssStore("/home/ada/it's here", "ada");
    expect(hers.uninstall(ROOT).map(formatCommand)).toEqual([
      `sudo -u ada -- certutil -d 'sql:/home/ada/it'\\''s here' -D -n ${name}`,
    ]);
  });

  test("a system that keeps authorities in a way of its own are none", () => {
    expect(systemStore(machine("linux"))).toBeNull();
    expect(systemStore(machine("linux", "update-ca-certificates"))).toBeNull();
    expect(systemStore(machine("freebsd", ...DEBIAN))).toBeNull();
  });
});

test("who called sudo is whose browsers are looked for, and nobody else for anybody else", () => {
  const { home, user } = person({ SUDO_USER: "nobody" }, true);
  expect(user).toBe("nobody");
  expect(home).not.toBe(person({}, true).home);
  expect(person({ SUDO_USER: "nobody" }, false).user).toBeNull();
  expect(person({ SUDO_USER: "there-is-no-such-user" }, true).user).toBeNull();
});

/** Debian's store with folders of its own, and another authority in it, as there always is one. */
function debianStore(folder: string, other: string) {
  const names = ["local", "etc", "hooks", "certificates"] as const;
  const [local, etc, hooks, certificates] = names.map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const each of [local, etc, hooks, certificates]) mkdirSync(each);
  const config = join(folder, "ca-certificates.conf");
  writeFileSync(config, "other.crt\n");
  writeFileSync(join(certificates, "other.crt"), other);
  const folders = ["--localcertsdir", local, "--etccertsdir", etc, "--certsdir", certificates];
  const update = [program("update-ca-certificates"), ...folders, "--hooksdir", hooks];
  update.push("--certsconf", config);
  const store = folderStore(local, update, [...update, "--fresh"]);
  return { store, local, etc, bundle: join(etc, "ca-certificates.crt") };
}

testWith(
  ["update-ca-certificates", "openssl"],
  "on Debian the bundle of the system believes the root, and no more after it was removed",
  () =>
    inFolder(async (folder) => {
      using authority = new Authority();
      const { certFile } = authority.issue(["app.internal"]);
      using other = new Authority();
      const { store, bundle, local, etc } = debianStore(folder, other.ca);
      const root = { ...ROOT, file: authority.caFile };
      const shown: string[] = [];
      const show = async (line: string): Promise<void> => void shown.push(line);
      await changeStores([store], "install", root, show);
      expect(openssl("verify", "-CAfile", bundle, certFile)).toEndWith(": OK\n");
      expect(shown).toEqual(store.install(root).map(formatCommand));
      await changeStores([store], "install", root, show); // a second time changes nothing
      expect(openssl("verify", "-no-CAfile", "-CApath", etc, certFile)).toEndWith(": OK\n");
      await changeStores([store], "uninstall", root, show);
      expect(readdirSync(local)).toEqual([]);
      expect(readdirSync(etc).filter((name) => name.startsWith("bun-tunnel"))).toEqual([]);
      for (const place of [`-CAfile=${bundle}`, `-CApath=${etc}`]) {
        expect(() => openssl("verify", ...place.split("="), certFile)).toThrow("unable to get");
      }
      shown.length = 0;
      await changeStores([store], "uninstall", root, show);
      expect(shown).toEqual([]); // it is not there
    }),
);

test("a store that fails is named, and keeps no other from its turn", async () => {
  const shown: string[] = [];
  const store = (name: string, word: string) => ({
    name,
    lookup: () => null,
    install: () => [{ words: [word], stdin: null }],
    uninstall: () => [],
  });
  const stores = [store("one", "false"), store("two", "no-such-program"), store("three", "true")];
  const changed = changeStores(stores, "install", ROOT, async (line) => void shown.push(line));
  const error = await changed.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ProxyError);
  expect((error as ProxyError).message).toBe(
    "one: false: ended with exit code 1, for the reason printed above\ntwo: the program no-such-program is not installed",
  );
  expect(shown).toEqual(["false", "no-such-program", "true"]);
});
