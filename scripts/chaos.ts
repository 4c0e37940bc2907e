// Chaos: clients of every kind against a proxy whose workers are killed, whose targets and configuration change, for as
// long as it is told. Afterwards nothing may be left of any of it. scripts/chaos/tcp is about the engines,
// scripts/chaos/gateway about everything that gateway workers speak.
//
//   bun scripts/chaos.ts --minutes 30 --engine uring --seed 1
//   bun scripts/chaos.ts --kind http2,http3 --minutes 5
//
// Ends with 1 if a byte was wrong, something ended that nothing had disturbed, something hung, or rows, descriptors or memory
// did not come back; the table at the end says which.

import { parseArgs } from "node:util";

import { type Kind, KINDS } from "./chaos/gateway/kinds.ts";
import { tormentGateway } from "./chaos/gateway/run.ts";
import { tormentTcp } from "./chaos/tcp/chaos.ts";

const USAGE = `bun scripts/chaos.ts [flags]   random clients, crashes and changes against a proxy

  --kind K       tcp, for the engines, which is the default; or of the gateway, several with commas:
                 ${KINDS.join(", ")}; all: these together
  --minutes N    how long, fractions too; default 1
  --rounds N     of the gateway: so many rounds, however long they take, and no more
  --engine E     of tcp: uring, epoll or bun; default uring
  --workers N    of the gateway; default 3
  --seed N       the choices; default random, and printed
  --lanes N      clients at once; default 32
  --calm         of the gateway: no worker is crashed
  --log FILE     of the gateway: what the proxy logs, as with log_level: debug
  -h, --help     this`;

class UsageError extends Error {}

interface Settings {
  readonly minutes: number;
  readonly rounds: number;
  readonly engine: string;
  readonly workers: number;
  readonly seed: number;
  readonly lanes: number;
  readonly calm: boolean;
  /** Empty: nowhere. */
  readonly log: string;
  /** None: tcp. */
  readonly kinds: readonly Kind[];
}

/** @throws UsageError */
function readFlags(): Settings | null {
  const text = { type: "string" } as const;
  const help = { type: "boolean", short: "h" } as const;
  const numbers = { minutes: text, rounds: text, workers: text, seed: text, lanes: text };
  const calm = { type: "boolean" } as const;
  const options = { kind: text, engine: text, log: text, calm, ...numbers, help };
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help === true) return null;
  const minutes = Number(values.minutes ?? 1);
  const rounds = values.rounds === undefined ? Infinity : Number(values.rounds);
  const workers = Number(values.workers ?? 3);
  const seed = Number(values.seed ?? Math.trunc(Math.random() * 2 ** 31));
  const lanes = Number(values.lanes ?? 32);
  const engine = values.engine ?? "uring";
  if (!["uring", "epoll", "bun"].includes(engine)) {
    throw new UsageError(`"${engine}" is not one of uring, epoll, bun`);
  }
  const whole = [seed, lanes, workers, rounds === Infinity ? 1 : rounds];
  const positive = [minutes, lanes, workers, rounds].every((each) => each > 0);
  if (!(positive && whole.every(Number.isInteger))) {
    const others = "--rounds, --workers, --seed and --lanes whole numbers";
    throw new UsageError(`--minutes takes a number, ${others}, above 0`);
  }
  const kinds = kindsOf(values.kind ?? "tcp");
  const rest = { calm: values.calm === true, log: values.log ?? "" };
  return { minutes, rounds, engine, workers, seed, lanes, ...rest, kinds };
}

/** @throws UsageError */
function kindsOf(text: string): readonly Kind[] {
  if (text === "tcp") return [];
  if (text === "all") return KINDS;
  return text.split(",").map((name) => {
    const kind = KINDS.find((each) => each === name);
    if (kind !== undefined) return kind;
    throw new UsageError(`"${name}" is not one of tcp, all, ${KINDS.join(", ")}`);
  });
}

async function main(): Promise<number> {
  try {
    const settings = readFlags();
    if (settings === null) {
      console.log(USAGE);
      return 0;
    }
    return await (settings.kinds.length === 0 ? tormentTcp(settings) : tormentGateway(settings));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\nbun scripts/chaos.ts --help lists the flags.`);
    return 2;
  }
}

process.exit(await main());
