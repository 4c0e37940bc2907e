// Pairs of descriptors that someone else connected: relayed like any other connection, reported when they end.

import { expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import { errno, libc } from "../../src/ffi/libc.ts";
import { AF_INET, EPOLLIN, SOCK_STREAM } from "../../src/ffi/linux.ts";
import { addressOf, pinnedInt32 } from "../../src/ffi/memory.ts";
import { encodeSockaddr } from "../../src/ffi/sockaddr.ts";
import { forEveryEngine } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { countDescriptors } from "../support/proc.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

const SOCK_DGRAM = 2;
const OPTIONS = {
  idleMs: 0,
  copyBytes: 64 * 1024,
  highWatermarkBytes: 1024 * 1024,
  lowWatermarkBytes: 512 * 1024,
};

/** A connected descriptor that no event loop knows, in blocking mode as socket(2) makes it, and its other end. */
async function connected(server: WireServer): Promise<{ fd: number; wire: Wire }> {
  const fd = libc.socket(AF_INET, SOCK_STREAM, 0);
  const { bytes } = encodeSockaddr({ kind: "ip", host: "127.0.0.1", port: server.port });
  if (libc.connect(fd, bytes, bytes.length) < 0) throw new Error(`errno ${errno()}`);
  return { fd, wire: await server.accept() };
}

/** A FIN, or bytes, have come. */
async function readable(fd: number): Promise<void> {
  const pollfd = pinnedInt32(2);
  await until("the socket is readable", () => {
    pollfd.set([fd, EPOLLIN]);
    return libc.poll(addressOf(pollfd), 1, 0) === 1;
  });
}

forEveryEngine((engine) => {
  test.if(process.platform === "linux")(
    "a pair whose first owner is gone passes bytes both ways, with half-close",
    async () => {
      await using server = await WireServer.listen();
      await using proxy = await Proxy.start(makePlan({ engine }));
      const before = countDescriptors(process.pid).sockets;
      const first = await connected(server);
      const second = await connected(server);
      const pair = proxy.adopt([first.fd, second.fd], OPTIONS);
      await within("taken", pair.taken);
      for (const { fd } of [first, second]) libc.close(fd);
      expect(proxy.connections()).toMatchObject([{ slot: -1, listener: "" }]);
      const up = second.wire.expectStream(1, 3_000_000);
      await first.wire.sendStream(1, 3_000_000);
      first.wire.end();
      await within("up", up);
      await until("it is counted", () => pair.moved().bytesUp === 3_000_000);
      const down = first.wire.expectStream(2, 2_000_000);
      await second.wire.sendStream(2, 2_000_000);
      second.wire.end();
      await within("down", down);
      const all = { bytesUp: 3_000_000, bytesDown: 2_000_000 };
      expect(await within("done", pair.done)).toEqual(all);
      expect(pair.moved()).toEqual(all);
      await within("the wires end", Promise.all([first.wire.closed, second.wire.closed]));
      await until("no row is left", () => proxy.connections().length === 0);
      await until("no socket is left", () => countDescriptors(process.pid).sockets === before);
    },
  );

  test.if(process.platform === "linux")(
    "a pair whose ends have both said their last word is taken first and done then",
    async () => {
      await using server = await WireServer.listen();
      await using proxy = await Proxy.start(makePlan({ engine }));
      const first = await connected(server);
      const second = await connected(server);
      await first.wire.write("hello");
      for (const { wire } of [first, second]) wire.end();
      await Promise.all([first, second].map(({ fd }) => readable(fd)));
      const pair = proxy.adopt([first.fd, second.fd], OPTIONS);
      await within("taken", pair.taken);
      for (const { fd } of [first, second]) libc.close(fd);
      expect(await within("done", pair.done)).toEqual({ bytesUp: 5, bytesDown: 0 });
      expect(await second.wire.readAll()).toBe("hello");
    },
  );

  test.if(process.platform === "linux")(
    "a reset of either end rejects with ERR_RESET",
    async () => {
      await using server = await WireServer.listen();
      await using proxy = await Proxy.start(makePlan({ engine }));
      const first = await connected(server);
      const second = await connected(server);
      const pair = proxy.adopt([first.fd, second.fd], OPTIONS);
      await within("taken", pair.taken);
      await first.wire.write("counted, whatever comes");
      await second.wire.readBytes(23);
      first.wire.reset();
      const code = await within(
        "done",
        pair.done.then(
          () => "fine",
          (error: { code: string }) => error.code,
        ),
      );
      expect(code).toBe("ERR_RESET");
      expect(pair.moved()).toEqual({ bytesUp: 23, bytesDown: 0 });
    },
  );

  test.if(process.platform === "linux")("what is no stream socket is refused", async () => {
    await using server = await WireServer.listen();
    await using proxy = await Proxy.start(makePlan({ engine }));
    const { fd, wire } = await connected(server);
    const datagram = libc.socket(AF_INET, SOCK_DGRAM, 0);
    const before = countDescriptors(process.pid).all;
    for (const fds of [
      [999_999, fd],
      [fd, 999_999],
      [fd, datagram],
    ] as const) {
      const pair = proxy.adopt(fds, OPTIONS);
      const codes = [pair.taken, pair.done].map((settled) =>
        settled.then(
          () => "fine",
          (error: { code: string }) => error.code,
        ),
      );
      const refused = await within("refused", Promise.all(codes));
      expect(refused).toEqual(["ERR_ENGINE", "ERR_ENGINE"]);
    }
    expect(countDescriptors(process.pid).all).toBe(before);
    await wire.write("x"); // what was offered is still its owner's
    expect(libc.recv(fd, new Uint8Array(1), 1, 0)).toBe(1);
    for (const open of [fd, datagram]) libc.close(open);
  });
});
