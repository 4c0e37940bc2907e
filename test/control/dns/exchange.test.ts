// One question to one server, over real sockets: what is listened to, what is asked again, and what cannot be answered.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";

import { ask, type Reply } from "../../../src/control/dns/exchange.ts";
import type { RecordType } from "../../../src/control/dns/message.ts";
import { freePort, run } from "../../support/daemon.ts";
import { TestDnsServer, TestZone } from "../../support/dns-server.ts";
import { testInNamespace } from "../../support/namespace.ts";
import { testWith } from "../../support/programs.ts";

const ZONE = "example.test";
const LONG = "x".repeat(700);

let server: TestDnsServer;
let zone: TestZone;

beforeAll(async () => {
  server = await TestDnsServer.start("127.0.0.1", 0);
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  zone = new TestZone(ZONE, ["ns1.example.test", "ns2.example.test"]);
  zone.add(`a.${ZONE}`, "TXT", "one");
  zone.add(`a.${ZONE}`, "TXT", LONG);
  zone.add(`a.${ZONE}`, "A", "192.0.2.1");
  zone.add(`a.${ZONE}`, "AAAA", "2001:db8::1:2");
  zone.add(`alias.${ZONE}`, "CNAME", "a.example.test");
  server.zones.splice(0, Infinity, zone);
  server.queries.length = 0;
  Object.assign(server.behaviour, {
    silent: false,
    rcode: null,
    lame: false,
    truncates: false,
    refusesEdns: false,
    forges: false,
    gate: null,
  });
});

function look(name: string, type: RecordType, tries = 1, timeoutMs = 5_000): Promise<Reply> {
  const options = { recursive: false, tries, timeoutMs };
  return ask(server, { name, type }, options, new AbortController().signal);
}

async function data(name: string, type: RecordType): Promise<string[]> {
  const reply = await look(name, type);
  if (reply.kind !== "message") throw new Error(reply.reason);
  return reply.message.answers.map((record) => record.data);
}

describe("what a server answers is read", () => {
  test("all values of a name, also long ones", async () => {
    expect(await data(`a.${ZONE}`, "TXT")).toEqual(["one", LONG]);
  });

  test("addresses, aliases with what they lead to, and servers", async () => {
    expect(await data(`A.${ZONE}.`, "A")).toEqual(["192.0.2.1"]);
    expect(await data(`a.${ZONE}`, "AAAA")).toEqual(["2001:db8::1:2"]);
    expect(await data(`alias.${ZONE}`, "A")).toEqual(["a.example.test", "192.0.2.1"]);
    expect(await data(ZONE, "NS")).toEqual(["ns1.example.test", "ns2.example.test"]);
  });

  test("that a name is not there, with the zone that says so", async () => {
    expect(await look(`b.${ZONE}`, "TXT")).toMatchObject({
      kind: "message",
      message: {
        rcode: "NXDOMAIN",
        authoritative: true,
        authority: [{ name: ZONE, type: "SOA" }],
      },
    });
  });

  test("servers of a zone are not asked for recursion, resolvers are", async () => {
    await look(`a.${ZONE}`, "A");
    const question = { name: `a.${ZONE}`, type: "A" } as const;
    await ask(server, question, { recursive: true }, new AbortController().signal);
    expect(server.queries.map(({ recursive }) => recursive)).toEqual([false, true]);
  });
});

test("an answer that does not fit UDP is asked for over TCP", async () => {
  server.behaviour.truncates = true;
  expect(await data(`a.${ZONE}`, "TXT")).toEqual(["one", LONG]);
  expect(server.queries.map(({ over }) => over)).toEqual(["udp", "tcp"]);
});

test("a server that does not know EDNS0 is asked without it", async () => {
  server.behaviour.refusesEdns = true;
  expect(await data(`a.${ZONE}`, "A")).toEqual(["192.0.2.1"]);
  expect(server.queries).toHaveLength(2);
});

