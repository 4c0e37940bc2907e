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
