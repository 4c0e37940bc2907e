// `proxy check` of automatic certificates: what will be obtained, of whom, and how names are proven.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runProxy } from "./proxy-process.ts";

setDefaultTimeout(30_000); // several processes each

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "proxy-auto-tls-"))));
afterAll(() => rmSync(folder, { recursive: true }));

async function checked(text: string): Promise<string> {
  const path = join(folder, "auto-tls.yaml");
  writeFileSync(path, text);
  const { code, stdout, stderr } = await runProxy("check", path);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

test("what is obtained is printed with its authority, and with the listener that proves it", async () => {
  const stdout = await checked(`
auto_tls:
  domains: [example.com, [www.example.com, web.example.com], localhost]
  agree_terms: true
  email: admin@example.com
  ca: [{ url: letsencrypt, profile: shortlived }, zerossl, internal]
  storage: ${folder}
protocols:
  - { name: http2, listen: ":443", target: "127.0.0.1:3000" }
`);
  expect(stdout).toContain(`
certificates  example.com
              www.example.com, web.example.com
              localhost, signed by this machine
signed by     letsencrypt (admin@example.com, profile shortlived), then zerossl (admin@example.com, external account by e-mail)
proven by     tls-alpn-01 (http2 :443), then http-01 (port 80 is opened for it)
key           ECDSA, P-256
storage       ${folder}
`);
  expect(stdout).toContain("\n  certificate   those that are obtained\n");
});

test("DNS, and what is obtained on demand, are printed with their limits", async () => {
  const stdout = await checked(`
auto_tls:
  domains: ["*.example.com"]
  agree_terms: true
  dns_provider: route53
  dns: { propagation_delay: 10s, resolvers: [1.1.1.1] }
  on_demand: { ask: "http://127.0.0.1:9000/ok", domains: ["*.a.example.com"], rate: 10/1m }
  storage: ${folder}
protocols:
  - { name: http, listen: ":80", redirect: { to: "https://{host}" } }
  - { name: tls, listen: ":8443", target: "127.0.0.1:3000" }
`);
  expect(stdout).toContain(`
on demand     *.a.example.com, others that http://127.0.0.1:9000/ok allows; at most 10 orders in 1m, 1000 certificates in memory
signed by     letsencrypt
proven by     dns-01 (route53), then http-01 (http :80), then tls-alpn-01 (port 443 is opened for it)
DNS           after 10s, seen everywhere within 2m, for 2m, zones found by 1.1.1.1:53
`);
  expect(stdout).toContain("\n  certificate   those that are obtained, also on demand\n");
});

test("where this machine signs everything, nobody is asked", async () => {
  const stdout = await checked(`
auto_tls: { ca: internal, domains: [localhost, "*.internal"], key_type: rsa4096, storage: "${folder}" }
protocols:
  - { name: tls, listen: ":993", target: "127.0.0.1:143" }
`);
  expect(stdout).toContain(`
certificates  localhost, signed by this machine
              *.internal, signed by this machine
key           RSA, 4096 bits
storage       ${folder}
`);
  expect(stdout).not.toContain("proven by");
});

test("files that orders will need are looked at, and missing credentials are told of", async () => {
  const path = join(folder, "files.yaml");
  const root = join(folder, "root.pem");
  const key = join(folder, "hmac");
  writeFileSync(key, "not a key\n");
  const lines = (ca: string): string => `
auto_tls:
  domains: [example.com]
  agree_terms: true
  ca: ${ca}
  dns_provider: digitalocean
protocols:
  - { name: http2, listen: ":443", target: "127.0.0.1:3000" }
`;
  const url = "https://ca.example.com/directory";
  writeFileSync(
    path,
    lines(`{ url: "${url}", root_file: "${root}", eab: { key_id: a, hmac_key_file: "${key}" } }`),
  );
  const wrong = await runProxy("check", path);
  const problems = [
    `proxy: ${root}: the file does not exist. Check the path`,
    `proxy: ${key}: there is no key in the file. Put the key into it as the authority gave it (base64url), and nothing else`,
    "",
  ];
  expect([wrong.code, wrong.stdout, wrong.stderr.split("\n")]).toEqual([2, "", problems]);
  const started = await runProxy("-config", path, "-log-format", "pretty");
  expect([started.code, started.stderr]).toEqual([2, expect.stringContaining(problems[0]!)]);
  writeFileSync(path, lines("letsencrypt"));
  const missing = await runProxy("check", path);
  expect(missing.code).toBe(0);
  expect(missing.stdout).toMatch(/^warning: auto_tls: .*DIGITALOCEAN_TOKEN/m);
});
