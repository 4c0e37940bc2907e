// Log lines to a pipe that nobody reads: the writer neither blocks nor grows, and tells what was lost.

import { expect, test } from "bun:test";
import { closeSync, readSync } from "node:fs";

import { LogWriter } from "../../src/control/log-writer.ts";
import { pipe } from "../support/pipe.ts";

const LINE = `${"x".repeat(1_023)}\n`;

const lost = (count: number): string => `${count} lost\n`;

test("lines beyond the buffer are dropped and counted, and the count is written when the reader is back", async () => {
  const [reader, writer] = pipe();
  const log = new LogWriter(writer, lost, 256 * 1024);
  for (let i = 0; i < 1_000; i++) log.write(LINE);
  expect(await log.flush(20)).toBe(false);
  let text = "";
  const flushed = log.flush(10_000);
  const chunk = Buffer.alloc(64 * 1024);
  // What is lost can only be told once all before it is read.
  while (!text.endsWith("lost\n")) {
    text += chunk.toString("utf8", 0, readSync(reader, chunk));
    await new Promise(setImmediate);
  }
  expect(await flushed).toBe(true);
  const lines = text.trimEnd().split("\n");
  const kept = lines.filter((line) => line.startsWith("x")).length;
  expect(kept).toBe(256);
  expect(lines.at(-1)).toBe(`${1_000 - kept} lost`);
  closeSync(reader);
  closeSync(writer);
});

test("a reader that is gone costs lines, not the process", async () => {
  const [reader, writer] = pipe();
  closeSync(reader);
  const log = new LogWriter(writer, lost);
  log.write("one\n");
  expect(await log.flush(10_000)).toBe(true);
  log.write("two\n");
  expect(await log.flush(10_000)).toBe(true);
  closeSync(writer);
});
