// Dialling: what each failure says, and that an attempt that is given up leaves nothing behind.

import { describe, expect, test } from "bun:test";

import { dial } from "../../src/library/dial.ts";
import { countDescriptors } from "../support/proc.ts";
import { SilentTarget } from "../support/silent-target.ts";
import { until } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";
import { failure } from "./support/pairs.ts";

const LINUX = process.platform === "linux";

async function freePort(): Promise<number> {
  await using server = await WireServer.listen();
  return server.port;
}

describe("failures", () => {
  test("a target that refuses is ERR_CONNECT with the system's reason", async () => {
    const error = await failure(dial(`127.0.0.1:${await freePort()}`));
    expect(error.code as string).toBe("ERR_CONNECT");
    expect(error.message).toContain("ECONNREFUSED");
  });

  test("a unix socket that is not there is ERR_CONNECT", async () => {
    const error = await failure(dial("unix:/nonexistent/socket"));
    expect(error.code as string).toBe("ERR_CONNECT");
    expect(error.message).toContain("ENOENT");
  });

  test("a name without an address is ERR_RESOLVE", async () => {
    const error = await failure(dial("no-such-name.invalid:80"));
    expect(error.code as string).toBe("ERR_RESOLVE");
    expect(error.message).toContain("no-such-name.invalid");
  });

  test("text that is no address is ERR_ADDRESS", async () => {
    expect((await failure(dial("8080"))).code as string).toBe("ERR_ADDRESS");
    expect((await failure(dial(":8080"))).code as string).toBe("ERR_ADDRESS");
  });

  test("a timeout out of bounds is ERR_USAGE", async () => {
    const error = await failure(dial("127.0.0.1:1", { timeout: -5 }));
    expect(error.code as string).toBe("ERR_USAGE");
    expect(error.message).toStartWith("timeout is -5");
  });
});

test("what a server says at once is not missed, by 300 clients", async () => {
  await using server = await WireServer.listen((wire) => wire.socket.end("welcome"));
  const heard = await Promise.all(
    Array.from({ length: 300 }, async () => {
      const conn = await dial(server.target);
      let text = "";
      for await (const chunk of conn) text += String(chunk);
      conn.reset();
      return text;
    }),
  );
  expect(new Set(heard)).toEqual(new Set(["welcome"]));
});

describe("names", () => {
  test("every address of a name is tried", async () => {
    // localhost is ::1 and 127.0.0.1 on most machines; the server has only the second.
    await using server = await WireServer.echo();
    const conn = await dial(`localhost:${server.port}`);
    await conn.write("x");
    expect(String(await conn.read())).toBe("x");
    conn.reset();
  });
});

describe.if(LINUX)("giving up", () => {
  test("a target that does not answer is ERR_CONNECT_TIMEOUT after the timeout", async () => {
    using target = await SilentTarget.start();
    const began = performance.now();
    const error = await failure(dial(target.target, { timeout: 120 }));
    expect(error.code as string).toBe("ERR_CONNECT_TIMEOUT");
    expect(error.message).toContain(`${target.target} did not answer within 120 ms`);
    expect(performance.now() - began).toBeWithin(115, 2_000);
  });

  test("an aborted signal rejects with its reason and closes the descriptor", async () => {
    using target = await SilentTarget.start();
    const before = countDescriptors(process.pid).sockets;
    const controller = new AbortController();
    const dialled = failure(dial(target.target, { signal: controller.signal, timeout: 0 }));
    await until("the attempt is under way", () => countDescriptors(process.pid).sockets > before);
    const reason = new Error("changed my mind");
    controller.abort(reason);
    expect(await dialled).toBe(reason);
    await until("it is closed", () => countDescriptors(process.pid).sockets === before);
  });

  test("a signal that is aborted already rejects at once", async () => {
    const reason = new Error("too late");
    expect(await failure(dial("127.0.0.1:1", { signal: AbortSignal.abort(reason) }))).toBe(reason);
  });

  test("a signal has no effect once connected", async () => {
    await using server = await WireServer.echo();
    const controller = new AbortController();
    const conn = await dial(server.target, { signal: controller.signal });
    controller.abort();
    await conn.write("still");
    expect(String(await conn.read())).toBe("still");
    conn.reset();
  });
});
