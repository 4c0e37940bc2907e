// A reload that moves a listener to a wider or a narrower address of its port: clients of what both have are never refused,
// whatever it is opened on, and those of the rest are let in or refused as it says now.

import { expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { freePort } from "../support/daemon.ts";
import { ENGINES } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const OURS = "127.0.0.1";
/** Another address of this machine. */
const OTHER = "127.0.0.2";

const isLinux = process.platform === "linux";

/** Answers whoever says something, and closes. */
const echo = () =>
  WireServer.listen((wire) => {
    wire.onData(() => void wire.write("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na"));
    void wire.ending.then(() => wire.end());
  });

async function ask(host: string, port: number): Promise<string> {
  const wire = await Wire.connect({ host, port });
  await wire.write("GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n");
  const answer = await within("the answer", wire.readBytes(15));
  wire.reset();
  return answer.slice(0, 15);
}

const refused = async (host: string, port: number): Promise<boolean> => {
  try {
    await ask(host, port);
    return false;
  } catch {
    return true;
  }
};

/** Clients of `OURS` that come one after the other until they are asked how it was. */
function clients(port: number): { served: number; end(): Promise<readonly string[]> } {
  const failures: string[] = [];
  let goesOn = true;
  const all = Array.from({ length: 4 }, async () => {
    while (goesOn) {
      try {
        await ask(OURS, port);
        counted.served++;
      } catch (error) {
        failures.push(String(error));
      }
    }
  });
  const counted = {
    served: 0,
    end: async () => {
      goesOn = false;
      await Promise.all(all);
      return failures;
    },
  };
  return counted;
}

type PlanAt = (listen: string, target: string) => Plan;

const relays = ENGINES.flatMap((engine) =>
  [1, 2].map((workers): [string, PlanAt] => [
    `${engine}, ${workers} workers`,
    (listen, target) => makePlan({ engine, workers }, { key: listen, listen, target }),
  ]),
);
const gateways = [1, 2].map((workers): [string, PlanAt] => [
  `http, ${workers} workers`,
  (listen, target) => compiledPlan([{ name: "http", listen, target }], { workers }),
]);

/** With the same key, and with another one. */
const named: [string, PlanAt] = [
  "one key",
  (listen, target) => makePlan({ engine: "auto", workers: 2 }, { key: "one", listen, target }),
];

for (const [name, planAt] of isLinux ? [...relays, ...gateways, named] : []) {
  test(`wider, wider still, and back in one reload each; ${name}`, async () => {
    await using target = await echo();
    const port = await freePort();
    await using proxy = await Proxy.start(planAt(`${OURS}:${port}`, target.target));
    expect(await refused(OTHER, port)).toBe(true);
    const asking = clients(port);
    for (const host of ["0.0.0.0", ""]) {
      const wanted = asking.served + 4;
      await until("some answers", () => asking.served >= wanted);
      await proxy.reload(planAt(`${host}:${port}`, target.target));
      expect(await refused(OTHER, port)).toBe(false);
    }
    // Its sockets are those of before and its own: a listener that changes otherwise goes on with all of them.
    await proxy.reload(planAt(`:${port}`, `localhost:${target.target.split(":")[1]}`));
    expect(await refused(OTHER, port)).toBe(false);
    await proxy.reload(planAt(`${OURS}:${port}`, target.target));
    expect(await refused(OTHER, port)).toBe(true);
    const wanted = asking.served + 4;
    await until("some answers", () => asking.served >= wanted);
    expect(await asking.end()).toEqual([]);
  }, 60_000);
}

test.if(isLinux)(
  "every address of both families to those of IPv6 alone takes two reloads, which the error says",
  async () => {
    await using target = await echo();
    const port = await freePort();
    const planAt = (listen: string) =>
      makePlan({ engine: "auto" }, { key: listen, listen, target: target.target });
    await using proxy = await Proxy.start(planAt(`:${port}`));
    const failure = await proxy.reload(planAt(`[::]:${port}`)).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      message: expect.stringContaining("has the port until this is open"),
      cure: expect.stringContaining("with the next"),
    });
    expect(await refused(OURS, port)).toBe(false);
  },
);
