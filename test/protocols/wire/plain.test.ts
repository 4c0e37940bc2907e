// Wires in clear: the contract over IPv4, IPv6 and unix sockets, and what only sockets in clear can show: addresses, options,
// clients that are turned away, attempts that fail or are given up, and peers that are not wires of ours.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";

import type { WireListenOptions, WireServer } from "../../../src/protocols/wire/open.ts";
import type { PlainWire } from "../../../src/protocols/wire/plain-wire.ts";
import { connectPlain, listenPlain } from "../../../src/protocols/wire/plain.ts";
import type { Watermarks, Wire } from "../../../src/protocols/wire/wire.ts";
import type { SocketAddress } from "../../../src/shared/address.ts";
import { formatIp } from "../../../src/shared/ip.ts";
import { LISTENER_DEFAULTS } from "../../../src/shared/limits.ts";
import type { SocketPlan } from "../../../src/shared/plan.ts";
import { streamBytes } from "../../support/bytes.ts";
import { countDescriptors } from "../../support/proc.ts";
import { SilentTarget } from "../../support/silent-target.ts";
import { until, within } from "../../support/until.ts";
import * as peers from "../../support/wire.ts";
import { holdToContract, type WirePair } from "./contract.ts";
import { Recorder } from "./recorder.ts";

const SOCKET: SocketPlan = {
  nodelay: true,
  quickack: false,
  fastopen: false,
  keepaliveSeconds: LISTENER_DEFAULTS.keepaliveSeconds,
  sendBufferBytes: null,
  receiveBufferBytes: null,
  notsentLowatBytes: null,
};
const MARKS: Watermarks = { highBytes: 256 * 1024, lowBytes: 64 * 1024 };
const IPV4: SocketAddress = { kind: "ip", host: "127.0.0.1", port: 0 };

interface Accepting {
  readonly server: WireServer;
  /** The next client. */
  accept(): Promise<Recorder>;
}

function listen(
  address: SocketAddress,
  options: Partial<WireListenOptions<string>> = {},
): Accepting {
  const ready: Recorder[] = [];
  const server = listenPlain<string>({
    address,
    reusePort: false,
    exclusive: true,
    socket: SOCKET,
    setOptions: () => {},
    watermarks: MARKS,
    onAccept: () => "ticket",
    onWire: (wire, ticket) => {
      expect(ticket).toBe("ticket");
      const recorder = new Recorder();
      recorder.adopt(wire);
      ready.push(recorder);
    },
    onRefused: () => expect.unreachable("nothing is refused in clear"),
    ...options,
  });
  const accept = async (): Promise<Recorder> => {
    await until("a client", () => ready.length > 0);
    return ready.shift()!;
  };
  return { server, accept };
}

function connect(address: SocketAddress, watermarks = MARKS): Promise<Recorder> {
  const { promise, resolve, reject } = Promise.withResolvers<Recorder>();
  connectPlain({ address, socket: SOCKET, setOptions: () => {}, watermarks }, (wire, error) => {
    if (wire === null) return reject(error!);
    const recorder = new Recorder();
    recorder.adopt(wire);
    resolve(recorder);
  });
  return promise;
}

async function makePair(address: SocketAddress, watermarks: Watermarks): Promise<WirePair> {
  const { server, accept } = listen(address, { watermarks });
  const client = await connect(server.address, watermarks);
  const accepted = await within("the client", accept());
  return {
    client,
    server: accepted,
    [Symbol.asyncDispose]: async () => {
      client.wire.reset();
      accepted.wire.reset();
      server.close();
    },
  };
}

function inFolder<T>(run: (path: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync("/tmp/wire-");
  return run(`${folder}/socket`).finally(() => rmSync(folder, { recursive: true }));
}

describe("over IPv4", () => holdToContract((marks) => makePair(IPV4, marks)));
describe("over IPv6", () =>
  holdToContract((marks) => makePair({ kind: "ip", host: "::1", port: 0 }, marks)));
describe("over a unix socket", () => {
  holdToContract(async (marks) => {
    const folder = mkdtempSync("/tmp/wire-");
    const pair = await makePair({ kind: "unix", path: `${folder}/socket` }, marks);
    return {
      ...pair,
      [Symbol.asyncDispose]: async () => {
        await pair[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true });
      },
    };
  });
});

