// Connecting without system calls, as on macOS and Windows: the same outcomes as with them, on any platform.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";

import { Connection, type ConnectionOwner } from "../../../src/engine/bun/connection.ts";
import { Attempt, toTargetAddress } from "../../../src/engine/bun/dial.ts";
import type { SocketAddress } from "../../../src/shared/address.ts";
import { LiveTable } from "../../../src/shared/live-table.ts";
import { SilentTarget } from "../../support/silent-target.ts";
import { until, within } from "../../support/until.ts";
import { WireServer } from "../../support/wire.ts";

interface Dialed {
  connection: Connection;
  attempt: Attempt;
  /** `reached` or an errno's name. */
  outcome: Promise<string>;
  /** Of the connection, once it is over. */
  reason: Promise<string>;
}

function dial(address: SocketAddress, byDescriptor: boolean): Dialed {
  const reason = Promise.withResolvers<string>();
  const outcome = Promise.withResolvers<string>();
  const owner: ConnectionOwner = {
    live: LiveTable.create(1),
    counters: null,
    idleMs: 0,
    lifetimeMs: 0,
    pace: null,
    fastopen: false,
    ended: (_connection, why) => reason.resolve(why),
  };
  const connection = new Connection(owner, 0);
  const events = {
    reached: () => outcome.resolve("reached"),
    failed: (errno: string) => outcome.resolve(errno),
    created: () => {},
  };
  const target = toTargetAddress(address);
  const attempt = Attempt.start(target, connection.target, events, byDescriptor);
  return { connection, attempt, outcome: outcome.promise, reason: reason.promise };
}

function ip(port: number): SocketAddress {
  return { kind: "ip", host: "127.0.0.1", port };
}

const WAYS = process.platform === "linux" ? [true, false] : [false];

describe.each(WAYS)("by descriptor: %p", (byDescriptor) => {
  test("a target that listens is reached, and its socket belongs to the side", async () => {
    await using server = await WireServer.listen();
    const { connection, outcome, reason } = dial(ip(server.port), byDescriptor);
    expect(await within("the outcome", outcome)).toBe("reached");
    const wire = await server.accept();
    expect(connection.target.socket?.write("hello")).toBe(5);
    expect(await within("the bytes", wire.readBytes(5))).toBe("hello");
    connection.abort("test");
    expect(await within("the reset", wire.ending)).toBe("ECONNRESET");
    expect(await reason).toBe("test");
  });

  test("a port on which nothing listens", async () => {
    const { port } = await WireServer.listen().then(async (server) => {
      const used = { port: server.port };
      await server[Symbol.asyncDispose]();
      return used;
    });
    const { outcome } = dial(ip(port), byDescriptor);
    expect(await within("the outcome", outcome)).toBe("ECONNREFUSED");
  });

  test("a unix socket, and one that is not there", async () => {
    const folder = mkdtempSync("/tmp/dial-");
    try {
      await using _server = await WireServer.listen(undefined, { path: `${folder}/s` });
      const there = dial({ kind: "unix", path: `${folder}/s` }, byDescriptor);
      expect(await within("the outcome", there.outcome)).toBe("reached");
      there.connection.abort("test");
      const missing = dial({ kind: "unix", path: `${folder}/none` }, byDescriptor);
      expect(await within("the outcome", missing.outcome)).toBe("ENOENT");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test.if(process.platform === "linux")(
    "a cancelled attempt has no outcome, also if the target answers later",
    async () => {
      const silent = await SilentTarget.start();
      const { attempt, outcome } = dial(ip(silent.port), byDescriptor);
      attempt.cancel();
      silent[Symbol.dispose](); // whoever still connects is reset or reached now
      let settled = "";
      void outcome.then((text) => (settled = text));
      await using server = await WireServer.listen();
      const other = dial(ip(server.port), byDescriptor);
      await within("another outcome", other.outcome);
      other.connection.abort("test");
      expect(settled).toBe("");
    },
  );

  test("a connection that is reset by its target says so", async () => {
    await using server = await WireServer.listen();
    const { connection, outcome, reason } = dial(ip(server.port), byDescriptor);
    await within("the outcome", outcome);
    const wire = await server.accept();
    wire.reset();
    expect(await within("the reason", reason)).toBe("ECONNRESET");
    await until("it is over", () => connection.over);
  });
});
