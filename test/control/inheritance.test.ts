// Sockets that were handed on and that nobody takes: what the log says of them.

import { expect, test } from "bun:test";
import { fstatSync } from "node:fs";

import { Inheritance } from "../../src/control/inheritance.ts";
import { Proxy } from "../../src/control/proxy.ts";
import { formatSocketAddress } from "../../src/shared/address.ts";
import { LogLines } from "../support/log-lines.ts";
import { makePlan } from "../support/plan.ts";
import { Relay } from "../support/relay.ts";

const LEFT = "an inherited socket fits no listener and is closed";
const TARGET = "127.0.0.1:1";
const WORKERS = 4;

/** Those of each of several workers. */
async function handedOn(relay: Relay): Promise<{ inheritance: Inheritance; held: Held }> {
  const sockets = await relay.proxy.listeningSockets();
  const named = sockets.map(({ key, fd }) => ({ key, fd, name: "predecessor", worker: null }));
  const held = sockets.map(({ fd }): [number, number] => [fd, fstatSync(fd).ino]);
  return { inheritance: new Inheritance(named), held };
}

/** Descriptors, and what they are of. */
type Held = readonly (readonly [fd: number, inode: number])[];

/** A number that is free is soon another's. */
const areClosed = (held: Held): boolean =>
  held.every(([fd, inode]) => {
    try {
      return fstatSync(fd).ino !== inode;
    } catch {
      return true;
    }
  });

const onLinux = test.if(process.platform === "linux");

onLinux("those of all workers are one line, with how many there are", async () => {
  await using relay = await Relay.start("epoll", { target: TARGET }, { workers: WORKERS });
  const { inheritance, held } = await handedOn(relay);
  const lines = new LogLines();
  inheritance.close(lines.log);
  const fields = {
    name: "predecessor",
    address: formatSocketAddress(relay.bound),
    listener: "tcp 127.0.0.1:0",
    sockets: WORKERS,
  };
  expect(lines.of(LEFT).map((line) => line.fields)).toEqual([fields]);
  expect(areClosed(held)).toBe(true);
});

onLinux("a start that fails says nothing of them, and closes them", async () => {
  await using relay = await Relay.start("epoll", { target: TARGET }, { workers: WORKERS });
  const { inheritance, held } = await handedOn(relay);
  const lines = new LogLines();
  const plan = makePlan(
    { engine: "epoll" },
    { listen: "192.0.2.1:1", target: TARGET }, // nobody's (RFC 5737)
    { target: TARGET },
  );
  const starting = Proxy.start(plan, { log: lines.log, inheritance });
  await expect(starting).rejects.toMatchObject({ code: "ERR_LISTEN" });
  expect(lines.of(LEFT)).toEqual([]);
  expect(areClosed(held)).toBe(true);
});