describe("many at once", () => {
  test("streams of a hundred wires both ways are whole, small messages and bulk beside each other", async () => {
    await using stack = new AsyncDisposableStack();
    const pairs: WirePair[] = [];
    for (let i = 0; i < 100; i++) pairs.push(stack.use(await makePair(IPV4, MARKS)));
    const length = 40_000;
    pairs.forEach(({ client, server }, i) => {
      client.expectStream(i);
      server.expectStream(i + 1_000);
      client.sendStream(i + 1_000, i % 10 === 0 ? length * 10 : length);
      // Every message answers one that came, so that sockets are ready together.
      let sent = 0;
      server.onChunk = () => {
        if (sent >= length) return;
        server.write(streamBytes(i, sent, 100));
        sent += 100;
        if (i % 7 === 0) server.wire.pause();
        if (i % 7 === 0) queueMicrotask(() => server.wire.resume());
      };
      client.onChunk = () => {
        if (sent < length) server.onChunk(new Uint8Array(0));
      };
    });
    await until("all bytes", () =>
      pairs.every(({ client, server }, i) => {
        return client.received === length && server.received === (i % 10 === 0 ? 10 : 1) * length;
      }),
    );
  });

  test("a socket that failed past the runtime is closed with that error, behind what had come", async () => {
    const pair = await makePair(IPV4, MARKS);
    const { client, server } = pair;
    (server.wire as PlainWire).lost("ETIMEDOUT");
    client.write(Buffer.from("the last words"));
    client.end();
    const error = await within("the close", server.closed);
    expect([server.text, error?.code, server.hasEnded]).toEqual([
      "the last words",
      "ETIMEDOUT",
      false,
    ]);
    await pair[Symbol.asyncDispose]();
  });
});

describe("listening", () => {
  test("the client's address is told, IPv4 mapped, before anything is read", async () => {
    const seen: string[] = [];
    const { server, accept } = listen(
      { kind: "ip", host: "", port: 0 },
      {
        onAccept: (peer, fd) => {
          seen.push(`${formatIp(peer.ip)} ${peer.port} ${fd >= 0}`);
          return "ticket";
        },
      },
    );
    const { port } = server.address as { port: number };
    for (const host of ["127.0.0.1", "::1"]) {
      const client = await peers.Wire.connect({ host, port });
      const accepted = await accept();
      const local = client.socket.localPort!;
      expect(seen.pop()).toBe(`${host} ${local} true`);
      expect([formatIp(accepted.wire.peer.ip), accepted.wire.peer.port]).toEqual([host, local]);
      expect(accepted.wire.tls).toBeNull();
      client.destroy();
      await within("the end", accepted.ended);
      accepted.wire.reset();
    }
    server.close();
  });

  test("a client that is turned away is reset", async () => {
    const { server } = listen(IPV4, { onAccept: () => null });
    const { port } = server.address as { port: number };
    const client = await peers.Wire.connect({ host: "127.0.0.1", port });
    expect(await within("the reset", client.ending)).toBe("ECONNRESET");
    server.close();
  });

  test("a listener that closes keeps its wires and takes nobody any more", async () => {
    const { server, accept } = listen(IPV4);
    const { port } = server.address as { port: number };
    const client = await peers.Wire.connect({ host: "127.0.0.1", port });
    const accepted = await accept();
    server.close();
    await client.write("still here");
    await until("the bytes", () => accepted.text === "still here");
    await expect(peers.Wire.connect({ host: "127.0.0.1", port })).rejects.toThrow("ECONNREFUSED");
    client.destroy();
    await within("the end", accepted.ended);
    accepted.wire.reset();
  });

  test("an address that is taken is an error that names it", () => {
    const { server } = listen(IPV4);
    expect(() => listen(server.address)).toThrow("EADDRINUSE");
    server.close();
  });

  test("two listeners share an address if both ask for it", () => {
    const { server } = listen(IPV4, { reusePort: true });
    listen(server.address, { reusePort: true, exclusive: false }).server.close();
    server.close();
  });

  test("options are set on the listener, and on a client only those that it does not inherit", async () => {
    const calls: string[] = [];
    const { server, accept } = listen(IPV4, {
      socket: { ...SOCKET, quickack: true, sendBufferBytes: 65_536 },
      setOptions: (fd, options, role) => {
        if (fd >= 0) calls.push(`${role} ${Object.keys(options).length}`);
      },
    });
    const { port } = server.address as { port: number };
    const client = await peers.Wire.connect({ host: "127.0.0.1", port });
    const accepted = await accept();
    expect(calls).toEqual(["listener 7", "accepted 1"]);
    client.destroy();
    await within("the end", accepted.ended);
    accepted.wire.reset();
    server.close();
  });
});

