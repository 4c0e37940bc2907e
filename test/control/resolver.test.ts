// Names to addresses, with a resolver of the test's own: what is kept, what is told, what is warned of.

import { expect, test } from "bun:test";

import { AddressWatch, type Lookup, resolveOnce } from "../../src/control/resolver.ts";
import type { SocketAddress } from "../../src/shared/address.ts";
import { type Log, silentLog } from "../../src/shared/log.ts";

const NAME = { kind: "tcp", host: "db.test", port: 5432 } as const;
const ip = (host: string): SocketAddress => ({ kind: "ip", host, port: 5432 });

/** Answers with each entry in turn; an Error is a failure of the resolver. */
function lookupOf(...answers: (string[] | Error)[]): Lookup {
  return async () => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error("no answer");
    return answer;
  };
}

function warnings(): { log: Log; seen: string[] } {
  const seen: string[] = [];
  return { log: { ...silentLog, warn: (_fields, message) => void seen.push(message) }, seen };
}

test("numeric addresses and unix paths are not looked up", async () => {
  const never: Lookup = () => Promise.reject(new Error("looked up"));
  expect(await resolveOnce({ kind: "tcp", host: "::1", port: 80 }, never)).toEqual([
    { kind: "ip", host: "::1", port: 80 },
  ]);
  expect(await resolveOnce({ kind: "unix", path: "/run/x" }, never)).toEqual([
    { kind: "unix", path: "/run/x" },
  ]);
  expect(await resolveOnce({ kind: "tcp", host: "", port: 80 }, never)).toEqual([
    { kind: "ip", host: "", port: 80 },
  ]);
});

test("a name has all of its addresses, each once, in the resolver's order", async () => {
  const addresses = await resolveOnce(NAME, lookupOf(["10.0.0.2", "10.0.0.1", "10.0.0.2"]));
  expect(addresses).toEqual([ip("10.0.0.2"), ip("10.0.0.1")]);
});

test("a name that does not resolve is an error that names it and the cure", () => {
  expect(resolveOnce(NAME, lookupOf(new Error("ENOTFOUND")))).rejects.toMatchObject({
    code: "ERR_RESOLVE",
    message:
      'the name "db.test" does not resolve: ENOTFOUND. Check the spelling and the system\'s resolver',
  });
});

test("the system's resolver knows localhost", async () => {
  const [first] = await resolveOnce({ kind: "tcp", host: "localhost", port: 1 });
  expect(["127.0.0.1", "::1"]).toContain(first?.kind === "ip" ? first.host : "");
});

test("a watch tells of changed addresses, and only of those", async () => {
  const changes: (readonly SocketAddress[])[] = [];
  const lookup = lookupOf(["10.0.0.1"], ["10.0.0.1"], ["10.0.0.9"]);
  const changed = (next: readonly SocketAddress[]): void => void changes.push(next);
  const watch = await AddressWatch.start(NAME, { changed, log: silentLog, about: {}, lookup });
  expect(watch.current).toEqual([ip("10.0.0.1")]);
  await watch.refresh();
  expect(changes).toEqual([]);
  await watch.refresh();
  watch.stop();
  expect(changes).toEqual([[ip("10.0.0.9")]]);
});

test("a name that stops resolving keeps its last addresses and warns", async () => {
  const { log, seen } = warnings();
  const changes: unknown[] = [];
  const lookup = lookupOf(["10.0.0.1"], new Error("SERVFAIL"));
  const changed = (next: unknown): void => void changes.push(next);
  const watch = await AddressWatch.start(NAME, { changed, log, about: {}, lookup });
  await watch.refresh();
  watch.stop();
  expect(watch.current).toEqual([ip("10.0.0.1")]);
  expect(seen).toEqual(["target does not resolve any more, keeping its last addresses"]);
  expect(changes).toEqual([]);
});

test("a name that never resolved warns, and is told of once it does", async () => {
  const { log, seen } = warnings();
  const changes: unknown[] = [];
  const lookup = lookupOf(new Error("ENOTFOUND"), ["10.0.0.1"]);
  const changed = (next: unknown): void => void changes.push(next);
  const watch = await AddressWatch.start(NAME, { changed, log, about: {}, lookup });
  expect(seen).toEqual(["target does not resolve, clients are refused until it does"]);
  await watch.refresh();
  watch.stop();
  expect(changes).toEqual([[ip("10.0.0.1")]]);
});

test("a name that stays unknown is told of once, after a minute, then every ten, and when it is back", async () => {
  const told: [unknown, string][] = [];
  const note = (fields: object, message: string): void =>
    void told.push([fields, message.split(",")[0]!]);
  const log: Log = { ...silentLog, warn: note, info: note };
  const about = { listener: "tcp :5432", target: "db.test:5432" };
  const answers = lookupOf(...Array.from({ length: 8 }, () => new Error("ENOTFOUND")), [
    "10.0.0.1",
  ]);
  const watch = await AddressWatch.start(NAME, { changed: () => {}, log, about, lookup: answers });
  const start = performance.now();
  const count: number[] = [];
  for (const seconds of [2, 4, 61, 63, 120, 662, 664, 700]) {
    await watch.refresh(start + seconds * 1_000);
    count.push(told.length);
  }
  watch.stop();
  expect(count).toEqual([1, 1, 2, 2, 2, 3, 3, 4]);
  expect(told[0]).toEqual([
    { ...about, error: expect.stringContaining('"db.test" does not resolve'), kept: 0 },
    "target does not resolve",
  ]);
  expect(told.at(-1)).toEqual([about, "target resolves again"]);
});
