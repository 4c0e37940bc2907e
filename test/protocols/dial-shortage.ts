// Dials two targets again and again, where there is one port for connections to each. Called by dial.test.ts, in a network
// namespace of its own; says what became of each dial, and what was counted.

import { Dialer, type DialFailure } from "../../src/protocols/dial.ts";
import type { Wire } from "../../src/protocols/wire/wire.ts";
import { CounterWriter } from "../../src/shared/counters.ts";
import { groupOf, statsOf, TestHost, testRequest } from "../support/gateway-host.ts";
import { WireServer } from "../support/wire.ts";

// Ports of servers come from the same range.
await using one = await WireServer.listen(() => {}, { host: "127.0.0.1", port: 2_001 });
await using two = await WireServer.listen(() => {}, { host: "127.0.0.1", port: 2_002 });
const request = testRequest({ groups: [groupOf([one.target, two.target])], connectMs: 2_000 });
const host = new TestHost();
const dialer = new Dialer(host, request, {
  counters: new CounterWriter(request.counters),
  watermarks: { highBytes: 65_536, lowBytes: 16_384 },
  setOptions: () => {},
  alpn: () => [],
  brokeOff: () => {},
});

const wires: Wire[] = [];
const said: string[] = [];
for (let i = 0; i < 6; i++) {
  const { promise, resolve } = Promise.withResolvers<string>();
  dialer.dial(dialer.begin(0), null, {
    connected(wire) {
      wires.push(wire);
      resolve("connected");
    },
    failed: ({ reason, code }: DialFailure) => resolve(`${reason} ${code}`),
  });
  said.push(await promise);
}
const failures = statsOf(request).targets.map((target) => target.failures);
const events = host.events.filter(({ type }) => type === "target");
process.stdout.write(JSON.stringify({ said, failures, events }));
for (const wire of wires) wire.reset();
