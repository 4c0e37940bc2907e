// A DNS server that no one here wrote: dnsmasq, authoritative for a zone, with compressed names, and with more values at one
// name than UDP carries.

import { expect } from "bun:test";
import { join } from "node:path";

import { Authoritative } from "../../../src/control/dns/authoritative.ts";
import { type Sight, waitUntilVisible } from "../../../src/control/dns/propagation.ts";
import { Resolvers } from "../../../src/control/dns/resolvers.ts";
import { Daemon } from "../../support/daemon.ts";
import { program, testWith } from "../../support/programs.ts";

const ORIGIN = "example.test";
const NAME = `_acme-challenge.${ORIGIN}`;
const NEVER = new AbortController().signal;

function dnsmasq(): Promise<Daemon> {
  return Daemon.start(async (folder, port) => {
    const file = join(folder, "dnsmasq.conf");
    const values = Array.from(
      { length: 60 },
      (_, i) => `txt-record=${NAME},${`value${i}`.repeat(5)}`,
    );
    const lines = [
      "no-daemon\nno-resolv\nno-hosts\nbind-interfaces\nuser=root\npid-file=",
      `port=${port}`,
      `auth-server=ns1.${ORIGIN},lo\nauth-zone=${ORIGIN},127.0.0.0/8`,
      `auth-soa=1,host.${ORIGIN},1200,120,1209600`,
      `host-record=ns1.${ORIGIN},127.0.0.1`,
      `cname=_acme-challenge.www.${ORIGIN},${NAME}`,
      ...values,
      "",
    ];
    await Bun.write(file, lines.join("\n"));
    return [program("dnsmasq"), `--conf-file=${file}`];
  });
}

testWith(["dnsmasq"], "the zone, an alias and sixty values at one name are found", async () => {
  await using server = await dnsmasq();
  const { port } = server;
  const resolvers = new Resolvers([{ host: "127.0.0.1", port }]);
  const lookup = new Authoritative({ resolvers, port });
  const place = await lookup.locate(`_acme-challenge.www.${ORIGIN}`, NEVER);
  expect(place).toEqual({
    name: NAME,
    zone: {
      name: ORIGIN,
      servers: [{ name: `ns1.${ORIGIN}`, addresses: [{ host: "127.0.0.1", port }] }],
    },
    aliases: [`_acme-challenge.www.${ORIGIN}`],
  });
  const sights: string[] = [];
  const look = (value: string, timeoutMs: number) =>
    waitUntilVisible(
      { place, value, delayMs: 0, timeoutMs, seen: ({ detail }: Sight) => sights.push(detail) },
      NEVER,
    );
  expect(await look("value59".repeat(5), 10_000)).toEqual({ isSeen: true, givenUp: [] });
  await expect(look("value60".repeat(5), 10)).rejects.toThrow("has other values there");
  expect(sights[0]).toBe("has it");
});
