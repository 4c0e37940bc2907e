// The library in a process of its own: what a relay in the kernel holds, seen from outside, and that a script ends when its
// work is done.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";

import { countDescriptors } from "../support/proc.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const SCRIPT = join(import.meta.dir, "examples/relay-once.ts");

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<[string, Promise<string>]> {
  const reader = stream.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`ended after ${JSON.stringify(text)}`);
    text += new TextDecoder().decode(value);
  }
  const [line = "", ...rest] = text.split("\n");
  const tail = async (): Promise<string> => {
    let all = rest.join("\n");
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      all += new TextDecoder().decode(part.value);
    }
    return all;
  };
  return [line, tail()];
}

describe.if(process.platform === "linux")("a script that relays one connection", () => {
  test("holds bulk in the kernel's pipes, not in memory, prints its result and ends", async () => {
    const bytes = 64 * 1024 * 1024;
    await using server = await WireServer.listen();
    const child = Bun.spawn([process.execPath, SCRIPT, server.target], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const [addr, rest] = await firstLine(child.stdout);
    const pipesBefore = countDescriptors(child.pid).pipes;
    const client = await Wire.connect({ host: "127.0.0.1", port: Number(addr.split(":")[1]) });
    const target = await server.accept();
    target.socket.pause();
    const sent = client.sendStream(1, bytes);
    // splice(2) needs a pipe; nothing else in the process opens one for a connection.
    await until("a pipe is in use", () => countDescriptors(child.pid).pipes >= pipesBefore + 2);
    const arrived = target.expectStream(1, bytes);
    target.socket.resume();
    await sent;
    client.end();
    target.end();
    await within("the stream", arrived, 30_000);
    expect(JSON.parse(await rest)).toEqual({ bytesUp: bytes, bytesDown: 0 });
    expect(await within("the exit", child.exited)).toBe(0);
  }, 60_000);
});
