// 256 MiB each way at once, every byte compared, by every engine.

import { expect, test } from "bun:test";

import { inFolder } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const MIB = 1024 * 1024;
const BYTES = 256 * MIB;

forEveryEngine((engine) => {
  test("256 MiB each way at once arrive byte for byte, and are counted to the byte", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const client = await relay.connect();
    const target = await server.accept();
    const arrive = [client.expectStream(1, BYTES), target.expectStream(2, BYTES)];
    const sent = [
      client.sendStream(2, BYTES, MIB / 2).then(() => client.end()),
      target.sendStream(1, BYTES, MIB / 2).then(() => target.end()),
    ];
    await within("all bytes", Promise.all([...arrive, ...sent]), 50_000);
    await until("the connection is over", () => relay.proxy.connections().length === 0);
    expect(relay.stats).toMatchObject({ total: 1, active: 0, bytesUp: BYTES, bytesDown: BYTES });
    expect(relay.stats.targets[0]).toMatchObject({
      name: server.target,
      connects: 1,
      failures: 0,
      active: 0,
      bytesUp: BYTES,
      bytesDown: BYTES,
    });
  }, 60_000);

  test(
    "a unix socket on both sides carries 64 MiB each way",
    () =>
      inFolder(async (folder) => {
        await using server = await WireServer.listen(undefined, { path: `${folder}/target` });
        await using relay = await Relay.start(engine, {
          listen: `unix:${folder}/listen`,
          target: server.target,
        });
        const client = await relay.connect();
        const target = await server.accept();
        const bytes = 64 * MIB;
        const arrive = [client.expectStream(1, bytes), target.expectStream(2, bytes)];
        const sent = [
          client.sendStream(2, bytes, MIB / 4).then(() => client.end()),
          target.sendStream(1, bytes, MIB / 4).then(() => target.end()),
        ];
        await within("all bytes", Promise.all([...arrive, ...sent]), 50_000);
      }),
    60_000,
  );
});
