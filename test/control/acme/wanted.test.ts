// Names that handshakes wait for, between workers and whoever decides.

import { expect, test } from "bun:test";

import { WantedCertificates } from "../../../src/control/acme/wanted.ts";
import type { Command } from "../../../src/shared/messages.ts";

test("who decides from now on is told what is still waited for, and nothing that was decided", () => {
  const posted: Command[] = [];
  const wanted = new WantedCertificates(() => [{ post: (command) => void posted.push(command) }]);
  const [first, second]: [string[], string[]] = [[], []];
  wanted.handler = (name) => first.push(name);
  for (const name of ["a.example", "b.example", "c.example"]) wanted.ask(name);
  wanted.deny("a.example");
  wanted.granted("b.example");
  wanted.handler = null;
  wanted.ask("d.example");
  wanted.handler = (name) => second.push(name);
  expect([first, second]).toEqual([["a.example", "b.example", "c.example"], ["c.example"]]);
  expect(posted).toEqual(
    ["a.example", "d.example"].map((name) => ({ type: "certificate_denied", name })),
  );
});
