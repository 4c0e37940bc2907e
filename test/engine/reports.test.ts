// What an engine reports: refusals counted together and at most one a second, connections one by one when they are traced.
import { expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import { forEveryEngine } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { wireAddress } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

interface Line {
  at: number;
  message: string;
  fields: Record<string, unknown>;
}

function recorder(): { lines: Line[]; log: NonNullable<Parameters<typeof Proxy.start>[1]>["log"] } {
  const lines: Line[] = [];
  const note = (fields: object, message: string): void =>
    void lines.push({ at: performance.now(), message, fields: fields as Record<string, unknown> });
  return { lines, log: { debug: note, info: note, warn: note, error: note } };
}

forEveryEngine((engine) => {
  test("refusals are reported together, at most one a second, none forgotten", async () => {
    const REFUSED = 60;
    let port = 0;
    {
      await using server = await WireServer.listen();
      port = server.port;
    }
    const { lines, log } = recorder();
    await using proxy = await Proxy.start(makePlan({ engine }, { target: `127.0.0.1:${port}` }), {
      log: log!,
    });
    const address = wireAddress(proxy.listeners()[0]!.bound[0]!);
    for (let i = 0; i < REFUSED; i++) {
      const client = await Wire.connect(address).catch(() => null);
      if (client !== null) await within("the refusal", client.closed);
    }
    const reports = (): Line[] => lines.filter((line) => line.message === "target down");
    const counted = (): number =>
      reports().reduce((sum, line) => sum + Number(line.fields.count), 0);
    await until("all are reported", () => counted() === REFUSED);
    const times = reports().map((line) => line.at);
    expect(times.length).toBeLessThan(REFUSED / 4);
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThan(900);
    expect(reports()[0]!.fields).toMatchObject({ reason: "target_down" });
    expect(String(reports()[0]!.fields.detail)).toContain(`127.0.0.1:${port}`);
    expect(String(reports()[0]!.fields.detail)).toContain("ECONNREFUSED");
  });

  test("traced connections are logged when they open and when they close, with their bytes", async () => {
    await using server = await WireServer.listen();
    const plan = makePlan({ engine }, { target: server.target });
    const { lines, log } = recorder();
    await using proxy = await Proxy.start(
      { ...plan, log: { level: "debug", format: "json" } },
      { log: log! },
    );
    const client = await Wire.connect(wireAddress(proxy.listeners()[0]!.bound[0]!));
    const clientPort = client.socket.localPort;
    const target = await within("the target", server.accept());
    await client.write("12345");
    client.end();
    await target.readAll();
    await target.write("123");
    target.end();
    await client.readAll();
    const closed = (): Line[] => lines.filter((line) => line.message === "connection closed");
    await until("the close is logged", () => closed().length === 1);
    const opened = lines.filter((line) => line.message === "connection opened");
    expect(opened).toHaveLength(1);
    const who = { client: `127.0.0.1:${clientPort}`, target: server.target };
    expect(opened[0]!.fields).toMatchObject(who);
    expect(closed()[0]!.fields).toMatchObject({ ...who, bytesUp: 5, bytesDown: 3, reason: "end" });
  });

  test("a connection whose lifetime is over says so when it is traced", async () => {
    await using server = await WireServer.listen();
    const plan = makePlan({ engine }, { target: server.target, lifetimeMs: 100 });
    const { lines, log } = recorder();
    await using proxy = await Proxy.start(
      { ...plan, log: { level: "debug", format: "json" } },
      { log: log! },
    );
    const client = await Wire.connect(wireAddress(proxy.listeners()[0]!.bound[0]!));
    expect(await within("the reset", client.ending)).toBe("ECONNRESET");
    const closed = (): Line[] => lines.filter((line) => line.message === "connection closed");
    await until("the close is logged", () => closed().length === 1);
    expect(closed()[0]!.fields).toMatchObject({ reason: "lifetime" });
  });
});
