// Run by fastopen.test.ts in a network namespace of its own, where Fast Open is allowed: `bun fastopen-process.ts ENGINE
// SCENARIO`. An exception ends it.
import type { EngineName } from "../../src/shared/plan.ts";
import { streamBytes } from "../support/bytes.ts";
import { LogLines } from "../support/log-lines.ts";
import { Relay } from "../support/relay.ts";
import { SilentTarget } from "../support/silent-target.ts";
import { enableFastOpen, findSockets } from "../support/socket-options.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const ROUNDS = 4; // the first brings the cookie, the others use it
const GREETING = "220 ready";
const engine = process.argv[2] as EngineName;

function startRelay(target: string): Promise<Relay> {
  return Relay.start(engine, { target, socket: { fastopen: true } });
}

async function startGreeter(): Promise<WireServer> {
  const greeter = await WireServer.listen((wire) => void wire.write(GREETING));
  enableFastOpen(findSockets((ports) => ports.local === greeter.port && ports.remote === 0)[0]!);
  return greeter;
}

/** Some clients that are greeted, after which the kernel has a cookie for this machine, whatever the port. */
async function greet(relay: Relay, word = ""): Promise<void> {
  for (let i = 0; i < ROUNDS; i++) {
    const client = await relay.connect();
    if (word !== "") await client.write(word);
    const said = await within("the greeting", client.readBytes(GREETING.length), 3_000);
    if (said !== GREETING) throw new Error(`greeted with ${said}`);
    client.reset();
  }
}

async function getCookie(): Promise<void> {
  await using greeter = await startGreeter();
  await using relay = await startRelay(greeter.target);
  await greet(relay);
}

async function targetGone(): Promise<void> {
  const greeter = await startGreeter();
  await using relay = await startRelay(greeter.target);
  await greet(relay);
  await greeter[Symbol.asyncDispose]();
  for (let i = 0; i < ROUNDS; i++) {
    const client = await relay.connect().catch(() => null);
    if (client !== null) await within("the client is told", client.closed, 3_000);
  }
  await until("no row is left", () => relay.stats.active === 0);
  if (relay.proxy.stats().workerRestarts !== 0) throw new Error("the worker crashed");
}

/** The target answers the SYN only after the client has sent everything, its FIN included. */
async function finDuringHandshake(bytes: number): Promise<void> {
  await getCookie();
  using target = await SilentTarget.start();
  await using relay = await startRelay(target.target);
  const sent = Buffer.from(streamBytes(1, 0, bytes));
  const client = await relay.connect();
  client.socket.end(sent);
  // With a cookie connect(2) succeeds before the SYN is sent, and the SYN takes the first bytes along.
  await until("it is connected by Fast Open", () => relay.stats.targets[0]!.connects === 1);
  await until("bytes are taken", () => relay.stats.bytesUp >= Math.min(1, bytes));
  target.answer();
  const received = await target.readToFin();
  if (!received.equals(sent)) throw new Error(`${received.length} of ${bytes} bytes, or others`);
}

/** Prints the warnings of a proxy with Fast Open, as JSON. */
async function printWarnings(): Promise<void> {
  const lines = new LogLines();
  await using server = await WireServer.echo();
  const listener = { target: server.target, socket: { fastopen: true } };
  await using relay = await Relay.start(engine, listener, { ...lines, workers: 2 });
  const client = await relay.connect();
  await client.write("served");
  await within("the echo", client.readBytes(6));
  const warnings = lines.lines.filter(({ level }) => level === "warn");
  process.stdout.write(JSON.stringify(warnings.map(({ message }) => message)));
}

const SCENARIOS = {
  async "target first"() {
    await using greeter = await startGreeter();
    await using relay = await startRelay(greeter.target);
    await greet(relay);
  },
  async "client first"() {
    await using greeter = await startGreeter();
    await using relay = await startRelay(greeter.target);
    await greet(relay, "HELO");
  },
  "target gone": targetGone,
  "a FIN": () => finDuringHandshake(0),
  "few bytes and a FIN": () => finDuringHandshake(100),
  "many bytes and a FIN": () => finDuringHandshake(100_000),
  warnings: printWarnings,
} as const satisfies Record<string, () => Promise<void>>;
export type Scenario = keyof typeof SCENARIOS;

await SCENARIOS[process.argv[3] as Scenario]();
process.exit(0);
