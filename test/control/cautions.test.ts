// What `proxy` warns of before it carries a plan out.

import { expect, test } from "bun:test";

import { checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";
import { cautions } from "../../src/control/cautions.ts";
import { compile } from "../../src/control/compile.ts";

function cautionsOf(text: string) {
  const machine = { platform: "linux", cpus: 1, folder: "/srv", terminal: false } as const;
  return cautions(compile(checkSource(parseSource(text, "f")), machine));
}

test("a target whose certificate is not verified is named with its listener, once", () => {
  const insecure = '{ address: "https://app.example", tls: { insecure_skip_verify: true } }';
  const found = cautionsOf(`
protocols:
  - name: http
    listen: ":80"
    routes:
      - { match: { path: /a }, target: ${insecure} }
      - { match: { path: /b }, target: ${insecure} }
    target: "https://b.example"
  - { name: tcp, listen: ":81", target: "a:1" }
  - { name: udp, listen: ":81", target: "a:1" }
`);
  expect(found).toEqual([
    {
      listener: "http :80",
      message:
        "certificate of app.example:443 is not verified (insecure_skip_verify): anybody may pose as it",
    },
  ]);
});

test("a plan that verifies everybody is nothing to warn of", () => {
  expect(cautionsOf('protocols: [{ name: http, listen: ":1", target: "https://a" }]')).toEqual([]);
});

test("a wildcard that most clients refuse is named for the listeners that show it", () => {
  const found = cautionsOf(`
auto_tls: { ca: internal, domains: ["*.internal", [localhost, "*.localhost"], "*.dev.internal"] }
protocols:
  - { name: http2, listen: ":443", target: "a:1" }
  - { name: http, listen: ":80", target: "a:1" }
  - { name: tcp, listen: ":81", target: "a:1" }
`);
  const why = "a wildcard right below a top-level domain: name what is below it, or use on_demand";
  expect(found).toEqual([
    { listener: "http2 :443", message: `most clients refuse *.internal, ${why}` },
    { listener: "http2 :443", message: `most clients refuse *.localhost, ${why}` },
  ]);
});
