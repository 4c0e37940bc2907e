// What a configuration means for the service that runs it: privileges, and what would fail there.

import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { checkSource } from "../../../src/config/check.ts";
import { parseSource } from "../../../src/config/load.ts";
import { compile } from "../../../src/control/compile.ts";
import {
  hiddenPath,
  isReadableByService,
  systemdCautions,
  usesLowPorts,
} from "../../../src/control/service/facts.ts";
import type { Plan } from "../../../src/shared/plan.ts";
import { inFolder } from "../../support/daemon.ts";

const WORKING = "/var/lib/proxy";

function plan(text: string): Plan {
  const machine = { platform: "linux", cpus: 1, folder: WORKING, terminal: false } as const;
  return compile(checkSource(parseSource(text, "proxy.yaml")), machine);
}

const tcp = (listen: string): string =>
  `protocols: [{name: tcp, listen: "${listen}", target: "b:1"}]`;
const secured = (autoTls: string): string =>
  `auto_tls: ${autoTls}\nprotocols: [{name: http2, listen: ":8443", target: "b:1"}]`;

describe("a port below 1024 is", () => {
  test.each([
    ["a listener's", tcp(":443"), true],
    ["not 1024", tcp("127.0.0.1:1024"), false],
    ["not 0, which is any", tcp("127.0.0.1:0"), false],
    ["no unix socket's", tcp("unix:/run/proxy/a"), false],
    ["that of challenges", secured("{domains: [a.example.com], agree_terms: true}"), true],
    [
      "not that of challenges elsewhere",
      secured("{domains: [a.example.com], agree_terms: true, http_port: 8080, tls_port: 8443}"),
      false,
    ],
    [
      "not needed by an authority of this machine",
      secured("{domains: [localhost], ca: internal}"),
      false,
    ],
  ])("%s", (_name, text, expected) => {
    expect(usesLowPorts(plan(text))).toBe(expected);
  });
});

test("folders that the unit hides from the service are found", () => {
  expect(hiddenPath(["/usr/local/bin/proxy", "/etc/proxy/proxy.yaml", "/homes/x"])).toBeNull();
  expect(hiddenPath(["/usr/local/bin/proxy", "/home/me/proxy.yaml"])).toBe("/home/me/proxy.yaml");
  expect(hiddenPath(["/root"])).toBe("/root");
});

describe("a system service is warned of", () => {
  const folders = { scope: "system", name: "proxy", working: WORKING } as const;
  const all = (): boolean => true;

  test("nothing, where everything is in its own folders", () => {
    expect(systemdCautions(plan(tcp("unix:/run/proxy/a.sock")), folders, all)).toEqual([]);
    expect(systemdCautions(plan(secured("{domains: [localhost]}")), folders, all)).toEqual([]);
  });

  test("a storage and sockets where it may not write", () => {
    const storage = plan(secured("{domains: [localhost], storage: /srv/certificates}"));
    expect(systemdCautions(storage, folders, all)).toEqual([
      "auto_tls.storage: /srv/certificates: the service may write to /var/lib/proxy only. Leave it out, or choose a folder there",
    ]);
    expect(systemdCautions(plan(tcp("unix:/run/a.sock")), folders, all)).toEqual([
      "tcp unix:/run/a.sock: the service may make sockets in /run/proxy only",
    ]);
  });

  test("keys that its user may not read, with what makes them readable", () => {
    const text =
      'protocols: [{name: tls, listen: ":1", target: "b:1", tls: {cert_file: /etc/a.pem, key_file: /etc/k.pem}}]';
    const [warning] = systemdCautions(plan(text), folders, (path) => path !== "/etc/k.pem");
    expect(warning).toStartWith("The user of the service, bun-tunnel, may not read /etc/k.pem. ");
    expect(warning).toEndWith("chgrp bun-tunnel /etc/k.pem; chmod 640 /etc/k.pem");
  });

  test("a user's service is warned of low ports instead", () => {
    const user = { ...folders, scope: "user" } as const;
    expect(systemdCautions(plan(tcp(":80")), user, all)).toHaveLength(1);
    expect(systemdCautions(plan(tcp("unix:/tmp/a")), user, () => false)).toEqual([]);
  });
});

test("a file is readable to the service by everybody's mode, or by a group's that is not root's", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "key.pem");
    writeFileSync(path, "");
    const modes: [mode: number, readable: boolean][] = [
      [0o644, true],
      [0o600, false],
    ];
    for (const [mode, readable] of modes) {
      chmodSync(path, mode);
      expect(isReadableByService(path)).toBe(readable);
    }
    chmodSync(path, 0o640);
    if (process.getuid!() === 0) {
      expect(isReadableByService(path)).toBe(false);
      chownSync(path, 0, 1234);
    }
    expect(isReadableByService(path)).toBe(true);
    expect(isReadableByService(join(folder, "nothing"))).toBe(true);
  });
});
