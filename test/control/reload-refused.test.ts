// A reload that is refused after it had opened listeners: when it is told so, nothing of them is open any more. Clients come to
// the listeners that there were, and the address is free, for another reload and for other programs.

import { expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { freePort } from "../support/daemon.ts";
import { ENGINES } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

/** Whether a worker is late is chance: one round would tell too little. */
const ROUNDS = 10;
const HOST = "127.0.0.1";

type PlanOf = (listens: readonly string[], target: string) => Plan;

const KINDS: readonly [string, PlanOf][] = [
  ...ENGINES.map((engine): [string, PlanOf] => [
    engine,
    (listens, target) =>
      makePlan({ engine, workers: 2 }, ...listens.map((listen) => ({ listen, target }))),
  ]),
  [
    "http",
    (listens, target) =>
      compiledPlan(
        listens.map((listen) => ({ name: "http", listen, target })),
        { workers: 2 },
      ),
  ],
];

/** Answers whoever says something, and closes. */
const answering = () =>
  WireServer.listen((wire) => {
    wire.onData(() => void wire.write("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na"));
    void wire.ending.then(() => wire.end());
  });

/** @throws Error if nobody answers. */
async function ask(port: number): Promise<string> {
  const wire = await Wire.connect({ host: HOST, port });
  await wire.write("GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n");
  const answer = await within("the answer", wire.readBytes(15));
  wire.reset();
  return answer.slice(0, 15);
}

const SERVED = "HTTP/1.1 200 OK";

async function refuse(proxy: Proxy, plan: Plan): Promise<void> {
  const failure = await proxy.reload(plan).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "ERR_LISTEN" });
}

for (const [name, planOf] of KINDS) {
  test(`what it added is closed, and the next reload can add it; ${name}`, async () => {
    await using target = await answering();
    await using taken = await WireServer.listen();
    const first = `${HOST}:${await freePort()}`;
    const port = await freePort();
    const added = `${HOST}:${port}`;
    await using proxy = await Proxy.start(planOf([first], target.target));
    for (let i = 0; i < ROUNDS; i++) {
      await refuse(proxy, planOf([first, added, taken.target], target.target));
      await WireServer.listen(undefined, { host: HOST, port }).then((other) =>
        other[Symbol.asyncDispose](),
      );
      await refuse(proxy, planOf([first, added, taken.target], target.target));
      await proxy.reload(planOf([first, added], target.target));
      expect(await ask(port)).toBe(SERVED);
      await proxy.reload(planOf([first], target.target));
    }
  }, 60_000);

  test.if(process.platform === "linux")(
    `clients of a wildcard that it would have narrowed come to it, and go on to; ${name}`,
    async () => {
      await using target = await answering();
      await using taken = await WireServer.listen();
      const port = await freePort();
      await using proxy = await Proxy.start(planOf([`0.0.0.0:${port}`], target.target));
      for (let i = 0; i < ROUNDS; i++) {
        await refuse(proxy, planOf([`${HOST}:${port}`, taken.target], target.target));
        expect(await ask(port)).toBe(SERVED);
      }
      await refuse(proxy, planOf([`${HOST}:${port}`, taken.target], target.target));
      await proxy.reload(planOf([`${HOST}:${port}`], target.target));
      expect(await ask(port)).toBe(SERVED);
    },
    60_000,
  );
}
