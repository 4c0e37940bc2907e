// Socket options of a plan are set on real sockets: asked of the kernel, for accepted sockets, target sockets and listeners.
import { expect, test } from "bun:test";

import { BOUNDS } from "../../src/shared/limits.ts";
import type { SocketPlan } from "../../src/shared/plan.ts";
import { inFolder } from "../support/daemon.ts";
import { ENGINES, forEveryEngine } from "../support/engines.ts";
import { LogLines } from "../support/log-lines.ts";
import { Relay } from "../support/relay.ts";
import { findSockets, optionOf } from "../support/socket-options.ts";
import { within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

interface Sockets {
  listener: number;
  accepted: number;
  target: number;
}

/** Runs a relay with these options and hands its three kinds of sockets to `look`. */
async function withOptions(
  engine: (typeof ENGINES)[number],
  socket: Partial<SocketPlan>,
  look: (sockets: Sockets) => void,
  workers = 1,
): Promise<string[]> {
  const warnings: string[] = [];
  const warn = (_fields: object, message: string): void => void warnings.push(message);
  const log = { debug: () => {}, info: () => {}, warn, error: warn };
  await using server = await WireServer.echo();
  await using relay = await Relay.start(
    engine,
    { target: server.target, socket },
    { log, workers },
  );
  if (relay.bound.kind !== "ip") throw new Error("not an IP address");
  const { port } = relay.bound;
  const client = await relay.connect();
  await client.write("x");
  await within("the echo", client.readBytes(1));
  const clientPort = client.socket.localPort!;
  const [listener] = findSockets((p) => p.local === port && p.remote === 0);
  const [accepted] = findSockets((p) => p.local === port && p.remote === clientPort);
  const [target] = findSockets((p) => p.remote === server.port && p.local !== port);
  look({ listener: listener!, accepted: accepted!, target: target! });
  return warnings;
}

const onLinux = process.platform === "linux" ? forEveryEngine : (): void => {};

onLinux((engine) => {
  test("nodelay, keepalive, buffer sizes and notsent_lowat are set on both sides", async () => {
    const KIB = 1024;
    const options = {
      nodelay: true,
      keepaliveSeconds: 77,
      sendBufferBytes: 96 * KIB,
      receiveBufferBytes: 48 * KIB,
      notsentLowatBytes: 16 * KIB,
    };
    const warnings = await withOptions(engine, options, ({ accepted, target }) => {
      for (const fd of [accepted, target]) {
        expect(optionOf(fd, "nodelay")).toBe(1);
        expect(optionOf(fd, "keepalive")).toBe(1);
        expect(optionOf(fd, "keepIdle")).toBe(77);
        expect(optionOf(fd, "keepInterval")).toBe(77);
        expect(optionOf(fd, "sendBuffer")).toBe(2 * 96 * KIB); // the kernel doubles it (socket(7))
        expect(optionOf(fd, "receiveBuffer")).toBe(2 * 48 * KIB);
        expect(optionOf(fd, "notsentLowat")).toBe(16 * KIB);
      }
    });
    expect(warnings).toEqual([]);
  });

  test("nodelay and keepalive can be off", async () => {
    await withOptions(engine, { nodelay: false, keepaliveSeconds: 0 }, ({ accepted, target }) => {
      for (const fd of [accepted, target]) {
        expect(optionOf(fd, "nodelay")).toBe(0);
        expect(optionOf(fd, "keepalive")).toBe(0);
      }
    });
  });

  test("fastopen is on at the listener and towards the target", async () => {
    const warnings = await withOptions(engine, { fastopen: true }, ({ listener, target }) => {
      expect(optionOf(listener, "fastopen")).toBeGreaterThan(0);
      expect(optionOf(target, "fastopenConnect")).toBe(1);
    });
    // Most systems allow it towards targets only.
    expect(warnings.filter((warning) => !warning.includes("for clients"))).toEqual([]);
  });

  test("buffers beyond the system's limit are warnings said once, with what was asked, what is given, and the cure", async () => {
    const asked = BOUNDS.socketBufferMax;
    const options = { sendBufferBytes: asked, receiveBufferBytes: asked };
    const cure = (limit: string): string =>
      `by the system: raise its limit (sysctl net.core.${limit}=${asked})`;
    const given = { send: 0, receive: 0 };
    const warnings = await withOptions(
      engine,
      options,
      ({ accepted, target }) => {
        given.send = optionOf(accepted, "sendBuffer") / 2;
        given.receive = optionOf(target, "receiveBuffer") / 2;
      },
      2,
    );
    expect(given.send).toBeLessThan(asked); // no system is set up for 256 MiB
    expect(warnings.toSorted()).toEqual([
      `receive_buffer ${asked} is cut to ${given.receive} ${cure("rmem_max")}`,
      `send_buffer ${asked} is cut to ${given.send} ${cure("wmem_max")}`,
    ]);
  });

  for (const [target, count] of [
    ["127.0.0.1:1", 1],
    ["unix:/nowhere", 0],
  ] as const) {
    test(`a unix listener towards ${target}: ${count} warnings of a buffer beyond the system's limit`, () =>
      inFolder(async (folder) => {
        const lines = new LogLines();
        const socket = { sendBufferBytes: BOUNDS.socketBufferMax };
        await using _ = await Relay.start(
          engine,
          { listen: `unix:${folder}/l`, target, socket },
          lines,
        );
        const warnings = lines.lines.filter(({ level }) => level === "warn");
        expect(warnings).toHaveLength(count);
      }));
  }

  test("quickack is accepted without a warning", async () => {
    const warnings = await withOptions(engine, { quickack: true }, ({ accepted }) => {
      expect(accepted).toBeGreaterThan(0);
    });
    expect(warnings).toEqual([]);
  });
});

test("every engine of this machine is under the contract", () => {
  expect(ENGINES).toContain("bun");
  if (process.platform === "linux") expect(ENGINES).toContain("epoll");
});
