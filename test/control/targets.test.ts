// What workers are told of targets: which of them came to the others.

import { expect, test } from "bun:test";

import { TargetDirectory } from "../../src/control/targets.ts";
import { silentLog } from "../../src/shared/log.ts";
import { compiledPlan } from "../support/compiled-plan.ts";

async function directoryOf(
  targets: readonly string[],
  before?: TargetDirectory,
): Promise<TargetDirectory> {
  const { listeners } = compiledPlan([{ name: "tcp", listen: ":1", targets }]);
  const never = (): Promise<never> => Promise.reject(new Error("no name is looked up"));
  const directory = new TargetDirectory(listeners[0]!, silentLog, never, () => {}, before);
  await directory.start();
  return directory;
}

test("a target that a reload adds is told to be new, for as long as it stays", async () => {
  const added = (directory: TargetDirectory): [string, number][] =>
    directory.slots().map(({ name, addedMs }) => [name, addedMs]);
  const first = await directoryOf(["10.0.0.1:1", "10.0.0.2:1"]);
  expect(added(first)).toEqual([
    ["10.0.0.1:1", 0],
    ["10.0.0.2:1", 0],
  ]);
  const second = await directoryOf(["10.0.0.2:1", "10.0.0.3:1"], first);
  const [, [, since]] = added(second) as [[string, number], [string, number]];
  expect(since).toBeGreaterThan(0);
  const third = await directoryOf(["10.0.0.3:1", "10.0.0.2:1"], second);
  expect(added(third)).toEqual([
    ["10.0.0.3:1", since],
    ["10.0.0.2:1", 0],
  ]);
  const fourth = await directoryOf(["10.0.0.2:1"], third);
  const fifth = await directoryOf(["10.0.0.3:1", "10.0.0.2:1"], fourth);
  expect(added(fifth)[0]![1]).toBeGreaterThan(since);
});

test("what is wanted of a name holds for all its addresses, of an address for that one, over a reload", async () => {
  const { listeners } = compiledPlan([{ name: "tcp", listen: ":1", targets: ["web.test:80"] }]);
  const open = async (hosts: string[], before?: TargetDirectory): Promise<TargetDirectory> => {
    const lookup = (): Promise<string[]> => Promise.resolve(hosts);
    const directory = new TargetDirectory(listeners[0]!, silentLog, lookup, () => {}, before);
    await directory.start();
    return directory;
  };
  const modes = (directory: TargetDirectory): string[] =>
    directory.list().map(({ address, mode, weight, configured }) => {
      expect(configured).toBe("web.test:80");
      return `${address.kind === "ip" ? address.host : ""} ${mode} ${weight}`;
    });
  const first = await open(["10.0.0.1", "10.0.0.2"]);
  expect(first.wish("10.0.0.9:80 (web.test:80)", { mode: "disabled" })).toBe(false);
  expect(first.wish("web.test:80", { weight: 3 })).toBe(true);
  expect(first.wish("10.0.0.2:80 (web.test:80)", { mode: "draining" })).toBe(true);
  expect(modes(first)).toEqual(["10.0.0.1 enabled 3", "10.0.0.2 draining 3"]);
  const second = await open(["10.0.0.2", "10.0.0.3"], first);
  expect(modes(second)).toEqual(["10.0.0.2 draining 3", "10.0.0.3 enabled 3"]);
  for (const directory of [first, second]) directory.stop();
});
