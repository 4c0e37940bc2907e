// The output of a capture: in order, bounded while nobody takes it, and given up once, at a whole record.

import { describe, expect, test } from "bun:test";
import { closeSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { openOutput } from "../../src/capture/output.ts";
import { Sink } from "../../src/capture/sink.ts";
import { streamBytes, StreamCheck } from "../support/bytes.ts";
import { inFolder } from "../support/daemon.ts";
import { pipe } from "../support/pipe.ts";
import { within } from "../support/until.ts";

/** What a pipe holds when nobody reads it (pipe(7)). */
const PIPE_BYTES = 64 * 1024;

const unexpected = (error: Error): void => {
  throw error;
};

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const other = {};
  return (
    (await Promise.race([promise, new Promise((resolve) => setImmediate(resolve, other))])) ===
    other
  );
}

async function readAll(fd: number, check: StreamCheck): Promise<void> {
  for await (const chunk of Bun.file(fd).stream()) check.take(chunk);
}

test("records are written in their order, and closing waits for the last", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "out");
    const output = await openOutput(path, false);
    const sink = new Sink({ ...output, onFailure: unexpected });
    let sent = 0;
    for (let i = 0; i < 200; i++) {
      await sink.write(streamBytes(1, sent, i * 331));
      sent += i * 331;
    }
    expect(await sink.close(10_000)).toBe(true);
    await output.close();
    const check = new StreamCheck(1);
    check.take(readFileSync(path));
    expect([check.received, sink.bytesWritten]).toEqual([sent, sent]);
  });
});

test("while nobody reads, callers wait as soon as the bound is passed; then nothing is missing", async () => {
  const [reader, writer] = pipe();
  const bufferMaxBytes = 256 * 1024;
  const options = { fd: writer, regular: false, onFailure: unexpected, bufferMaxBytes };
  const sink = new Sink(options);
  const record = 32 * 1024;
  let sent = 0;
  let room = Promise.resolve();
  while (!(await isPending(room))) {
    room = sink.write(streamBytes(1, sent, record));
    sent += record;
    expect(sent).toBeLessThanOrEqual(PIPE_BYTES + bufferMaxBytes + record);
  }
  const check = new StreamCheck(1);
  const reading = readAll(reader, check);
  await within("room", room);
  expect(await sink.close(10_000)).toBe(true);
  closeSync(writer);
  await within("the end of the pipe", reading);
  expect(check.received).toBe(sent);
});

test("a stuck output is given up after the time it is given, and nobody waits for it", async () => {
  const [reader, writer] = pipe();
  const options = { fd: writer, regular: false, onFailure: () => {}, bufferMaxBytes: 1 };
  const sink = new Sink(options);
  const stuck = sink.write(Buffer.alloc(200_000));
  const waiting = sink.write(Buffer.alloc(10));
  expect(await isPending(waiting)).toBe(true);
  sink.unblock();
  await within("callers", Promise.all([stuck, waiting, sink.write(Buffer.alloc(10))]));
  expect(await sink.close(1)).toBe(false);
  closeSync(reader); // ends the write under way
  await within("the end", sink.flushed());
  closeSync(writer);
});

test("a reader that goes is told of once, and writing goes on into nothing", async () => {
  const [reader, writer] = pipe();
  const errors: (string | undefined)[] = [];
  const onFailure = (error: NodeJS.ErrnoException): void => void errors.push(error.code);
  const sink = new Sink({ fd: writer, regular: false, onFailure, bufferMaxBytes: 10 });
  closeSync(reader);
  await within("the first", sink.write(Buffer.alloc(100)));
  await within("the second", sink.write(Buffer.alloc(100)));
  expect(await sink.close(10_000)).toBe(true);
  expect([errors, sink.bytesWritten]).toEqual([["EPIPE"], 0]);
  closeSync(writer);
});

describe("opening a file", () => {
  test("it is the owner's alone", async () => {
    await inFolder(async (folder) => {
      const output = await openOutput(join(folder, "out"), false);
      expect([statSync(join(folder, "out")).mode & 0o777, output.regular]).toEqual([0o600, true]);
      await output.close();
    });
  });

  test("one that is there is kept, unless it is to be replaced", async () => {
    await inFolder(async (folder) => {
      const path = join(folder, "out");
      writeFileSync(path, "precious");
      await expect(openOutput(path, false)).rejects.toMatchObject({
        code: "ERR_USAGE",
        message: `-write: ${path} exists. Write to another file, or add -force to replace it`,
      });
      expect(readFileSync(path, "utf8")).toBe("precious");
      const output = await openOutput(path, true);
      expect(readFileSync(path, "utf8")).toBe("");
      await output.discard(); // it was there before
      expect(existsSync(path)).toBe(true);
    });
  });

  test("one that was created is removed again when it turns out to be of no use", async () => {
    await inFolder(async (folder) => {
      const output = await openOutput(join(folder, "out"), false);
      await output.discard();
      expect(existsSync(join(folder, "out"))).toBe(false);
    });
  });

  test.each([
    ["nowhere/out", "its folder does not exist (ENOENT)"],
    ["", "it is a folder (EISDIR)"],
    ["file/out", "a part of its path is not a folder (ENOTDIR)"],
  ])("%j says why not", async (name, reason) => {
    await inFolder(async (folder) => {
      writeFileSync(join(folder, "file"), "");
      const path = join(folder, name);
      const error = await openOutput(path, true).catch((thrown: Error) => thrown);
      expect(error).toMatchObject({ code: "ERR_SYSTEM" });
      expect((error as Error).message).toStartWith(`${path} cannot be written: ${reason}`);
    });
  });

  test("a device is no file to be kept", async () => {
    const output = await openOutput("/dev/null", false);
    expect(output.regular).toBe(false);
    await output.discard();
    expect(existsSync("/dev/null")).toBe(true);
  });
});