test("a server that answers FORMERR to everything is asked twice and no more", async () => {
  server.behaviour.rcode = "FORMERR";
  expect(await look(`a.${ZONE}`, "A", 3)).toMatchObject({ message: { rcode: "FORMERR" } });
  expect(server.queries).toHaveLength(2);
});

test("answers to other ids and other questions, and what is no message, are passed over", async () => {
  server.behaviour.forges = true;
  expect(await data(`a.${ZONE}`, "A")).toEqual(["192.0.2.1"]);
});

test("a server that says nothing is asked as often as was wanted, and then given up", async () => {
  server.behaviour.silent = true;
  const reply = await look(`a.${ZONE}`, "A", 2, 20);
  expect(reply).toEqual({ kind: "silent", reason: "no answer within 20 ms" });
  expect(server.queries).toHaveLength(2);
});

test("a server that says nothing over TCP is given up too", async () => {
  server.behaviour.truncates = true;
  server.behaviour.silent = "tcp";
  const reply = await look(`a.${ZONE}`, "A", 1, 100);
  expect(reply).toEqual({ kind: "silent", reason: "no answer within 100 ms" });
  expect(server.queries.map(({ over }) => over)).toEqual(["udp", "tcp"]);
});

test("a port that nothing listens on is told at once", async () => {
  const nobody = { host: "127.0.0.1", port: await freePort() };
  const question = { name: ZONE, type: "A" } as const;
  const reply = await ask(nobody, question, { recursive: false }, new AbortController().signal);
  expect(reply).toEqual({ kind: "silent", reason: "nothing listens there" });
});

test("a signal ends the wait with its reason, also one that was aborted before", async () => {
  server.behaviour.silent = true;
  const stop = new AbortController();
  const question = { name: `a.${ZONE}`, type: "A" } as const;
  const asked = ask(server, question, { recursive: false, timeoutMs: 60_000 }, stop.signal);
  stop.abort(new Error("enough"));
  await expect(asked).rejects.toThrow("enough");
  await expect(ask(server, question, { recursive: false }, stop.signal)).rejects.toThrow("enough");
});

test("what is no name is not sent", async () => {
  expect(await look("a..b", "A")).toEqual({ kind: "silent", reason: '"a..b" is no name' });
  expect(server.queries).toEqual([]);
});

testInNamespace(
  [],
  "a family of addresses that this machine has no route to says nothing about the server",
  ["test/control/dns/unreachable.ts"],
  ({ stdout }) => expect(JSON.parse(stdout)).toMatchObject({ kind: "unreachable" }),
);

testWith(["dig"], "dig reads from the tests' server what the tests read from it", async () => {
  const dig = async (...query: string[]): Promise<string> => {
    const at = ["@127.0.0.1", "-p", String(server.port), "+noidnout", "+norecurse"];
    return (await run(["dig", ...at, ...query])).stdout;
  };
  const short = async (name: string, type: string): Promise<string[]> =>
    (await dig("+short", name, type)).trim().split("\n");
  expect(await short(`a.${ZONE}`, "A")).toEqual(["192.0.2.1"]);
  expect(await short(`a.${ZONE}`, "AAAA")).toEqual(["2001:db8::1:2"]);
  expect(await short(`alias.${ZONE}`, "A")).toEqual(["a.example.test.", "192.0.2.1"]);
  expect(await short(ZONE, "NS")).toEqual(["ns1.example.test.", "ns2.example.test."]);
  const [one, long] = await short(`a.${ZONE}`, "TXT");
  expect([one, long!.replaceAll(/[" ]/g, "")]).toEqual(['"one"', LONG]);
  const whole = await dig(`b.${ZONE}`, "TXT");
  expect(whole).toContain("status: NXDOMAIN");
  expect(whole).toMatch(/flags: qr aa;/);
  expect(whole).toMatch(/example\.test\.\s+60\s+IN\s+SOA\s+ns1\.example\.test\./);
  server.behaviour.truncates = true;
  expect(await short(`a.${ZONE}`, "A")).toEqual(["192.0.2.1"]);
  expect(server.queries.at(-1)).toMatchObject({ over: "tcp" });
});
