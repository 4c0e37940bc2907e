// Chaos: clients of every kind against a proxy whose workers are killed, whose targets change, and beside which a second proxy
// comes and goes, for as long as it is told. Afterwards nothing may be left of any of it.
//
//   bun scripts/chaos.ts --minutes 30 --engine uring --seed 1
//
// Ends with 1 if a byte was wrong, a connection ended that nothing had disturbed, something hung, or rows, descriptors or memory
// did not come back; the table at the end says which.

import { parseArgs } from "node:util";

import { type TcpSettings, tormentTcp } from "./chaos/tcp/chaos.ts";

const USAGE = `bun scripts/chaos.ts [flags]   random clients, crashes and changes against a proxy

  --minutes N    how long, fractions too; default 1
  --engine E     uring, epoll or bun; default uring
  --seed N       the choices; default random, and printed
  --lanes N      clients at once; default 32
  -h, --help     this`;

class UsageError extends Error {}

/** @throws UsageError */
function readFlags(): TcpSettings | null {
  const text = { type: "string" } as const;
  const help = { type: "boolean", short: "h" } as const;
  const options = { minutes: text, engine: text, seed: text, lanes: text, help };
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help === true) return null;
  const minutes = Number(values.minutes ?? 1);
  const seed = Number(values.seed ?? Math.trunc(Math.random() * 2 ** 31));
  const lanes = Number(values.lanes ?? 32);
  const engine = values.engine ?? "uring";
  if (!["uring", "epoll", "bun"].includes(engine)) {
    throw new UsageError(`"${engine}" is not one of uring, epoll, bun`);
  }
  if (!(minutes > 0 && Number.isInteger(seed) && Number.isInteger(lanes) && lanes > 0)) {
    throw new UsageError("--minutes takes a number, --seed and --lanes whole numbers, above 0");
  }
  return { minutes, engine, seed, lanes };
}

async function main(): Promise<number> {
  try {
    const settings = readFlags();
    if (settings !== null) return await tormentTcp(settings);
    console.log(USAGE);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\nbun scripts/chaos.ts --help lists the flags.`);
    return 2;
  }
}

process.exit(await main());
