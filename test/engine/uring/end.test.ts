// The end of an engine while the kernel accepts clients by itself: those that it has accepted and nobody knows of yet are
// closed too. What a test of the whole proxy cannot tell: there the process may hold them.

import { describe, expect, test } from "bun:test";

import { ENGINES } from "../../support/engines.ts";
import { countDescriptors } from "../../support/proc.ts";
import { until, within } from "../../support/until.ts";
import { UringRelay } from "../../support/uring-relay.ts";
import { type Wire, WireServer } from "../../support/wire.ts";

const CROWD = 200;
const TIMES = 5;

describe.if(ENGINES.includes("uring"))("an engine on io_uring that ends", () => {
  test("leaves no descriptor and no client behind, though clients arrive at that moment", async () => {
    await using server = await WireServer.listen();
    const target = { kind: "ip", host: "127.0.0.1", port: server.port } as const;
    const before = countDescriptors(process.pid);
    for (let i = 0; i < TIMES; i++) {
      await using relay = await UringRelay.start(
        { sqEntries: 8, cqEntries: 16, ring: { bufferBytes: 512, buffers: 16 }, targets: [target] },
        { target: server.target },
      );
      const clients: Wire[] = [];
      const crowd = Array.from({ length: CROWD }, () =>
        relay.connect().then(
          (client) => clients.push(client),
          () => {}, // it came too late
        ),
      );
      await until("some are there", () => relay.rows > i * 10);
      await relay.end();
      await within("the crowd", Promise.all(crowd));
      expect(clients.length).toBeGreaterThan(0);
      await within("their ends", Promise.all(clients.map((client) => client.ending)));
      for (const client of clients) client.destroy();
    }
    await until("descriptors are back", () => {
      server.closeAll();
      return countDescriptors(process.pid).all <= before.all;
    });
    expect(countDescriptors(process.pid)).toEqual(before);
  }, 60_000);
});
