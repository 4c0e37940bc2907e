// DNS through the proxy: dnsmasq as the server and dig as the client, over UDP and, for answers that do not fit, over TCP.

import { expect } from "bun:test";
import { join } from "node:path";

import { Proxy } from "../../src/control/proxy.ts";
import { CliRelay } from "../support/cli-relay.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { Daemon, run } from "../support/daemon.ts";
import { program, testWith } from "../support/programs.ts";

/** Answers for the zone `test` from its configuration alone. */
function dnsmasq(): Promise<Daemon> {
  return Daemon.start(async (folder, port) => {
    const file = join(folder, "dnsmasq.conf");
    const records = Array.from({ length: 40 }, (_, i) => `txt-record=many.test,"record ${i}"`);
    const large = Array.from(
      { length: 8 },
      (_, i) => `txt-record=large.test,"${`${i}`.repeat(150)}"`,
    );
    await Bun.write(
      file,
      [
        "no-daemon\nno-resolv\nno-hosts\nbind-interfaces\nlisten-address=127.0.0.1\nuser=root",
        `port=${port}\npid-file=\nedns-packet-max=4096`,
        "address=/a.test/192.0.2.7\naddress=/a.test/2001:db8::7",
        ...large,
        ...records,
        "",
      ].join("\n"),
    );
    return [program("dnsmasq"), `--conf-file=${file}`];
  });
}

/**
 * dig sets SO_REUSEPORT before it asks for any port, so the system may give it one that several workers share, if that is
 * among those which it gives out; then dig asks itself. One worker shares no port.
 */
function relayTo(server: Daemon, port = 0): Promise<CliRelay> {
  return CliRelay.startUdp(`127.0.0.1:${server.port}`, `127.0.0.1:${port}`, "-workers", "1");
}

async function dig(port: number, ...query: string[]): Promise<string> {
  const at = ["@127.0.0.1", "-p", `${port}`, "+time=3", "+tries=2"];
  const { stdout } = await run([program("dig"), ...at, ...query]);
  return stdout.trim();
}

testWith(["dnsmasq", "dig"], "dig asks dnsmasq through the proxy", async () => {
  await using server = await dnsmasq();
  await using relay = await relayTo(server);
  expect(await dig(relay.port, "+short", "a.test", "A")).toBe("192.0.2.7");
  expect(await dig(relay.port, "+short", "a.test", "AAAA")).toBe("2001:db8::7");
  // A UDP answer of more than a thousand bytes, by EDNS.
  const large = await dig(relay.port, "+bufsize=4096", "+ignore", "large.test", "TXT");
  for (let i = 0; i < 8; i++) expect(large).toContain(`${i}`.repeat(150));
  expect(large).toContain("(UDP)");
  // Without EDNS the answer is cut, and says so.
  const cut = await dig(relay.port, "+noedns", "+ignore", "many.test", "TXT");
  expect(cut).toMatch(/flags:[^;]* tc/);
});

testWith(
  ["dnsmasq", "dig"],
  "an answer that is cut comes whole over TCP, on the same port",
  async () => {
    await using server = await dnsmasq();
    const target = `127.0.0.1:${server.port}`;
    // TCP first: many more of its ports are in use.
    await using overTcp = await CliRelay.start("bun", target);
    await using overUdp = await relayTo(server, overTcp.port);
    const whole = await dig(overUdp.port, "+noedns", "many.test", "TXT");
    expect(whole.match(/"record \d+"/g)).toHaveLength(40);
    expect(whole).toContain("(TCP)");
  },
);

testWith(
  ["dnsmasq", "dig"],
  "a thousand questions, four at a time, each from a port of its own",
  async () => {
    await using server = await dnsmasq();
    await using relay = await relayTo(server);
    const at = ["@127.0.0.1", "-p", `${relay.port}`, "+time=3", "+tries=3", "+short"];
    const names = Array.from({ length: 250 }, () => ["a.test", "A"]).flat();
    // Two digs may be given the same port at once, as each sets SO_REUSEPORT; then one of them gets the answers of both.
    const digs = Array.from({ length: 4 }, (_, i) =>
      run([program("dig"), "-b", `127.0.0.${i + 2}`, ...at, ...names]),
    );
    for (const { stdout } of await Promise.all(digs)) {
      expect(stdout.trim().split("\n")).toEqual(new Array(250).fill("192.0.2.7"));
    }
  },
);

testWith(["dnsmasq", "dig"], "not one of a thousand questions is lost over reloads", async () => {
  await using server = await dnsmasq();
  const plan = (i: number) =>
    compiledPlan([
      {
        name: "udp",
        listen: "127.0.0.1:0",
        target: `127.0.0.1:${server.port}`,
        limits: { max_connections: 10_000 + i },
      },
    ]);
  await using proxy = await Proxy.start(plan(0));
  const [bound] = proxy.listeners()[0]!.bound;
  const port = bound?.kind === "ip" ? bound.port : 0;
  const at = ["@127.0.0.1", "-p", `${port}`, "+time=5", "+tries=1", "+short"];
  const names = Array.from({ length: 250 }, () => ["a.test", "A"]).flat();
  let over = false;
  const digs = Promise.all(
    Array.from({ length: 4 }, (_, i) =>
      run([program("dig"), "-b", `127.0.0.${i + 2}`, ...at, ...names]),
    ),
  ).finally(() => (over = true));
  let reloads = 0;
  while (!over) await proxy.reload(plan(++reloads));
  for (const { stdout } of await digs) {
    expect(stdout.trim().split("\n")).toEqual(new Array(250).fill("192.0.2.7"));
  }
  expect(reloads).toBeGreaterThan(1);
});
