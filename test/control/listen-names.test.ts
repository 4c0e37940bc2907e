// A listener on a name is open on every address of the name, with a resolver of the test's own.

import { describe, expect, test } from "bun:test";
import { connect } from "node:net";

import { Proxy } from "../../src/control/proxy.ts";
import { ENGINES } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

/** All of 127.0.0.0/8 is this machine on Linux only. */
const HOSTS = ["127.0.0.1", "127.0.0.2"];

async function accepts(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  const outcome = Promise.withResolvers<boolean>();
  socket.once("connect", () => outcome.resolve(true));
  socket.once("error", () => outcome.resolve(false));
  return within("connecting", outcome.promise).finally(() => socket.destroy());
}

describe.each(ENGINES)("engine %s", (engine) => {
  test.skipIf(process.platform !== "linux")("every address of a name is bound", async () => {
    // A target that is there: the reset of a refused one may overtake the client's connect event.
    await using server = await WireServer.echo();
    const plan = makePlan({ engine, workers: 2 }, { listen: "both.test:0", target: server.target });
    const asked: string[] = [];
    const lookup = async (host: string): Promise<string[]> => {
      asked.push(host);
      return HOSTS;
    };
    await using proxy = await Proxy.start(plan, { lookup });
    const { bound } = proxy.listeners()[0]!;
    expect(bound.map((address) => (address.kind === "ip" ? address.host : ""))).toEqual(HOSTS);
    for (const address of bound) {
      if (address.kind === "ip") expect(await accepts(address.host, address.port)).toBe(true);
    }
    expect(asked).toEqual(["both.test"]);
  });
});
