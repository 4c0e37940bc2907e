// Which names only an internal authority can sign: the reserved ones, in whatever form, and nothing that is public.

import { describe, expect, test } from "bun:test";

import { isInternalName } from "../../src/shared/internal-names.ts";

describe("no public authority signs", () => {
  test.each([
    "localhost",
    "*.localhost",
    "app.localhost",
    "LOCALHOST.",
    "printer.local",
    "*.internal",
    "db.prod.internal",
    "nas.home.arpa",
    "home.arpa",
    "a.test",
    "a.example",
    "a.invalid",
    "router.lan",
    "files.corp",
    "intranet",
    "*.com",
    "127.0.0.1",
    "127.255.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.178.1",
    "169.254.1.1",
    "100.64.0.1",
    "::1",
    "::",
    "::ffff:10.0.0.1",
    "fd00::1",
    "fe80::1%eth0",
    "FE80::1",
  ])("%s", (name) => expect(isInternalName(name)).toBe(true));
});

describe("a public authority could sign", () => {
  test.each([
    "example.com",
    "*.example.com",
    "example.com.",
    "xn--bcher-kva.example.org",
    "localhost.com",
    "notlocal.net",
    "evil-internal.org",
    "mylocal.dev",
    "arpa.home.net",
    "home.arpa.com",
    "1.2.3.4",
    "172.32.0.1",
    "100.128.0.1",
    "192.169.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "2001:4860:4860::8888",
  ])("%s", (name) => expect(isInternalName(name)).toBe(false));
});
