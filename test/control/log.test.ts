// The log, read back from a file.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createLog, type LogOptions } from "../../src/control/log.ts";
import type { Log } from "../../src/shared/log.ts";

let folder: string;
let files = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "proxy-log-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function written(
  options: Omit<LogOptions, "destination">,
  use: (log: Log) => void,
): Promise<string> {
  const destination = join(folder, `${files++}.log`);
  const log = createLog({ ...options, destination });
  use(log);
  expect(await log.flush(5_000)).toBe(true);
  return readFileSync(destination, "utf8");
}

describe("json", () => {
  test("is one object a line, with level, time, fields and message", async () => {
    const text = await written({ level: "info", format: "json" }, (log) => {
      log.info({ listener: "tcp :80", count: 2 }, "listening");
      log.warn({}, "refused");
    });
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      listener: "tcp :80",
      count: 2,
      msg: "listening",
    });
    expect(lines[1]).toMatchObject({ level: "warn", msg: "refused" });
  });

  test("holds an error's message", async () => {
    const text = await written({ level: "info", format: "json" }, (log) =>
      log.error({ error: new Error("boom") }, "failed"),
    );
    expect(JSON.parse(text).error).toMatchObject({ type: "Error", message: "boom" });
  });

  test("is not broken by a line end in a value", async () => {
    const text = await written({ level: "info", format: "json" }, (log) =>
      log.info({ a: "x\ny" }, "one\ntwo"),
    );
    expect(text.trimEnd().split("\n")).toHaveLength(1);
  });
});

test("what is below the level is not written", async () => {
  const text = await written({ level: "warn", format: "json" }, (log) => {
    log.debug({}, "no");
    log.info({}, "no");
    log.warn({}, "yes");
    log.error({}, "yes");
  });
  expect(text.match(/"msg":"(\w+)"/g)).toEqual(['"msg":"yes"', '"msg":"yes"']);
});

describe("pretty", () => {
  test("is one line for each event: time, level, message, fields", async () => {
    const text = await written({ level: "debug", format: "pretty" }, (log) => {
      log.info({ address: ":80", workers: 2, reason: "two words" }, "listening");
      log.debug({}, "bare");
    });
    const [first, second] = text.split("\n");
    expect(first).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} INFO: listening {2}address=:80 workers=2 reason="two words"$/,
    );
    expect(second).toMatch(/^\d\d:\d\d:\d\d\.\d{3} DEBUG: bare$/);
  });

  test("has colours only when asked", async () => {
    const use = (log: Log): void => log.warn({ a: 1 }, "refused");
    expect(await written({ level: "info", format: "pretty" }, use)).not.toContain("\u001B");
    const coloured = await written({ level: "info", format: "pretty", colours: true }, use);
    expect(coloured).toContain("\u001B[");
    expect(Bun.stripANSI(coloured)).toMatch(/WARN: refused {2}a=1\n$/);
  });
});
