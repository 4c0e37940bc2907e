// Run by fastopen.test.ts in a network namespace of its own, where Fast Open servers are allowed: `bun fastopen-process.ts
// ENGINE`. Prints one line for each thing that held; an exception ends it.
import type { EngineName } from "../../src/shared/plan.ts";
import { Relay } from "../support/relay.ts";
import { enableFastOpen, findSockets } from "../support/socket-options.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const ROUNDS = 4; // the first brings the cookie, the others use it
const engine = process.argv[2] as EngineName;

const greeter = await WireServer.listen((wire) => void wire.write("220 ready"));
enableFastOpen(findSockets((ports) => ports.local === greeter.port && ports.remote === 0)[0]!);
{
  await using relay = await Relay.start(engine, {
    target: greeter.target,
    socket: { fastopen: true },
  });
  for (let i = 0; i < ROUNDS; i++) {
    const client = await relay.connect();
    if ((await within("the greeting", client.readBytes(9), 3_000)) !== "220 ready") process.exit(1);
    client.reset();
  }
  process.stdout.write("a target that speaks first is heard\n");

  for (let i = 0; i < ROUNDS; i++) {
    const client = await relay.connect();
    await client.write("HELO");
    await client.readBytes(9);
    client.reset();
  }
  process.stdout.write("a client that speaks first, too\n");

  await greeter[Symbol.asyncDispose]();
  for (let i = 0; i < ROUNDS; i++) {
    const client = await relay.connect().catch(() => null);
    if (client !== null) await within("the client is told", client.closed, 3_000);
  }
  await until("no row is left", () => relay.stats.active === 0);
  if (relay.proxy.stats().workerRestarts !== 0) process.exit(1);
  process.stdout.write("a target that is gone resets its clients\n");
}
process.exit(0);
