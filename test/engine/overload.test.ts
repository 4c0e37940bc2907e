// An engine while the process is overloaded: new clients are refused and counted, and whoever is connected goes on.

import { expect, test } from "bun:test";

import { forEveryEngine } from "../support/engines.ts";
import { overload, recover } from "../support/overloaded.ts";
import { Relay } from "../support/relay.ts";
import { until } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

async function said(wire: Wire, text: string): Promise<string> {
  let heard = "";
  wire.onData((chunk) => (heard += chunk.toString()));
  await wire.write(text);
  await until("an echo", () => heard.length >= text.length);
  return heard;
}

forEveryEngine((engine) => {
  test("new clients are refused while there is overload, and those that are there go on", async () => {
    await using server = await WireServer.listen((wire) => {
      wire.onData((chunk) => void wire.write(chunk));
      void wire.ending.then(() => wire.end());
    });
    await using relay = await Relay.start(engine, { target: server.target });
    const before = await relay.connect();
    expect(await said(before, "first")).toBe("first");
    await overload(relay.proxy);
    for (let i = 0; i < 3; i++) {
      expect(["ECONNRESET", "EPIPE"]).toContain(await relay.refusal());
    }
    await until("they are counted", () => relay.stats.refused.overload === 3);
    expect(await said(before, "again")).toBe("again");
    expect(relay.stats).toMatchObject({ total: 1, active: 1 });
    await recover(relay.proxy);
    const after = await relay.connect();
    expect(await said(after, "after")).toBe("after");
    before.end();
    after.end();
  });
});