describe("connecting", () => {
  test("a target that nobody listens on is an error with its name, after the call returned", async () => {
    const { server } = listen(IPV4);
    const { address } = server;
    server.close();
    let called = false;
    const failed = Promise.withResolvers<string>();
    const options = { address, socket: SOCKET, setOptions: () => {}, watermarks: MARKS };
    connectPlain(options, (wire, error) => {
      called = true;
      failed.resolve(`${wire} ${error!.code}`);
    });
    expect(called).toBe(false);
    expect(await within("the failure", failed.promise)).toBe("null ECONNREFUSED");
  });

  test("a unix socket that is not there is an error with its name", async () => {
    await inFolder(async (path) => {
      await expect(connect({ kind: "unix", path })).rejects.toThrow("ENOENT");
    });
  });

  test("an attempt that is given up tells nothing and leaves no descriptor", async () => {
    using silent = await SilentTarget.start();
    const before = countDescriptors(process.pid).sockets;
    const options = {
      address: { kind: "ip", host: "127.0.0.1", port: silent.port } as const,
      socket: SOCKET,
      setOptions: () => {},
      watermarks: MARKS,
    };
    const attempts = Array.from({ length: 8 }, () =>
      connectPlain(options, () => expect.unreachable("it was given up")),
    );
    expect(countDescriptors(process.pid).sockets).toBe(before + 8);
    for (const attempt of attempts) attempt.cancel();
    await until(
      "the descriptors are closed",
      () => countDescriptors(process.pid).sockets === before,
    );
  });

  test("options are set before it is connected", async () => {
    await using target = await peers.WireServer.echo();
    const roles: string[] = [];
    const { promise, resolve } = Promise.withResolvers<Wire>();
    connectPlain(
      {
        address: { kind: "ip", host: "127.0.0.1", port: target.port },
        socket: SOCKET,
        setOptions: (_fd, options, role) => roles.push(`${role} ${options.fastopen}`),
        watermarks: MARKS,
      },
      (wire) => resolve(wire!),
    );
    expect(roles).toEqual(["target false"]);
    const recorder = new Recorder();
    recorder.adopt(await promise);
    recorder.write(Buffer.from("echo"));
    await until("the echo", () => recorder.text === "echo");
    recorder.wire.reset();
  });
});

describe("peers that are not wires", () => {
  test("what a target sends as soon as it accepts is not lost", async () => {
    await using target = await peers.WireServer.listen((wire) => {
      void wire.write("220 ready");
      wire.end();
    });
    const client = await connect({ kind: "ip", host: "127.0.0.1", port: target.port });
    await within("the end", client.ended);
    expect(client.text).toBe("220 ready");
    client.end();
    expect(await within("the close", client.closed)).toBeNull();
  });

  test("a client that closes a unix socket with bytes under way is an end, then EPIPE", async () => {
    await inFolder(async (path) => {
      const { server, accept } = listen({ kind: "unix", path });
      const client = await peers.Wire.connect({ path });
      const accepted = await accept();
      await client.write("bye");
      client.destroy();
      const error = await within("the close", accepted.closed);
      expect(accepted.text).toBe("bye");
      expect(accepted.hasEnded).toBe(true);
      expect(error?.code).toBe("EPIPE");
      server.close();
    });
  });

  test("a client's reset is ECONNRESET, also to a wire that is paused", async () => {
    const { server, accept } = listen(IPV4);
    const { port } = server.address as { port: number };
    const client = await peers.Wire.connect({ host: "127.0.0.1", port });
    const accepted = await accept();
    accepted.wire.pause();
    client.reset();
    const error = await within("the close", accepted.closed);
    expect(error?.code).toBe("ECONNRESET");
    server.close();
  });
});
