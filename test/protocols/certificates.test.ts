// Certificates that are exchanged while handshakes go on, on listeners of every kind: who is connected stays so, none of those
// who come is refused, and who comes later is shown the new one.

import { afterAll, describe, expect, test } from "bun:test";
import { once } from "node:events";

import { Authority } from "../support/certificates.ts";
import { type Held, KINDS, ListenerOverTls } from "../support/listeners-over-tls.ts";
import { until, within } from "../support/until.ts";

const authority = new Authority();
// Each is for the name of both, and for one of its own, which only it can serve.
const FIRST = authority.issue(["both.example", "first.example"]);
const SECOND = authority.issue(["both.example", "second.example"]);
afterAll(() => authority[Symbol.dispose]());

/** Handshakes, one after another, until they are told to stop. @throws Error of the first that fails. */
function keepComing(listener: ListenerOverTls): { stop(): Promise<number> } {
  let stopped = false;
  let count = 0;
  const coming = (async () => {
    while (!stopped) {
      (await listener.connect("both.example")).close();
      count++;
    }
    return count;
  })();
  return {
    stop: () => {
      stopped = true;
      return coming;
    },
  };
}

/** That a client which is connected is served by its listener as before. */
async function isServed({ socket, peer }: Held, isHttp: boolean): Promise<boolean> {
  if (peer !== null) {
    const ended = peer.closed.then(() => false);
    if (isHttp) return Promise.race([ended, Promise.resolve(true)]);
    const { recorder } = peer.open();
    recorder.write(Buffer.from("echo"));
    await until("the echo", () => recorder.received === 4);
    return true;
  }
  const request = "GET / HTTP/1.1\r\nhost: both.example\r\n\r\n";
  socket!.write(isHttp ? request : "echo");
  const [chunk] = (await within("the answer", once(socket!, "data"))) as [Buffer];
  // Of an echo of a request, a backend that breaks the rules.
  return chunk.toString("latin1").startsWith(isHttp ? "HTTP/1.1 502" : "echo");
}

describe.each(KINDS)("of a listener of $what", (kind) => {
  const isHttp = kind.listener.startsWith("http");

  test("the new one is shown, and nobody is refused or cut off", async () => {
    await using listener = await ListenerOverTls.start(kind, authority, FIRST, { workers: 2 });
    const held = await listener.connect("first.example");
    const coming = keepComing(listener);
    for (const [shown, name] of [
      [SECOND, "second.example"],
      [FIRST, "first.example"],
      [SECOND, "second.example"],
    ] as const) {
      listener.show(shown);
      await until(`${name} is served`, () => isShown(listener, name));
    }
    expect(await within("those who come", coming.stop())).toBeGreaterThan(0);
    expect(await isServed(held, isHttp)).toBeTrue();
    held.close();
  });
});

/** Every one of some handshakes: each worker has it. */
async function isShown(listener: ListenerOverTls, name: string): Promise<boolean> {
  const all = Array.from({ length: 6 }, async () => {
    try {
      (await listener.connect(name)).close();
      return true;
    } catch {
      return false;
    }
  });
  return (await Promise.all(all)).every(Boolean);
}
