// However a PROXY header, a hello, bytes and a FIN are cut into writes, the right target gets the hello and the bytes, and the
// FIN after them. fast-check prints the seed and the smallest failing cut.

import { expect, test } from "bun:test";

import * as fc from "fast-check";

import { parseEndpoint } from "../../src/shared/address.ts";
import { singleTarget } from "../../src/shared/plan.ts";
import { ascii, IPV4_BODY, v2 } from "../l4/proxy/headers.ts";
import { hello, POST_QUANTUM, recut, sni } from "../l4/tls/hellos.ts";
import { streamBytes } from "../support/bytes.ts";
import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const NAMES = ["a.example", "b.example"] as const;

interface Opening {
  readonly v1: boolean;
  readonly name: 0 | 1;
  readonly postQuantum: boolean;
  readonly records: number[];
  readonly payload: number;
  /** Where the whole is cut, as parts of a million. */
  readonly cuts: number[];
  /** After which of the cuts the client waits until the proxy has read. */
  readonly waits: boolean[];
}

const opening: fc.Arbitrary<Opening> = fc.record({
  v1: fc.boolean(),
  name: fc.constantFrom(0, 1),
  postQuantum: fc.boolean(),
  records: fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 5 }),
  payload: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300 }), fc.nat(400_000)),
  cuts: fc.array(fc.nat(1_000_000), { maxLength: 8 }),
  waits: fc.array(fc.boolean(), { minLength: 9, maxLength: 9 }),
});

function bytesOf({ v1, name, postQuantum, records, payload }: Opening): {
  header: Uint8Array;
  rest: Buffer;
} {
  const header = v1 ? ascii("PROXY TCP4 192.0.2.1 192.0.2.2 7 443\r\n") : v2(1, 0x11, IPV4_BODY);
  const whole = hello([sni(NAMES[name]), ...(postQuantum ? [POST_QUANTUM] : [])]);
  return { header, rest: Buffer.concat([recut(whole, records), streamBytes(1, 0, payload)]) };
}

async function holds(relay: Relay, servers: readonly WireServer[], run: Opening): Promise<void> {
  const { header, rest } = bytesOf(run);
  const all = Buffer.concat([header, rest]);
  const client = await relay.connect();
  // Most cuts near the beginning, where the decisions are.
  const early = Math.min(all.length, header.length + 2_000);
  const places = run.cuts.map((cut, i) =>
    Math.floor(((i % 4 === 3 ? all.length : early) * cut) / 1_000_001),
  );
  let from = 0;
  for (const [i, to] of [...places.toSorted((a, b) => a - b), all.length].entries()) {
    if (to > from) await client.write(all.subarray(from, to));
    from = to;
    if (run.waits[i] === true) await new Promise((resolve) => setImmediate(resolve));
  }
  client.end();
  const target = await within("the target", servers[run.name]!.accept(), 5_000);
  const got = await within("the stream", target.readToEnd(), 5_000);
  expect(Buffer.compare(got, rest)).toBe(0);
  await target.write("answer");
  target.end();
  expect(await within("the answer", client.readAll(), 5_000)).toBe("answer");
  await until("no row is left", () => relay.proxy.connections().length === 0);
}

forEveryEngine((engine) => {
  test("however its first bytes are cut, a client reaches its target with all of them", async () => {
    await using a = await WireServer.listen();
    await using b = await WireServer.listen();
    const servers = [a, b];
    await using relay = await Relay.start(engine, {
      target: "127.0.0.1:1",
      groups: servers.map(({ target }) => singleTarget(parseEndpoint(target, "target"))),
      routes: NAMES.map((name, group) => ({ name, sni: name, alpn: null, group })),
      proxyProtocol: { accept: "any", trusted: ["127.0.0.0/8"] },
    });
    const property = fc.asyncProperty(opening, (run) => holds(relay, servers, run));
    await fc.assert(property, { numRuns: 150, endOnFailure: true });
  }, 60_000);
});
