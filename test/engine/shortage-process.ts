// Run by shortage.test.ts in a network namespace that has few ports: `bun shortage-process.ts ENGINE`. Prints what the relay
// counted when clients found no port left towards a healthy target. An exception ends it.
import { parseEndpoint } from "../../src/shared/address.ts";
import { type EngineName, singleTarget } from "../../src/shared/plan.ts";
import { breakerPlan } from "../support/breaker.ts";
import { Relay } from "../support/relay.ts";
import { until } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const engine = process.argv[2] as EngineName;
const CLIENTS = 4;

// Ports of servers come from the same range.
await using server = await WireServer.listen(() => {}, { host: "127.0.0.1", port: 2_001 });
const groups = [
  {
    ...singleTarget(parseEndpoint(server.target, "target")),
    breaker: breakerPlan({ failures: 1, openMs: 60_000, maxOpenMs: 60_000 }),
  },
];
await using relay = await Relay.start(engine, { target: server.target, groups });

// Every port towards the target is somebody else's.
const others: Wire[] = [];
for (let isPortLeft = true; isPortLeft;) {
  await Wire.connect({ host: "127.0.0.1", port: server.port }).then(
    (client) => others.push(client),
    () => (isPortLeft = false),
  );
}

for (let i = 0; i < CLIENTS; i++) await relay.refusal();
await until("all are refused", () => relay.stats.refused.descriptors === CLIENTS);
await until("all are gone", () => relay.stats.active === 0);
const { errors, refused, targets } = relay.stats;
const { ejections, failures, states } = targets[0]!;
const about = { others: others.length > 0, errors: errors.EADDRNOTAVAIL, ejections, failures };
process.stdout.write(
  JSON.stringify({ ...about, up: states.up, circuitOpen: refused.circuit_open }),
);
for (const client of others) client.reset();
