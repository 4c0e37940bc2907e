// Run by fastopen.test.ts in a network namespace of its own, where Fast Open is allowed: `bun fastopen-process.ts ENGINE
// SCENARIO`. An exception ends it.
import { parseEndpoint } from "../../src/shared/address.ts";
import { type EngineName, GROUP_DEFAULTS } from "../../src/shared/plan.ts";
import { streamBytes } from "../support/bytes.ts";
import { LogLines } from "../support/log-lines.ts";
import type { ListenerOptions } from "../support/plan.ts";
import { Relay } from "../support/relay.ts";
import { SilentTarget } from "../support/silent-target.ts";
import { enableFastOpen, findSockets } from "../support/socket-options.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const ROUNDS = 4; // the first brings the cookie, the others use it
const GREETING = "220 ready";
const engine = process.argv[2] as EngineName;

const HEADER = Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 7 443\r\n");
const HEADERS = { accept: "v1", send: "v1", trusted: ["127.0.0.0/8"] } as const;

function startRelay(
  target: string,
  connectMs = 60_000,
  proxyProtocol: ListenerOptions["proxyProtocol"] = {},
): Promise<Relay> {
  return Relay.start(engine, { target, connectMs, proxyProtocol, socket: { fastopen: true } });
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
async function finDuringHandshake(bytes: number, head = Buffer.alloc(0)): Promise<void> {
  await getCookie();
  using target = await SilentTarget.start();
  await using relay = await startRelay(target.target, 60_000, head.length > 0 ? HEADERS : {});
  const sent = Buffer.concat([head, streamBytes(1, 0, bytes)]);
  const client = await relay.connect();
  client.socket.end(sent);
  // With a cookie connect(2) succeeds before the SYN is sent, which takes the first bytes along if they are there by then. It
  // is sent again after a second: what the client says comes long before its answer.
  await until("it is connected by Fast Open", () => relay.stats.targets[0]!.connects === 1);
  target.answer();
  const received = await target.readToFin();
  if (!received.equals(sent)) throw new Error(`${received.length} of ${bytes} bytes, or others`);
  await until("they are counted", () => relay.stats.bytesUp === bytes);
}

/** The target never answers, and the client is told after the connect timeout whatever it has sent. */
async function noAnswer(): Promise<void> {
  await getCookie();
  using target = await SilentTarget.start();
  await using relay = await startRelay(target.target, 300);
  const clients = [await relay.connect(), await relay.connect(), await relay.connect()];
  await clients[1]!.write("sent before the target is there");
  clients[2]!.socket.end("sent, with a FIN");
  for (const client of clients) await within("the client is told", client.closed, 3_000);
  await until("no row is left", () => relay.stats.active === 0);
  const { refused, errors, targets } = relay.stats;
  const counted = [refused.connect_timeout, errors.ETIMEDOUT, targets[0]!.connects];
  if (counted.join() !== "3,3,3") throw new Error(`timeouts, errors, connects: ${counted}`);
  if (targets[0]!.failures !== 3 || targets[0]!.active !== 0) throw new Error("failures");
}

/** The target never answers: the third timeout in a row leaves it out, though each connection was taken for made. */
async function leftOut(): Promise<void> {
  await getCookie();
  await using greeter = await startGreeter();
  using silent = await SilentTarget.start();
  const both = [silent.target, greeter.target].map((each) => parseEndpoint(each, "target"));
  const targets = both.map((endpoint) => ({ endpoint, weight: 1, backup: false }));
  const groups = [{ ...GROUP_DEFAULTS, balance: "round_robin", targets } as const];
  const socket = { fastopen: true };
  const options = { target: greeter.target, groups, connectMs: 300, socket };
  await using relay = await Relay.start(engine, options);
  await until("it is left out", async () => {
    const client = await relay.connect();
    const greeted = client.readBytes(GREETING.length).catch(() => "");
    await within("it is greeted, or told", Promise.race([greeted, client.closed]), 3_000);
    client.reset();
    return relay.stats.targets[0]!.ejections === 1;
  });
  const [dead, well] = relay.stats.targets;
  if (dead!.failures !== 3 || well!.ejections !== 0) throw new Error("failures");
}

/** The connect timeout does not touch a connection whose handshake is over. */
async function slowAnswer(): Promise<void> {
  await getCookie();
  await using greeter = await startGreeter();
  await using relay = await startRelay(greeter.target, 300);
  const client = await relay.connect();
  await within("the greeting", client.readBytes(GREETING.length));
  using silent = await SilentTarget.start();
  await using clock = await startRelay(silent.target, 900);
  const late = await clock.connect();
  await within("a longer timeout has passed", late.closed);
  if (relay.stats.active !== 1) throw new Error("it is gone");
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
  "left out": leftOut,
  "target gone": targetGone,
  "a FIN": () => finDuringHandshake(0),
  "few bytes and a FIN": () => finDuringHandshake(100),
  "many bytes and a FIN": () => finDuringHandshake(100_000),
  "a header and a FIN": () => finDuringHandshake(0, HEADER),
  "a header, many bytes and a FIN": () => finDuringHandshake(100_000, HEADER),
  async "a header, target first"() {
    await using greeter = await startGreeter();
    await using relay = await startRelay(greeter.target, 60_000, HEADERS);
    await greet(relay, HEADER.toString());
  },
  "no answer": noAnswer,
  "long after": slowAnswer,
  warnings: printWarnings,
} as const satisfies Record<string, () => Promise<void>>;
export type Scenario = keyof typeof SCENARIOS;

await SCENARIOS[process.argv[3] as Scenario]();
process.exit(0);
