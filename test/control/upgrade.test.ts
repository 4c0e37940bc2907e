// An upgrade whose successor is some other program: whatever it does, the proxy goes on, says why, and can try again.

import { expect, test } from "bun:test";

import { successorsOf } from "../../src/control/processes.ts";
import { Proxy } from "../../src/control/proxy.ts";
import { Upgrader } from "../../src/control/upgrade.ts";
import { ENGINES } from "../support/engines.ts";
import { LogLines } from "../support/log-lines.ts";
import { makePlan } from "../support/plan.ts";
import { countDescriptors } from "../support/proc.ts";
import { wireAddress } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

interface Attempt {
  readonly proxy: Proxy;
  readonly upgrader: Upgrader;
  readonly lines: LogLines;
  /** What the service manager would have been told. */
  readonly told: string[];
}

async function withSuccessor(
  command: readonly string[],
  use: (attempt: Attempt) => Promise<void>,
  { timeoutMs = 20_000, orphan = false } = {},
): Promise<void> {
  await using server = await WireServer.echo();
  const lines = new LogLines();
  const plan = makePlan({ engine: "epoll", workers: 2 }, { target: server.target });
  await using proxy = await Proxy.start(plan, lines);
  const told: string[] = [];
  const upgrader = new Upgrader({
    log: lines.log,
    command,
    env: process.env,
    orphan,
    timeoutMs,
    began: async () => void told.push("began"),
    failed: (reason) => told.push(reason),
  });
  upgrader.serve(proxy);
  try {
    await use({ proxy, upgrader, lines, told });
    const client = await Wire.connect(wireAddress(proxy.listeners()[0]!.bound[0]!));
    await client.write("served");
    expect(await within("the echo", client.readBytes(6))).toBe("served");
    client.reset();
  } finally {
    upgrader.close();
  }
}

/** The reason of the n-th failure. */
async function failure({ lines }: Attempt, count = 1): Promise<string> {
  const failures = (): readonly unknown[] => lines.of("upgrade failed, serving on");
  await until("the failure", () => failures().length === count, 30_000);
  return lines.of("upgrade failed, serving on").at(-1)!.fields.reason as string;
}

const linux = test.if(ENGINES.includes("epoll"));

linux("a successor that ends without a word is told of, and the next may be tried at once", () =>
  withSuccessor(["sh", "-c", "exit 3"], async (attempt) => {
    const before = countDescriptors(process.pid).sockets;
    for (let count = 1; count <= 3; count++) {
      attempt.upgrader.request();
      expect(await failure(attempt, count)).toMatch(/^process \d+: it ended with code 3$/);
    }
    expect(attempt.told.filter((word) => word === "began")).toHaveLength(3);
    expect(attempt.told.at(-1)).toMatch(/ended with code 3/);
    await until("no descriptor is left", () => countDescriptors(process.pid).sockets <= before);
  }),
);

linux("a successor that crashes is told of with its signal", () =>
  withSuccessor(["sh", "-c", "kill -SEGV $$"], async (attempt) => {
    attempt.upgrader.request();
    expect(await failure(attempt)).toMatch(/^process \d+: it ended with signal SIGSEGV$/);
  }),
);

linux("a program that is not there is told of", () =>
  withSuccessor(["/no/such/program"], async (attempt) => {
    attempt.upgrader.request();
    expect(await failure(attempt)).toContain("/no/such/program");
  }),
);

linux("a successor that does not serve in time is ended", () =>
  withSuccessor(
    ["sleep", "60"],
    async (attempt) => {
      attempt.upgrader.request();
      const reason = await failure(attempt);
      const [, pid] = /^process (\d+): it did not serve within 0.1 s$/.exec(reason) ?? [];
      await until("it is gone", () => !isAlive(Number(pid)));
    },
    { timeoutMs: 100 },
  ),
);

linux("an orphan that does not serve is told of and ended like any other", async () => {
  await withSuccessor(
    ["sh", "-c", "exit 3"],
    async (attempt) => {
      attempt.upgrader.request();
      expect(await failure(attempt)).toBe("the new process: it ended before it served");
    },
    { orphan: true },
  );
  await withSuccessor(
    ["sleep", "60"],
    async (attempt) => {
      attempt.upgrader.request();
      await until("it has started", () => successorsOf(process.pid).length > 0);
      expect(await failure(attempt)).toBe("the new process: it did not serve within 0.5 s");
      await until("it is gone", () => successorsOf(process.pid).length === 0);
    },
    { orphan: true, timeoutMs: 500 },
  );
});

linux("a second upgrade while one is under way is refused", () =>
  withSuccessor(["sleep", "60"], async ({ upgrader, lines }) => {
    upgrader.request();
    upgrader.request();
    expect(lines.of("upgrade refused")).toMatchObject([
      { level: "warn", fields: { reason: "another one is under way" } },
    ]);
    await until("the successor has started", () => lines.of("upgrading").length === 1);
  }),
);

linux("a proxy that ends takes a successor that does not serve yet with it", () =>
  withSuccessor(["sleep", "60"], async ({ upgrader, lines }) => {
    upgrader.request();
    await until("the successor has started", () => lines.of("upgrading").length === 1);
    const { pid } = lines.of("upgrading")[0]!.fields;
    upgrader.close();
    await until("it is gone", () => !isAlive(pid as number));
    upgrader.request();
    expect(lines.of("upgrade refused")).toMatchObject([{ fields: { reason: "it is ending" } }]);
    expect(lines.of("upgrade failed, serving on")).toEqual([]);
  }),
);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
