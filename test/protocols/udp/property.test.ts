// Any interleaving of clients and sizes arrives intact, each client's at that client alone. What is under way at once fits the
// buffers of the system's sockets: beyond that, datagrams may be lost anywhere, as UDP has it. fast-check prints the seed and the
// smallest failing script.

import { expect, test } from "bun:test";

import * as fc from "fast-check";

import { streamBytes } from "../../support/bytes.ts";
import { Datagrams, UdpRelay } from "../../support/udp.ts";
import { until } from "../../support/until.ts";

const CLIENTS = 6;
/** The system's default socket buffer holds this much of any sizes, with the kernel's own bookkeeping. */
const UNDER_WAY_BYTES = 66_000;
const UNDER_WAY_DATAGRAMS = 32;

interface Step {
  readonly client: number;
  readonly bytes: number;
  /** How many copies of it, one after another. */
  readonly burst: number;
  /** This client leaves before, and comes back from another port: a new session. */
  readonly anew: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  client: fc.integer({ min: 0, max: CLIENTS - 1 }),
  bytes: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 1_500 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1_501, max: 65_507 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, 1, 1_472, 1_473, 65_507) },
  ),
  burst: fc.integer({ min: 1, max: 8 }),
  anew: fc.boolean(),
});

interface Sent {
  readonly bytes: number;
  readonly offset: number;
}

class Clients implements AsyncDisposable {
  readonly #relay: UdpRelay;
  readonly #sockets = new Map<number, Datagrams>();
  readonly #expected = new Map<number, Sent[]>();
  #bytes = 0;
  #datagrams = 0;
  #offset = 0;

  constructor(relay: UdpRelay) {
    this.#relay = relay;
  }

  async play({ client, bytes, burst, anew }: Step): Promise<void> {
    if (anew) await this.#leave(client);
    let socket = this.#sockets.get(client);
    if (socket === undefined) this.#sockets.set(client, (socket = await Datagrams.open()));
    for (let copy = 0; copy < burst; copy++) {
      const full = this.#bytes + bytes > UNDER_WAY_BYTES || this.#datagrams >= UNDER_WAY_DATAGRAMS;
      if (full) await this.settle();
      const offset = this.#offset++;
      await socket.send(streamBytes(client, offset, bytes), this.#relay.address);
      this.#bytes += bytes;
      this.#datagrams++;
      const expected = this.#expected.get(client) ?? [];
      this.#expected.set(client, [...expected, { bytes, offset }]);
    }
  }

  async #leave(client: number): Promise<void> {
    await this.settle();
    await this.#sockets.get(client)?.[Symbol.asyncDispose]();
    this.#sockets.delete(client);
  }

  /** Everything that was sent has come back, in order, to whom it belongs. */
  async settle(): Promise<void> {
    for (const [client, expected] of this.#expected) {
      const socket = this.#sockets.get(client)!;
      await until(`client ${client}`, () => socket.received.length >= expected.length);
      for (const [i, { bytes, offset }] of expected.entries()) {
        const { data, from } = socket.received[i]!;
        if (!data.equals(streamBytes(client, offset, bytes))) {
          throw new Error(`client ${client} got ${data.length} bytes, not ${bytes} at ${offset}`);
        }
        expect(from).toEqual(this.#relay.address);
      }
      expect(socket.received).toHaveLength(expected.length);
      socket.received.length = 0;
    }
    this.#expected.clear();
    this.#bytes = 0;
    this.#datagrams = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets.values()) await socket[Symbol.asyncDispose]();
  }
}

for (const workers of [1, 2]) {
  test(`any interleaving of clients and sizes arrives intact (${workers} workers)`, async () => {
    await using target = await Datagrams.echo();
    await using relay = await UdpRelay.start({ targets: [target.target] }, { workers });
    const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      await using clients = new Clients(relay);
      for (const each of steps) await clients.play(each);
      await clients.settle();
    });
    await fc.assert(property, { numRuns: 60, endOnFailure: true });
    const { dropped, refused } = relay.stats;
    expect(Object.values({ ...dropped, ...refused }).every((count) => count === 0)).toBe(true);
  }, 60_000);
}
