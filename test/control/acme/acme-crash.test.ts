// Processes that order on one storage: two at once, and one that is killed at each of its requests and started again. The
// authority counts what it was asked for.

import { afterAll, beforeAll, expect } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { findProgram, testWith } from "../../support/programs.ts";
import { within } from "../../support/until.ts";
import type { Task } from "./ordering-process.ts";

let pebble: Pebble;
let folder = "";

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "acme-"));
  if (!PEBBLE_PROGRAMS.every((each) => findProgram(each) !== null)) return;
  pebble = await Pebble.start({ nonceReject: 0 });
});
afterAll(async () => {
  await pebble?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

let tasks = 0;

/** @returns what it said, and whether it was killed. */
async function order(changes: Partial<Task> & Pick<Task, "folder" | "name">) {
  const { url } = pebble.challenges;
  const task = { plan: pebble.plan(), challenges: url, killAt: 0, answered: false, ...changes };
  const file = join(folder, `task-${++tasks}.json`);
  writeFileSync(file, JSON.stringify(task));
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "ordering-process.ts"), file], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const outputs = [new Response(child.stdout).text(), new Response(child.stderr).text()];
  const [said, wrong] = await within("the order", Promise.all(outputs), 50_000);
  await child.exited;
  return { said: said!.trim(), wrong: wrong!.trim(), isKilled: child.signalCode === "SIGKILL" };
}

const count = (pattern: RegExp): number => pebble.log().match(pattern)?.length ?? 0;
const orders = (): number => count(/Added order/g);
const issued = (): number => count(/Issued certificate/g);
const accounts = (): number => count(/accounts in memory/g);

testWith(
  PEBBLE_PROGRAMS,
  "two processes on one storage make one account and one order",
  async () => {
    const before = [orders(), issued(), accounts()] as const;
    const storage = join(folder, "two");
    const results = await Promise.all(
      [1, 2].map(() => order({ folder: storage, name: "two.example" })),
    );
    const said = results.map((result) => result.said).toSorted();
    expect(said[0]).toMatch(/^issued after \d+ requests$/);
    expect(said[1]).toBe("it was there");
    expect([orders(), issued(), accounts()]).toEqual([before[0] + 1, before[1] + 1, before[2] + 1]);
  },
);

testWith(
  PEBBLE_PROGRAMS,
  "two processes that order different certificates at once make one account",
  async () => {
    const before = [orders(), accounts()] as const;
    const storage = join(folder, "account");
    const names = ["one.two.example", "two.two.example"];
    const results = await Promise.all(names.map((name) => order({ folder: storage, name })));
    for (const { said } of results) expect(said).toContain("issued");
    expect([orders(), accounts()]).toEqual([before[0] + 2, before[1] + 1]);
  },
);

for (const answered of [false, true]) {
  const when = answered ? "after its answer" : "before it is sent";
  testWith(
    PEBBLE_PROGRAMS,
    `a process that is killed at each of its requests, ${when}, is gone on with by the next`,
    async () => {
      let lost = 0;
      for (let killAt = 1; ; killAt++) {
        const storage = join(folder, `${answered ? "after" : "before"}-${killAt}`);
        const name = `kill${killAt}.example`;
        const before = [orders(), issued(), accounts()] as const;
        const killed = await order({ folder: storage, name, killAt, answered });
        const placed = orders() - before[0];
        const { certificates, orders: pending } = new CertificateStorage(storage);
        const isKept = (await pending.read(name)) !== null;
        const then = await order({ folder: storage, name });
        expect(then.wrong).toBe("");

        // What was ordered and not kept is lost with the answer that told of it: that one order is made again.
        const isLost = placed === 1 && !isKept && killed.isKilled;
        if (isLost) lost++;
        expect([killAt, orders() - before[0]]).toEqual([killAt, isLost ? 2 : 1]);
        expect([killAt, issued() - before[1]]).toEqual([killAt, 1]);
        expect([killAt, accounts() - before[2]]).toEqual([killAt, 1]);
        const stored = (await certificates.read(name))!;
        const key = createPrivateKey(Buffer.from(stored.key.reveal()));
        expect(new X509Certificate(stored.chain).checkPrivateKey(key)).toBe(true);
        expect(await pending.read(name)).toBeNull();
        if (!killed.isKilled) {
          expect(then.said).toBe("it was there");
          expect(killAt).toBeGreaterThan(10); // directory, nonce, account, order, authorisation, challenge, …
          expect(lost).toBe(answered ? 1 : 0);
          return;
        }
        expect(then.said).toMatch(/^issued/);
      }
    },
    200_000,
  );
}
