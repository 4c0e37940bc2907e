// packaging/Dockerfile: what it takes is what the build makes, and the image does what the manifests and the README count on.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const text = readFileSync(join(root, "packaging/Dockerfile"), "utf8");
const instructions = text
  .replaceAll(/\\\n/g, "")
  .split("\n")
  .filter((line) => /^[A-Z]/.test(line));

test("takes executables that the build makes, and .dockerignore lets through those alone", () => {
  expect(instructions).toContain("COPY dist/proxy-linux-* /dist/");
  const ignored = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
  const rules = ignored.filter((line) => /^[^#]/.test(line));
  expect(rules).toEqual(["*", "!dist/proxy-linux-x64", "!dist/proxy-linux-arm64"]);
  const build = readFileSync(join(root, "scripts/build.ts"), "utf8");
  for (const target of ["linux-x64", "linux-arm64"]) expect(build).toContain(`  "${target}",\n`);
});

test("is not root, drains on SIGTERM, and its health is that of the pid file that its command writes", () => {
  expect(instructions).toContain("USER 65532:65532");
  expect(instructions).toContain("STOPSIGNAL SIGTERM");
  const command = instructions.find((line) => line.startsWith("CMD "))!.slice("CMD ".length);
  const flags = JSON.parse(command) as string[];
  expect(flags.slice(0, 3)).toEqual(["-config", "/etc/proxy/proxy.yaml", "-pid-file"]);
  const health = instructions.find((line) => line.startsWith("HEALTHCHECK "))!;
  expect(health).toContain(`CMD kill -0 "$(cat ${flags[3]})" || exit 1`);
});
