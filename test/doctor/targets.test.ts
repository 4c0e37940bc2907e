// Targets: asked for real, and what is said of each outcome.

import { expect, test } from "bun:test";
import { createServer } from "node:net";

import {
  checkTargets,
  lookAt,
  type Place,
  placesOf,
  type Sight,
} from "../../src/doctor/targets.ts";
import type { Endpoint } from "../../src/shared/address.ts";
import { planOf } from "../explain/plans.ts";
import { freePort } from "../support/daemon.ts";
import { faults } from "./machines.ts";

const TIMEOUT_MS = 5_000;

function place(host: string, port: number, overUdp = false): Place {
  return { endpoint: { kind: "tcp", host, port }, overUdp, listeners: ["tcp :80"] };
}

function sight(endpoint: Endpoint, seen: Partial<Sight>): Sight {
  const at = { endpoint, overUdp: false, listeners: ["tcp :80"] };
  return { place: at, addresses: ["192.0.2.1"], fault: null, reached: [], ...seen };
}

const NAMED: Endpoint = { kind: "tcp", host: "db.example", port: 1 };

test("a target is looked at once, whoever leads to it", () => {
  const { listeners } = planOf(`
protocols:
  - { name: tcp, listen: ":80", targets: ["10.0.0.1:1", "10.0.0.2:1"], mirror: { target: "10.0.0.3:1" } }
  - { name: udp, listen: ":80", target: "10.0.0.1:1" }
  - { name: http, listen: ":81", routes: [{ match: { path: /a }, target: "10.0.0.1:1" }], target: "h3://10.0.0.4:1" }
`);
  const seen = placesOf(listeners).map(({ endpoint, overUdp, listeners: keys }) => {
    return [endpoint.kind === "tcp" ? endpoint.host : "", overUdp, keys.join(" and ")];
  });
  expect(seen).toEqual([
    ["10.0.0.1", false, "tcp :80 and http :81"],
    ["10.0.0.2", false, "tcp :80"],
    ["10.0.0.3", false, "tcp :80"],
    ["10.0.0.1", true, "udp :80"],
    ["10.0.0.4", true, "http :81"],
  ]);
});

test("one that accepts connections is well, and one that refuses them is not", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  const port = await new Promise<number>((resolve) => {
    server.once("listening", () => resolve((server.address() as { port: number }).port));
  });
  const well = await lookAt(place("127.0.0.1", port), TIMEOUT_MS);
  server.close();
  expect(checkTargets([well], true)).toEqual([
    {
      check: "targets",
      result: "ok",
      finding: `127.0.0.1:${port}: accepts connections`,
      cure: null,
    },
  ]);
  const closed = await freePort();
  const refused = await lookAt(place("127.0.0.1", closed), TIMEOUT_MS);
  expect(faults(checkTargets([refused], true))).toEqual([
    `problem targets: 127.0.0.1:${closed} of tcp :80 cannot be reached: 127.0.0.1:${closed}: ` +
      "nobody listens there (ECONNREFUSED). See that it runs, and that no firewall is in between",
  ]);
});

test("every address of a name is asked, and over UDP none", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  const port = await new Promise<number>((resolve) => {
    server.once("listening", () => resolve((server.address() as { port: number }).port));
  });
  const lookup = async (): Promise<string[]> => ["127.0.0.1", "127.0.0.2"];
  const some = await lookAt(place("db.example", port), TIMEOUT_MS, lookup);
  server.close();
  expect(faults(checkTargets([some], true))[0]).toStartWith(
    `warning targets: db.example:${port} (127.0.0.1, 127.0.0.2) of tcp :80: some of its addresses do not answer: 127.0.0.2:`,
  );
  const silent = await lookAt(place("db.example", port, true), TIMEOUT_MS, lookup);
  expect(silent.reached).toEqual([]);
  expect(faults(checkTargets([silent], true))).toEqual([]);
});

test("a name that does not resolve, or not in time, is a problem", async () => {
  const unknown = await lookAt(place("db.example", 1), TIMEOUT_MS, async () => []);
  expect(faults(checkTargets([unknown], true))).toEqual([
    'problem targets: db.example:1 of tcp :80: the name "db.example" does not resolve: it has no address. ' +
      "Check the name, and the system's resolver: getent ahosts NAME",
  ]);
  const never = await lookAt(place("db.example", 1), 1, () => new Promise(() => {}));
  expect(never.fault).toBe("no answer in time");
});

test("a name of IPv6 alone is a problem where there is none", () => {
  const only = sight(NAMED, { addresses: ["2001:db8::1"], reached: [["[2001:db8::1]:1", null]] });
  expect(faults(checkTargets([only], false))[0]).toContain(
    "no IPv4 address, and this machine no IPv6",
  );
  expect(faults(checkTargets([only], true))).toEqual([]);
});
