// nghttp, the client of nghttp2, uses what curl does not: trailers of requests, padding, priorities, small tables, many streams
// at once.

import { expect } from "bun:test";
import { join } from "node:path";

import { run } from "../../support/daemon.ts";
import { type Gateway, SMALL, STAGE_PROGRAMS, withStage } from "../../support/gateway.ts";
import { program, testWith } from "../../support/programs.ts";

/** @returns what it says, and the bodies. */
async function nghttp(
  { tlsPort }: Gateway,
  path: string,
  ...flags: readonly string[]
): Promise<string> {
  const url = `https://127.0.0.1:${tlsPort}${path}`;
  const { stdout, stderr } = await run([program("nghttp"), ...flags, url]);
  expect(stderr).not.toContain("not processed");
  return stdout;
}

function nghttpTest(name: string, use: (gateway: Gateway) => Promise<void>): void {
  testWith([...STAGE_PROGRAMS, "nghttp"], name, () => withStage({}, use));
}

nghttpTest("trailers of a request reach the backend", async (gateway) => {
  const body = join(gateway.folder, "body");
  await Bun.write(body, "some text");
  const trailers = ["--trailer", "x-sum: abc", "--trailer", "x-count: 3"];
  const text = await nghttp(gateway, "/node/sum", "-d", body, ...trailers, "--no-content-length");
  expect(JSON.parse(text)).toMatchObject({
    bytes: 9,
    trailers: { "x-sum": "abc", "x-count": "3" },
  });
});

nghttpTest("trailers of an answer come as a field section of their own", async (gateway) => {
  const text = await nghttp(gateway, "/node/trailers", "-v", "-H", "te: trailers");
  expect(text).toMatch(
    /recv \(stream_id=\d+\) x-sum: abc\n.*x-count: 3\n.*recv HEADERS frame .*flags=0x05/,
  );
});

nghttpTest("padding, CONTINUATION, and tables without room are read", async (gateway) => {
  expect(await nghttp(gateway, "/nginx/small", "-b", "255")).toBe(SMALL);
  expect(
    await nghttp(gateway, "/caddy/small", "--continuation", "-H", `x-long: ${"a".repeat(9000)}`),
  ).toBe(SMALL);
  expect(await nghttp(gateway, "/nginx/small", "-c", "0", "--encoder-header-table-size=0")).toBe(
    SMALL,
  );
  expect(await nghttp(gateway, "/nginx/small", "-p", "200")).toBe(SMALL);
});

nghttpTest("a hundred streams on one connection are answered", async (gateway) => {
  const text = await nghttp(gateway, "/caddy/small", "-m", "100");
  expect(text).toBe(SMALL.repeat(100));
});

nghttpTest("a client with a window of one byte gets all of it", async (gateway) => {
  // nghttp widens its windows by 2^N - 1; of 1 there are as many updates as bytes.
  expect(await nghttp(gateway, "/nginx/small", "-w", "1")).toBe(SMALL);
});

nghttpTest("a body waits for 100 if its sender does", async (gateway) => {
  const body = join(gateway.folder, "body");
  await Bun.write(body, "some text");
  const text = await nghttp(gateway, "/node/sum", "-v", "-d", body, "--expect-continue");
  expect(text).toMatch(/recv \(stream_id=\d+\) :status: 100\n/);
  expect(text).toContain('"bytes":9');
});
